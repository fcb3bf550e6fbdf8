// The ledger, against real SQLite files and the simulator: orders, deliveries, processing, payouts, and
// what a person sees and decides.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { inspect } from 'node:util';

import {
  delivery,
  edited,
  eventually,
  PHONE,
  passed,
  rejection,
  terms,
  withFolder,
  withLedger,
} from './ledgers.mjs';
import { kazawallet } from './package.mjs';
import { portThatRefuses } from './receiver.mjs';
import { guarded, test } from './runtimes.mjs';

const { APIConnectionError, APIError, ConfigurationError, Ledger, LedgerError } = kazawallet;
const { OutcomeUnknownError, SignatureVerificationError, UnexpectedResponseError } = kazawallet;
const { ValidationError, Webhook, WebhookPayloadError } = kazawallet;

const ORDER = { ref: 'order-42', amount: '10.50', currency: 'USD' };

/**
 * @typedef {import('kazawallet').Ledger} OpenLedger
 * @typedef {import('kazawallet').Payment} Payment
 * @typedef {import('kazawallet/testing').Simulator} Simulator
 */

/**
 * An order that its customer has paid: what the provider delivers.
 *
 * @param {{ ledger: OpenLedger, sim: Simulator }} shop
 * @param {string} [ref]
 */
async function paidOrder({ ledger, sim }, ref = 'order-42') {
  const link = await ledger.createPaymentLink({ ...ORDER, ref });
  const [{ body, orderId }] = await sim.pay(link.url);
  return { body, orderId, link };
}

// ---------------------------------------------------------------- orders

test('an order has one link, however often it is asked for', () =>
  withLedger(async ({ ledger, sim }) => {
    const link = await ledger.createPaymentLink(ORDER);
    assert.equal(link.ref, 'order-42');
    assert.equal(link.state, 'open');
    assert.ok(link.url.endsWith(`/${link.id}`), link.url);
    const spellings = [
      { amount: '10.5', currency: 'USD' },
      { amount: '10.50', currency: 'usd' },
    ];
    for (const spelling of spellings) {
      assert.deepEqual(await ledger.createPaymentLink({ ref: 'order-42', ...spelling }), link);
    }
    assert.equal(sim.requests.length, 1);
    const order = await ledger.order('order-42');
    assert.ok(order !== undefined);
    const { createdAt, linkAt, ...rest } = order;
    assert.deepEqual(rest, {
      amount: '10.50',
      currency: 'USD',
      state: 'open',
      linkId: link.id,
      paidBy: undefined,
      paidAt: undefined,
    });
    assert.equal(order.ref, 'order-42');
    assert.equal(order.url, link.url);
    assert.ok(Math.abs(Number(createdAt) - Date.now()) < 60_000);
    assert.ok(linkAt !== undefined && linkAt >= createdAt);
    assert.equal(await ledger.order('order-43'), undefined);
  }));

test('asked for many times at once, it is made once', () =>
  withLedger(async ({ ledger, sim }) => {
    const links = await Promise.all(
      Array.from({ length: 8 }, () => ledger.createPaymentLink({ ...ORDER, amount: 5 })),
    );
    assert.equal(new Set(links.map(({ url }) => url)).size, 1);
    assert.equal(sim.requests.length, 1);
  }));

test('the same ref with other terms is refused', () =>
  withLedger(async ({ ledger, sim }) => {
    await ledger.createPaymentLink(ORDER);
    for (const [field, other] of /** @type {const} */ ([
      ['amount', { amount: '10.51' }],
      ['currency', { currency: 'SYP' }],
    ])) {
      const error = await rejection(() => ledger.createPaymentLink({ ...ORDER, ...other }));
      assert.ok(error instanceof ValidationError);
      assert.equal(error.field, field);
      assert.equal(error.outcome, 'not_sent');
    }
    assert.equal(sim.requests.length, 1);
  }));

test('a creation that failed is made good by the next call', () =>
  withLedger(async ({ ledger, sim }) => {
    sim.fault('html_answer', { times: Number.POSITIVE_INFINITY });
    const error = await rejection(() => ledger.createPaymentLink({ ...ORDER, timeout: 1_000 }));
    assert.ok(error instanceof kazawallet.KazawalletError);
    assert.ok(!(error instanceof LedgerError), error.message);
    assert.equal((await ledger.order('order-42'))?.state, 'creating');
    sim.clearFaults();
    assert.equal((await ledger.createPaymentLink(ORDER)).state, 'open');
  }));

test('after its link timed out, an order gets another', () =>
  withLedger(async ({ ledger, sim }) => {
    const link = await ledger.createPaymentLink(ORDER);
    const [{ body }] = await sim.timeOut(link.url);
    const receipt = await ledger.receive(body);
    assert.equal(receipt.decision, 'timed_out');
    assert.equal((await ledger.order('order-42'))?.state, 'timed_out');
    const another = await ledger.createPaymentLink(ORDER);
    assert.notEqual(another.url, link.url);
    assert.equal((await ledger.order('order-42'))?.state, 'open');
    const [paid] = await sim.pay(another.url);
    assert.equal((await ledger.receive(paid.body)).decision, 'paid');
    assert.equal((await ledger.createPaymentLink(ORDER)).state, 'paid');
  }));

// ---------------------------------------------------------------- deliveries

test('a delivery pays its order once', () =>
  withLedger(async (shop) => {
    const { ledger } = shop;
    const { body, orderId } = await paidOrder(shop);
    const receipt = await ledger.receive(body);
    assert.equal(receipt.decision, 'paid');
    assert.equal(receipt.duplicate, false);
    assert.equal(receipt.problem, undefined);
    assert.equal(receipt.waitsForPerson, false);
    assert.ok(receipt.event instanceof kazawallet.PaymentEvent);
    assert.equal(receipt.event.orderId, orderId);
    assert.equal(receipt.event.matchOrder(ORDER).isFulfilled, true);
    assert.deepEqual(receipt.event.extra, {});
    assert.deepEqual(receipt.event.body, body);
    for (const same of [
      body,
      new Uint8Array(body),
      `${Buffer.from(body)}`,
      new Uint8Array(body).buffer,
    ]) {
      const again = await ledger.receive(same);
      assert.deepEqual([again.decision, again.duplicate], ['paid', true]);
    }
    const order = await ledger.order('order-42');
    assert.deepEqual([order?.state, order?.paidBy], ['paid', orderId]);
    assert.ok(order?.paidAt instanceof Date);
    const payment = await ledger.payment(orderId);
    assert.ok(payment !== undefined);
    const { receivedAt, ...shown } = payment;
    assert.ok(receivedAt instanceof Date);
    assert.deepEqual(shown, {
      orderId,
      amount: '10.50',
      currency: 'USD',
      status: 'fulfilled',
      decision: 'paid',
      isPaid: true,
      problem: undefined,
      linkIds: 'proven',
      processing: 'waiting',
      tries: 0,
    });
    assert.deepEqual([payment.ref, payment.lastError], ['order-42', undefined]);
    assert.deepEqual(payment.body, body);
    assert.equal(await ledger.payment('pl_unknown'), undefined);
  }));

test('what does not fit waits for a person', () =>
  withLedger(async (shop) => {
    const { ledger, sim } = shop;
    const link = await ledger.createPaymentLink(ORDER);
    const [{ body }] = await sim.pay(link.url);
    const mismatch = await ledger.receive(edited(body, { currency: 'SYP' }));
    assert.deepEqual([mismatch.decision, mismatch.problem], ['mismatch', 'currency']);
    const cheap = delivery(sim, { orderId: 'pl_cheap', amount: '1', ref: 'order-42' });
    const another = await ledger.receive(cheap);
    assert.deepEqual([another.decision, another.problem], ['mismatch', 'amount']);
    const stranger = delivery(sim, { orderId: 'pl_stranger', ref: 'order-77' });
    assert.equal((await ledger.receive(stranger)).decision, 'no_order');

    const unsettled = await ledger.unsettled();
    assert.deepEqual(
      unsettled.map(({ orderId, decision }) => [orderId, decision]),
      [
        [link.id, 'mismatch'],
        ['pl_cheap', 'mismatch'],
        ['pl_stranger', 'no_order'],
      ],
    );
    assert.equal((await ledger.unsettled({ limit: 2 })).length, 2);
    assert.equal((await ledger.order('order-42'))?.state, 'open');

    const settled = await ledger.settle(`${link.id}`, 'paid', { by: 'sara', note: 'looked' });
    assert.deepEqual([settled.decision, settled.isPaid, settled.ref], ['paid', true, 'order-42']);
    assert.equal((await ledger.order('order-42'))?.paidBy, link.id);
    await ledger.createPaymentLink({ ...ORDER, ref: 'order-78' });
    const moved = await ledger.settle('pl_stranger', 'paid', { by: 'sara', ref: 'order-78' });
    assert.deepEqual([moved.decision, moved.ref], ['paid', 'order-78']);
    const dismissed = await ledger.settle('pl_cheap', 'dismissed', { by: 'omar', note: null });
    assert.deepEqual([dismissed.decision, dismissed.processing], ['dismissed', undefined]);
    assert.deepEqual(await ledger.unsettled(), []);

    const decisions = await ledger.decisions();
    assert.deepEqual(
      decisions.map(({ by, action, subject, decision, ref, note }) => [
        ...[by, action, subject, decision, ref, note],
      ]),
      [
        ['omar', 'settle', 'pl_cheap', 'dismissed', undefined, undefined],
        ['sara', 'settle', 'pl_stranger', 'paid', 'order-78', undefined],
        ['sara', 'settle', link.id, 'paid', 'order-42', 'looked'],
      ],
    );
    assert.ok(decisions.every(({ at }) => at instanceof Date));
  }));

test('a person cannot settle what needs none', () =>
  withLedger(async (shop) => {
    const { ledger, sim } = shop;
    const { body, orderId } = await paidOrder(shop);
    await ledger.receive(body);
    await ledger.receive(delivery(sim, { orderId: 'pl_second', ref: 'order-77' }));
    const by = { by: 'sara' };
    const cases = /** @type {const} */ ([
      ['ledger_state', () => ledger.settle(orderId, 'dismissed', by)],
      ['ledger_state', () => ledger.settle('pl_second', 'paid', by)],
      ['ledger_state', () => ledger.settle('pl_second', 'paid', { ...by, ref: 'order-42' })],
      ['ledger_not_found', () => ledger.settle('pl_nobody', 'paid', by)],
    ]);
    for (const [code, call] of cases) {
      const error = await rejection(call);
      assert.equal(error.constructor, LedgerError);
      assert.deepEqual([error.code, error.outcome, error.name], [code, 'not_sent', 'LedgerError']);
    }
    assert.deepEqual(await ledger.decisions(), []);
  }));

test('a second payment for an order is overpaid', () =>
  withLedger(async ({ ledger, sim }) => {
    // It came before its order: the process had died after the link was made.
    const early = delivery(sim, { orderId: 'pl_early', ref: 'order-42' });
    assert.equal((await ledger.receive(early)).decision, 'no_order');
    const error = await rejection(() => ledger.createPaymentLink(ORDER));
    assert.deepEqual([error.constructor, error.code], [LedgerError, 'ledger_state']);
    assert.equal((await ledger.order('order-42'))?.paidBy, 'pl_early');
    const second = delivery(sim, { orderId: 'pl_second', ref: 'order-42' });
    assert.equal((await ledger.receive(second)).decision, 'overpaid');
    assert.deepEqual(
      (await ledger.unsettled()).map(({ orderId }) => orderId),
      ['pl_second'],
    );
  }));

test('a contradiction is kept, and changes nothing', () =>
  withLedger(async (shop) => {
    const { ledger } = shop;
    const { body, orderId } = await paidOrder(shop);
    await ledger.receive(body);
    const contradicts = edited(body, { status: 'timed_out' });
    const conflict = await ledger.receive(contradicts);
    assert.deepEqual(
      [conflict.decision, conflict.duplicate, conflict.problem, conflict.waitsForPerson],
      ['conflict', false, 'status', true],
    );
    assert.equal((await ledger.receive(contradicts)).duplicate, true);
    const [kept, ...more] = await ledger.conflicts();
    assert.deepEqual(more, []);
    assert.ok(kept?.receivedAt instanceof Date);
    assert.deepEqual(
      [kept.orderId, kept.problem, kept.ref, kept.amount, kept.currency, kept.status],
      [orderId, 'status', 'order-42', '10.50', 'USD', 'timed_out'],
    );
    assert.equal((await ledger.order('order-42'))?.state, 'paid');
  }));

test('what cannot be verified changes nothing, and what a rotation refused comes back', () =>
  withLedger(async (shop) => {
    const { ledger, sim, url } = shop;
    const { body } = await paidOrder(shop);
    const forgot = new Webhook({ apiKey: 'another key', apiSecret: 'another secret' });
    const careless = await Ledger.open(url, { client: sim.client(), webhook: forgot });
    const error = await rejection(() => careless.receive(body));
    assert.ok(error instanceof SignatureVerificationError);
    assert.ok(
      (await rejection(() => careless.receive('what is this?'))) instanceof WebhookPayloadError,
    );
    assert.deepEqual(await careless.reverify(), []);
    assert.equal((await careless.summary()).quarantined, 2);
    assert.equal((await ledger.order('order-42'))?.state, 'open');
    await careless.close();

    const both = forgot.withPrevious({ apiKey: sim.apiKey, apiSecret: sim.apiSecret });
    const careful = await Ledger.open(url, { webhook: both });
    const [receipt, ...more] = await careful.reverify();
    assert.deepEqual(more, []);
    assert.equal(receipt?.decision, 'paid');
    assert.equal(receipt.event.matchOrder(ORDER).ref, 'order-42');
    assert.equal((await careful.summary()).quarantined, 1);
    await careful.close();
  }));

// ---------------------------------------------------------------- processing

/**
 * A handler, and what came to it.
 *
 * @param {(payment: Payment) => unknown} [then]
 */
function watchedHandler(then = () => {}) {
  /** @type {Payment[]} */
  const seen = [];
  let came = () => {};
  return {
    seen,
    /** @param {Payment} payment */
    handler: (payment) => {
      seen.push(payment);
      came();
      return then(payment);
    },
    /** @param {number} number */
    reached: async (number) => {
      while (seen.length < number) {
        await guarded(
          new Promise((resolve) => {
            came = () => resolve(undefined);
          }),
          () => `payment ${number}`,
        );
      }
    },
  };
}

test('each decided payment is handed to the handler', () =>
  withLedger(async (shop) => {
    const { ledger, sim } = shop;
    const first = await paidOrder(shop, 'order-1');
    await ledger.receive(first.body);
    const link = await ledger.createPaymentLink({ ...ORDER, ref: 'order-2' });
    const [timedOut] = await sim.timeOut(link.url);
    await ledger.receive(timedOut.body);
    await ledger.receive(delivery(sim, { orderId: 'pl_stranger', ref: 'order-77' }));
    const { seen, handler, reached } = watchedHandler();
    const worker = ledger.process(handler, { pollInterval: 50 });
    await reached(2);
    const third = await paidOrder(shop, 'order-3');
    await ledger.receive(third.body);
    await reached(3);
    await worker.stop();
    assert.deepEqual(
      seen.map(({ ref, isPaid, decision, tries }) => [ref, isPaid, decision, tries]),
      [
        ['order-1', true, 'paid', 1],
        ['order-2', false, 'timed_out', 1],
        ['order-3', true, 'paid', 1],
      ],
    );
    assert.deepEqual((await ledger.summary()).processing, { waiting: 0, done: 3, parked: 0 });
    await worker.stop();
  }));

test('a handler that fails is called again, and then no more', () =>
  withLedger(async (shop) => {
    const { ledger } = shop;
    const { body, orderId } = await paidOrder(shop);
    await ledger.receive(body);
    let fails = 3;
    const { seen, handler, reached } = watchedHandler(async () => {
      if (fails-- > 0) {
        throw new RangeError('out of stock');
      }
    });
    const settings = { maxTries: 3, firstPause: 1, pollInterval: 10 };
    const worker = ledger.process(handler, settings);
    await reached(3);
    await eventually(async () => (await ledger.parked()).length === 1, 'a parked payment');
    const [parked] = await ledger.parked();
    assert.deepEqual(
      [parked?.orderId, parked?.processing, parked?.tries, parked?.lastError],
      [orderId, 'parked', 3, 'RangeError: out of stock'],
    );
    assert.deepEqual(
      seen.map(({ lastError }) => lastError),
      [undefined, 'RangeError: out of stock', 'RangeError: out of stock'],
    );
    const again = await ledger.retry(orderId, { by: 'sara', note: 'it is back' });
    assert.equal(again.processing, 'waiting');
    await reached(4);
    await worker.stop();
    assert.equal((await ledger.payment(orderId))?.processing, 'done');
    const [{ action, subject, decision } = {}] = await ledger.decisions();
    assert.deepEqual([action, subject, decision], ['retry', orderId, 'waiting']);
    const error = await rejection(() => ledger.retry(orderId, { by: 'sara' }));
    assert.equal(error.code, 'ledger_state');
  }));

test('whatever a handler throws is kept in words', () =>
  withLedger(async (shop) => {
    const { ledger } = shop;
    const thrown = [
      'text',
      undefined,
      { toString: () => assert.fail('a trap') },
      Object.create(null),
      Symbol('x'),
      new Error('half \ud800 a character'),
    ];
    for (const [number] of thrown.entries()) {
      await ledger.receive((await paidOrder(shop, `order-${number}`)).body);
    }
    const { handler } = watchedHandler(({ ref }) => {
      throw thrown[Number(`${ref}`.split('-')[1])];
    });
    const worker = ledger.process(handler, { maxTries: 1, pollInterval: 10 });
    await eventually(async () => (await ledger.parked()).length === thrown.length, 'all parked');
    await worker.stop();
    const parked = await ledger.parked();
    const words = parked.map(({ ref, lastError }) => `${ref}: ${lastError}`).sort();
    assert.deepEqual(words, [
      'order-0: a string: text',
      'order-1: undefined: undefined',
      'order-2: what has no text',
      'order-3: what has no text',
      'order-4: what has no text',
      'order-5: Error: half \ufffd a character',
    ]);
  }));

test('stop waits for the handler that runs, and nothing comes after it', () =>
  withLedger(async (shop) => {
    const { ledger } = shop;
    for (const ref of ['order-1', 'order-2']) {
      await ledger.receive((await paidOrder(shop, ref)).body);
    }
    let release = () => {};
    const held = new Promise((resolve) => {
      release = () => resolve(undefined);
    });
    const { seen, handler, reached } = watchedHandler(() => held);
    const worker = ledger.process(handler);
    await reached(1);
    let stopped = false;
    const stop = worker.stop().then(() => {
      stopped = true;
    });
    await ledger.summary();
    assert.equal(stopped, false);
    release();
    await guarded(stop, () => 'the end of the worker');
    assert.equal(seen.length, 1);
    assert.deepEqual((await ledger.summary()).processing, { waiting: 1, done: 1, parked: 0 });
  }));

test('several workers share the payments', () =>
  withLedger(async (shop) => {
    const { ledger } = shop;
    const refs = Array.from({ length: 12 }, (_, number) => `order-${number}`);
    for (const ref of refs) {
      await ledger.receive((await paidOrder(shop, ref)).body);
    }
    let running = 0;
    let most = 0;
    const { seen, handler, reached } = watchedHandler(async () => {
      running += 1;
      most = Math.max(most, running);
      await ledger.summary();
      running -= 1;
    });
    const workers = [1, 2, 3].map(() => ledger.process(handler, { pollInterval: 10 }));
    await reached(12);
    await Promise.all(workers.map((worker) => worker.stop()));
    assert.deepEqual(seen.map(({ ref }) => ref).sort(), refs.sort());
    assert.ok(most > 1 && most <= 3, `${most}`);
  }));

test('closing the ledger ends its workers', () =>
  withLedger(async ({ ledger }) => {
    const worker = ledger.process(() => {});
    await ledger.close();
    await guarded(worker.stop(), () => 'the end of the worker');
  }));

/** Handlers that wait until they are let go. */
function gate() {
  let open = () => {};
  const opened = new Promise((resolve) => {
    open = () => resolve(undefined);
  });
  return { open, opened };
}

/**
 * How far the payments of a ledger that is closed are.
 *
 * @param {string} url
 */
async function processingIn(url) {
  const ledger = await Ledger.open(url);
  const { processing } = await ledger.summary();
  await ledger.close();
  return processing;
}

test('closing the ledger waits for the handlers that run, and keeps their success', () =>
  withLedger(async (shop) => {
    const { ledger, url } = shop;
    for (const ref of ['order-1', 'order-2', 'order-3']) {
      await ledger.receive((await paidOrder(shop, ref)).body);
    }
    const { open, opened } = gate();
    const { seen, handler, reached } = watchedHandler(() => opened);
    for (const persistent of [true, false]) {
      ledger.process(handler, { pollInterval: 10, persistent });
    }
    await reached(2);
    let closed = false;
    const closing = [ledger.close(), ledger.close()].map(async (end) => {
      await end;
      closed = true;
    });
    // A worker that comes now has nothing to begin with.
    const late = ledger.process(handler);
    await guarded(late.stop(), () => 'the end of the late worker');
    await ledger.summary();
    assert.deepEqual([closed, seen.length], [false, 2]);
    open();
    await guarded(Promise.all(closing), () => 'the end of the ledger');
    assert.equal((await rejection(() => ledger.summary())).code, 'ledger_unavailable');
    assert.equal(seen.length, 2);
    assert.deepEqual(await processingIn(url), { waiting: 1, done: 2, parked: 0 });
  }));

test('a handler that closes its ledger waits for the others, not for itself', () =>
  withLedger(async (shop) => {
    const { ledger, url } = shop;
    for (const ref of ['order-1', 'order-2']) {
      await ledger.receive((await paidOrder(shop, ref)).body);
    }
    const both = gate();
    const closing = gate();
    /** @type {string[]} */
    const said = [];
    const { handler, reached } = watchedHandler(async ({ ref }) => {
      await both.opened;
      if (ref === 'order-1') {
        const end = ledger.close();
        closing.open();
        await end;
        said.push('the first is done');
      } else {
        await closing.opened;
        // What was begun waits for this handler.
        await ledger.close();
        await ledger.summary();
        said.push('the second is done');
      }
    });
    const workers = [1, 2].map(() => ledger.process(handler, { pollInterval: 10 }));
    await reached(2);
    both.open();
    await guarded(
      Promise.all(workers.map((worker) => worker.stop())),
      () => 'the end of the workers',
    );
    await guarded(ledger.close(), () => 'the end of the ledger');
    assert.deepEqual(said, ['the second is done', 'the first is done']);
    // Nobody could record that the one that closed it has ended: it comes again.
    assert.deepEqual(await processingIn(url), { waiting: 1, done: 1, parked: 0 });
  }));

test('what a handler has left behind waits for the handlers that run', () =>
  withLedger(async (shop) => {
    const { ledger, url } = shop;
    for (const ref of ['order-1', 'order-2']) {
      await ledger.receive((await paidOrder(shop, ref)).body);
    }
    const { open, opened } = gate();
    /** @type {() => void} */
    let close = () => {};
    /** @type {Promise<void> | undefined} */
    let closing;
    const { handler, reached } = watchedHandler(async ({ ref }) => {
      if (ref === 'order-1') {
        const signal = new Promise((resolve) => {
          close = () => resolve(undefined);
        });
        closing = signal.then(() => ledger.close());
      } else {
        await opened;
      }
    });
    ledger.process(handler, { pollInterval: 10 });
    await reached(2);
    close();
    await ledger.summary();
    open();
    await guarded(closing ?? Promise.reject(), () => 'the end of the ledger');
    assert.deepEqual(await processingIn(url), { waiting: 0, done: 2, parked: 0 });
  }));

test('a handler that stops its worker does not wait for itself', () =>
  withLedger(async (shop) => {
    const { ledger } = shop;
    for (const ref of ['order-1', 'order-2']) {
      await ledger.receive((await paidOrder(shop, ref)).body);
    }
    const { seen, handler, reached } = watchedHandler(() => worker.stop());
    const worker = ledger.process(handler);
    await reached(1);
    await guarded(worker.stop(), () => 'the end of the worker');
    assert.equal(seen.length, 1);
    assert.deepEqual((await ledger.summary()).processing, { waiting: 1, done: 1, parked: 0 });
  }));

test('a loop of one own', () =>
  withLedger(async (shop) => {
    const { ledger, sim } = shop;
    const { body, orderId } = await paidOrder(shop, 'order-1');
    await ledger.receive(body);
    await ledger.receive((await paidOrder(shop, 'order-2')).body);
    const [due, ...more] = await ledger.pending({ limit: 1 });
    assert.deepEqual([due?.orderId, due?.tries, more.length], [orderId, 1, 0]);
    assert.equal((await ledger.pending()).length, 1);
    assert.deepEqual(await ledger.pending(), []);
    assert.equal(await ledger.markProcessed(orderId), undefined);
    await ledger.markProcessed(orderId);
    assert.equal((await ledger.payment(orderId))?.processing, 'done');
    await ledger.receive(delivery(sim, { orderId: 'pl_stranger', ref: 'order-77' }));
    const codes = [];
    for (const id of ['pl_stranger', 'pl_nobody']) {
      codes.push((await rejection(() => ledger.markProcessed(id))).code);
    }
    assert.deepEqual(codes, ['ledger_state', 'ledger_not_found']);
  }));

// ---------------------------------------------------------------- payouts

test('a payout is sent once for its reference', () =>
  withLedger(async ({ ledger, sim }) => {
    const payout = await ledger.withdraw({ reference: 'salary-7', ...terms(), note: 'May' });
    const { createdAt, deadline, changedAt, ...shown } = payout;
    assert.deepEqual(shown, {
      state: 'paid',
      amount: '10',
      currency: 'USD',
      paymentMethod: '38',
      status: 'approved',
    });
    assert.equal(payout.reference, 'salary-7');
    assert.ok(deadline !== undefined && createdAt <= changedAt && changedAt <= deadline);
    assert.match(`${payout.details}`, new RegExp(PHONE));
    const again = { reference: 'salary-7', ...terms(), note: 'May' };
    assert.deepEqual(await ledger.withdraw(again), payout);
    assert.deepEqual(await ledger.payout('salary-7'), payout);
    assert.equal(await ledger.payout('salary-8'), undefined);
    await Promise.all(
      Array.from({ length: 8 }, () => ledger.withdraw({ reference: 'salary-9', ...terms() })),
    );
    assert.equal(sim.balance('USD'), '980');
    for (const other of [{ amount: '11' }, { currency: 'SYP' }, { note: 'June' }]) {
      const error = await rejection(() => ledger.withdraw({ ...again, ...other }));
      assert.ok(error instanceof ValidationError);
      assert.equal(error.field, 'reference');
    }
    assert.equal(sim.balance('USD'), '980');
  }));

test('a payout that the provider refused stays refused', () =>
  withLedger(async ({ ledger, sim }) => {
    const call = () => ledger.withdraw({ reference: 'salary-7', ...terms('5000') });
    const first = await rejection(call);
    const requests = sim.requests.length;
    assert.ok(first instanceof APIError, `${first}`);
    assert.equal(first.outcome, 'rejected');
    const second = await rejection(call);
    for (const name of /** @type {const} */ ([
      'constructor',
      'code',
      'status',
      'key',
      'message',
      'outcome',
    ])) {
      assert.equal(second[name], first[name], name);
    }
    assert.equal(sim.requests.length, requests);
    assert.equal((await ledger.payout('salary-7'))?.state, 'rejected');
    assert.equal((await ledger.payout('salary-7'))?.message, first.message);
  }));

test('a payout that did not leave is sent when it is asked for again', () =>
  withLedger(async ({ ledger, sim, url }) => {
    const nobody = `http://127.0.0.1:${await portThatRefuses()}/wallet`;
    const cut = await Ledger.open(url, { client: sim.client({ baseUrl: nobody, maxRetries: 0 }) });
    const error = await rejection(() => cut.withdraw({ reference: 'salary-7', ...terms() }));
    assert.ok(error instanceof APIConnectionError);
    assert.equal(error.outcome, 'not_sent');
    assert.equal((await cut.payout('salary-7'))?.state, 'not_sent');
    await cut.close();
    assert.equal((await ledger.withdraw({ reference: 'salary-7', ...terms() })).state, 'paid');
    assert.equal(sim.balance('USD'), '990');
  }));

test('a payout whose outcome is unknown waits for a person', () =>
  withLedger(
    async ({ ledger, sim }) => {
      for (const [number, decision] of /** @type {const} */ (['paid', 'not_paid']).entries()) {
        const call = () =>
          ledger.withdraw({ reference: `salary-${number}`, ...terms(), timeout: 2_000 });
        sim.fault(decision === 'paid' ? 'close_after_acting' : 'close_before_acting');
        const first = await rejection(call);
        assert.ok(first instanceof OutcomeUnknownError, `${first}`);
        const balance = sim.balance('USD');
        const second = await rejection(call);
        assert.ok(second instanceof OutcomeUnknownError);
        assert.equal(second.outcome, 'unknown');
        assert.equal(sim.balance('USD'), balance);
        const [unknown, ...more] = await ledger.unresolved();
        assert.deepEqual(
          [unknown?.reference, unknown?.state, more],
          [`salary-${number}`, 'unknown', []],
        );
        await passed(unknown?.deadline);
        const person = { by: 'sara', note: 'looked in the wallet' };
        const resolved = await ledger.resolve(`salary-${number}`, decision, person);
        assert.equal(resolved.state, decision);
        const late = await rejection(() => ledger.resolve(`salary-${number}`, 'paid', person));
        assert.equal(late.code, 'ledger_state');
      }
      assert.equal((await ledger.withdraw({ reference: 'salary-0', ...terms() })).state, 'paid');
      const error = await rejection(() => ledger.withdraw({ reference: 'salary-1', ...terms() }));
      assert.deepEqual([error.constructor, error.code], [LedgerError, 'ledger_state']);
      sim.fault('close_after_acting');
      const slow = { reference: 'salary-2', ...terms(), timeout: 600_000 };
      assert.ok((await rejection(() => ledger.withdraw(slow))) instanceof OutcomeUnknownError);
      const early = await rejection(() => ledger.resolve('salary-2', 'paid', { by: 'sara' }));
      assert.deepEqual([early.constructor, early.code], [LedgerError, 'ledger_state']);
      assert.equal((await ledger.payout('salary-2'))?.state, 'unknown');
      const nobody = await rejection(() => ledger.resolve('salary-9', 'paid', { by: 'sara' }));
      assert.equal(nobody.code, 'ledger_not_found');
      assert.equal((await ledger.unresolved()).length, 1);
      assert.equal(sim.balance('USD'), '980');
      assert.deepEqual(
        (await ledger.decisions()).map(({ action, decision }) => [action, decision]),
        [
          ['resolve', 'not_paid'],
          ['resolve', 'paid'],
        ],
      );
    },
    { clockMargin: 0 },
  ));

// ---------------------------------------------------------------- what a person sees

test('what is missing is listed, and everything is counted', () =>
  withLedger(async (shop) => {
    const { ledger, sim } = shop;
    await ledger.receive((await paidOrder(shop, 'order-1')).body);
    await ledger.createPaymentLink({ ...ORDER, ref: 'order-2' });
    await ledger.createPaymentLink({ ...ORDER, ref: 'order-3' });
    assert.deepEqual(await ledger.overdue(60_000), []);
    const overdue = await ledger.overdue(0);
    assert.deepEqual(
      overdue.map(({ ref, state }) => [ref, state]),
      [
        ['order-2', 'open'],
        ['order-3', 'open'],
      ],
    );
    assert.equal((await ledger.overdue(0, { limit: 1 }))[0]?.ref, 'order-2');
    assert.deepEqual(await ledger.overdue(0, { limit: 0 }), []);
    await ledger.receive(delivery(sim, { orderId: 'pl_stranger', ref: 'order-77' }));
    await ledger.withdraw({ reference: 'salary-7', ...terms() });
    const nothing = { creating: 0, open: 0, timed_out: 0, paid: 0 };
    assert.deepEqual(await ledger.summary(), {
      orders: { ...nothing, open: 2, paid: 1 },
      payments: { paid: 1, timed_out: 0, mismatch: 0, no_order: 1, overpaid: 0, dismissed: 0 },
      processing: { waiting: 1, done: 0, parked: 0 },
      payouts: { not_sent: 0, sending: 0, paid: 1, rejected: 0, unknown: 0, not_paid: 0 },
      conflicts: 0,
      quarantined: 0,
      spooled: 0,
      linkIds: 'proven',
    });
  }));

test('what is forgotten is gone, and what it stood for is not', () =>
  withLedger(async (shop) => {
    const { ledger, sim } = shop;
    const { body, orderId } = await paidOrder(shop);
    await ledger.receive(body);
    await ledger.markProcessed(orderId);
    await ledger.withdraw({ reference: 'salary-7', ...terms() });
    assert.equal(await ledger.forget(new Date(0)), 0);
    assert.equal(await ledger.forget(new Date(-1_000)), 0);
    assert.equal(await ledger.forget(new Date(8.64e15)), 2);
    const payment = await ledger.payment(orderId);
    assert.deepEqual([payment?.body, payment?.decision], [undefined, 'paid']);
    assert.equal((await ledger.payout('salary-7'))?.details, undefined);
    assert.equal((await ledger.receive(body)).duplicate, true);
    assert.equal((await ledger.withdraw({ reference: 'salary-7', ...terms() })).state, 'paid');
    assert.equal(sim.balance('USD'), '1000.50');
  }));

test('no record shows what may be a person, and none can be changed', () =>
  withLedger(
    async (shop) => {
      const { ledger, sim } = shop;
      const ref = 'ref-of-Sara';
      const link = await ledger.createPaymentLink({ ...ORDER, ref });
      const [{ body, orderId }] = await sim.pay(link.url);
      const receipt = await ledger.receive(body);
      const conflict = await ledger.receive(edited(body, { status: 'timed_out' }));
      const worker = ledger.process(() => Promise.reject(new Error('no such address: Aleppo')), {
        maxTries: 1,
      });
      await eventually(async () => (await ledger.parked()).length === 1, 'a parked payment');
      await worker.stop();
      await ledger.retry(orderId, { by: 'Omar', note: 'ask Sara' });
      const { id } = await ledger.createPaymentLink({ ...ORDER, ref: 'another-ref-of-Sara' });
      const misled = await ledger.receive(delivery(sim, { orderId: `${id}` }));
      assert.equal(misled.linkRef, 'another-ref-of-Sara');
      await ledger.setLinkIdCheck(false, { by: 'Omar', note: 'ask Sara' });
      sim.fault('close_before_acting');
      const payout = { reference: 'salary-of-Sara', ...terms(), note: 'for Sara' };
      await rejection(() => ledger.withdraw(payout));
      const records = [
        link,
        await ledger.order(ref),
        receipt,
        conflict,
        misled,
        await ledger.payment(orderId),
        ...(await ledger.unsettled()),
        ...(await ledger.conflicts()),
        ...(await ledger.unresolved()),
        ...(await ledger.decisions()),
        await ledger.summary(),
      ];
      for (const record of records) {
        assert.ok(record !== undefined);
        assert.ok(Object.isFrozen(record));
        const shown = [inspect(record, { depth: 9 }), JSON.stringify(record), `${record}`].join(
          ' ',
        );
        for (const text of ['Sara', 'Omar', 'Aleppo', PHONE, 'http', sim.apiKey, sim.apiSecret]) {
          assert.ok(!shown.includes(text), `${text} is in ${shown}`);
        }
      }
      for (const shown of [inspect(ledger), JSON.stringify(ledger), inspect(worker)]) {
        assert.ok(shown.length < 40, shown);
      }
    },
    { clockMargin: 0 },
  ));

// ---------------------------------------------------------------- opening and closing

test('a ledger takes its URL from the environment', () =>
  withFolder(async (folder) => {
    process.env['KAZAWALLET_LEDGER'] = `sqlite://${folder}/ledger.db`;
    try {
      for (const open of [
        () => Ledger.open(),
        () => Ledger.open({}),
        () => Ledger.open(null, {}),
        () => Ledger.open(undefined, { client: null, webhook: undefined, spool: null }),
      ]) {
        const ledger = await open();
        assert.deepEqual(await ledger.unsettled(), []);
        await ledger.close();
      }
    } finally {
      delete process.env['KAZAWALLET_LEDGER'];
    }
    assert.ok((await rejection(() => Ledger.open())) instanceof ConfigurationError);
  }));

test('a ledger that cannot be opened says why', () =>
  withFolder(async (folder) => {
    writeFileSync(`${folder}/garbage.db`, 'what is this? '.repeat(1_000));
    const nobody = `postgres://127.0.0.1:${await portThatRefuses()}/shop`;
    for (const [code, url] of [
      ['ledger_damaged', `sqlite://${folder}/garbage.db`],
      ['ledger_unavailable', nobody],
    ]) {
      const error = await rejection(() => Ledger.open(url, { spool: false }));
      assert.deepEqual(
        [error.constructor, error.code, error.outcome],
        [LedgerError, code, 'not_sent'],
      );
    }
    for (const url of ['', 'shop.db', 'mysql://127.0.0.1/shop', 'postgres://:secret@/x y']) {
      const error = await rejection(() => Ledger.open(url));
      assert.ok(error instanceof ConfigurationError, `${url}: ${error}`);
      assert.ok(!inspect(error).includes('secret'));
    }
  }));

test('what a ledger was not given it says when it is needed', () =>
  withLedger(async ({ url, sim }) => {
    const bare = await Ledger.open(url);
    const keyAlone = await Ledger.open(url, { client: sim.client({ apiSecret: null }) });
    for (const call of [
      () => bare.createPaymentLink(ORDER),
      () => bare.withdraw({ reference: 'salary-7', ...terms() }),
      () => bare.receive(delivery(sim, { orderId: 'pl_1' })),
      () => bare.reverify(),
      () => keyAlone.receive(delivery(sim, { orderId: 'pl_1' })),
    ]) {
      assert.ok((await rejection(call)) instanceof ConfigurationError);
    }
    await bare.close();
    await keyAlone.close();
  }));

test('a closed ledger says so', () =>
  withLedger(async ({ ledger, sim }) => {
    await ledger.close();
    await ledger.close();
    for (const call of [
      () => ledger.summary(),
      () => ledger.order('order-42'),
      () => ledger.receive(delivery(sim, { orderId: 'pl_1' })),
      () => ledger.withdraw({ reference: 'salary-7', ...terms() }),
      () => ledger.createPaymentLink(ORDER),
    ]) {
      const error = await rejection(call);
      assert.deepEqual([error.constructor, error.code], [LedgerError, 'ledger_unavailable']);
    }
  }));

test('a ledger outlives the client object that it was given', () =>
  withFolder(async (folder) => {
    const { Simulator } = (await import('./package.mjs')).testing;
    const sim = await Simulator.start();
    const client = sim.client();
    const ledger = await Ledger.open(`sqlite://${folder}/ledger.db`, { client });
    client.close();
    assert.equal((await ledger.createPaymentLink(ORDER)).state, 'open');
    const error = await rejection(() => Ledger.open(`sqlite://${folder}/ledger.db`, { client }));
    assert.match(error.message, /closed/);
    await ledger.close();
    await sim.stop();
  }));

test('a ledger and a worker can be disposed of', async () => {
  /** @type {OpenLedger | undefined} */
  let closed;
  await withLedger(async ({ url }) => {
    const ledger = await Ledger.open(url);
    const worker = ledger.process(() => {});
    await worker[Symbol.asyncDispose]();
    await ledger[Symbol.asyncDispose]();
    closed = ledger;
  });
  assert.equal((await rejection(() => closed?.summary())).code, 'ledger_unavailable');
});

test('an error of the ledger is what it says', () => {
  const error = new LedgerError('the disk is full', { code: 'ledger_full', outcome: 'unknown' });
  assert.ok(error instanceof kazawallet.KazawalletError);
  assert.deepEqual(
    [error.code, error.outcome, error.message],
    ['ledger_full', 'unknown', 'the disk is full'],
  );
  assert.equal(new LedgerError('x').code, 'ledger_unavailable');
  assert.ok(!(error instanceof UnexpectedResponseError));
});
