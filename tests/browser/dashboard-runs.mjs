// What is done on the simulator's dashboard.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Failed } from '../../bindings-node/scripts/steps.mjs';
import { Simulator } from './programs.mjs';

/** @typedef {import('./in-browser.mjs').Run<Watched>} Run */

/** A simulator, and what its webhooks reach: something that keeps their bytes. */
export class Watched {
  #server;

  /**
   * @param {Simulator} simulator
   * @param {import('node:http').Server} server
   * @param {Buffer[]} received
   * @param {import('kazawallet').Client} client
   */
  constructor(simulator, server, received, client) {
    this.simulator = simulator;
    this.#server = server;
    this.received = received;
    this.client = client;
  }

  /**
   * @param {typeof import('kazawallet')} kazawallet
   * @param {{ simulatorProgram: string, folder: string }} settings
   */
  static async open({ Client }, { simulatorProgram, folder }) {
    /** @type {Buffer[]} */
    const received = [];
    const server = createServer(async (request, response) => {
      received.push(Buffer.concat(await request.toArray()));
      response.end('{"received":true}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') {
      throw new Failed('the system gave no port');
    }
    const webhook = `http://127.0.0.1:${address.port}/webhook`;
    const simulator = await Simulator.start(simulatorProgram, folder, webhook);
    return new Watched(simulator, server, received, new Client(simulator.clientOptions));
  }

  get output() {
    return this.simulator.output;
  }

  async close() {
    await this.simulator.stop();
    this.#server.close();
  }
}

/** @type {readonly Run[]} */
export const ON_THE_DASHBOARD = [
  {
    name: 'a fault is armed with a click; the delivery is shown byte for byte, with its signature',
    async work(page, { client, received, simulator }) {
      const order = { amount: '10.50', currency: 'USD', ref: 'order <42> & "more"' };
      const { url } = await client.paymentLinks.create(order);

      await page.goto(simulator.dashboard);
      assert.equal(new URL(page.url()).search, '', 'the token is left in the address');
      const fault = page.getByRole('group', { name: 'form_encoded', exact: true });
      await fault.getByRole('button', { name: 'Once', exact: true }).click();
      await page.getByText('form_encoded, once').first().waitFor();

      await page.goto(url);
      await page.getByRole('button', { name: 'Pay', exact: true }).click();
      await page.getByRole('status').waitFor();
      const [body, ...others] = received.map(String);
      assert.deepEqual(others, []);
      assert.match(`${body}`, /^order_id=/);

      await page.goto(simulator.dashboard);
      assert.equal(await page.getByText('form_encoded, once').count(), 0, 'it is still armed');
      await page.getByRole('link', { name: /^Delivery 1\b/ }).click();
      assert.equal(await page.getByLabel('Body, to copy').inputValue(), body);
      await page.getByText('the signature holds').first().waitFor();
    },
  },
];
