// Link ids: what the provider answers, and what the ledger makes of the id that a delivery carries.

import assert from 'node:assert/strict';
import { after } from 'node:test';
import { inspect } from 'node:util';

import { delivery, edited, withFolder } from './ledgers.mjs';
import { kazawallet, testing } from './package.mjs';
import { Postgres } from './postgres.mjs';
import { test } from './runtimes.mjs';
import { ScriptedServer } from './scripted-server.mjs';

const { Ledger } = kazawallet;

const ORDER = { amount: '10.50', currency: 'USD' };

// Before the first test: those that are defined after an `await` may be lost.
const server = await Postgres.start();
/** What signs as the provider does. */
const sim = await testing.Simulator.start();
after(async () => {
  await sim.stop();
  await server.remove();
});

/** @typedef {import('kazawallet').Ledger} OpenLedger */

/**
 * Does `work` with the URL of a provider whose first link has the id `L-1`, and so on.
 *
 * @param {(baseUrl: string) => Promise<void>} work
 */
async function withProvider(work) {
  const steps = [1, 2, 3].map((n) => ({
    do: 'respond',
    status: 200,
    body: { json: { success: true, id: `L-${n}`, url: `https://pay.example/l/${n}` } },
  }));
  const provider = await ScriptedServer.start({ steps });
  try {
    await work(provider.url);
  } finally {
    provider.stop();
  }
}

/**
 * A test for a ledger in each database, whose links that provider makes.
 *
 * @param {string} name
 * @param {(ledger: OpenLedger) => Promise<void>} work
 */
function testLedger(name, work) {
  /** @param {string} url */
  const withLedger = (url) =>
    withProvider(async (baseUrl) => {
      const ledger = await Ledger.open(url, { client: sim.client({ baseUrl }), spool: false });
      try {
        await work(ledger);
      } finally {
        await ledger.close();
      }
    });
  test(`${name}, in SQLite`, () =>
    withFolder((folder) => withLedger(`sqlite://${folder}/ledger.db`)));
  test(`${name}, in PostgreSQL`, async () => withLedger(await server.newDatabase()));
}

/**
 * Makes an order's link, and gives its id.
 *
 * @param {OpenLedger} ledger
 * @param {string} ref
 */
async function order(ledger, ref) {
  return `${(await ledger.createPaymentLink({ ...ORDER, ref })).id}`;
}

/**
 * The first payment that carries the id of its own order's link.
 *
 * @param {OpenLedger} ledger
 */
async function prove(ledger) {
  const orderId = await order(ledger, 'order-that-proves');
  const receipt = await ledger.receive(delivery(sim, { orderId, ref: 'order-that-proves' }));
  assert.deepEqual([receipt.decision, receipt.linkIds], ['paid', 'proven']);
}

/** @param {import('kazawallet').Receipt | import('kazawallet').Payment | undefined} told */
const decided = (told) => [told?.decision, told?.problem, told?.linkIds, told?.linkRef];

test('a link has the id that stands beside its URL', () =>
  withProvider(async (baseUrl) => {
    const client = sim.client({ baseUrl });
    const link = await client.paymentLinks.create(ORDER);
    assert.deepEqual([link.id, link.url], ['L-1', 'https://pay.example/l/1']);
    client.close();
  }));

testLedger("an order's link has the id that stands beside its URL", async (ledger) => {
  const link = await ledger.createPaymentLink({ ...ORDER, ref: 'order-42' });
  assert.deepEqual([link.id, link.url], ['L-1', 'https://pay.example/l/1']);
  assert.equal((await ledger.order('order-42'))?.linkId, 'L-1');
});

for (const ref of ['order-43', 'order-nobody-knows', undefined]) {
  testLedger(`the link of another order than ${ref} is told at once`, async (ledger) => {
    const orderId = await order(ledger, 'order-42');
    await order(ledger, 'order-43');
    const fields = ref === undefined ? { orderId } : { orderId, ref };
    const wanted = ['mismatch', 'ref', 'unproven', 'order-42'];
    assert.deepEqual(decided(await ledger.receive(delivery(sim, fields))), wanted);
    const [payment, ...more] = await ledger.unsettled();
    assert.deepEqual([...decided(payment), payment?.ref, more], [...wanted, ref, []]);
    for (const unpaid of ['order-42', 'order-43']) {
      assert.equal((await ledger.order(unpaid))?.state, 'open');
    }
  });
}

testLedger('an unknown id pays while the ids are unproven', async (ledger) => {
  await order(ledger, 'order-42');
  assert.equal((await ledger.summary()).linkIds, 'unproven');
  const receipt = await ledger.receive(delivery(sim, { orderId: 'W-900', ref: 'order-42' }));
  const wanted = ['paid', undefined, 'unproven', undefined];
  assert.deepEqual(decided(receipt), wanted);
  assert.deepEqual(decided(await ledger.payment('W-900')), wanted);
  // It proves nothing.
  assert.equal((await ledger.summary()).linkIds, 'unproven');
});

testLedger('an unknown id waits for a person once the ids are proven', async (ledger) => {
  await prove(ledger);
  assert.equal((await ledger.summary()).linkIds, 'proven');
  await order(ledger, 'order-42');
  const receipt = await ledger.receive(delivery(sim, { orderId: 'W-900', ref: 'order-42' }));
  const wanted = ['mismatch', 'orderId', 'proven', undefined];
  assert.deepEqual(decided(receipt), wanted);
  assert.deepEqual(decided(await ledger.payment('W-900')), wanted);
});

testLedger('a person switches the check off, and on again', async (ledger) => {
  await prove(ledger);
  await order(ledger, 'order-42');
  const off = await ledger.setLinkIdCheck(false, { by: 'sara', note: 'their numbers differ' });
  assert.equal(off, undefined);
  assert.equal((await ledger.summary()).linkIds, 'ignored');
  const receipt = await ledger.receive(delivery(sim, { orderId: 'W-900', ref: 'order-42' }));
  const wanted = ['paid', undefined, 'ignored', undefined];
  assert.deepEqual(decided(receipt), wanted);
  assert.deepEqual(decided(await ledger.payment('W-900')), wanted);

  await ledger.setLinkIdCheck(true, { by: 'omar' });
  assert.equal((await ledger.summary()).linkIds, 'proven');
  await order(ledger, 'order-43');
  const checked = await ledger.receive(delivery(sim, { orderId: 'W-901', ref: 'order-43' }));
  assert.deepEqual(decided(checked), ['mismatch', 'orderId', 'proven', undefined]);

  assert.deepEqual(
    (await ledger.decisions()).map(({ by, action, subject, decision, ref, note }) => [
      ...[by, action, subject, decision, ref, note],
    ]),
    [
      ['omar', 'link_ids', '', 'checked', undefined, undefined],
      ['sara', 'link_ids', '', 'ignored', undefined, 'their numbers differ'],
    ],
  );
});

testLedger('what was decided stays as it is', async (ledger) => {
  const body = delivery(sim, { orderId: await order(ledger, 'order-42') });
  assert.equal((await ledger.receive(body)).decision, 'mismatch');
  await ledger.setLinkIdCheck(false, { by: 'sara' });
  const again = await ledger.receive(body);
  assert.deepEqual(decided(again), ['mismatch', 'ref', 'unproven', 'order-42']);
  assert.equal(again.duplicate, true);
});

testLedger('whether the ids are proven is shown, and whose link it is is not', async (ledger) => {
  const orderId = await order(ledger, 'order-of-Sara');
  const receipt = await ledger.receive(delivery(sim, { orderId }));
  const [payment] = await ledger.unsettled();
  assert.deepEqual([receipt.linkRef, payment?.linkRef], ['order-of-Sara', 'order-of-Sara']);
  for (const record of [receipt, payment, await ledger.summary()]) {
    for (const shown of [inspect(record), JSON.stringify(record)]) {
      assert.match(shown, /linkIds"?: ?['"]unproven/);
      assert.ok(!shown.includes('Sara'), shown);
    }
  }
});

for (const amount of [10.5, '10.5']) {
  testLedger(`10.500 that is delivered as the ${typeof amount} 10.5`, async (ledger) => {
    // A shop's decimals are its own: `10.500`, as it was sent when the link was made, is signed.
    const terms = { ref: 'order-42', amount: '10.500', currency: 'USD' };
    const { id } = await ledger.createPaymentLink(terms);
    const signed = delivery(sim, { orderId: `${id}`, ref: 'order-42', amount: '10.500' });
    const body = edited(Buffer.from(signed), { amount });
    const event = sim.webhook().verify(body);
    assert.deepEqual([event.orderId, event.amount], ['L-1', '10.5']);
    assert.ok(event.matchOrder(terms).isFulfilled);
    assert.deepEqual(decided(await ledger.receive(body)), ['paid', undefined, 'proven', undefined]);
  });
}
