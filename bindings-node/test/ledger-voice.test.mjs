// What a ledger, its worker and its end tell a person.

import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';

import { delivery, eventually, terms, withFolder, withLedger } from './ledgers.mjs';
import { kazawallet, testing } from './package.mjs';
import { Postgres } from './postgres.mjs';
import { test, until } from './runtimes.mjs';

const { Ledger, Webhook } = kazawallet;

/** @type {import('kazawallet').Report[]} */
const told = [];
subscribe('kazawallet:report', (report) => {
  told.push(/** @type {import('kazawallet').Report} */ (report));
});
/** @type {import('kazawallet').CallMessage[]} */
const calls = [];
subscribe('kazawallet:call', (call) => {
  calls.push(/** @type {import('kazawallet').CallMessage} */ (call));
});

const codes = () => told.map(({ level, code, orderId }) => `${level} ${code} ${orderId}`);

/**
 * What is logged while `work` goes on.
 *
 * @param {(lines: string[]) => Promise<void>} work
 */
async function logging(work) {
  const { error } = console;
  /** @type {string[]} */
  const lines = [];
  console.error = (/** @type {unknown[]} */ ...said) => lines.push(said.join(' '));
  told.length = 0;
  try {
    await work(lines);
  } finally {
    console.error = error;
  }
}

/**
 * An order that was paid, of which the ledger knows.
 *
 * @param {import('./ledgers.mjs').Shop} shop
 */
async function paid({ ledger, sim }) {
  const order = { ref: 'order-1', amount: '10.50', currency: 'USD' };
  const [{ body, orderId }] = await sim.pay(await ledger.createPaymentLink(order));
  await ledger.receive(body);
  return `${orderId}`;
}

test('a server that is away is told of, and so is a rotation that keeps the spool full', () =>
  withFolder(async (folder) => {
    const [server, sim] = [await Postgres.start(), await testing.Simulator.start()];
    const work = logging(async (lines) => {
      const url = await server.newDatabase();
      const spool = `${folder}/spool`;
      const ledger = await Ledger.open(url, { client: sim.client(), spool });
      await server.stop();
      for (const orderId of ['pl_1', 'pl_2', 'pl_3']) {
        const receipt = await ledger.receive(delivery(sim, { orderId }));
        assert.equal(receipt.decision, 'spooled');
      }
      await ledger.close();
      assert.deepEqual(codes(), ['warning spooled undefined']);
      assert.match(`${lines[0]}`, /PostgreSQL server cannot be reached/);
      told.length = 0;
      await server.startAgain();
      const webhook = new Webhook({ apiKey: 'a new key', apiSecret: 'a new secret' });
      const rotated = await Ledger.open(url, { webhook, spool });
      await until(() => codes().includes('warning spool_of_another_key undefined'), 'the rotation');
      await rotated.close();
    });
    try {
      await work;
    } finally {
      await server.remove();
      await sim.stop();
    }
  }));

test("the ledger's own calls are in the channel of calls", () =>
  withLedger(async (shop) => {
    calls.length = 0;
    await paid(shop);
    await shop.ledger.withdraw({ reference: 'payout-1', ...terms('1') });
    await until(() => calls.length >= 2, 'two calls');
    const ours = calls.map(({ endpoint, outcome }) => `${endpoint} ${outcome}`);
    assert.deepEqual(ours, ['/createPaymentLink ok', '/createWithdrawalRequest ok']);
  }));

test('a failed handler is heard with a bare `process`, and its message is not', () =>
  withLedger((shop) =>
    logging(async (lines) => {
      const orderId = await paid(shop);
      const worker = shop.ledger.process(() => {
        throw new RangeError('the card of a person');
      });
      await until(() => lines.length > 0, 'a line');
      await worker.stop();
      assert.match(
        `${lines[0]}`,
        /^kazawallet: the handler failed with RangeError for the payment \w+, try 1 of 10: it comes again$/,
      );
      assert.equal(codes()[0], `warning handler_failed ${orderId}`);
    }),
  ));

test('a stop has an end, and its payment has had a try', () =>
  withLedger((shop) =>
    logging(async () => {
      const { ledger } = shop;
      const orderId = await paid(shop);
      const begun = new Promise((resolve) => {
        const worker = ledger.process(
          () => {
            resolve(worker);
            return new Promise(() => {});
          },
          { firstPause: 60_000 },
        );
      });
      const worker = await begun;
      assert.equal(await worker.stop({ timeout: 1200 }), false);
      assert.equal(await worker.stop(), false);
      const warnings = ['stop_waits', 'handler_broken_off'].map(
        (code) => `warning ${code} ${orderId}`,
      );
      await until(() => told.length >= 2, `${warnings}`);
      assert.deepEqual(codes(), warnings);
      const { processing, tries } = (await ledger.payment(orderId)) ?? {};
      assert.deepEqual([processing, tries], ['waiting', 1]);
      // One that has nothing to do ends at once.
      assert.equal(await ledger.process(() => {}).stop({ timeout: 60_000 }), true);
      await eventually(
        async () => (await ledger.summary()).processing.waiting === 1,
        'the payment',
      );
    }),
  ));

test('a generator is no handler', () =>
  withLedger(async ({ ledger }) => {
    const generators = [function* () {}, async function* () {}];
    for (const handler of generators) {
      assert.throws(() => ledger.process(handler), {
        name: 'TypeError',
        message: /`handler` is a generator/,
      });
    }
  }));

test('an end that cannot be recorded is told', () =>
  withFolder(async () => {
    const [server, sim] = [await Postgres.start(), await testing.Simulator.start()];
    const work = logging(async () => {
      const ledger = await Ledger.open(await server.newDatabase(), {
        client: sim.client(),
        spool: false,
      });
      const orderId = await paid({ ledger, sim, url: '', folder: '' });
      ledger.process(async () => server.stop());
      const unrecorded = `warning end_not_recorded ${orderId}`;
      await until(() => codes().includes(unrecorded), unrecorded);
      await ledger.close();
    });
    try {
      await work;
    } finally {
      await server.remove();
      await sim.stop();
    }
  }));
