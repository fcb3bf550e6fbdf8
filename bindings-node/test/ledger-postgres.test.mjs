// The ledger in a real PostgreSQL: the same as in SQLite, and what there is only with a server: it can
// be stopped.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after } from 'node:test';

import { delivery, edited, eventually, rejection, terms, withFolder } from './ledgers.mjs';
import { kazawallet, testing } from './package.mjs';
import { Postgres } from './postgres.mjs';
import { test } from './runtimes.mjs';

const { Ledger, LedgerError, OutcomeUnknownError } = kazawallet;

const ORDER = { amount: '10.50', currency: 'USD' };

const server = await Postgres.start();
const sim = await testing.Simulator.start({ balances: { USD: '1000' } });
after(async () => {
  await sim.stop();
  await server.remove();
});

/**
 * Does `work` with a ledger in an empty database.
 *
 * @param {(shop: { ledger: import('kazawallet').Ledger, url: string }) => Promise<void>} work
 * @param {string | false} [spool] its folder; without it the ledger has none, and waits for a database
 *   that is slow on a busy machine
 */
async function withLedger(work, spool = false) {
  const url = await server.newDatabase();
  const ledger = await Ledger.open(url, { client: sim.client(), spool, clockMargin: 0 });
  try {
    await work({ ledger, url });
  } finally {
    await ledger.close();
  }
}

/** @param {string} spool */
const kept = (spool) => readdirSync(spool).length;

test('an order from its link to the handler', () =>
  withLedger(async ({ ledger }) => {
    const order = { ref: 'order-42', ...ORDER };
    const links = await Promise.all(
      Array.from({ length: 4 }, () => ledger.createPaymentLink(order)),
    );
    assert.equal(new Set(links.map(({ url }) => url)).size, 1);
    const [{ body, orderId }] = await sim.pay(`${links[0]?.url}`);
    const receipts = await Promise.all(Array.from({ length: 4 }, () => ledger.receive(body)));
    assert.deepEqual(receipts.map(({ decision, duplicate }) => `${decision} ${duplicate}`).sort(), [
      'paid false',
      'paid true',
      'paid true',
      'paid true',
    ]);
    assert.equal((await ledger.receive(edited(body, { currency: 'SYP' }))).decision, 'conflict');
    assert.equal((await ledger.conflicts()).length, 1);
    const payment = await new Promise((resolve) => {
      const worker = ledger.process(async (one) => resolve({ ...one, ref: one.ref, worker }));
    });
    assert.deepEqual([payment.orderId, payment.ref, payment.isPaid], [orderId, 'order-42', true]);
    await payment.worker.stop();
    const { state, paidBy, createdAt } = (await ledger.order('order-42')) ?? {};
    assert.deepEqual([state, paidBy], ['paid', orderId]);
    assert.ok(Math.abs(Number(createdAt) - Date.now()) < 60_000);
  }));

test('what waits for a person', () =>
  withLedger(async ({ ledger }) => {
    await ledger.receive(delivery(sim, { orderId: 'pl_77', ref: 'order-77' }));
    await ledger.receive(delivery(sim, { orderId: 'pl_78', ref: 'order-78' }));
    assert.equal((await ledger.unsettled()).length, 2);
    await ledger.settle('pl_78', 'dismissed', { by: 'sara', note: 'given back' });
    await ledger.createPaymentLink({ ref: 'order-79', ...ORDER });
    await ledger.settle('pl_77', 'paid', { by: 'sara', ref: 'order-79' });
    assert.deepEqual(await ledger.unsettled(), []);
    assert.deepEqual(
      (await ledger.pending()).map(({ ref }) => ref),
      ['order-79'],
    );
    await ledger.markProcessed('pl_77');
    const { orders, payments, processing } = await ledger.summary();
    assert.deepEqual([orders.paid, payments.paid, payments.dismissed], [1, 1, 1]);
    assert.equal(processing.done, 1);
    assert.deepEqual(await ledger.overdue(0), []);
    assert.equal(await ledger.forget(new Date(Date.now() + 1_000)), 3);
  }));

test('payouts', () =>
  withLedger(async ({ ledger }) => {
    const before = Number(sim.balance('USD'));
    const payouts = await Promise.all(
      Array.from({ length: 4 }, () => ledger.withdraw({ reference: 'salary-1', ...terms() })),
    );
    assert.deepEqual(new Set(payouts.map(({ state }) => state)), new Set(['paid']));
    assert.equal(Number(sim.balance('USD')), before - 10);
    sim.fault('close_after_acting');
    const lost = () => ledger.withdraw({ reference: 'salary-2', ...terms(), timeout: 2_000 });
    assert.ok((await rejection(lost)) instanceof OutcomeUnknownError);
    assert.ok((await rejection(lost)) instanceof OutcomeUnknownError);
    const resolved = await eventually(
      () => ledger.resolve('salary-2', 'paid', { by: 'sara' }).catch(() => undefined),
      'the deadline',
    );
    assert.equal(resolved.state, 'paid');
    assert.equal(Number(sim.balance('USD')), before - 20);
  }));

test('while the server is gone, deliveries go to the spool, and nowhere else anything', () =>
  withFolder((spool) =>
    withLedger(async ({ ledger, url }) => {
      const link = await ledger.createPaymentLink({ ref: 'order-42', ...ORDER });
      const [{ body, orderId }] = await sim.pay(link.url);
      const balance = sim.balance('USD');
      const requests = sim.requests.length;
      const none = await Ledger.open(url, { client: sim.client(), spool: false });
      await server.stop();
      const receipt = await ledger.receive(body);
      assert.deepEqual([receipt.decision, receipt.duplicate], ['spooled', false]);
      assert.deepEqual([receipt.linkIds, receipt.linkRef], [undefined, undefined]);
      assert.equal(receipt.event.matchOrder({ ref: 'order-42', ...ORDER }).orderId, orderId);
      assert.equal(kept(spool), 1);
      for (const call of [
        () => none.receive(body),
        () => ledger.order('order-42'),
        () => ledger.createPaymentLink({ ref: 'order-43', ...ORDER }),
        () => ledger.withdraw({ reference: 'salary-7', ...terms() }),
        () => Ledger.open(url, { spool: false }),
      ]) {
        const error = await rejection(call);
        assert.deepEqual([error.constructor, error.code], [LedgerError, 'ledger_unavailable']);
      }
      assert.deepEqual([sim.balance('USD'), sim.requests.length], [balance, requests]);
      // A shop that starts meanwhile takes deliveries, too.
      const started = await Ledger.open(url, { client: sim.client(), spool });
      const other = await started.receive(delivery(sim, { orderId: 'pl_1', ref: 'order-77' }));
      assert.equal(other.decision, 'spooled');

      const worker = ledger.process(() => {}, { pollInterval: 50 });
      await server.startAgain();
      await eventually(async () => kept(spool) === 0, 'an empty spool');
      await eventually(
        async () => (await started.payment(orderId))?.processing === 'done',
        'the handler',
      );
      await worker.stop();
      assert.equal((await ledger.payment('pl_1'))?.decision, 'no_order');
      assert.equal((await ledger.receive(body)).duplicate, true);
      assert.equal((await ledger.summary()).spooled, 0);
      await started.close();
      await none.close();
    }, spool),
  ));
