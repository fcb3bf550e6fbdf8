// What a Node user gets wrong with a ledger: each is refused by name, and nothing is recorded or sent.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';

import { PHONE, rejection, terms } from './ledgers.mjs';
import { kazawallet, testing } from './package.mjs';
import { test } from './runtimes.mjs';
import { short } from './shared-data.mjs';

const { ConfigurationError, Ledger, PaymentMethod, ValidationError } = kazawallet;
const { WebhookPayloadError } = kazawallet;

const folder = mkdtempSync(path.join(tmpdir(), 'kazawallet-ledger-'));
const URL_OF_LEDGER = `sqlite://${folder}/ledger.db`;
const sim = await testing.Simulator.start({ balances: { USD: '1000' } });
/** @type {any} JavaScript knows nothing of types. */
const ledger = await Ledger.open(URL_OF_LEDGER, { client: sim.client() });
after(async () => {
  await ledger.close();
  await sim.stop();
  rmSync(folder, { recursive: true });
});

const HALF_A_CHARACTER = 'half \ud800 of one';

const NO_TEXT = [
  undefined,
  null,
  5,
  true,
  10n,
  {},
  [],
  ['x'],
  Symbol('x'),
  () => 'x',
  Buffer.from('x'),
];
/** Absent is fine. */
const NO_OPTIONAL_TEXT = NO_TEXT.slice(2);
const NO_NUMBER = ['1', Number.NaN, true, 10n, {}, [], Symbol('x'), new Date(0)];
const NO_COUNT = [...NO_NUMBER, 1.5, Number.POSITIVE_INFINITY];
const NO_AMOUNT = [undefined, null, true, 10.5, Number.NaN, {}, [], Symbol('x')];
const NO_METHOD = [
  undefined,
  null,
  'sy_cash',
  {},
  PaymentMethod,
  Object.create(PaymentMethod.prototype),
];
const NO_OPTIONS = [null, 'x', 5, true, [], new Map(), () => {}, Promise.resolve({})];

const ORDER = { ref: 'order-42', amount: '10.50', currency: 'USD' };
const PAYOUT = { reference: 'salary-7', ...terms() };
const PERSON = { by: 'sara' };

/**
 * Every argument of every call, with what it cannot be.
 *
 * @type {Record<string, [wrong: readonly unknown[], (value: any) => unknown]>}
 */
const ARGUMENTS = {
  'open: url': [NO_OPTIONAL_TEXT.filter((value) => !isPlain(value)), (url) => Ledger.open(url)],
  'open: client': [
    ['x', 5, true, {}, [], Object.create(kazawallet.Client.prototype), kazawallet.Client],
    (client) => Ledger.open(URL_OF_LEDGER, { client }),
  ],
  'open: webhook': [
    ['x', 5, true, {}, [], Object.create(kazawallet.Webhook.prototype), kazawallet.Webhook],
    (webhook) => Ledger.open(URL_OF_LEDGER, { webhook }),
  ],
  'open: spool': [NO_OPTIONAL_TEXT, (spool) => Ledger.open(URL_OF_LEDGER, { spool })],
  'open: clockMargin': [NO_NUMBER, (clockMargin) => Ledger.open(URL_OF_LEDGER, { clockMargin })],
  'createPaymentLink: ref': [
    NO_OPTIONAL_TEXT,
    (ref) => ledger.createPaymentLink({ ...ORDER, ref }),
  ],
  'createPaymentLink: amount': [
    NO_AMOUNT,
    (amount) => ledger.createPaymentLink({ ...ORDER, amount }),
  ],
  'createPaymentLink: currency': [
    NO_TEXT,
    (currency) => ledger.createPaymentLink({ ...ORDER, currency }),
  ],
  'createPaymentLink: redirectUrl': [
    NO_OPTIONAL_TEXT,
    (redirectUrl) => ledger.createPaymentLink({ ...ORDER, redirectUrl }),
  ],
  'createPaymentLink: timeout': [
    NO_NUMBER,
    (timeout) => ledger.createPaymentLink({ ...ORDER, timeout }),
  ],
  'order: ref': [NO_TEXT, (ref) => ledger.order(ref)],
  'receive: body': [
    [
      undefined,
      null,
      5,
      true,
      {},
      [],
      ['x'],
      { order_id: 'x' },
      Symbol('x'),
      new DataView(new ArrayBuffer(2)),
    ],
    (body) => ledger.receive(body),
  ],
  'payment: orderId': [NO_TEXT, (orderId) => ledger.payment(orderId)],
  'settle: orderId': [NO_TEXT, (orderId) => ledger.settle(orderId, 'paid', PERSON)],
  'settle: decision': [NO_TEXT, (decision) => ledger.settle('pl_1', decision, PERSON)],
  'settle: by': [NO_TEXT, (by) => ledger.settle('pl_1', 'paid', { by })],
  'settle: ref': [NO_OPTIONAL_TEXT, (ref) => ledger.settle('pl_1', 'paid', { ...PERSON, ref })],
  'settle: note': [NO_OPTIONAL_TEXT, (note) => ledger.settle('pl_1', 'paid', { ...PERSON, note })],
  'setLinkIdCheck: check': [
    [undefined, null, 0, 1, '', 'off', 'false', {}, [], Symbol('x'), Object(false)],
    (check) => ledger.setLinkIdCheck(check, PERSON),
  ],
  'setLinkIdCheck: by': [NO_TEXT, (by) => ledger.setLinkIdCheck(false, { by })],
  'setLinkIdCheck: note': [
    NO_OPTIONAL_TEXT,
    (note) => ledger.setLinkIdCheck(false, { ...PERSON, note }),
  ],
  'process: handler': [
    [undefined, null, 'x', 5, {}, [], Promise.resolve(() => {})],
    (handler) => ledger.process(handler),
  ],
  'process: maxTries': [NO_COUNT, (maxTries) => ledger.process(() => {}, { maxTries })],
  'process: firstPause': [NO_NUMBER, (firstPause) => ledger.process(() => {}, { firstPause })],
  'process: pollInterval': [
    NO_NUMBER,
    (pollInterval) => ledger.process(() => {}, { pollInterval }),
  ],
  'process: lease': [NO_NUMBER, (lease) => ledger.process(() => {}, { lease })],
  'process: persistent': [
    ['true', 1, 0, {}, []],
    (persistent) => ledger.process(() => {}, { persistent }),
  ],
  'pending: limit': [NO_COUNT, (limit) => ledger.pending({ limit })],
  'markProcessed: orderId': [NO_TEXT, (orderId) => ledger.markProcessed(orderId)],
  'retry: orderId': [NO_TEXT, (orderId) => ledger.retry(orderId, PERSON)],
  'retry: by': [NO_TEXT, (by) => ledger.retry('pl_1', { by })],
  'retry: note': [NO_OPTIONAL_TEXT, (note) => ledger.retry('pl_1', { ...PERSON, note })],
  'withdraw: reference': [NO_TEXT, (reference) => ledger.withdraw({ ...PAYOUT, reference })],
  'withdraw: amount': [NO_AMOUNT, (amount) => ledger.withdraw({ ...PAYOUT, amount })],
  'withdraw: currency': [NO_TEXT, (currency) => ledger.withdraw({ ...PAYOUT, currency })],
  'withdraw: paymentMethod': [
    NO_METHOD,
    (paymentMethod) => ledger.withdraw({ ...PAYOUT, paymentMethod }),
  ],
  'withdraw: note': [NO_OPTIONAL_TEXT, (note) => ledger.withdraw({ ...PAYOUT, note })],
  'withdraw: timeout': [NO_NUMBER, (timeout) => ledger.withdraw({ ...PAYOUT, timeout })],
  'payout: reference': [NO_TEXT, (reference) => ledger.payout(reference)],
  'resolve: reference': [NO_TEXT, (reference) => ledger.resolve(reference, 'paid', PERSON)],
  'resolve: decision': [NO_TEXT, (decision) => ledger.resolve('salary-7', decision, PERSON)],
  'resolve: by': [NO_TEXT, (by) => ledger.resolve('salary-7', 'paid', { by })],
  'resolve: note': [
    NO_OPTIONAL_TEXT,
    (note) => ledger.resolve('salary-7', 'paid', { ...PERSON, note }),
  ],
  'overdue: olderThan': [[undefined, null, ...NO_NUMBER], (age) => ledger.overdue(age)],
  'overdue: limit': [NO_COUNT, (limit) => ledger.overdue(0, { limit })],
  'unsettled: limit': [NO_COUNT, (limit) => ledger.unsettled({ limit })],
  'parked: limit': [NO_COUNT, (limit) => ledger.parked({ limit })],
  'unresolved: limit': [NO_COUNT, (limit) => ledger.unresolved({ limit })],
  'conflicts: limit': [NO_COUNT, (limit) => ledger.conflicts({ limit })],
  'decisions: limit': [NO_COUNT, (limit) => ledger.decisions({ limit })],
  'forget: before': [
    [
      undefined,
      null,
      0,
      '2026-01-31',
      {},
      Number.NaN,
      new Date(Number.NaN),
      Object.create(Date.prototype),
    ],
    (before) => ledger.forget(before),
  ],
};

/** @param {unknown} value */
function isPlain(value) {
  return Object.prototype.toString.call(value) === '[object Object]';
}

/** Nothing came of it. */
async function checkNothingHappened() {
  assert.equal(sim.requests.length, 0);
  const { orders, payments, payouts, linkIds } = await ledger.summary();
  const counts = [orders, payments, payouts].flatMap((one) => Object.values(one));
  assert.deepEqual(new Set(counts), new Set([0]));
  assert.equal(linkIds, 'unproven');
  assert.deepEqual(await ledger.decisions(), []);
}

for (const [name, [wrong, call]] of Object.entries(ARGUMENTS)) {
  const [, argument = ''] = name.split(': ');

  test(`what is no ${name}`, async () => {
    for (const value of wrong) {
      const error = await rejection(() => call(value));
      assert.equal(error.constructor, TypeError, `${short(value)}: ${inspect(error)}`);
      assert.match(error.message, new RegExp(`\`${argument}\``), short(value));
      assert.ok(error.message.length < 600, error.message);
    }
    await checkNothingHappened();
  });
}

/**
 * The calls that take options.
 *
 * @type {Record<string, [good: object, (options: any) => unknown]>}
 */
const TAKE_OPTIONS = {
  open: [{}, (options) => Ledger.open(URL_OF_LEDGER, options)],
  createPaymentLink: [ORDER, (options) => ledger.createPaymentLink(options)],
  settle: [PERSON, (options) => ledger.settle('pl_1', 'paid', options)],
  setLinkIdCheck: [PERSON, (options) => ledger.setLinkIdCheck(false, options)],
  process: [{}, (options) => ledger.process(() => {}, options)],
  pending: [{}, (options) => ledger.pending(options)],
  retry: [PERSON, (options) => ledger.retry('pl_1', options)],
  withdraw: [PAYOUT, (options) => ledger.withdraw(options)],
  resolve: [PERSON, (options) => ledger.resolve('salary-7', 'paid', options)],
  overdue: [{}, (options) => ledger.overdue(0, options)],
  unsettled: [{}, (options) => ledger.unsettled(options)],
};

for (const [name, [good, call]] of Object.entries(TAKE_OPTIONS)) {
  test(`what are no options of ${name}`, async () => {
    const inherits = Object.create({
      ...{ note: 'x', limit: 5, client: null, maxTries: 5, redirectUrl: 'https://shop.example' },
    });
    const wrong = [
      ...NO_OPTIONS,
      { ...good, signal: new AbortController().signal },
      { ...good, clock_margin: 5 },
      Object.assign(inherits, good),
    ];
    for (const options of wrong) {
      const error = await rejection(() => call(options));
      assert.equal(error.constructor, TypeError, `${short(options)}: ${inspect(error)}`);
    }
    await checkNothingHappened();
  });
}

test('options behind the options, where other packages take them, are not overlooked', async () => {
  for (const call of [
    () => ledger.createPaymentLink(ORDER, { timeout: 5_000 }),
    () => ledger.withdraw(PAYOUT, { timeout: 5_000 }),
    () => ledger.withdraw('salary-7', PAYOUT),
    () => Ledger.open({}, {}),
  ]) {
    assert.equal((await rejection(call)).constructor, TypeError);
  }
  await checkNothingHappened();
});

test('what the core refuses is told by its name in JavaScript', async () => {
  for (const [field, call] of /** @type {[string, () => unknown][]} */ ([
    ['ref', () => ledger.createPaymentLink({ amount: '10.50', currency: 'USD' })],
    ['ref', () => ledger.createPaymentLink({ ...ORDER, ref: ' ' })],
    ['ref', () => ledger.createPaymentLink({ ...ORDER, ref: 'x'.repeat(1_025) })],
    ['amount', () => ledger.createPaymentLink({ ...ORDER, amount: '0' })],
    ['amount', () => ledger.createPaymentLink({ ...ORDER, amount: '-1' })],
    ['currency', () => ledger.createPaymentLink({ ...ORDER, currency: '' })],
    ['redirectUrl', () => ledger.createPaymentLink({ ...ORDER, redirectUrl: 'no url' })],
    ['reference', () => ledger.withdraw({ ...PAYOUT, reference: '' })],
    ['reference', () => ledger.withdraw({ ...PAYOUT, reference: 'x'.repeat(1_025) })],
    ['amount', () => ledger.withdraw({ ...PAYOUT, amount: '1e3' })],
    ['timeout', () => ledger.withdraw({ ...PAYOUT, timeout: 0 })],
    ['decision', () => ledger.settle('pl_1', 'not_paid', PERSON)],
    ['decision', () => ledger.resolve('salary-7', 'dismissed', PERSON)],
    ['by', () => ledger.settle('pl_1', 'paid', { by: ' ' })],
    ['by', () => ledger.setLinkIdCheck(false, { by: ' ' })],
    ['by', () => ledger.retry('pl_1', { by: '' })],
    ['by', () => ledger.resolve('salary-7', 'paid', { by: '\t' })],
    ['ref', () => ledger.settle('pl_1', 'dismissed', { ...PERSON, ref: 'order-42' })],
    ['limit', () => ledger.unsettled({ limit: -1 })],
  ])) {
    const error = await rejection(call);
    assert.ok(error instanceof ValidationError, `${field}: ${inspect(error)}`);
    assert.deepEqual([error.field, error.outcome], [field, 'not_sent'], inspect(error));
  }
  await checkNothingHappened();
});

test('an option that cannot be used is refused, and not taken for another', async () => {
  const negative = 'must not be negative';
  const none = 'must be at least 1';
  for (const [field, problem, call] of /** @type {[string, string, () => unknown][]} */ ([
    ['maxTries', none, () => ledger.process(() => {}, { maxTries: 0 })],
    ['maxTries', none, () => ledger.process(() => {}, { maxTries: -1 })],
    ['firstPause', negative, () => ledger.process(() => {}, { firstPause: -1 })],
    ['pollInterval', negative, () => ledger.process(() => {}, { pollInterval: -0.5 })],
    ['lease', negative, () => ledger.process(() => {}, { lease: Number.NEGATIVE_INFINITY })],
    ['olderThan', negative, () => ledger.overdue(-1)],
  ])) {
    const error = await rejection(call);
    assert.equal(error.constructor, ValidationError, `${field}: ${inspect(error)}`);
    assert.deepEqual(
      [error.message, error.field, error.outcome],
      [`\`${field}\` ${problem}`, field, 'not_sent'],
    );
  }
  const margin = await rejection(() => Ledger.open(URL_OF_LEDGER, { clockMargin: -1 }));
  assert.deepEqual(
    [margin.constructor, margin.message],
    [ConfigurationError, `\`clockMargin\` ${negative}`],
  );
  await checkNothingHappened();
});

test('half a character is refused by name', async () => {
  for (const [field, call] of /** @type {[string, () => unknown][]} */ ([
    ['ref', () => ledger.createPaymentLink({ ...ORDER, ref: HALF_A_CHARACTER })],
    ['ref', () => ledger.order(HALF_A_CHARACTER)],
    ['reference', () => ledger.withdraw({ ...PAYOUT, reference: HALF_A_CHARACTER })],
    ['by', () => ledger.settle('pl_1', 'paid', { by: HALF_A_CHARACTER })],
    ['note', () => ledger.setLinkIdCheck(false, { ...PERSON, note: HALF_A_CHARACTER })],
    ['note', () => ledger.resolve('salary-7', 'paid', { ...PERSON, note: HALF_A_CHARACTER })],
  ])) {
    const error = await rejection(call);
    assert.ok(error instanceof ValidationError);
    assert.equal(error.field, field);
  }
  assert.ok(
    (await rejection(() => ledger.receive(HALF_A_CHARACTER))) instanceof WebhookPayloadError,
  );
  for (const call of [
    () => Ledger.open(HALF_A_CHARACTER),
    () => Ledger.open(URL_OF_LEDGER, { spool: HALF_A_CHARACTER }),
  ]) {
    assert.ok((await rejection(call)) instanceof ConfigurationError);
  }
  await checkNothingHappened();
});

test('what is large, long or strange does no harm', async () => {
  const long = 'x'.repeat(1_000_000);
  for (const strange of [long, 'a\0b', '\u202e', "'; DROP TABLE kazawallet_orders; --", ' ', '']) {
    assert.equal(await ledger.order(strange), undefined);
    assert.equal(await ledger.payment(strange), undefined);
    assert.equal(await ledger.payout(strange), undefined);
    assert.equal((await rejection(() => ledger.markProcessed(strange))).code, 'ledger_not_found');
  }
  assert.deepEqual(await ledger.overdue(Number.POSITIVE_INFINITY), []);
  assert.deepEqual(await ledger.overdue(0), []);
  assert.deepEqual(await ledger.unsettled({ limit: Number.MAX_SAFE_INTEGER }), []);
  assert.deepEqual(await ledger.unsettled({ limit: null }), []);
  assert.equal(await ledger.forget(new Date(-8.64e15)), 0);
  assert.equal(await ledger.forget(new Date(8.64e15)), 0);
  assert.ok((await rejection(() => ledger.receive(long))) instanceof WebhookPayloadError);
  const worker = ledger.process(() => {}, {
    maxTries: Number.MAX_SAFE_INTEGER,
    firstPause: Number.POSITIVE_INFINITY,
    pollInterval: 0,
    lease: 0,
  });
  await worker.stop();
  await checkNothingHappened();
});

test('a Date of another realm is a Date', async () => {
  assert.equal(await ledger.forget(runInNewContext('new Date(0)')), 0);
});

test('nobody makes a ledger or a worker in another way', async () => {
  const worker = ledger.process(() => {});
  await worker.stop();
  for (const Kind of [Ledger, worker.constructor]) {
    for (const given of [[], [{}], [Symbol('ledger'), {}], [null, null, () => {}]]) {
      assert.throws(() => Reflect.construct(Kind, given), TypeError);
    }
  }
});

test('a method that was taken off its ledger says so, and nothing else', async () => {
  const { summary } = ledger;
  assert.equal((await rejection(() => summary())).constructor, TypeError);
  assert.equal((await rejection(() => summary.call({}))).constructor, TypeError);
});

test('what the caller changes after the call changes nothing', async () => {
  const body = Buffer.from('{"order_id":"pl_1","amount":"1","status":"fulfilled","secret":"x"}');
  const received = rejection(() => ledger.receive(body));
  body.fill(0);
  assert.equal((await received).code, 'signature_verification');
});

test('no time at all is refused', async () => {
  const error = await rejection(() => ledger.createPaymentLink({ ...ORDER, timeout: -1 }));
  assert.ok(error instanceof ValidationError);
  assert.deepEqual([error.field, sim.requests.length], ['timeout', 0]);
});

test('no message holds what is private', async () => {
  for (const call of [
    () => ledger.withdraw({ ...PAYOUT, note: HALF_A_CHARACTER }),
    () => Ledger.open('postgres://sara:secret@127.0.0.1:x/shop'),
    () => Ledger.open('postgres://sara:secret@127.0.0.1:1/shop', { spool: false }),
  ]) {
    const shown = inspect(await rejection(call));
    assert.ok(!shown.includes('secret') && !shown.includes(PHONE), shown);
  }
});
