// The vectors of tests/vectors, as tests/README.md says: signatures, amounts and webhook bodies.
// The phones are in phones.test.mjs.

import assert from 'node:assert/strict';
import { after } from 'node:test';
import { inspect } from 'node:util';

import { kazawallet, testing } from './package.mjs';
import { test } from './runtimes.mjs';
import {
  fileNames,
  holdKeys,
  NotUnderstood,
  readJson,
  readJsonExactly,
  readText,
  short,
} from './shared-data.mjs';

const {
  KazawalletError,
  OrderMismatchError,
  PaymentMethod,
  SignatureVerificationError,
  ValidationError,
  Webhook,
  WebhookPayloadError,
} = kazawallet;

// Before the first test: those that are defined after an `await` may be lost.
const simulator = await testing.Simulator.start();
const client = simulator.client();
after(async () => {
  client.close();
  await simulator.stop();
});

const KNOWN_FILES = ['amounts.json', 'payloads.json', 'phones.json', 'signatures.json'];

/** @param {string} name */
const read = (name) => readJson(readText('vectors', name));

/**
 * @param {string} name
 * @param {string} required
 * @param {string} [optional]
 * @returns {any[]}
 */
function casesOf(name, required, optional) {
  const file = holdKeys(name, read(name), 'made_with cases');
  return file.cases.map((/** @type {any} */ each) => holdKeys(name, each, required, optional));
}

/**
 * What a call throws or is rejected with.
 *
 * @param {() => unknown} call
 * @returns {Promise<any>}
 */
async function refusal(call) {
  let result;
  try {
    result = await call();
  } catch (error) {
    return error;
  }
  return assert.fail(`nothing was refused: ${inspect(result)}`);
}

test('every file of the vectors is known', () => {
  assert.deepEqual(
    fileNames('vectors').filter((name) => name.endsWith('.json')),
    KNOWN_FILES,
  );
});

// ---------------------------------------------------------------- signatures

const SIGNATURES = casesOf('signatures.json', 'name amount order_id api_key api_secret secret');

/**
 * @param {string} amount
 * @param {string} orderId
 * @param {string} secret
 */
function delivery(amount, orderId, secret) {
  return Buffer.from(JSON.stringify({ order_id: orderId, amount, secret, status: 'fulfilled' }));
}

/**
 * The text with one character replaced by another, once for each character. A digit stays a digit,
 * so that a changed amount is still an amount.
 *
 * @param {string} text
 */
function* eachCharacterChanged(text) {
  const characters = [...text];
  for (const [at, old] of characters.entries()) {
    const changed = /\d/.test(old) ? `${(Number(old) + 1) % 10}` : old === '.' ? '0' : 'x';
    yield characters.with(at, changed === old ? 'y' : changed).join('');
  }
}

test('no signature is missing', () => {
  assert.ok(SIGNATURES.length >= 33);
});

for (const each of SIGNATURES) {
  test(`signature: ${each.name}`, () => {
    const webhook = new Webhook({ apiKey: each.api_key, apiSecret: each.api_secret });
    assert.equal(webhook.sign({ amount: each.amount, orderId: each.order_id }), each.secret);
    const event = webhook.verify(delivery(each.amount, each.order_id, each.secret));
    assert.equal(event.amount, each.amount);
    assert.equal(event.orderId, each.order_id);
    assert.equal(event.isFulfilled, true);
  });

  test(`any changed character breaks the signature: ${each.name}`, () => {
    for (const part of ['amount', 'order_id', 'api_key', 'api_secret', 'secret']) {
      for (const text of eachCharacterChanged(each[part])) {
        const changed = { ...each, [part]: text };
        const webhook = new Webhook({ apiKey: changed.api_key, apiSecret: changed.api_secret });
        const body = delivery(changed.amount, changed.order_id, changed.secret);
        assert.throws(
          () => webhook.verify(body),
          (/** @type {any} */ error) => {
            assert.equal(error.constructor, SignatureVerificationError, part);
            assert.equal(error.code, 'signature_verification');
            assert.equal(error.outcome, undefined);
            return true;
          },
        );
      }
    }
  });
}

// ---------------------------------------------------------------- amounts

const AMOUNTS = holdKeys('amounts.json', read('amounts.json'), 'good bad typed');
/** @type {any[]} */
const GOOD = AMOUNTS.good.map((/** @type {any} */ each) =>
  holdKeys('good', each, 'text shortest two_decimals', 'equal_to not_equal_to'),
);
/** @type {any[]} */
const BAD = AMOUNTS.bad.map((/** @type {any} */ each) =>
  holdKeys('bad', each, 'text why', 'message_contains'),
);
const WEBHOOK = new Webhook({ apiKey: '81A107141716', apiSecret: '888B6B8877F8' });

/**
 * The calls that take an amount.
 *
 * @type {Record<string, (amount: any) => unknown>}
 */
const TAKERS = {
  'paymentLinks.create': (amount) => client.paymentLinks.create({ amount, currency: 'USD' }),
  'withdrawals.create': (amount) =>
    client.withdrawals.create({
      amount,
      currency: 'USD',
      paymentMethod: PaymentMethod.custom({ id: '37', fields: { name: 'n' } }),
    }),
  'deposits.create': (amount) =>
    client.deposits.create({
      amount,
      currency: 'USD',
      userEmail: 'user@example.com',
      paymentMethod: PaymentMethod.custom({ id: '118', fields: {} }),
    }),
  sign: (amount) => WEBHOOK.sign({ amount, orderId: 'pl_1' }),
  matchOrder: (amount) => eventOf('1').matchOrder({ amount, currency: 'USD', ref: '1' }),
};

/**
 * The event of a delivery with this amount; the signature may be over another form of it.
 *
 * @param {string} amount
 * @param {string} [signedOver]
 */
function eventOf(amount, signedOver = amount) {
  const secret = WEBHOOK.sign({ amount: signedOver, orderId: 'pl_1' });
  const fields = {
    order_id: 'pl_1',
    amount,
    secret,
    status: 'fulfilled',
    currency: 'USD',
    ref: '1',
  };
  return WEBHOOK.verify(JSON.stringify(fields));
}

/**
 * The amount that a call sends, once; it is text in its JSON.
 *
 * @param {() => unknown} call
 */
async function sentAmount(call) {
  const before = simulator.requests.length;
  try {
    await call();
  } catch (error) {
    // The simulated merchant need not take, or own, as much; what was sent counts.
    assert.ok(error instanceof KazawalletError, inspect(error));
    assert.equal(error.outcome, 'rejected');
  }
  const sent = simulator.requests.slice(before);
  assert.equal(sent.length, 1);
  return JSON.parse(sent[0]?.body ?? '').amount;
}

test('no amount is missing', () => {
  assert.ok(GOOD.length >= 39);
  assert.ok(BAD.length >= 114);
  assert.ok(AMOUNTS.typed.length >= 45);
});

for (const each of GOOD) {
  // A payment link takes fewer: those that its webhook's signature can be found by.
  test(`a good amount is sent as it is: ${short(each.text)}`, async () => {
    assert.equal(await sentAmount(() => TAKERS['withdrawals.create']?.(each.text)), each.text);
  });

  test(`a good amount compares by its value: ${short(each.text)}`, () => {
    const event = eventOf(each.text);
    assert.equal(event.amount, each.text);
    for (const amount of [each.text, ...(each.equal_to ?? [])]) {
      assert.equal(event.matchOrder({ amount, currency: 'usd', ref: '1' }), event);
    }
    for (const amount of each.not_equal_to ?? []) {
      assert.throws(
        () => event.matchOrder({ amount, currency: 'USD', ref: '1' }),
        (/** @type {any} */ error) => {
          assert.equal(error.constructor, OrderMismatchError);
          const { field, expected, actual, code, outcome } = error;
          assert.deepEqual(
            { field, expected, actual, code, outcome },
            {
              field: 'amount',
              expected: amount,
              actual: each.text,
              code: 'order_mismatch',
              outcome: undefined,
            },
          );
          return true;
        },
      );
    }
  });

  test(`a signature over an equal form of the amount holds: ${short(each.text)}`, () => {
    for (const form of [each.shortest, each.two_decimals]) {
      // With two decimals it may have more digits than an amount may have.
      if (form !== null && form.replaceAll('.', '').length <= 40) {
        assert.equal(eventOf(each.text, form).amount, each.text);
      }
    }
    if (each.two_decimals === null) {
      const [whole, fraction = ''] = each.shortest.split('.');
      const cut = `${whole}.${fraction.slice(0, 2)}`;
      // Zero is no amount to sign.
      if (/[1-9]/.test(cut)) {
        assert.throws(() => eventOf(each.text, cut), SignatureVerificationError);
      }
    }
  });
}

for (const each of BAD) {
  test(`a bad amount is refused: ${short(each.text)} (${each.why})`, async () => {
    for (const [name, give] of Object.entries(TAKERS)) {
      if (name === 'sign' && each.why === 'zero') {
        assert.equal(eventOf(each.text).amount, each.text);
        continue;
      }
      const before = simulator.requests.length;
      const error = await refusal(() => give(each.text));
      assert.equal(simulator.requests.length, before, name);
      assert.equal(error.constructor, ValidationError, name);
      assert.deepEqual(
        { code: error.code, field: error.field, outcome: error.outcome },
        { code: 'validation', field: 'amount', outcome: 'not_sent' },
        name,
      );
      assert.ok(error.message.includes(each.message_contains ?? ''), error.message);
    }
  });

  if (each.why !== 'zero') {
    test(`a delivery with a bad amount is refused: ${short(each.text)} (${each.why})`, () => {
      assert.throws(
        () => WEBHOOK.verify(delivery(each.text, 'pl_1', 'x')),
        (/** @type {any} */ error) => {
          assert.equal(error.constructor, WebhookPayloadError);
          assert.equal(error.code, 'webhook_payload');
          assert.equal(error.field, 'amount');
          return true;
        },
      );
    });
  }
}

/**
 * The values of JavaScript's types that a case's type stands for.
 *
 * @param {string} type
 * @param {any} written
 * @returns {unknown[]}
 */
function typedValues(type, written) {
  switch (type) {
    case 'integer': {
      const [integer, number] = [BigInt(written), Number(written)];
      return Number.isSafeInteger(number) ? [integer, number] : [integer];
    }
    case 'float':
      return [Number(written)];
    case 'boolean':
    case 'null':
    case 'object':
    case 'list':
      return [written];
    case 'decimal':
      return []; // JavaScript has no such type.
    default:
      throw new NotUnderstood(`typed: what is ${type}?`);
  }
}

/** @type {Record<string, Function>} */
const TYPED_ERRORS = { validation: ValidationError, type_error: TypeError };

for (const each of AMOUNTS.typed) {
  const [type, ...more] = Object.keys(each).filter(
    (key) => !['text', 'error', 'signed'].includes(key),
  );
  const known = 'text' in each ? !('error' in each) : each.error in TYPED_ERRORS;
  if (type === undefined || more.length > 0 || !known) {
    throw new NotUnderstood(`typed: ${JSON.stringify(each)}`);
  }
  for (const value of typedValues(type, each[type])) {
    const shown = typeof value === 'object' ? JSON.stringify(value) : String(value);
    test(`an amount given as ${type}: the ${typeof value} ${shown}`, async () => {
      for (const [name, give] of Object.entries(TAKERS)) {
        if (name === 'sign' && 'signed' in each) {
          assert.equal(give(value), WEBHOOK.sign({ amount: each.signed, orderId: 'pl_1' }));
        } else if ('error' in each) {
          await assertRefusedType(name, () => give(value), each.error, value);
        } else if (name === 'sign') {
          assert.equal(give(value), WEBHOOK.sign({ amount: each.text, orderId: 'pl_1' }));
        } else if (name === 'matchOrder') {
          const event = eventOf(each.text);
          const amount = /** @type {any} */ (value);
          assert.equal(event.matchOrder({ amount, currency: 'USD', ref: '1' }), event);
        } else {
          assert.equal(await sentAmount(() => give(value)), each.text, name);
        }
      }
    });
  }
}

/**
 * @param {string} name
 * @param {() => unknown} call
 * @param {string} wanted
 * @param {unknown} value
 */
async function assertRefusedType(name, call, wanted, value) {
  const before = simulator.requests.length;
  const error = await refusal(call);
  assert.equal(simulator.requests.length, before, name);
  assert.equal(error.constructor, TYPED_ERRORS[wanted], name);
  if (error instanceof ValidationError) {
    assert.equal(error.field, 'amount');
    assert.equal(error.outcome, 'not_sent');
    return;
  }
  assert.match(error.message, /`amount`/);
  assert.match(error.message, /"\d+\.\d+"/, 'the text form to use is not shown');
  if (typeof value === 'number' && Number.isFinite(value)) {
    assert.ok(error.message.includes(`"${value}"`), error.message);
  }
}

// ---------------------------------------------------------------- payloads

const PAYLOADS = casesOf(
  'payloads.json',
  'name api_key api_secret',
  'note previous body body_base64 body_repeat event error',
);
/** @type {Record<string, Function>} */
const PAYLOAD_ERRORS = {
  webhook_payload: WebhookPayloadError,
  signature_verification: SignatureVerificationError,
};

/** @param {any} each */
function bodyOf(each) {
  const bodies = ['body', 'body_base64', 'body_repeat'].filter((key) => key in each);
  if (bodies.length !== 1 || 'event' in each === 'error' in each) {
    throw new NotUnderstood(`${each.name}: one body, and one of \`event\` and \`error\``);
  }
  if ('body_base64' in each) {
    const bytes = Buffer.from(each.body_base64, 'base64');
    assert.equal(bytes.toString('base64'), each.body_base64);
    return bytes;
  }
  /** @type {any[]} */
  const parts = each.body_repeat ?? [{ text: each.body, times: 1 }];
  for (const part of parts) {
    holdKeys(`${each.name}, a part`, part, 'text times');
  }
  return Buffer.from(parts.map(({ text, times }) => text.repeat(times)).join(''));
}

/** @param {any} each */
function webhookOf(each) {
  let webhook = new Webhook({ apiKey: each.api_key, apiSecret: each.api_secret });
  for (const previous of each.previous ?? []) {
    holdKeys(`${each.name}, previous`, previous, 'api_key api_secret');
    webhook = webhook.withPrevious({ apiKey: previous.api_key, apiSecret: previous.api_secret });
  }
  return webhook;
}

/**
 * The body in each type in which a framework hands one over.
 *
 * @param {Buffer} body
 * @returns {Generator<Uint8Array | ArrayBuffer | string>}
 */
function* typesOf(body) {
  yield body;
  yield new Uint8Array(body);
  yield new Uint8Array(body).buffer;
  try {
    yield new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    // It is no text.
  }
}

test('no payload is missing', () => {
  const names = PAYLOADS.map((each) => each.name);
  assert.ok(names.length >= 460);
  assert.equal(new Set(names).size, names.length);
});

for (const each of PAYLOADS) {
  const body = bodyOf(each);
  if ('event' in each) {
    const keys = 'order_id amount status currency ref fulfilled extra';
    const wanted = holdKeys(each.name, each.event, keys);
    test(`payload: ${each.name}`, () => {
      const webhook = webhookOf(each);
      for (const given of typesOf(body)) {
        const event = webhook.verify(given);
        assert.equal(event.orderId, wanted.order_id);
        assert.equal(event.amount, wanted.amount);
        assert.equal(event.status, wanted.status);
        assert.equal(event.currency, wanted.currency ?? undefined);
        assert.equal(event.ref, wanted.ref ?? undefined);
        assert.equal(event.isFulfilled, wanted.fulfilled);
        // As pairs, since a field may be called __proto__; their order says nothing.
        const extra = Object.entries(wanted.extra).map(([name, json]) => [
          name,
          readJsonExactly(/** @type {string} */ (json)),
        ]);
        assert.deepEqual(Object.entries(event.extra).sort(), extra.sort());
        assert.ok(Buffer.isBuffer(event.body));
        assert.ok(body.equals(event.body), 'the body is another');
      }
    });
  } else {
    const wanted = holdKeys(each.name, each.error, 'code', 'field');
    test(`payload: ${each.name}`, () => {
      const webhook = webhookOf(each);
      for (const given of typesOf(body)) {
        assert.throws(
          () => webhook.verify(given),
          (/** @type {any} */ error) => {
            assert.ok(wanted.code in PAYLOAD_ERRORS, `what is ${wanted.code}?`);
            assert.equal(error.constructor, PAYLOAD_ERRORS[wanted.code]);
            assert.equal(error.code, wanted.code);
            if ('field' in wanted) {
              assert.equal(error.field, wanted.field ?? undefined);
            }
            assert.equal(error.outcome, undefined);
            const shown = `${error.stack} ${inspect(error)} ${JSON.stringify(error)}`;
            assert.ok(!shown.includes(each.api_secret), 'the secret is shown');
            return true;
          },
        );
      }
    });
  }
}
