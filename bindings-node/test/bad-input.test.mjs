// What a Node user gets wrong: each is refused by name, before anything is sent.
//
// A wrong type is a `TypeError` that says what to write; everything else is one of the documented
// errors. What the caller's own getters and proxies throw is given on as it is.

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { Readable } from 'node:stream';
import { after } from 'node:test';
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';

import { kazawallet, testing } from './package.mjs';
import { guarded, test } from './runtimes.mjs';
import { ScriptedServer } from './scripted-server.mjs';
import { short } from './shared-data.mjs';

const { Client, ConfigurationError, KazawalletError, OrderMismatchError, PaymentEvent } =
  kazawallet;
const { PaymentLink, PaymentMethod, SignatureVerificationError, ValidationError } = kazawallet;
const { Webhook, WebhookPayloadError } = kazawallet;
const { Simulator, SimulatorError } = testing;

const KEY = '81A107141716';
const SECRET = '888B6B8877F8';
const EMAIL = 'merchant@example.com';
const RECIPIENT = 'سعيد محمد حمدان';
const PHONE = '0933123456';
const NOTE = 'salary of May';
const USER_EMAIL = 'user@example.com';
const HALF_A_CHARACTER = '\ud800';
const INFINITY = Number.POSITIVE_INFINITY;
const PRIVATE = [KEY, SECRET, RECIPIENT, PHONE, NOTE, USER_EMAIL];

/** No message is longer than this, however long what was given is. */
const LONGEST_MESSAGE = 1_000;

const webhook = new Webhook({ apiKey: KEY, apiSecret: SECRET });
const METHOD = PaymentMethod.haramUnder3m({ name: RECIPIENT, phone: PHONE, governorate: 'دمشق' });

const simulator = await Simulator.start({ balances: { SYP: '1000000000', USD: '1000000' } });
const client = simulator.client();
after(async () => {
  client.close();
  await simulator.stop();
});

// ---------------------------------------------------------------- values that are something else

/** What the caller's own code throws, when it is asked for a value. */
class Trap extends Error {}

/** @returns {never} */
function spring() {
  throw new Trap('a trap of the caller');
}

/** A proxy of which everything that can be asked for is a trap. */
function trapped(target = {}) {
  const traps = Object.getOwnPropertyNames(Reflect).filter((name) => name !== 'toString');
  return new Proxy(target, Object.fromEntries(traps.map((name) => [name, spring])));
}

function revoked(target = {}) {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

/** What cannot be shown, or compared, or asked for anything without a surprise. */
const HOSTILE = () => [
  trapped(),
  trapped([]),
  trapped(() => {}),
  revoked(),
  revoked([]),
  {
    get constructor() {
      return spring();
    },
  },
  { constructor: null },
  { constructor: { name: 5 } },
  { toString: spring, valueOf: spring, toJSON: spring },
  { [Symbol.toPrimitive]: spring },
  {
    get [Symbol.toStringTag]() {
      return spring();
    },
  },
];

const OBJECTS = () => [
  [],
  ['USD'],
  {},
  { USD: 'USD' },
  Object.create(null),
  new String('10.50'),
  new Number(10),
  Object(10n),
  Object(Symbol('x')),
  new Boolean(true),
  new Date(0),
  /10/,
  new Map([['a', 'b']]),
  new Set(['10']),
  new Error('10'),
  Promise.resolve('10'),
  Buffer.from('10'),
  new Uint8Array(2),
  new ArrayBuffer(2),
  new URL('https://shop.example/'),
  new AbortController(),
  METHOD.constructor,
  globalThis,
  () => '10',
  class Amount {},
  Symbol('10'),
];

const NOT_TEXT = () => [5, 1.5, 0, -0, Number.NaN, INFINITY, 10n, true, false, ...OBJECTS()];
const NOT_AN_AMOUNT = () => [
  10.5,
  0.1,
  1e300,
  1e21,
  2 ** 53,
  -(2 ** 53),
  Number.NaN,
  INFINITY,
  -INFINITY,
  true,
  false,
  ...OBJECTS(),
];
const NOT_MILLISECONDS = () => ['20', '', true, false, 20n, Number.NaN, ...OBJECTS()];
const NOT_A_COUNT = () => ['2', 1.5, Number.NaN, INFINITY, -INFINITY, true, 2n, ...OBJECTS()];
const NOT_A_METHOD = () => [
  '37',
  37,
  { id: '37', fields: {} },
  PaymentMethod,
  Object.create(PaymentMethod.prototype),
  Object.create(METHOD),
  new Proxy(METHOD, {}),
  structuredClone(METHOD),
  ...OBJECTS(),
];
const NOT_A_SIGNAL = () => [
  'abort',
  5,
  true,
  { aborted: false },
  { aborted: 'no', addEventListener() {}, removeEventListener() {}, throwIfAborted() {} },
  // Shaped like one, but not enough to be told of its end, or to let go of it.
  { aborted: false, addEventListener() {} },
  new EventEmitter(),
  new EventTarget(),
  ...OBJECTS(),
];
/** What is an object and holds no options. */
const NOT_OPTIONS = () => [
  null,
  'x',
  5,
  true,
  10n,
  Symbol('x'),
  [],
  [{ amount: '10' }],
  () => ({}),
  new Map([['amount', '10']]),
  new Set(),
  new Date(0),
  new URLSearchParams('amount=10'),
  Promise.resolve({ amount: '10' }),
  new AbortController().signal,
  new String('x'),
  new Number(5),
  Buffer.from('x'),
  new Error('x'),
];

/** @type {Record<string, () => unknown[]>} */
const WRONG_TYPES = {
  amount: NOT_AN_AMOUNT,
  timeout: NOT_MILLISECONDS,
  paymentMethod: NOT_A_METHOD,
  signal: NOT_A_SIGNAL,
};
/** @type {Record<string, RegExp>} */
const SAID = {
  amount: /"\d+(\.\d+)?"/,
  timeout: /milliseconds/,
  paymentMethod: /a PaymentMethod/,
  signal: /an AbortSignal/,
};

// ---------------------------------------------------------------- calls, and whether they sent anything

/**
 * What each call takes, all of it; with these the simulator says yes.
 *
 * @type {Record<string, any>}
 */
const OPTIONS = {
  'paymentLinks.create': {
    amount: '10.50',
    currency: 'USD',
    ref: 'order-42',
    redirectUrl: 'https://shop.example/thanks',
    timeout: 20_000,
    signal: new AbortController().signal,
  },
  'withdrawals.create': {
    amount: '500000',
    currency: 'SYP',
    paymentMethod: METHOD,
    note: NOTE,
    timeout: 20_000.5,
    signal: new AbortController().signal,
  },
  'wallets.list': { timeout: 20_000, signal: new AbortController().signal },
  'deposits.create': {
    amount: '25',
    currency: 'USD',
    userEmail: USER_EMAIL,
    paymentMethod: METHOD,
    note: NOTE,
    timeout: 20_000,
    signal: new AbortController().signal,
  },
  request: { json: { currency: 'USD' }, timeout: 20_000, signal: new AbortController().signal },
};
const OPERATIONS = Object.keys(OPTIONS);
const OPTIONAL = ['ref', 'redirectUrl', 'note', 'timeout', 'signal', 'json'];

/**
 * Makes a call with these options, and nothing but these.
 *
 * @param {string} operation
 * @param {any} options
 * @param {any} [by]
 * @returns {Promise<any>}
 */
function call(operation, options, by = client) {
  if (operation === 'request') {
    return by.request('POST', '/wallet-cards/create', options);
  }
  const [resource = '', method = ''] = operation.split('.');
  return by[resource][method](options);
}

/**
 * Makes a call with good options, but for these.
 *
 * @param {string} operation
 * @param {any} [options]
 */
function give(operation, options) {
  return call(operation, { ...OPTIONS[operation], ...options });
}

/**
 * The body that a call sends. The simulator need not like it.
 *
 * @param {() => Promise<unknown>} make
 */
async function sent(make) {
  const before = simulator.requests.length;
  try {
    await guarded(make(), () => 'an answer');
  } catch (error) {
    assert.ok(error instanceof KazawalletError, inspect(error));
    assert.equal(error.outcome, 'rejected', inspect(error));
  }
  const requests = simulator.requests.slice(before);
  assert.equal(requests.length, 1);
  return requests[0]?.body ?? '';
}

/**
 * The error that something ends in, thrown or as a rejection.
 *
 * @param {() => unknown} make
 * @returns {Promise<any>}
 */
async function failure(make) {
  const ended = (async () => {
    try {
      return { result: await make() };
    } catch (error) {
      return { error };
    }
  })();
  const end = await guarded(ended, () => 'an end');
  assert.ok('error' in end, `it was taken: ${'result' in end && inspect(end.result)}`);
  return end.error;
}

/**
 * The error of a call that sends nothing, and that never throws, but is rejected.
 *
 * @param {() => Promise<unknown>} make
 */
async function refusal(make) {
  const before = simulator.requests.length;
  /** @type {Promise<unknown> | undefined} */
  let promise;
  assert.doesNotThrow(() => {
    promise = make();
  });
  assert.ok(promise instanceof Promise);
  const error = await failure(() => promise);
  assert.equal(simulator.requests.length, before, 'something was sent');
  if (error instanceof Error && !(error instanceof Trap)) {
    assertDiscreet(error);
  }
  return error;
}

/** @param {Error} error */
function assertDiscreet(error) {
  assert.ok(error.message.length < LONGEST_MESSAGE, `${error.message.length} characters`);
  const shown = `${inspect(error)} ${JSON.stringify(error)}`;
  for (const value of PRIVATE) {
    assert.ok(!shown.includes(value), shown);
  }
}

/**
 * @param {any} error
 * @param {string} name
 * @param {RegExp} [said]
 */
function assertTypeError(error, name, said = /./) {
  assert.equal(error?.constructor, TypeError, inspect(error));
  assert.ok(error.message.includes(`\`${name}\``), error.message);
  assert.match(error.message, said);
  assertDiscreet(error);
}

/**
 * @param {any} error
 * @param {string} field
 */
function assertValidationError(error, field) {
  assert.equal(error?.constructor, ValidationError, inspect(error));
  const { code, outcome } = error;
  assert.deepEqual(
    { code, outcome, field: error.field },
    { code: 'validation', outcome: 'not_sent', field },
  );
  assertDiscreet(error);
}

/**
 * Wrong in a way that only the engine sees, or a trap of the caller's.
 *
 * @param {any} error
 */
function assertOwnOrTypeError(error) {
  assert.ok(error instanceof Trap || error?.constructor === TypeError, inspect(error));
}

/**
 * The pairs of an operation and the name of one of its options.
 *
 * @param {Record<string, any>} table
 * @returns {[string, string][]}
 */
const each = (table) =>
  Object.entries(table).flatMap(([operation, options]) =>
    Object.keys(options).map((name) => /** @type {[string, string]} */ ([operation, name])),
  );

// ---------------------------------------------------------------- how a call is written

for (const operation of OPERATIONS) {
  test(`${operation}: good options are taken`, async () => {
    await sent(() => give(operation));
    await sent(() => call(operation, Object.assign(Object.create(null), OPTIONS[operation])));
    await sent(() => call(operation, Object.freeze({ ...OPTIONS[operation] })));
    const elsewhere = runInNewContext('({})');
    await sent(() => call(operation, Object.assign(elsewhere, OPTIONS[operation])));
  });

  test(`${operation}: an option that is not known is refused by its name`, async () => {
    for (const name of ['reference', 'redirect_url', 'Amount', 'speed', 'toString', '']) {
      const error = await refusal(() => give(operation, { [name]: 'x' }));
      assertTypeError(error, name);
      assert.ok(error.message.includes('timeout'), 'those that are known are not shown');
      assertTypeError(await refusal(() => give(operation, { [name]: undefined })), name);
    }
    const own = JSON.parse('{"__proto__": {"amount": "1"}}');
    assertTypeError(await refusal(() => call(operation, own)), '__proto__');
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`o${n}`, n]));
    const error = await failure(() => give(operation, many));
    assert.equal(error.constructor, TypeError);
    const long = await failure(() => give(operation, { ['x'.repeat(10_000_000)]: 1 }));
    assert.equal(long.constructor, TypeError);
  });

  test(`${operation}: what is no object of options is refused`, async () => {
    for (const value of NOT_OPTIONS()) {
      const error = await refusal(() => call(operation, value));
      assert.equal(error?.constructor, TypeError, `${inspect(value)}: ${inspect(error)}`);
    }
    for (const value of HOSTILE().slice(0, 5)) {
      assertOwnOrTypeError(await refusal(() => call(operation, value)));
    }
  });

  test(`${operation}: options that are inherited are taken as they are, or not at all`, async () => {
    const before = simulator.requests.length;
    const heirs = [Object.create(OPTIONS[operation]), new (heirOf(OPTIONS[operation]))()];
    for (const heir of heirs) {
      const error = await call(operation, heir).then(
        () => undefined,
        (problem) => problem,
      );
      assert.ok(error === undefined || error.constructor === TypeError, inspect(error));
    }
    const bodies = simulator.requests.slice(before).map(({ body }) => body);
    const whole = await sent(() => give(operation));
    assert.ok(bodies.every((body) => body === whole));
  });

  test(`${operation}: what an option's getter throws comes out, and nothing is sent`, async () => {
    for (const name of Object.keys(OPTIONS[operation])) {
      const options = Object.defineProperty({ ...OPTIONS[operation] }, name, {
        get: spring,
        enumerable: true,
      });
      assert.ok((await refusal(() => call(operation, options))) instanceof Trap, name);
    }
  });

  test(`${operation}: each option is read once`, async () => {
    /** @type {Record<string, number>} */
    const reads = {};
    const counting = {};
    for (const [name, value] of Object.entries(OPTIONS[operation])) {
      reads[name] = 0;
      Object.defineProperty(counting, name, {
        get() {
          reads[name] = (reads[name] ?? 0) + 1;
          return value;
        },
        enumerable: true,
      });
    }
    await sent(() => call(operation, counting));
    const once = Object.keys(reads).map((name) => [name, 1]);
    assert.deepEqual(reads, Object.fromEntries(once));
  });

  test(`${operation}: what is changed after the call was made is not sent`, async () => {
    const options = { ...OPTIONS[operation] };
    const whole = await sent(() => call(operation, options));
    const later = await sent(() => {
      const promise = call(operation, options);
      for (const name of Object.keys(options)) {
        options[name] = 'changed';
      }
      return promise;
    });
    assert.equal(later, whole);
  });

  test(`${operation}: what has lost its owner is refused`, async () => {
    const [resource = '', name = ''] = operation.split('.');
    const owner = operation === 'request' ? client : /** @type {any} */ (client)[resource];
    const method = owner[operation === 'request' ? 'request' : name];
    const given =
      operation === 'request' ? ['GET', '/wallet-cards/list', {}] : [OPTIONS[operation]];
    for (const self of [undefined, null, {}, client, Object.create(owner), new Proxy(owner, {})]) {
      if (self !== owner) {
        const error = await refusal(() => Reflect.apply(method, self, given));
        assert.equal(error.constructor, TypeError);
      }
    }
  });
}

/**
 * A class whose instances have options by getters of their class.
 *
 * @param {Record<string, unknown>} options
 * @returns {new () => object}
 */
function heirOf(options) {
  class Options {}
  for (const [name, value] of Object.entries(options)) {
    Object.defineProperty(Options.prototype, name, { get: () => value, enumerable: true });
  }
  return Options;
}

for (const [operation, name] of each(OPTIONS)) {
  test(`${operation}: ${name} that is left out, undefined or null`, async () => {
    const { [name]: _, ...others } = OPTIONS[operation];
    for (const options of [others, { ...others, [name]: undefined }, { ...others, [name]: null }]) {
      if (OPTIONAL.includes(name)) {
        await sent(() => call(operation, options));
      } else {
        assertTypeError(await refusal(() => call(operation, options)), name, SAID[name]);
      }
    }
  });

  if (name !== 'json') {
    test(`${operation}: ${name} of a wrong type is a TypeError that says what to write`, async () => {
      for (const value of (WRONG_TYPES[name] ?? NOT_TEXT)()) {
        const error = await refusal(() => give(operation, { [name]: value }));
        assertTypeError(error, name, SAID[name] ?? /a string/);
      }
      for (const value of HOSTILE()) {
        assertOwnOrTypeError(await refusal(() => give(operation, { [name]: value })));
      }
    });
  }

  if (!['timeout', 'signal', 'paymentMethod', 'json'].includes(name)) {
    test(`${operation}: half a character in ${name} is refused`, async () => {
      for (const value of [`1${HALF_A_CHARACTER}`, '\udc00', `${HALF_A_CHARACTER}x`]) {
        assertValidationError(await refusal(() => give(operation, { [name]: value })), name);
      }
    });
  }
}

for (const operation of OPERATIONS) {
  test(`${operation}: a timeout that is no time is refused`, async () => {
    for (const timeout of [0, -0, -1, -0.5, -INFINITY, -Number.MAX_VALUE, 5e-324]) {
      assertValidationError(await refusal(() => give(operation, { timeout })), 'timeout');
    }
  });

  test(`${operation}: a timeout of ages is one`, async () => {
    for (const timeout of [1e300, INFINITY, Number.MAX_VALUE, 2 ** 53, 2 ** 64]) {
      await sent(() => give(operation, { timeout }));
    }
  });

  test(`${operation}: a signal that was aborted before sends nothing`, async () => {
    const reasons = [new Error('why'), 'text', 5, null, false, Symbol('x'), { a: 1 }];
    for (const reason of reasons) {
      const signal = AbortSignal.abort(reason);
      assert.equal(await refusal(() => give(operation, { signal })), reason);
    }
    const usual = await refusal(() => give(operation, { signal: AbortSignal.abort() }));
    assert.equal(usual.name, 'AbortError');
  });

  test(`${operation}: a signal that fails hurts no other call`, async () => {
    const signals = [
      signalWith({ addEventListener: spring }),
      signalWith({ removeEventListener: spring }),
      signalWith({ throwIfAborted: spring }),
    ];
    for (const signal of signals) {
      // It is the caller's own affair how this one ends, but it ends.
      const ended = give(operation, { signal }).then(
        () => undefined,
        (error) => error,
      );
      const others = [1, 2, 3].map(() => give(operation));
      const error = await guarded(ended, () => 'an end');
      assert.ok(error === undefined || error instanceof Error, inspect(error));
      await guarded(Promise.allSettled(others), () => 'the other calls');
      await sent(() => give(operation));
    }
  });
}

/**
 * A signal of the caller's own making.
 *
 * @param {object} broken
 */
function signalWith(broken) {
  return {
    aborted: false,
    reason: undefined,
    addEventListener() {},
    removeEventListener() {},
    throwIfAborted() {},
    ...broken,
  };
}

// ---------------------------------------------------------------- amounts

const MONEY_OPERATIONS = OPERATIONS.filter((operation) => 'amount' in OPTIONS[operation]);
const MILLION_DIGITS = 10n ** 1_000_000n;

/** @type {[string, any][]} */
const NO_AMOUNTS = [
  ['a bigint of 41 digits', 10n ** 40n],
  ['a bigint of a million digits', MILLION_DIGITS],
  ['its opposite', -MILLION_DIGITS],
  ['-1n', -1n],
  ['0n', 0n],
  ['-1', -1],
  ['0', 0],
  ['-0', -0],
  ['nothing', ''],
  ['a space', ' '],
  ['a space behind', '10.50 '],
  ['a character without width', '\u200b10'],
  ['a NUL', '10\0'],
  ['a word', 'ten'],
  ['NaN', 'NaN'],
  ['an exponent', '1e3'],
  ['a hundred thousand digits', '1'.repeat(100_000)],
  ['twenty million digits', '1'.repeat(20_000_000)],
  ['twenty million letters', 'ل'.repeat(20_000_000)],
];

for (const operation of MONEY_OPERATIONS) {
  test(`${operation}: an amount that is none is refused, in bounded time`, async () => {
    for (const [, amount] of NO_AMOUNTS) {
      assertValidationError(await refusal(() => give(operation, { amount })), 'amount');
    }
  });

  test(`${operation}: a long amount keeps all its digits`, async () => {
    const paymentMethod = PaymentMethod.custom({ id: '118', fields: {} });
    const options = 'paymentMethod' in OPTIONS[operation] ? { paymentMethod } : {};
    for (const digits of ['9'.repeat(40), '9007199254740993', '18446744073709551617']) {
      const body = await sent(() => give(operation, { ...options, amount: BigInt(digits) }));
      assert.equal(JSON.parse(body).amount, digits);
    }
    for (const amount of [Number.MAX_SAFE_INTEGER, 1, 10]) {
      const body = await sent(() => give(operation, { ...options, amount }));
      assert.equal(JSON.parse(body).amount, `${amount}`);
    }
  });

  test(`${operation}: a number with a fraction is told how to be written`, async () => {
    for (const amount of [10.5, 0.1, 1234.56]) {
      const error = await refusal(() => give(operation, { amount }));
      assertTypeError(error, 'amount');
      assert.ok(error.message.includes(`"${amount}"`), error.message);
    }
  });
}

// ---------------------------------------------------------------- texts

/** @type {[string, string, string][]} */
const UNUSABLE_TEXTS = [
  ['paymentLinks.create', 'currency', ''],
  ['paymentLinks.create', 'currency', ' \t'],
  ['paymentLinks.create', 'ref', ''],
  ['paymentLinks.create', 'ref', 'a\0b'],
  ['paymentLinks.create', 'ref', 'x'.repeat(1025)],
  ['paymentLinks.create', 'ref', 'x'.repeat(20_000_000)],
  ['paymentLinks.create', 'redirectUrl', ''],
  ['paymentLinks.create', 'redirectUrl', '/thanks'],
  ['withdrawals.create', 'currency', ''],
  ['deposits.create', 'currency', ''],
  ['deposits.create', 'userEmail', ''],
  ['deposits.create', 'userEmail', 'user'],
];

for (const [operation, name, value] of UNUSABLE_TEXTS) {
  test(`${operation}: ${name} cannot be ${short(value)} (${value.length})`, async () => {
    assertValidationError(await refusal(() => give(operation, { [name]: value })), name);
  });
}

// ---------------------------------------------------------------- payment methods

/** @type {Record<string, any>} */
const METHODS = {
  haramUnder3m: { name: RECIPIENT, phone: PHONE, governorate: 'دمشق' },
  haramOver3m: { name: RECIPIENT, phone: PHONE, governorate: 'دمشق' },
  syCash: { phone: PHONE },
  custom: { id: '118', fields: { name: RECIPIENT } },
};

/**
 * @param {string} kind
 * @param {any} [options]
 */
function methodOf(kind, options) {
  return /** @type {any} */ (PaymentMethod)[kind]({ ...METHODS[kind], ...options });
}

for (const kind of Object.keys(METHODS)) {
  test(`PaymentMethod.${kind} takes one object, of what it knows`, async () => {
    const make = /** @type {any} */ (PaymentMethod)[kind];
    assert.ok(make(METHODS[kind]) instanceof PaymentMethod);
    for (const value of [undefined, ...NOT_OPTIONS()]) {
      const error = await failure(() => make(value));
      assert.equal(error.constructor, TypeError, `${inspect(value)}: ${inspect(error)}`);
      assertDiscreet(error);
    }
    for (const value of HOSTILE().slice(0, 5)) {
      assertOwnOrTypeError(await failure(() => make(value)));
    }
    assertTypeError(await failure(() => methodOf(kind, { speed: 1 })), 'speed');
    assert.equal((await failure(() => make(RECIPIENT, PHONE, 'دمشق'))).constructor, TypeError);
  });
}

for (const [kind, name] of each(METHODS)) {
  test(`PaymentMethod.${kind}: ${name} of a wrong type`, async () => {
    for (const value of [undefined, null, ...NOT_TEXT()]) {
      if (name !== 'fields' || typeof value !== 'object' || value === null) {
        assertTypeError(await failure(() => methodOf(kind, { [name]: value })), name);
      }
    }
    for (const value of HOSTILE().slice(0, 5)) {
      assertOwnOrTypeError(await failure(() => methodOf(kind, { [name]: value })));
    }
  });

  test(`PaymentMethod.${kind}: half a character in ${name} is refused`, async () => {
    const broken =
      name === 'fields'
        ? [{ name: HALF_A_CHARACTER }, { [HALF_A_CHARACTER]: 'x' }]
        : [HALF_A_CHARACTER];
    for (const value of broken) {
      const make = async () =>
        give('withdrawals.create', { paymentMethod: methodOf(kind, { [name]: value }) });
      assertValidationError(await refusal(make), name);
    }
  });

  if (name !== 'fields') {
    test(`PaymentMethod.${kind}: a blank ${name} is refused`, async () => {
      for (const blank of ['', ' ', '\n\t', '\u00a0']) {
        const paymentMethod = methodOf(kind, { [name]: blank });
        const error = await refusal(() => give('withdrawals.create', { paymentMethod }));
        assertValidationError(error, name === 'id' ? 'paymentMethod' : name);
      }
    });
  }
}

test('fields that are no plain object of text are refused, and never taken for none', async () => {
  for (const fields of [
    undefined,
    null,
    'name',
    5,
    [],
    [['name', 'n']],
    new Set(['name']),
    new Map([['name', 'n']]),
    new URLSearchParams('name=n'),
    new Date(0),
    Promise.resolve({ name: 'n' }),
    Buffer.from('name'),
    { name: 1 },
    { name: 10.5 },
    { name: null },
    { name: undefined },
    { name: new String('n') },
    { name: ['n'] },
    { name: { first: 'n' } },
    { name: Symbol('n') },
  ]) {
    const error = await failure(() => methodOf('custom', { fields }));
    assertTypeError(error, 'fields');
  }
});

test("what the fields' getters throw comes out", async () => {
  const fields = {
    get name() {
      return spring();
    },
  };
  assert.ok((await failure(() => methodOf('custom', { fields }))) instanceof Trap);
  assertOwnOrTypeError(await failure(() => methodOf('custom', { fields: trapped() })));
});

test('fields keep their order, and what they were when the method was made', async () => {
  /** @type {Record<string, string>} */
  const fields = { z: '1', a: '2', ملاحظة: '', m: '3', constructor: '4' };
  Object.defineProperty(fields, '__proto__', { value: '5', enumerable: true });
  const wanted = Object.entries(fields);
  for (const given of [fields, Object.assign(Object.create(null), fields)]) {
    const pairs = Object.entries(given);
    const paymentMethod = PaymentMethod.custom({ id: '118', fields: given });
    given['a'] = 'changed';
    given['later'] = 'x';
    const body = await sent(() => give('withdrawals.create', { paymentMethod }));
    assert.deepEqual(Object.entries(JSON.parse(body).fields), pairs);
  }
  assert.equal(wanted.length, 6);
});

test('options behind the options, where other packages take them, are not overlooked', async () => {
  for (const operation of OPERATIONS) {
    const [resource = '', method = ''] = operation.split('.');
    /** @type {any} */
    const owner = client;
    const made = () =>
      operation === 'request'
        ? owner.request('POST', '/wallet-cards/create', OPTIONS[operation], { timeout: 5_000 })
        : owner[resource][method](OPTIONS[operation], { timeout: 5_000 });
    const error = await refusal(made);
    assert.ok(error instanceof TypeError);
    assert.match(error.message, /one object of options, with `timeout` and `signal` in it/);
  }
});

// ---------------------------------------------------------------- the raw request

/**
 * A raw request with any method and path.
 *
 * @param {any} method
 * @param {any} path
 * @param {any} [options]
 */
const request = (method, path, options) => client.request(method, path, options);

test('the method of a raw request has a type and is one of five', async () => {
  for (const method of [undefined, null, ...NOT_TEXT()]) {
    assertTypeError(await refusal(() => request(method, '/wallet-cards/create')), 'method');
  }
  for (const method of [
    '',
    ' ',
    'get',
    'GE T',
    'HEAD',
    'TRACE',
    'CONNECT',
    'GET\r\nx: y',
    'جلب',
    'G\0',
    HALF_A_CHARACTER,
    'x'.repeat(10_000_000),
  ]) {
    assertValidationError(await refusal(() => request(method, '/wallet-cards/list')), 'method');
  }
  for (const value of HOSTILE()) {
    assertOwnOrTypeError(await refusal(() => request(value, '/x')));
    assertOwnOrTypeError(await refusal(() => request('GET', value)));
  }
});

test('the path of a raw request has a type and stays below the base URL', async () => {
  for (const path of [undefined, null, ...NOT_TEXT()]) {
    assertTypeError(await refusal(() => request('GET', path)), 'path');
  }
  for (const path of [
    '',
    'wallets',
    '//elsewhere.example',
    '/../x',
    '/a/%2e%2E/x',
    '/a b',
    '/a\r\nb',
    '/a#b',
    '\\x',
    '/\0',
    'https://elsewhere.example/',
    `/${HALF_A_CHARACTER}`,
    `//${'x'.repeat(10_000_000)}`,
  ]) {
    assertValidationError(await refusal(() => request('GET', path)), 'path');
  }
});

/** @param {number} depth */
function nested(depth) {
  /** @type {any} */
  let value = [];
  for (let level = 0; level < depth; level += 1) {
    value = [value];
  }
  return value;
}

function cyclic() {
  /** @type {any} */
  const value = { name: 'a' };
  value.self = [value];
  return value;
}

/** @type {[string, any][]} */
const NO_JSON = [
  ['a fraction', 1.5],
  ['NaN', Number.NaN],
  ['an infinity', INFINITY],
  ['a number that is not safe', 2 ** 53],
  ['a bigint that is not safe', 2n ** 53n],
  ['a bigint of a million digits', MILLION_DIGITS],
  ['a fraction in an object', { amount: 10.5 }],
  ['a fraction deep inside', { a: [{ b: [1, 2.5] }] }],
  ['a fraction in a number object', { amount: new Number(10.5) }],
  ['NaN in a number object', [new Number(Number.NaN)]],
  ['a fraction in a number object of another realm', [runInNewContext('new Number(10.5)')]],
  ['a fraction out of toJSON', { toJSON: () => ({ amount: 10.5 }) }],
  ['a fraction out of a Proxy', new Proxy({ amount: 10.5 }, {})],
  ['a bigint object that is not safe', [Object(2n ** 53n)]],
  ['a function', () => ({})],
  ['a class', class Body {}],
  ['a symbol', Symbol('x')],
  ['something that becomes undefined', { toJSON: () => undefined }],
  ['a circle', cyclic()],
];

for (const [name, json] of NO_JSON) {
  test(`a body that is no JSON is a TypeError: ${name}`, async () => {
    const error = await refusal(() => give('request', { json }));
    assert.equal(error.constructor, TypeError, inspect(error));
  });
}

test('a fraction in a body is refused with what to write', async () => {
  const error = await refusal(() => give('request', { json: { amount: 10.5 } }));
  assertTypeError(error, 'json');
  assert.match(error.message, /"\d+\.\d+"/);
  // It may be anything: an account's number, too.
  assert.doesNotMatch(error.message, /10\.5\b/);
});

test("what the body's own code throws comes out", async () => {
  for (const json of [
    {
      get amount() {
        return spring();
      },
    },
    { toJSON: spring },
    { a: [trapped()] },
    trapped([]),
  ]) {
    assertOwnOrTypeError(await refusal(() => give('request', { json })));
  }
});

for (const [name, json] of /** @type {[string, any][]} */ ([
  ['a million arrays deep', nested(1_000_000)],
  ['half a character', HALF_A_CHARACTER],
  ['half a character in a list', ['a', { b: `x${HALF_A_CHARACTER}` }]],
  ['half a character in a key', { [HALF_A_CHARACTER]: 1 }],
])) {
  test(`a body that cannot be written is refused: ${name}`, async () => {
    assertValidationError(await refusal(() => give('request', { json })), 'json');
  });
}

/** @type {[any, string][]} */
const WRITTEN = [
  [undefined, ''],
  [null, ''],
  [false, 'false'],
  [0, '0'],
  [-0, '0'],
  ['', '""'],
  [[], '[]'],
  [{}, '{}'],
  [[1, true, null], '[1,true,null]'],
  [{ b: 'ليرة', a: '10.50' }, '{"b":"ليرة","a":"10.50"}'],
  [{ n: 10n, m: [-7n] }, '{"n":10,"m":[-7]}'],
  [9007199254740991n, '9007199254740991'],
  [Number.MAX_SAFE_INTEGER, '9007199254740991'],
  [{ a: undefined, b: 1 }, '{"b":1}'],
  [[undefined, () => {}], '[null,null]'],
  [new Date(0), '"1970-01-01T00:00:00.000Z"'],
  [{ toJSON: () => ({ a: 1 }) }, '{"a":1}'],
  [Object('x'), '"x"'],
  [[new Number(3)], '[3]'],
  [Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
  [JSON.parse('{"__proto__":{"a":1}}'), '{"__proto__":{"a":1}}'],
  [{ emoji: '😀', line: '\u2028', quote: '"' }, '{"emoji":"😀","line":"\u2028","quote":"\\""}'],
  [nested(50), `${'['.repeat(51)}${']'.repeat(51)}`],
];

for (const [json, text] of WRITTEN) {
  test(`a body is sent as it is: ${short(text)}`, async () => {
    assert.equal(await sent(() => request('POST', '/wallet-cards/create', { json })), text);
  });
}

test('a body of any depth is sent or refused, and no crash', async () => {
  for (const depth of [126, 127, 128, 129, 1_000, 2_000, 4_000, 8_000, 16_000, 100_000]) {
    const before = simulator.requests.length;
    const json = nested(depth);
    const error = await request('POST', '/wallet-cards/create', { json }).catch((one) => one);
    assert.ok(error instanceof KazawalletError, inspect(error));
    const [made] = simulator.requests.slice(before);
    if (made === undefined) {
      assertValidationError(error, 'json');
    } else {
      assert.equal(error.outcome, 'rejected');
      assert.equal(made.body, `${'['.repeat(depth + 1)}${']'.repeat(depth + 1)}`);
    }
  }
});

test('a body that is changed after the call was made is sent as it was', async () => {
  const json = { list: [1] };
  const body = await sent(() => {
    const promise = request('POST', '/wallet-cards/create', { json });
    json.list.push(2);
    return promise;
  });
  assert.equal(body, '{"list":[1]}');
});

// ---------------------------------------------------------------- keys and other options

const BAD_CREDENTIALS = [
  '',
  ' ',
  '\t\n',
  ` ${KEY}`,
  `${KEY} `,
  `${KEY}\n`,
  `\r\n${KEY}`,
  `${KEY}\u00a0`,
  `\u3000${KEY}`,
  `${KEY}\u200b`,
  `\ufeff${KEY}`,
  '81A1\u206007141716',
  '81A1\0' + '07141716',
  '81A1\n07141716',
  '81A1\x7f07141716',
  `81A1${HALF_A_CHARACTER}07141716`,
];

/**
 * @param {() => unknown} make
 * @param {string[]} names
 */
async function assertMisconfigured(make, ...names) {
  const error = await failure(make);
  assert.equal(error?.constructor, ConfigurationError, inspect(error));
  const { code, outcome } = error;
  assert.deepEqual({ code, outcome }, { code: 'configuration', outcome: 'not_sent' });
  assert.ok(
    names.some((name) => error.message.includes(name)),
    `${names}: ${error.message}`,
  );
  assertDiscreet(error);
}

for (const text of BAD_CREDENTIALS) {
  test(`a key that was copied badly is refused: ${short(text)}`, async () => {
    const good = { apiKey: 'k', apiSecret: 's' };
    for (const make of [
      (/** @type {any} */ given) => new Client(given),
      (/** @type {any} */ given) => new Webhook(given),
      (/** @type {any} */ given) => webhook.withPrevious(given),
    ]) {
      await assertMisconfigured(() => make({ ...good, apiKey: text }), 'API key', 'apiKey');
      await assertMisconfigured(
        () => make({ ...good, apiSecret: text }),
        'API secret',
        'apiSecret',
      );
    }
  });
}

test("a webhook's key and secret have a type, and both are needed", async () => {
  const good = { apiKey: KEY, apiSecret: SECRET };
  for (const make of [
    (/** @type {any} */ given) => new Webhook(given),
    (/** @type {any} */ given) => webhook.withPrevious(given),
  ]) {
    for (const name of ['apiKey', 'apiSecret']) {
      for (const value of [undefined, null, ...NOT_TEXT()]) {
        assertTypeError(await failure(() => make({ ...good, [name]: value })), name);
      }
      for (const value of HOSTILE()) {
        assertOwnOrTypeError(await failure(() => make({ ...good, [name]: value })));
      }
    }
    for (const value of [undefined, KEY, ...NOT_OPTIONS(), ...HOSTILE().slice(0, 5)]) {
      assertOwnOrTypeError(await failure(() => make(value)));
    }
    assertTypeError(await failure(() => make({ ...good, secret: SECRET })), 'secret');
  }
  assert.throws(() => /** @type {any} */ (Webhook)(good), TypeError);
});

test("a webhook's options are read once", () => {
  let reads = 0;
  const given = {
    get apiKey() {
      reads += 1;
      return KEY;
    },
    apiSecret: SECRET,
  };
  new Webhook(given);
  assert.equal(reads, 1);
  webhook.withPrevious(given);
  assert.equal(reads, 2);
});

/** @type {Record<string, any>} */
const CLIENT_OPTIONS = {
  apiKey: KEY,
  apiSecret: SECRET,
  merchantEmail: EMAIL,
  baseUrl: 'http://127.0.0.1:9/wallet',
  timeout: 20_000,
  connectTimeout: 5_500.5,
  maxRetries: 1,
  proxy: 'http://127.0.0.1:9',
  appName: 'shop/1.0',
};
const NOT_PEM = () => NOT_TEXT().filter((value) => !(value instanceof Uint8Array));
/** @type {Record<string, () => unknown[]>} */
const WRONG_CLIENT_OPTIONS = {
  timeout: NOT_MILLISECONDS,
  connectTimeout: NOT_MILLISECONDS,
  maxRetries: NOT_A_COUNT,
  rootCertificates: NOT_PEM,
};

test("a client's good options are taken", () => {
  const ages = { timeout: INFINITY, connectTimeout: Number.MAX_VALUE, maxRetries: 2 ** 53 };
  const absent = Object.fromEntries(
    Object.keys(CLIENT_OPTIONS).map((name) => [name, name === 'apiKey' ? KEY : null]),
  );
  for (const options of [
    CLIENT_OPTIONS,
    { ...CLIENT_OPTIONS, ...ages },
    { ...absent, rootCertificates: null },
    Object.assign(Object.create(null), CLIENT_OPTIONS),
  ]) {
    new Client(options).close();
  }
  assert.throws(() => /** @type {any} */ (Client)(CLIENT_OPTIONS), TypeError);
});

for (const name of [...Object.keys(CLIENT_OPTIONS), 'rootCertificates']) {
  test(`a client's option of a wrong type: ${name}`, async () => {
    const make = (/** @type {any} */ value) => new Client({ ...CLIENT_OPTIONS, [name]: value });
    for (const value of (WRONG_CLIENT_OPTIONS[name] ?? NOT_TEXT)()) {
      assertTypeError(await failure(() => make(value)), name);
    }
    for (const value of HOSTILE()) {
      assertOwnOrTypeError(await failure(() => make(value)));
    }
  });
}

test('root certificates may be text or bytes', async () => {
  const steps = [{ do: 'respond', status: 200, body: { json: {} } }];
  const server = await ScriptedServer.start({
    tls: 'trusted',
    steps: [...steps, ...steps, ...steps],
  });
  try {
    const pem = server.rootCertificate ?? '';
    const around = Buffer.from(`xx${pem}xx`);
    for (const rootCertificates of [
      pem,
      around.subarray(2, -2),
      new Uint8Array(new Uint8Array(around).buffer, 2, pem.length),
    ]) {
      const { baseUrl: _, proxy: __, ...others } = CLIENT_OPTIONS;
      const made = new Client({ ...others, baseUrl: server.url, rootCertificates });
      around.fill(0);
      assert.equal((await made.request('GET', '/x')).text, '{}');
      around.write(`xx${pem}xx`);
      made.close();
    }
  } finally {
    server.stop();
  }
});

test("a client's options are one object, and known", async () => {
  for (const value of [KEY, ...NOT_OPTIONS(), ...HOSTILE().slice(0, 5)]) {
    const error = await failure(() => new Client(/** @type {any} */ (value)));
    assert.ok(error instanceof Trap || error.constructor === TypeError, inspect(error));
  }
  for (const name of ['api_key', 'key', 'verify', 'retries', 'rejectUnauthorized', 'toString']) {
    const options = { ...CLIENT_OPTIONS, [name]: 'x' };
    assertTypeError(await failure(() => new Client(options)), name);
  }
});

/** @type {[string, any, string][]} */
const UNUSABLE_OPTIONS = [
  ...[0, -0, -1, -INFINITY, 5e-324].flatMap(
    (bad) =>
      /** @type {[string, any, string][]} */ ([
        ['timeout', bad, 'timeout'],
        ['connectTimeout', bad, 'connectTimeout'],
      ]),
  ),
  ['maxRetries', -1, 'maxRetries'],
  ['maxRetries', -Number.MAX_VALUE, 'maxRetries'],
  ...['', ' ', 'merchant', ` ${EMAIL}`, `${EMAIL}\n`, 'تاجر@example.com', HALF_A_CHARACTER].map(
    (bad) => /** @type {[string, any, string]} */ (['merchantEmail', bad, 'email']),
  ),
  ...[
    '',
    '/wallet',
    'pay.shop.example',
    'ftp://shop.example',
    'javascript:alert(1)',
    'http://192.0.2.1/wallet',
    'http://shop.example/wallet',
    'https://user:password@shop.example/wallet',
    'https://shop.example/wallet?key=1',
    'https://shop.example/wallet#top',
    'http://[::1',
    'http://127.0.0.1:99999',
    `http://127.0.0.1/${HALF_A_CHARACTER}`,
  ].map((bad) => /** @type {[string, any, string]} */ (['baseUrl', bad, 'base URL'])),
  ...['', '::', 'gopher://127.0.0.1', HALF_A_CHARACTER].map(
    (bad) => /** @type {[string, any, string]} */ (['proxy', bad, 'proxy']),
  ),
  ...[
    'no PEM',
    Buffer.from([0xff, 0]),
    '-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n',
    HALF_A_CHARACTER,
  ].map((bad) => /** @type {[string, any, string]} */ (['rootCertificates', bad, 'root'])),
  ...['', ' ', 'a\nb', 'متجر', HALF_A_CHARACTER].map(
    (bad) => /** @type {[string, any, string]} */ (['appName', bad, 'app']),
  ),
];

for (const [name, value, said] of UNUSABLE_OPTIONS) {
  test(`a client's option that cannot be used: ${name} ${short(value)}`, async () => {
    await assertMisconfigured(() => new Client({ ...CLIENT_OPTIONS, [name]: value }), said, name);
  });
}

test("a simulator's key is not for the provider", async () => {
  await assertMisconfigured(() => new Client({ apiKey: 'sim_key' }), 'simulator');
});

// ---------------------------------------------------------------- the environment

/**
 * Sets variables for as long as something runs.
 *
 * @param {Record<string, string>} variables
 * @param {() => unknown} run
 */
async function withEnvironment(variables, run) {
  const names = Object.keys(variables).map((name) => `KAZAWALLET_${name}`);
  try {
    for (const [name, value] of Object.entries(variables)) {
      process.env[`KAZAWALLET_${name}`] = value;
    }
    await run();
  } finally {
    for (const name of names) {
      delete process.env[name];
    }
  }
}

/** All four variables, for the simulator. */
const VARIABLES = {
  API_KEY: simulator.apiKey,
  API_SECRET: simulator.apiSecret,
  MERCHANT_EMAIL: simulator.merchantEmail,
  BASE_URL: simulator.url,
};

test('without a key it is said where one is looked for', async () => {
  for (const options of [undefined, {}, { apiKey: undefined }, { apiKey: null }]) {
    await assertMisconfigured(() => new Client(options), 'KAZAWALLET_API_KEY');
  }
});

test('options are taken from the environment', async () => {
  await withEnvironment(VARIABLES, async () => {
    const made = new Client();
    assert.equal((await made.wallets.list()).wallets.length, 2);
    made.close();
  });
});

test('what is given goes before the environment', async () => {
  const unused = Object.fromEntries(
    Object.keys(VARIABLES).map((name) => [name, 'http://127.0.0.1:9/not@used']),
  );
  await withEnvironment(unused, async () => {
    const made = simulator.client();
    assert.equal((await made.wallets.list()).wallets.length, 2);
    made.close();
  });
});

test("the environment's secret is for the environment's key", async () => {
  await withEnvironment(VARIABLES, async () => {
    const made = new Client({ apiKey: simulator.apiKey });
    const error = await refusal(() => made.wallets.list());
    assertValidationError(error, 'apiSecret');
    made.close();
  });
});

test('an empty variable is not set, and a blank key is not looked up', async () => {
  await withEnvironment({ ...VARIABLES, API_KEY: '' }, async () => {
    await assertMisconfigured(() => new Client(), 'KAZAWALLET_API_KEY');
  });
  await withEnvironment(VARIABLES, async () => {
    await assertMisconfigured(() => new Client({ apiKey: '' }), 'API key');
  });
});

test('a variable that cannot be used is refused', async () => {
  for (const name of Object.keys(VARIABLES)) {
    await withEnvironment({ ...VARIABLES, [name]: `${KEY}\n` }, async () => {
      const names = ['API key', 'API secret', 'merchant email', 'base URL'];
      await assertMisconfigured(() => new Client(), ...names);
    });
  }
});

// ---------------------------------------------------------------- a client that is closed

for (const operation of OPERATIONS) {
  test(`${operation}: a closed client says so`, async () => {
    const closed = simulator.client();
    await call(operation, OPTIONS[operation], closed);
    closed.close();
    closed.close();
    const error = await refusal(() => call(operation, OPTIONS[operation], closed));
    assert.equal(error.constructor, Error);
    assert.match(error.message, /closed/);
    // Whichever comes first: both are true.
    const both = await refusal(() => call(operation, { timeout: 'soon' }, closed));
    assert.ok(both.constructor === Error || both.constructor === TypeError);
  });
}

test('a client that was never built is no crash', async () => {
  /** @type {any} */
  const never = Object.create(Client.prototype);
  assert.equal(never.paymentLinks, undefined);
  assert.equal((await failure(() => never.request('GET', '/x'))).constructor, TypeError);
  assert.throws(() => never.close(), TypeError);
  const { close } = client;
  assert.throws(() => close(), TypeError);
  inspect(never);
});

// ---------------------------------------------------------------- the webhook

/** @param {object} [fields] */
function delivery(fields) {
  const secret = webhook.sign({ amount: '10.50', orderId: 'pl_1' });
  const known = { order_id: 'pl_1', amount: '10.50', status: 'fulfilled', secret };
  return JSON.stringify({ ...known, currency: 'USD', ref: 'order-42', ...fields });
}

const TEXT = delivery({ note: 'a field of tomorrow' });
const BODY = Buffer.from(TEXT);

/** @type {(body: any) => any} */
const verify = (body) => webhook.verify(body);

function bodiesThatWereParsed() {
  const parsed = JSON.parse(TEXT);
  const form = new FormData();
  form.set('order_id', 'pl_1');
  return {
    undefined: undefined,
    null: null,
    'a parsed object': parsed,
    'a parsed object without a prototype': Object.assign(Object.create(null), parsed),
    'an instance of a class': new (heirOf(parsed))(),
    'a list': [BODY],
    'a list of numbers': [...BODY],
    'what JSON makes of a Buffer': BODY.toJSON(),
    'form fields': new URLSearchParams(parsed),
    'form data': form,
    'a number': 5,
    'a fraction': 1.5,
    'a bigint': 10n,
    'a flag': true,
    'a symbol': Symbol('body'),
    'a function': () => BODY,
    'the class of buffers': Buffer,
    'a String object': new String(TEXT),
    'a date': new Date(0),
    'a map': new Map(Object.entries(parsed)),
    'an error': new Error('no body'),
    'a promise': Promise.resolve(TEXT),
    'a stream': Readable.from([BODY]),
    'a web stream': new Blob([BODY]).stream(),
    'a blob': new Blob([BODY]),
    'a request': new Request('http://127.0.0.1:9/', { method: 'POST', body: BODY }),
    'a response': new globalThis.Response(BODY),
    'a message with a body': { body: BODY, headers: {} },
    'a DataView': new DataView(new Uint8Array(BODY).buffer),
    'a Uint16Array': new Uint16Array(4),
    'an Int8Array': new Int8Array(BODY),
    'a Uint8ClampedArray': new Uint8ClampedArray(BODY),
    'a Float64Array': new Float64Array(2),
    'a BigUint64Array': new BigUint64Array(2),
    'a SharedArrayBuffer': new SharedArrayBuffer(8),
    'an iterator': BODY.values(),
    'something that calls itself an ArrayBuffer': {
      [Symbol.toStringTag]: 'ArrayBuffer',
      byteLength: 4,
      length: 4_000_000_000,
    },
    'something that calls itself a Uint8Array': {
      [Symbol.toStringTag]: 'Uint8Array',
      buffer: new ArrayBuffer(8),
      byteLength: 4,
      length: 4,
    },
    "an heir of a buffer's": Object.create(BODY),
    'the prototype of buffers': Buffer.prototype,
  };
}

for (const [name, body] of Object.entries(bodiesThatWereParsed())) {
  test(`a body that was parsed is a TypeError that says where the raw one is: ${name}`, async () => {
    const error = await failure(() => verify(body));
    assert.equal(error?.constructor, TypeError, inspect(error));
    for (const way of [
      'Express',
      'express.raw',
      'Fastify',
      'Next.js',
      'Hono',
      '`body`',
      '.text()',
    ]) {
      assert.ok(error.message.includes(way), error.message);
    }
    for (const value of ['order-42', 'pl_1', 'tomorrow']) {
      assert.ok(!error.message.includes(value), error.message);
    }
    assertDiscreet(error);
  });
}

test('a body with traps is the caller’s own affair, and no crash', async () => {
  for (const body of [...HOSTILE(), new Proxy(BODY, {}), trapped(BODY), revoked(BODY)]) {
    assertOwnOrTypeError(await failure(() => verify(body)));
  }
});

/** A body in every type in which one may come, each in memory of its own. */
function goodBodies() {
  const body = Buffer.alloc(BODY.length);
  body.set(BODY);
  const shared = new SharedArrayBuffer(body.length);
  new Uint8Array(shared).set(body);
  const around = Buffer.concat([Buffer.from('{"x":'), body, Buffer.from('}')]);
  const pooled = Buffer.allocUnsafe(body.length);
  pooled.set(body);
  class Bytes extends Uint8Array {}
  class Odd extends Uint8Array {
    /** @override @returns {any} */
    slice() {
      return spring();
    }
  }
  const half = Math.floor(body.length / 2);
  const text = body.toString();
  /** @type {Record<string, any>} */
  const bodies = {
    'a Buffer': body,
    'a Buffer from the pool': pooled,
    'a Buffer inside another': around.subarray(5, 5 + body.length),
    'a Uint8Array': new Uint8Array(body),
    'a Uint8Array at an odd offset': new Uint8Array(new Uint8Array(around).buffer, 5, body.length),
    'an ArrayBuffer': new Uint8Array(body).buffer,
    'an heir of Uint8Array': new Bytes(body),
    'an heir with ways of its own': new Odd(body),
    'a Uint8Array over shared memory': new Uint8Array(shared),
    'a Buffer over shared memory': Buffer.from(shared),
    'an heir over shared memory': new Odd(/** @type {any} */ (shared)),
    text,
    'text in two parts': text.slice(0, half) + text.slice(half),
    'text that is a part': `xx${text}xx`.slice(2, -2),
    'bytes of another realm': runInNewContext('Uint8Array.from(bytes)', { bytes: [...body] }),
    'an ArrayBuffer of another realm': runInNewContext('Uint8Array.from(bytes).buffer', {
      bytes: [...body],
    }),
  };
  const resizable = resizableOf(body.length * 2);
  resizable.resize(body.length);
  new Uint8Array(resizable).set(body);
  bodies['a resizable ArrayBuffer'] = resizable;
  bodies['a view that follows its buffer'] = new Uint8Array(resizable);
  bodies['a Buffer over a resizable one'] = Buffer.from(resizable, 0, body.length);
  return bodies;
}

/**
 * An ArrayBuffer that can be resized; TypeScript's types of ES2022 have none.
 *
 * @param {number} maxByteLength
 * @returns {any}
 */
function resizableOf(maxByteLength) {
  const Resizable = /** @type {any} */ (ArrayBuffer);
  return new Resizable(maxByteLength, { maxByteLength });
}

for (const name of Object.keys(goodBodies())) {
  test(`a body may come as ${name}, and change afterwards`, () => {
    const body = goodBodies()[name];
    const event = verify(body);
    assert.equal(event.orderId, 'pl_1');
    assert.equal(event.ref, 'order-42');
    if (typeof body !== 'string') {
      // Byte for byte what the body is, and nothing that is only beside it in memory.
      new Uint8Array(body.buffer ?? body, body.byteOffset ?? 0, body.byteLength).fill(0x78);
    }
    assert.ok(event.body.equals(BODY));
    assert.equal(event.amount, '10.50');
    assert.deepEqual(event.extra, { note: 'a field of tomorrow' });
  });
}

test('a body that another thread changes meanwhile is one body, or none', async () => {
  const shared = new SharedArrayBuffer(BODY.length);
  const bytes = Buffer.from(shared);
  bytes.set(BODY);
  // The amount and the note flicker: 10.50 and 90.50, tomorrow and xomorrow.
  const places = [TEXT.indexOf('10.50'), TEXT.indexOf('tomorrow')];
  const flickering = new Worker(
    `const { parentPort, workerData: { shared, places } } = require('node:worker_threads');
     const bytes = new Uint8Array(shared);
     const [amount, note] = places;
     parentPort.postMessage('begins');
     for (let round = 0; ; round += 1) {
       Atomics.store(bytes, amount, round % 2 === 0 ? 0x39 : 0x31);
       Atomics.store(bytes, note, round % 3 === 0 ? 0x78 : 0x74);
     }`,
    { eval: true, workerData: { shared, places } },
  );
  try {
    await guarded(once(flickering, 'message'), () => 'the other thread');
    const copies = [bytes, new Uint8Array(shared)];
    for (let round = 0; round < 2_000; round += 1) {
      try {
        const event = verify(copies[round % 2]);
        // What was verified is what is given.
        assert.equal(event.amount, '10.50');
        assert.equal(verify(event.body).extra.note, event.extra.note);
      } catch (error) {
        assert.ok(error instanceof SignatureVerificationError, inspect(error));
      }
    }
  } finally {
    await flickering.terminate();
  }
});

test('a body whose memory is gone is refused', async () => {
  const view = new Uint8Array(BODY);
  const { buffer } = view;
  structuredClone(buffer, { transfer: [buffer] });
  assert.equal(view.length, 0);
  const resizable = resizableOf(100);
  const beyond = new Uint8Array(resizable, 50, 50);
  const behind = new Uint8Array(resizable, 50);
  resizable.resize(10);
  for (const body of [view, buffer, beyond, behind, Buffer.alloc(0)]) {
    const error = await failure(() => verify(body));
    assert.ok(
      error.constructor === TypeError || error.constructor === WebhookPayloadError,
      inspect(error),
    );
  }
});

test('a body that is no delivery is refused', async () => {
  for (const body of [
    '',
    Buffer.alloc(0),
    new ArrayBuffer(0),
    ' \n',
    'null',
    '[]',
    '{}',
    '5',
    'order_id',
    'undefined',
    '[object Object]',
    Buffer.from([0xff, 0xfe, 0x7b, 0x7d]),
    TEXT.slice(0, -1),
    `${TEXT}x`,
    `\ufeff${TEXT}\ufeff`,
    '{'.repeat(60_000),
    '['.repeat(60_000),
    HALF_A_CHARACTER,
    TEXT.replace('tomorrow', HALF_A_CHARACTER),
    TEXT.replace('pl_1', '\udc00'),
    inspect(JSON.parse(TEXT)),
  ]) {
    const error = await failure(() => verify(body));
    assert.equal(error.constructor, WebhookPayloadError, inspect(error));
    const { code, outcome } = error;
    assert.deepEqual({ code, outcome }, { code: 'webhook_payload', outcome: undefined });
    assertDiscreet(error);
  }
});

test('a body has at most 65536 bytes, in any type', async () => {
  const types = [
    (/** @type {Buffer} */ body) => body,
    (/** @type {Buffer} */ body) => new Uint8Array(body).buffer,
    (/** @type {Buffer} */ body) => body.toString(),
  ];
  for (const asType of types) {
    assert.equal(verify(asType(Buffer.from(TEXT.padEnd(65_536)))).orderId, 'pl_1');
    for (const length of [65_537, 10_000_000]) {
      const error = await failure(() => verify(asType(Buffer.from(TEXT.padEnd(length)))));
      assert.equal(error.constructor, WebhookPayloadError);
      assert.ok(error.message.includes(`${length}`), error.message);
    }
  }
  const wide = TEXT.replace('tomorrow', 'ل'.repeat(40_000));
  assert.equal((await failure(() => verify(wide))).constructor, WebhookPayloadError);
});

/** @type {Record<string, any>} */
const ORDER = { amount: '10.50', currency: 'USD', ref: 'order-42', orderId: 'pl_1' };
/** @type {any} */
const EVENT = verify(BODY);

test("an order's amount and texts have a type, and all but the order id are needed", async () => {
  for (const name of Object.keys(ORDER)) {
    const nothing = name === 'orderId' ? [] : [undefined, null];
    for (const value of [...nothing, ...(name === 'amount' ? NOT_AN_AMOUNT : NOT_TEXT)()]) {
      assertTypeError(await failure(() => EVENT.matchOrder({ ...ORDER, [name]: value })), name);
    }
    for (const value of HOSTILE()) {
      const error = await failure(() => EVENT.matchOrder({ ...ORDER, [name]: value }));
      assertOwnOrTypeError(error);
    }
  }
  for (const orderId of [undefined, null]) {
    assert.equal(EVENT.matchOrder({ ...ORDER, orderId }), EVENT);
  }
});

test('an order is one object, and known', async () => {
  assert.equal(EVENT.matchOrder(ORDER), EVENT);
  for (const value of [undefined, ...NOT_OPTIONS(), ...HOSTILE().slice(0, 5)]) {
    assertOwnOrTypeError(await failure(() => EVENT.matchOrder(value)));
  }
  assertTypeError(await failure(() => EVENT.matchOrder({ ...ORDER, reference: 'x' })), 'reference');
  assertTypeError(await failure(() => EVENT.matchOrder({ ...ORDER, order_id: 'x' })), 'order_id');
  assert.equal((await failure(() => EVENT.matchOrder('10.50', 'USD'))).constructor, TypeError);
});

test('an order that does not fit says what does not', async () => {
  for (const name of ['currency', 'ref', 'orderId']) {
    for (const value of ['', ' ', 'another', HALF_A_CHARACTER, 'x'.repeat(10_000_000)]) {
      const error = await failure(() => EVENT.matchOrder({ ...ORDER, [name]: value }));
      assert.ok(
        error instanceof OrderMismatchError || error instanceof ValidationError,
        inspect(error),
      );
      assert.equal(error.field, name);
      assert.ok(error.message.length < LONGEST_MESSAGE);
    }
  }
});

test('what is to be signed has a type, and is known', async () => {
  /** @type {any} */
  const sign = (/** @type {any} */ given) => webhook.sign(given);
  const good = { amount: '10.50', orderId: 'pl_1' };
  for (const orderId of [undefined, null, ...NOT_TEXT()]) {
    assertTypeError(await failure(() => sign({ ...good, orderId })), 'orderId');
  }
  for (const amount of [undefined, null, ...NOT_AN_AMOUNT()]) {
    assertTypeError(await failure(() => sign({ ...good, amount })), 'amount');
  }
  // A link that timed out may have the amount zero.
  const isZero = (/** @type {unknown} */ amount) => amount === 0 || amount === 0n;
  for (const [, amount] of NO_AMOUNTS) {
    if (isZero(amount)) {
      assert.equal(sign({ ...good, amount }), sign({ ...good, amount: '0' }));
    } else {
      assertValidationError(await failure(() => sign({ ...good, amount })), 'amount');
    }
  }
  for (const value of [undefined, ...NOT_OPTIONS(), ...HOSTILE().slice(0, 5)]) {
    assertOwnOrTypeError(await failure(() => sign(value)));
  }
  assertTypeError(await failure(() => sign({ ...good, order_id: 'pl_1' })), 'order_id');
});

test('methods of a webhook and of an event want their owner', async () => {
  const methods = [
    [Webhook.prototype, 'verify', BODY],
    [Webhook.prototype, 'sign', { amount: '1', orderId: '1' }],
    [Webhook.prototype, 'withPrevious', { apiKey: KEY, apiSecret: SECRET }],
    [PaymentEvent.prototype, 'matchOrder', ORDER],
  ];
  for (const [prototype, name, given] of methods) {
    const method = /** @type {any} */ (prototype)[/** @type {string} */ (name)];
    const strangers = [undefined, null, {}, 5, METHOD, client, Object.create(EVENT)];
    for (const self of [...strangers, Object.create(/** @type {any} */ (prototype))]) {
      const error = await failure(() => Reflect.apply(method, self, [given]));
      assert.equal(error.constructor, TypeError, `${name}: ${inspect(error)}`);
    }
  }
  const own = [Webhook.prototype.verify, EVENT.matchOrder];
  assert.throws(() => Reflect.apply(own[0], EVENT, [BODY]), TypeError);
  assert.throws(() => Reflect.apply(own[1], webhook, [ORDER]), TypeError);
});

// ---------------------------------------------------------------- an event comes from `verify` alone

/** @type {any} */
const Event = PaymentEvent;
const EVENT_PROPERTIES = [
  'orderId',
  'amount',
  'status',
  'currency',
  'ref',
  'isFulfilled',
  'extra',
  'body',
];

test('an event is not made', async () => {
  const Forged = /** @type {any} */ (class extends Event {});
  const verified = { packed: `1${'\0'.repeat(15)}`, webhook };
  for (const make of [
    () => new Event(),
    () => new Event(BODY),
    () => new Event(undefined, undefined),
    () => new Event(Symbol('verified'), verified),
    () => new Event(Symbol.for('verified'), verified),
    () => new Event(trapped(), trapped()),
    () => new Event(verified),
    () => new Forged(),
    () => new Forged(Symbol('verified'), verified),
    () => new EVENT.constructor(),
    () => Reflect.construct(Event, []),
    () => Reflect.construct(Event, [Symbol('verified'), verified], Object),
    () => /** @type {any} */ (Reflect.construct(Object, [], Event)).amount,
    () => Event(),
    () => Event.call(Object.create(Event.prototype)),
  ]) {
    const error = await failure(make);
    assertOwnOrTypeError(error);
  }
  assert.match((await failure(() => new Event())).message, /Webhook\.verify/);
});

test('what only looks like an event says nothing', async () => {
  const inPlain = { ...EVENT };
  for (const forged of [
    Object.create(Event.prototype),
    Object.create(EVENT),
    Object.setPrototypeOf({ amount: '1000000' }, Event.prototype),
    new Proxy(EVENT, {}),
    Event.prototype,
  ]) {
    for (const name of EVENT_PROPERTIES) {
      if (!Object.hasOwn(forged, name) || forged === Event.prototype) {
        assert.equal((await failure(() => forged[name])).constructor, TypeError, name);
      }
    }
    assert.throws(() => forged.matchOrder(ORDER), TypeError);
    assert.throws(() => forged.toJSON(), TypeError);
    assert.throws(() => JSON.stringify(forged), TypeError);
  }
  assert.deepEqual(inPlain, {});
  const copy = structuredClone(EVENT);
  assert.equal(copy instanceof PaymentEvent, false);
  assert.deepEqual(copy, {});
});

test('an event does not change', () => {
  const event = verify(BODY);
  for (const name of EVENT_PROPERTIES) {
    const before = event[name];
    assert.throws(() => {
      event[name] = 'x';
    }, TypeError);
    assert.throws(() => Object.assign(event, { [name]: 'x' }), TypeError);
    assert.deepEqual(event[name], before);
  }
  event.extra.note = 'changed';
  event.body.fill(0);
  assert.deepEqual(event.extra, { note: 'a field of tomorrow' });
  assert.ok(event.body.equals(BODY));
});

// ---------------------------------------------------------------- the simulator

/** @type {[any, Function, RegExp][]} */
const SIMULATOR_SETTINGS = [
  [{ webhookUrl: 5 }, TypeError, /webhookUrl/],
  [{ webhookUrl: 'nonsense' }, SimulatorError, /./],
  [{ webhookUrl: 'ftp://127.0.0.1/' }, SimulatorError, /./],
  [{ merchantEmail: 5 }, TypeError, /merchantEmail/],
  [{ apiKey: 5 }, TypeError, /apiKey/],
  [{ apiKey: 'live_key' }, SimulatorError, /sim_/],
  [{ apiSecret: 'live_secret' }, SimulatorError, /sim_/],
  [{ port: '80' }, TypeError, /port/],
  [{ port: 80n }, TypeError, /port/],
  [{ port: -1 }, SimulatorError, /port/],
  [{ port: 65_536 }, SimulatorError, /port/],
  [{ port: 1.5 }, SimulatorError, /port/],
  [{ port: Number.NaN }, SimulatorError, /port/],
  [{ balances: 'USD' }, TypeError, /balances/],
  [{ balances: [['USD', '1']] }, TypeError, /balances/],
  [{ balances: new Map([['USD', '1']]) }, TypeError, /balances/],
  [{ balances: { USD: 1.5 } }, TypeError, /balances/],
  [{ balances: { USD: null } }, TypeError, /balances/],
  [{ balances: { USD: 'much' } }, SimulatorError, /./],
  [{ speed: 1 }, TypeError, /speed/],
  ['nonsense', TypeError, /./],
  [null, TypeError, /./],
  [new Map([['port', 1]]), TypeError, /./],
];

for (const [settings, kind, said] of SIMULATOR_SETTINGS) {
  test(`a simulator is not started with ${short(inspect(settings))}`, async () => {
    const error = await failure(() => Simulator.start(settings));
    assert.equal(error?.constructor, kind, inspect(error));
    assert.match(error.message, said);
  });
}

test("what a simulator's methods are given has a type, and is known", async () => {
  /** @type {any} */
  const any = simulator;
  const forged = [Object.create(PaymentLink.prototype), { url: 5, id: 'y', raw: {} }];
  for (const link of [undefined, null, ...NOT_TEXT(), ...forged]) {
    for (const make of [() => any.pay(link), () => any.timeOut(link)]) {
      const error = await failure(make);
      assert.equal(error.constructor, TypeError, inspect(error));
    }
  }
  for (const link of ['', 'nonsense', 'https://elsewhere.example/l/1', 'x'.repeat(1_000_000)]) {
    for (const make of [() => any.pay(link), () => any.timeOut(link)]) {
      const error = await failure(make);
      assert.equal(error.constructor, SimulatorError, inspect(error));
    }
  }
  const good = { url: 'http://127.0.0.1:9/', amount: '1' };
  assertTypeError(await failure(() => any.trigger({ ...good, url: 5 })), 'url');
  assertTypeError(await failure(() => any.trigger({ ...good, amount: 1.5 })), 'amount');
  assertTypeError(await failure(() => any.trigger({ ...good, status: 5 })), 'status');
  assertTypeError(await failure(() => any.trigger({ ...good, speed: 5 })), 'speed');
  assert.equal((await failure(() => any.trigger(good.url))).constructor, TypeError);
  for (const value of [undefined, null, ...NOT_TEXT()]) {
    assertTypeError(await failure(() => any.balance(value)), 'currency');
    assertTypeError(await failure(() => any.fault(value)), 'fault');
  }
  assert.equal((await failure(() => any.fault('nonsense'))).constructor, SimulatorError);
  assert.equal((await failure(() => any.fault('answer_status:x'))).constructor, SimulatorError);
  for (const times of [0, -1, 1.5, Number.NaN, -INFINITY]) {
    const error = await failure(() => any.fault('html_answer', { times }));
    assert.equal(error.constructor, SimulatorError, inspect(error));
  }
  for (const times of ['2', 2n, {}, [], true, Symbol('x')]) {
    const error = await failure(() => any.fault('html_answer', { times }));
    assert.ok([TypeError, SimulatorError].includes(error.constructor), inspect(error));
  }
  assert.equal((await failure(() => any.fault('html_answer', 2))).constructor, TypeError);
  for (const value of [5, true, {}, []]) {
    const set = () => {
      any.webhookUrl = value;
    };
    assertTypeError(await failure(set), 'webhookUrl');
  }
  const set = () => {
    any.webhookUrl = 'nonsense';
  };
  assert.equal((await failure(set)).constructor, SimulatorError);
  for (const value of ['x', 5, { apiKey: 5 }, { speed: 1 }, new Map([['a', 1]])]) {
    if (!(value instanceof Map) && value !== 5) {
      assert.equal((await failure(() => any.client(value))).constructor, TypeError, inspect(value));
    }
  }
  any.clearFaults();
});

test("a simulator's methods want their owner", async () => {
  for (const name of ['pay', 'timeOut', 'trigger', 'stop', 'balance', 'fault', 'clearFaults']) {
    const method = /** @type {any} */ (Simulator.prototype)[name];
    for (const self of [undefined, {}, Object.create(Simulator.prototype)]) {
      const error = await failure(() => Reflect.apply(method, self, ['x']));
      assert.equal(error.constructor, TypeError, `${name}: ${inspect(error)}`);
    }
  }
});

test('after all that, everything still works', async () => {
  const link = await client.paymentLinks.create({ amount: '1', currency: 'USD', ref: 'order-43' });
  const [delivered] = await simulator.pay(link);
  const event = simulator.webhook().verify(delivered.body);
  assert.equal(event.matchOrder({ amount: 1n, currency: 'usd', ref: 'order-43' }), event);
});
