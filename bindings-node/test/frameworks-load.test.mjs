// @ts-check
// Each adapter under load: what comes in is answered at once, whatever the handler takes, and nothing is
// lost.

import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { FRAMEWORKS, withApplication } from './frameworks.mjs';
import { delivery, withFolder } from './ledgers.mjs';
import { kazawallet, testing } from './package.mjs';
import { checkClean, run } from './programs.mjs';
import { GUARD, test } from './runtimes.mjs';

const DELIVERIES = 2_000;
const AT_ONCE = 50;
const HANDLER_TAKES = 5_000;
/** The provider does not wait longer. */
const ANSWERED_WITHIN = 1_000;

/** Delivers the lines of a file in a process of its own, and says how long each answer took. */
const CLIENT = `
  import { readFileSync } from 'node:fs';
  import { Agent, request } from 'node:http';

  const [url, file, atOnce] = process.argv.slice(2);
  const bodies = readFileSync(file, 'utf8').trim().split('\\n');
  const agent = new Agent({ keepAlive: true, maxSockets: Number(atOnce) });
  const headers = { 'content-type': 'application/json' };
  const deliver = (body) =>
    new Promise((resolve, reject) => {
      const begun = performance.now();
      const sent = request(url, { method: 'POST', agent, headers }, (response) => {
        response.resume().once('end', () => {
          resolve([response.statusCode, performance.now() - begun]);
        });
      });
      sent.once('error', reject).end(body);
    });
  const answers = [];
  const waiting = bodies.values();
  const sender = async () => {
    for (const body of waiting) {
      answers.push(await deliver(body));
    }
  };
  await Promise.all(Array.from({ length: Number(atOnce) }, sender));
  agent.destroy();
  console.log(JSON.stringify(answers));
`;

test('many deliveries while the handler sleeps', () =>
  withFolder(async (folder) => {
    const sim = await testing.Simulator.start();
    const client = sim.client();
    const template = path.join(folder, 'template.db');
    const orders = await kazawallet.Ledger.open(`sqlite://${template}`, { client });
    /** @type {string[]} */
    const bodies = [];
    const numbers = Array(DELIVERIES).keys();
    const order = async () => {
      for (const number of numbers) {
        const terms = { ref: `order-${number}`, amount: '10.50', currency: 'USD' };
        const { id } = await orders.createPaymentLink(terms);
        bodies.push(delivery(sim, { orderId: `${id}`, ref: terms.ref }));
      }
    };
    await Promise.all(Array.from({ length: 20 }, order));
    await orders.close();
    const file = path.join(folder, 'deliveries.jsonl');
    writeFileSync(file, bodies.join('\n'));

    for (const [index, framework] of ['Express 5', 'Fastify', 'web'].entries()) {
      const serve = FRAMEWORKS[framework];
      assert.ok(serve);
      const database = path.join(folder, `ledger-${index}.db`);
      copyFileSync(template, database);
      const ledger = await kazawallet.Ledger.open(`sqlite://${database}`, { client });
      const end = new AbortController();
      let handled = 0;
      const handler = async () => {
        handled += 1;
        await new Promise((resolve) => {
          const timer = setTimeout(resolve, HANDLER_TAKES);
          end.signal.addEventListener('abort', () => {
            clearTimeout(timer);
            resolve(undefined);
          });
        });
      };
      await withApplication(serve, { receiver: [ledger, handler] }, async ({ url }) => {
        const parameters = [url, file, `${AT_ONCE}`];
        const ended = await run(CLIENT, { parameters, within: 4 * GUARD });
        checkClean(ended);
        /** @type {[status: number, took: number][]} */
        const answers = JSON.parse(ended.stdout);
        assert.equal(answers.length, DELIVERIES);
        assert.deepEqual([...new Set(answers.map(([status]) => status))], [200], framework);
        const times = answers.map(([, took]) => Math.round(took)).sort((a, b) => a - b);
        const slowest = times.at(-1);
        console.log(
          `${framework}: the slowest answer took ${slowest} ms, the median ${times[1_000]} ms`,
        );
        // A busy machine that stops for a moment, with fifty under way, must not fail it.
        const late = times.filter((took) => took >= ANSWERED_WITHIN);
        assert.ok(late.length <= DELIVERIES / 10, `${framework}: ${late.length} late: ${late}`);
        const { payments, processing } = await ledger.summary();
        assert.equal(payments.paid, DELIVERIES);
        assert.equal(processing.waiting + processing.done, DELIVERIES);
        assert.ok(handled > 0);
        end.abort();
      });
      await ledger.close();
    }
    client.close();
    await sim.stop();
  }));
