// What the calls return: the whole answer byte for byte, JSON without floats, and nothing shown that
// may hold personal data.

import assert from 'node:assert/strict';
import { after } from 'node:test';
import { inspect } from 'node:util';

import { kazawallet, testing } from './package.mjs';
import { test } from './runtimes.mjs';
import { ScriptedServer } from './scripted-server.mjs';
import './shared-data.mjs';

const { APIError, Client, Deposit, PaymentLink, PaymentMethod, Response } = kazawallet;
const { UnexpectedResponseError, WalletList, Webhook, Withdrawal } = kazawallet;

const KEY = '81A107141716';
const SECRET = '888B6B8877F8';
const EMAIL = 'merchant@example.com';
const RECIPIENT = 'سعيد محمد حمدان';
const PHONE = '0933123456';
const NOTE = 'salary of May';
const USER_EMAIL = 'user@example.com';
const PRIVATE = [KEY, SECRET, EMAIL, RECIPIENT, PHONE, NOTE, USER_EMAIL];

// Before the first test: those that are defined after an `await` may be lost.
const simulator = await testing.Simulator.start({ balances: { USD: '250.00' } });
const client = simulator.client();
after(async () => {
  client.close();
  await simulator.stop();
});

/**
 * Makes a client of a server that plays these steps.
 *
 * @param {any[]} steps
 * @param {(client: any) => Promise<void>} use
 */
async function withAnswers(steps, use) {
  const server = await ScriptedServer.start({ steps });
  const client = new Client({
    apiKey: KEY,
    apiSecret: SECRET,
    merchantEmail: EMAIL,
    baseUrl: server.url,
    maxRetries: 0,
  });
  try {
    await use(client);
  } finally {
    client.close();
    server.stop();
  }
}

/**
 * A step that answers with these bytes.
 *
 * @param {string | Uint8Array} body
 * @param {number} [status]
 */
function answer(body, status = 200) {
  return { do: 'respond', status, body: { base64: Buffer.from(body).toString('base64') } };
}

// ---------------------------------------------------------------- the answer, byte for byte

/** @type {Record<string, string | Uint8Array>} */
const BODIES = {
  plain: '{"cards":[]}',
  'white space around': ' \r\n\t{"cards": []}\n ',
  'Arabic, an emoji and a BOM inside': '{"name":"سعيد 😀 \ufeff"}',
  'characters that separate lines': '{"name":"a\u2028b\u2029c\u0085d"}',
  'a NUL in an escape': String.raw`{"name":"a\u0000b"}`,
  'not UTF-8': Buffer.from('{"name":"\xff\xfe\xe9"}', 'latin1'),
  'half a character at its end': Buffer.concat([
    Buffer.from('{"name":"'),
    Buffer.from('😀').subarray(0, 3),
    Buffer.from('"}'),
  ]),
  'half a character in UTF-8': Buffer.from('7b226e223a22eda080227d', 'hex'),
  'a single digit': '7',
  'a whole mebibyte': `"${'ل'.repeat(524_287)}"`,
};

for (const [name, body] of Object.entries(BODIES)) {
  test(`the body of an answer comes byte for byte: ${name}`, async () => {
    const bytes = Buffer.from(body);
    await withAnswers([answer(bytes)], async (client) => {
      const response = await client.request('GET', '/wallet-cards/list');
      assert.ok(response instanceof Response);
      assert.equal(response.status, 200);
      assert.equal(response.requestId, undefined);
      assert.ok(Buffer.isBuffer(response.body));
      assert.ok(bytes.equals(response.body), inspect(response.body));
      assert.equal(response.text, bytes.toString());
      assert.deepEqual(response.json(), JSON.parse(bytes.toString()));
    });
  });
}

test('what is done to the body that was given changes no answer', async () => {
  await withAnswers(
    [answer('{"a":1}'), answer(Buffer.from('"\xff"', 'latin1'))],
    async (client) => {
      for (const text of ['{"a":1}', '"\ufffd"']) {
        const response = await client.request('GET', '/wallet-cards/list');
        const before = Buffer.from(response.body);
        response.body.fill(0);
        assert.ok(before.equals(response.body));
        assert.equal(response.text, text);
        const read = response.json();
        assert.deepEqual(response.json(), read);
        assert.ok(typeof read !== 'object' || response.json() !== read);
      }
    },
  );
});

test('an answer may have no body, which is no JSON', async () => {
  await withAnswers([{ do: 'respond', status: 204 }], async (client) => {
    const response = await client.request('GET', '/wallet-cards/list');
    assert.equal(response.status, 204);
    assert.equal(response.body.length, 0);
    assert.equal(response.text, '');
    assert.throws(() => response.json(), SyntaxError);
  });
});

test("the answer's status and request id are told", async () => {
  const headers = { 'x-request-id': 'r-17' };
  await withAnswers([{ ...answer('{}', 201), headers }], async (client) => {
    const response = await client.request('POST', '/wallet-cards/create');
    assert.deepEqual({ ...response }, { status: 201, requestId: 'r-17' });
  });
});

/** @type {[string, Uint8Array | string][]} */
const UNREADABLE = [
  ['begins with a BOM', '\ufeff{"cards":[]}'],
  ['holds a NUL', '{"a":"\0"}'],
  ['is a page', '<html>سعيد</html>'],
  ['is not UTF-8', Buffer.from('\xff\xfe{}', 'latin1')],
];

for (const [name, body] of UNREADABLE) {
  test(`an answer that ${name} and is no JSON stays to be read in the error`, async () => {
    await withAnswers([answer(body)], async (client) => {
      await assert.rejects(
        client.request('GET', '/wallet-cards/list'),
        (/** @type {any} */ error) => {
          assert.equal(error.constructor, UnexpectedResponseError);
          assert.equal(error.status, 200);
          assert.equal(error.body, Buffer.from(body).toString());
          return true;
        },
      );
    });
  });
}

// ---------------------------------------------------------------- JSON without floats

/**
 * JSON, and what is read from it.
 *
 * @type {[string, unknown][]}
 */
const NUMBERS = [
  ['10', 10],
  ['0', 0],
  ['-7', -7],
  ['9007199254740991', 9007199254740991],
  ['-9007199254740991', -9007199254740991],
  ['9007199254740992', '9007199254740992'],
  ['9007199254740993', '9007199254740993'],
  ['-9007199254740992', '-9007199254740992'],
  ['123456789012345678901234567890', '123456789012345678901234567890'],
  ['10.50', '10.50'],
  ['10.0', '10.0'],
  ['0.1', '0.1'],
  ['-0.10', '-0.10'],
  ['-0', '-0'],
  ['1e3', '1e3'],
  ['1E+3', '1E+3'],
  ['1.50e-7', '1.50e-7'],
  ['1e999', '1e999'],
  ['{"amount":10.50,"count":3}', { amount: '10.50', count: 3 }],
  [
    '[1,2.5,[3.5,{"a":4.50}],"6.50",null,true,false]',
    [1, '2.5', ['3.5', { a: '4.50' }], '6.50', null, true, false],
  ],
  ['{"10.50":10.50}', { '10.50': '10.50' }],
  [String.raw`{"a\"1.5":"x\\","b":1.50}`, { 'a"1.5': 'x\\', b: '1.50' }],
  [String.raw`["\\\"1.5",1.5]`, ['\\"1.5', '1.5']],
  [String.raw`["\u0031.5",1.5]`, ['1.5', '1.5']],
  ['"order 12345678901234567890"', 'order 12345678901234567890'],
  ['["1.5\u2028",1.5]', ['1.5\u2028', '1.5']],
  ['[ 1.5 , -2.5\n]', ['1.5', '-2.5']],
];

test('a number that JavaScript cannot hold exactly is read as its text', async () => {
  await withAnswers(
    NUMBERS.map(([json]) => answer(json)),
    async (client) => {
      for (const [json, value] of NUMBERS) {
        const response = await client.request('GET', '/wallet-cards/list');
        assert.equal(response.text, json);
        assert.deepEqual(response.json(), value, json);
      }
    },
  );
});

test("an error's details have no floats either, and their strings stay what they are", async () => {
  const steps = NUMBERS.map(([json]) =>
    answer(`{"data":null,"error":{"status":400,"name":"E","message":"no","details":${json}}}`, 400),
  );
  await withAnswers(steps, async (client) => {
    for (const [json, value] of NUMBERS) {
      await assert.rejects(
        client.request('GET', '/wallet-cards/list'),
        (/** @type {any} */ error) => {
          assert.ok(error instanceof APIError);
          assert.deepEqual(error.details, value, json);
          return true;
        },
      );
    }
  });
});

const WEBHOOK = new Webhook({ apiKey: KEY, apiSecret: SECRET });

/** @param {string} fields JSON, to be added to a delivery */
function eventWith(fields) {
  const secret = WEBHOOK.sign({ amount: '10.50', orderId: 'pl_1' });
  return WEBHOOK.verify(
    `{"order_id":"pl_1","amount":"10.50","status":"fulfilled","secret":"${secret}"${fields}}`,
  );
}

test("an event's unknown fields have no floats either", () => {
  for (const [json, value] of NUMBERS) {
    assert.deepEqual(eventWith(`,"note":${json}`).extra, { note: value }, json);
  }
});

test('JSON of any size and depth is read, or is not: no crash, and no float', async () => {
  const escapes = `["${'\\n'.repeat(400_000)}",1.50]`;
  const deep = `${'['.repeat(400_000)}1.50${']'.repeat(400_000)}`;
  await withAnswers([answer(escapes), answer(deep)], async (client) => {
    const [text, number] = (await client.request('GET', '/wallet-cards/list')).json();
    assert.deepEqual([text.length, number], [400_000, '1.50']);
    const response = await client.request('GET', '/wallet-cards/list');
    assert.equal(response.text, deep);
    try {
      assert.equal(innermost(response.json()), '1.50');
    } catch (error) {
      // As far as the engine goes.
      assert.ok(error instanceof SyntaxError, inspect(error));
    }
  });
  for (const depth of [100, 128, 1_000, 30_000]) {
    const { note } = eventWith(`,"note":${'['.repeat(depth)}1.50${']'.repeat(depth)}`).extra;
    assert.equal(innermost(note), '1.50');
  }
});

/** @param {any} value */
function innermost(value) {
  let inner = value;
  while (Array.isArray(inner)) {
    [inner] = inner;
  }
  return inner;
}

test("an event's unknown fields are given anew each time, as a plain object", () => {
  const event = eventWith(',"__proto__":{"isAdmin":true},"constructor":1,"toString":2,"list":[1]');
  const extra = /** @type {any} */ (event.extra);
  assert.equal(Object.getPrototypeOf(extra), Object.prototype);
  assert.deepEqual(Object.keys(extra).sort(), ['__proto__', 'constructor', 'list', 'toString']);
  assert.equal(extra.isAdmin, undefined);
  assert.equal(/** @type {any} */ ({}).isAdmin, undefined);
  extra.list.push(2);
  delete extra.constructor;
  assert.deepEqual(/** @type {any} */ (event.extra).list, [1]);
  assert.equal(event.extra.constructor, 1);
  assert.deepEqual(eventWith('').extra, {});
});

test("what is done to an event's body changes no event", () => {
  const event = eventWith(',"ref":"order-42"');
  const before = Buffer.from(event.body);
  event.body.fill(0);
  assert.ok(before.equals(event.body));
  assert.equal(event.ref, 'order-42');
});

// ---------------------------------------------------------------- results

const METHOD = PaymentMethod.haramUnder3m({ name: RECIPIENT, phone: PHONE, governorate: 'دمشق' });

/**
 * For each operation: how it is called, an answer full of personal data, and what is read from it.
 *
 * @type {Record<string, { call: (client: any) => Promise<any>, kind: any, answer: any, fields: any }>}
 */
const OPERATIONS = {
  'paymentLinks.create': {
    call: (client) => client.paymentLinks.create({ amount: '10.50', currency: 'USD' }),
    kind: PaymentLink,
    answer: { success: true, url: `https://pay.example/l/1?payer=${PHONE}`, order_id: 'pl_1' },
    fields: { url: `https://pay.example/l/1?payer=${PHONE}`, id: 'pl_1' },
  },
  'withdrawals.create': {
    call: (client) =>
      client.withdrawals.create({
        amount: '500000',
        currency: 'SYP',
        paymentMethod: METHOD,
        note: NOTE,
      }),
    kind: Withdrawal,
    answer: { success: true, status: 'approved', message: `paid to ${RECIPIENT}` },
    fields: { status: 'approved', message: `paid to ${RECIPIENT}` },
  },
  'wallets.list': {
    call: (client) => client.wallets.list(),
    kind: WalletList,
    answer: {
      success: true,
      wallets: [
        { currency: 'USD', amount: '1.50' },
        { currency: 'SYP', amount: '-3' },
      ],
      holder: RECIPIENT,
    },
    fields: {
      wallets: [
        { currency: 'USD', amount: '1.50' },
        { currency: 'SYP', amount: '-3' },
      ],
    },
  },
  'deposits.create': {
    call: (client) =>
      client.deposits.create({
        amount: '25',
        currency: 'USD',
        userEmail: USER_EMAIL,
        paymentMethod: METHOD,
        note: NOTE,
      }),
    kind: Deposit,
    answer: {
      success: true,
      createdPayment: {
        status: 'pending',
        transaction_id: 'de-1',
        note: NOTE,
        message: `for ${USER_EMAIL}`,
      },
    },
    fields: {
      status: 'pending',
      transactionId: 'de-1',
      note: NOTE,
      message: `for ${USER_EMAIL}`,
    },
  },
  request: {
    call: (client) => client.request('POST', '/wallet-cards/create', { json: { name: RECIPIENT } }),
    kind: Response,
    answer: { success: true, holder: RECIPIENT },
    fields: { status: 200, requestId: undefined },
  },
};

for (const [name, operation] of Object.entries(OPERATIONS)) {
  test(`${name}: the result has its fields and the whole answer`, async () => {
    const step = { do: 'respond', status: 200, body: { json: operation.answer } };
    await withAnswers([step], async (client) => {
      const result = await operation.call(client);
      assert.equal(result.constructor, operation.kind);
      for (const [field, value] of Object.entries(operation.fields)) {
        assert.deepEqual(result[field], value, field);
      }
      const raw = result instanceof Response ? result : result.raw;
      assert.equal(raw.constructor, Response);
      assert.deepEqual(raw.json(), operation.answer);
    });
  });

  test(`${name}: what is shown of the result holds no personal data`, async () => {
    const step = { do: 'respond', status: 200, body: { json: operation.answer } };
    await withAnswers([step], async (client) => {
      const result = await operation.call(client);
      // The link's URL is there to be sent to the customer, and to be seen.
      const hidden = PRIVATE.filter((value) => result.url?.includes(value) !== true);
      for (const part of [result, result.raw ?? result, [result], { result }]) {
        const shown = [
          `${part}`,
          inspect(part),
          inspect(part, { depth: Number.POSITIVE_INFINITY, compact: false }),
          JSON.stringify(part),
          JSON.stringify({ ...part }),
          JSON.stringify(Object.entries(part)),
        ].join('\n');
        for (const value of hidden) {
          assert.ok(!shown.includes(value), `${value} is shown in: ${shown}`);
        }
      }
      assert.ok(inspect(result).includes(operation.kind.name));
    });
  });

  test(`${name}: what is only read cannot be written`, async () => {
    const step = { do: 'respond', status: 200, body: { json: operation.answer } };
    await withAnswers([step], async (client) => {
      const result = await operation.call(client);
      for (const part of [result, result.raw ?? result]) {
        for (const field of ['body', 'text', 'message', 'note']) {
          if (field in part) {
            assert.throws(() => {
              part[field] = 'x';
            }, TypeError);
            assert.throws(() => Object.getPrototypeOf(part)[field], TypeError);
          }
        }
      }
    });
  });
}

test('wallets are looped over, again and again', async () => {
  const list = await client.wallets.list();
  assert.ok(Array.isArray(list.wallets));
  assert.deepEqual([...list], [...list.wallets]);
  assert.deepEqual([...list], [...list]);
  const [first] = list;
  assert.equal(first, list.wallets[0]);
  const seen = [];
  for (const { currency, amount } of list) {
    assert.equal(typeof currency, 'string');
    assert.equal(typeof amount, 'string');
    seen.push(currency);
  }
  assert.ok(seen.includes('USD') && seen.includes('SYP'));
  assert.equal(list.wallets.find(({ currency }) => currency === 'USD')?.amount, '250.00');
  assert.equal(
    list.wallets.find(({ currency }) => currency === 'EUR'),
    undefined,
  );
});

test('what was not in the answer is undefined', async () => {
  const step = { do: 'respond', status: 200, body: { json: { success: true } } };
  await withAnswers([step], async (client) => {
    const payout = { amount: '1', currency: 'USD', paymentMethod: METHOD };
    const { status, message } = await client.withdrawals.create(payout);
    assert.deepEqual({ status, message }, { status: undefined, message: undefined });
  });
});

// ---------------------------------------------------------------- what is shown of the others

test('what is shown of an event is its order id, its amount and its status', () => {
  const event = eventWith(`,"ref":"${USER_EMAIL}","currency":"USD","note":"for ${RECIPIENT}"`);
  const shown = { orderId: 'pl_1', amount: '10.50', status: 'fulfilled' };
  assert.deepEqual(JSON.parse(JSON.stringify(event)), shown);
  assert.deepEqual(event.toJSON(), shown);
  assert.equal(inspect(event), `PaymentEvent ${inspect(shown)}`);
  assert.equal(
    inspect(event, { compact: false }),
    `PaymentEvent ${inspect(shown, { compact: false })}`,
  );
  assert.deepEqual(Object.keys(event), []);
  const all = [
    `${event}`,
    inspect([event]),
    inspect({ a: { b: { c: event } } }, { depth: Number.POSITIVE_INFINITY }),
    inspect(event, { depth: -1 }),
    inspect(event, { customInspect: false }),
    JSON.stringify([event, { ...event }]),
    JSON.stringify(structuredClone(event)),
  ].join('\n');
  for (const value of [...PRIVATE, event.body.toString()]) {
    assert.ok(!all.includes(value), all);
  }
});

test('clients, webhooks and payment methods show no key, no secret and no person', () => {
  const sends = new Client({
    apiKey: KEY,
    apiSecret: SECRET,
    merchantEmail: EMAIL,
    baseUrl: 'http://127.0.0.1:9',
    proxy: `http://user:${SECRET}@127.0.0.1:9`,
  });
  const things = [
    sends,
    sends.paymentLinks,
    sends.withdrawals,
    sends.wallets,
    sends.deposits,
    WEBHOOK,
    WEBHOOK.withPrevious({ apiKey: KEY, apiSecret: SECRET }),
    METHOD,
    PaymentMethod.syCash({ phone: PHONE }),
    PaymentMethod.custom({ id: '118', fields: { name: RECIPIENT, email: USER_EMAIL } }),
  ];
  for (const thing of things) {
    const shown = [
      `${thing}`,
      inspect(thing),
      inspect(thing, { depth: Number.POSITIVE_INFINITY, showHidden: true }),
      JSON.stringify(thing),
      JSON.stringify({ ...thing }),
    ].join('\n');
    for (const value of PRIVATE) {
      assert.ok(!shown.includes(value), shown);
    }
    assert.ok(inspect(thing).includes(thing.constructor.name));
  }
  sends.close();
});

test('a copy by structuredClone or JSON is no event, no payment method and no webhook', () => {
  const event = eventWith('');
  for (const copy of [structuredClone(event), JSON.parse(JSON.stringify(event)), { ...event }]) {
    assert.ok(!(copy instanceof kazawallet.PaymentEvent));
    assert.equal(copy.matchOrder, undefined);
    assert.equal(copy.isFulfilled, undefined);
  }
  assert.equal(structuredClone(METHOD) instanceof PaymentMethod, false);
  assert.equal(structuredClone(WEBHOOK) instanceof Webhook, false);
});
