// The errors: their tree, what they carry and keep, where they say they come from, and what is never
// shown of them or of anything else.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { inspect } from 'node:util';

import * as byImport from 'kazawallet';
import * as testingByImport from 'kazawallet/testing';

import { kazawallet, testing } from './package.mjs';
import { checkClean, LOAD, run } from './programs.mjs';
import { portThatRefuses } from './receiver.mjs';
import { guarded, test, until } from './runtimes.mjs';

const require = createRequire(import.meta.url);
const byRequire = require('kazawallet');
const testingByRequire = require('kazawallet/testing');

const { Client, KazawalletError, OutcomeUnknownError, PaymentMethod, Webhook } = kazawallet;
const { Simulator } = testing;

/**
 * Each class with its parent, its code, and its outcome where nothing else is said.
 *
 * @type {Readonly<Record<string, readonly [parent: string, code: string, outcome?: string]>>}
 */
const TREE = {
  KazawalletError: ['Error', 'kazawallet'],
  ConfigurationError: ['KazawalletError', 'configuration', 'not_sent'],
  ValidationError: ['KazawalletError', 'validation', 'not_sent'],
  APIConnectionError: ['KazawalletError', 'connection', 'unknown'],
  APITimeoutError: ['APIConnectionError', 'timeout', 'unknown'],
  OutcomeUnknownError: ['KazawalletError', 'outcome_unknown', 'unknown'],
  APIError: ['KazawalletError', 'api', 'rejected'],
  AuthenticationError: ['APIError', 'authentication', 'rejected'],
  PermissionDeniedError: ['APIError', 'permission_denied', 'rejected'],
  NotFoundError: ['APIError', 'not_found', 'rejected'],
  RateLimitError: ['APIError', 'rate_limit', 'rejected'],
  AccountBlockedError: ['APIError', 'account_blocked', 'rejected'],
  ServerError: ['APIError', 'server', 'unknown'],
  UnexpectedResponseError: ['KazawalletError', 'unexpected_response', 'unknown'],
  WebhookError: ['KazawalletError', 'webhook'],
  WebhookPayloadError: ['WebhookError', 'webhook_payload'],
  SignatureVerificationError: ['WebhookError', 'signature_verification'],
  OrderMismatchError: ['WebhookError', 'order_mismatch'],
  LedgerError: ['KazawalletError', 'ledger_unavailable', 'not_sent'],
};

const OF_AN_ANSWER = { status: 404, requestId: 'r-1', body: '{"error":"private"}' };
const OF_AN_API_ERROR = {
  ...OF_AN_ANSWER,
  key: 'USER_NOT_FOUND',
  details: { field: ['private'] },
  retryAfter: 1500,
};
/** @type {Readonly<Record<string, import('kazawallet').ErrorAttributes>>} */
const ATTRIBUTES = {
  ValidationError: { field: 'amount' },
  OutcomeUnknownError: { ...OF_AN_ANSWER, key: 'KEY' },
  APIError: OF_AN_API_ERROR,
  UnexpectedResponseError: OF_AN_ANSWER,
  WebhookPayloadError: { field: 'amount' },
  OrderMismatchError: { field: 'amount', expected: 'private', actual: 'private' },
};

/** @type {Readonly<Record<string, any>>} */
const classes = kazawallet;

/**
 * The attributes of a class, its parents' too.
 *
 * @param {string} name
 * @returns {Record<string, unknown>}
 */
function attributesOf(name) {
  const parent = TREE[name]?.[0];
  return { ...(parent && attributesOf(parent)), ...ATTRIBUTES[name] };
}

/**
 * The nearest class above that has a public name.
 *
 * @param {object} Kind
 * @returns {object}
 */
function publicParent(Kind) {
  const parent = Object.getPrototypeOf(Kind);
  return parent === Error || Object.values(classes).includes(parent)
    ? parent
    : publicParent(parent);
}

/**
 * Everything that a person can see of a value.
 *
 * @param {unknown} value
 */
function shown(value) {
  /** @type {unknown} */
  let each = value;
  const texts = [];
  while (each !== undefined && each !== null) {
    texts.push(
      inspect(each),
      inspect(each, { depth: Number.POSITIVE_INFINITY, showHidden: true }),
      inspect(each, { compact: false, colors: true }),
      JSON.stringify(each),
      JSON.stringify(Object.entries(each)),
      String(each),
      `${/** @type {any} */ (each).stack}`,
    );
    each = each instanceof Error ? each.cause : undefined;
  }
  return texts.join('\n');
}

/**
 * @param {unknown} value
 * @param {readonly string[]} hidden
 */
function checkHides(value, hidden) {
  const text = shown(value);
  for (const secret of hidden) {
    assert.ok(!text.includes(secret), `${secret} is seen in:\n${text}`);
  }
}

/**
 * @param {Promise<unknown>} promise
 * @returns {Promise<any>}
 */
async function rejection(promise) {
  return await promise.then(
    (value) => assert.fail(`it was fulfilled: ${value}`),
    (error) => error,
  );
}

/**
 * @param {() => unknown} work
 * @returns {any}
 */
function thrown(work) {
  try {
    work();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
}

test('the tree has every class', () => {
  const errors = Object.entries(classes)
    .filter(([, value]) => value?.prototype instanceof Error)
    .map(([name]) => name);
  assert.deepEqual(errors.sort(), Object.keys(TREE).sort());
});

for (const [name, [parent, code, outcome]] of Object.entries(TREE)) {
  test(`${name}: its parent, its code, its outcome, its name`, () => {
    const Kind = classes[name];
    const error = new Kind('what was wrong');
    assert.equal(publicParent(Kind), parent === 'Error' ? Error : classes[parent]);
    assert.ok(error instanceof KazawalletError && error instanceof Error);
    assert.deepEqual(
      [error.name, error.message, error.code, error.outcome],
      [name, 'what was wrong', code, outcome],
    );
    assert.equal(String(error), `${name}: what was wrong`);
    assert.ok(`${error.stack}`.startsWith(`${name}: what was wrong\n`), error.stack);
    assert.match(`${error.stack}`, /errors\.test\.mjs/);
    assert.equal(Object.prototype.toString.call(error), '[object Error]');
    assert.equal('cause' in error, false);
  });

  test(`${name} can be made for a test of somebody's`, () => {
    const Kind = classes[name];
    const attributes = attributesOf(name);
    const cause = new Error('the reset');
    const full = new Kind('what was wrong', { ...attributes, outcome: 'rejected', cause });
    assert.equal(full.cause, cause);
    assert.equal(full.outcome, 'rejected');
    const bare = new Kind();
    assert.equal(bare.message, '');
    for (const [attribute, value] of Object.entries(attributes)) {
      assert.deepEqual(full[attribute], value, attribute);
      assert.equal(bare[attribute], undefined, attribute);
    }
    // What may hold personal data is there to be read, and is not shown.
    checkHides(full, ['private']);
  });
}

test('an unknown cause and one that is undefined are kept apart', () => {
  assert.equal('cause' in new KazawalletError('x', { cause: undefined }), true);
  assert.equal(new KazawalletError('x', { cause: null }).cause, null);
});

test('import and require share the classes', async () => {
  assert.deepEqual(Object.keys(byImport).sort(), Object.keys(byRequire).sort());
  for (const [name, value] of Object.entries(byImport)) {
    assert.equal(value, byRequire[name], name);
  }
  assert.deepEqual(Object.keys(testingByImport).sort(), Object.keys(testingByRequire).sort());
  const sim = await testingByRequire.Simulator.start();
  assert.ok(sim instanceof testingByImport.Simulator);
  const wrong = sim.client({ apiKey: 'sim_of_another' });
  assert.ok(wrong instanceof byImport.Client);
  const error = await rejection(wrong.wallets.list());
  assert.ok(error instanceof byImport.AuthenticationError);
  assert.ok(error instanceof byRequire.APIError);
  const method = byImport.PaymentMethod.custom({ id: '118', fields: {} });
  const client = sim.client();
  const payout = { amount: '1', currency: 'USD', paymentMethod: method };
  assert.ok((await client.withdrawals.create(payout)) instanceof byImport.Withdrawal);
  // What is loaded later shares them, too.
  const opened = byImport.Ledger.open('no URL of a ledger', { client });
  assert.ok((await rejection(opened)) instanceof byRequire.ConfigurationError);
  await sim.stop();
});

// --- where an error says it comes from --------------------------------------------------------------

/** The number of the line that calls it. */
function lineHere() {
  const lines = `${new Error('here').stack}`.split('\n');
  const numbers = lines.flatMap((line) => /errors\.test\.mjs:(\d+)/.exec(line)?.[1] ?? []);
  return Number(numbers[1]);
}

/**
 * @param {Error} error
 * @param {number} line
 */
function checkNames(error, line) {
  assert.match(`${error.stack}`, new RegExp(`errors\\.test\\.mjs:${line}\\b`));
}

/** @param {(client: import('kazawallet').Client) => Promise<void>} work */
async function withRefusingSimulator(work) {
  const sim = await Simulator.start();
  const client = sim.client({ apiKey: 'sim_of_another' });
  await work(client);
  client.close();
  await sim.stop();
}

test('an awaited call names the line of the caller', () =>
  withRefusingSimulator(async (client) => {
    let line = 0;
    try {
      line = lineHere() + 1;
      await client.wallets.list();
      assert.fail();
    } catch (error) {
      assert.ok(error instanceof kazawallet.AuthenticationError);
      checkNames(error, line);
    }
  }));

test('calls under Promise.all name the line of the caller', () =>
  withRefusingSimulator(async (client) => {
    let line = 0;
    try {
      line = lineHere() + 1;
      await Promise.all([
        client.paymentLinks.create({ amount: '1', currency: 'USD' }),
        client.wallets.list(),
      ]);
      assert.fail();
    } catch (error) {
      assert.ok(error instanceof kazawallet.AuthenticationError);
      checkNames(error, line);
    }
  }));

test('a call in a function that is awaited names all lines', () =>
  withRefusingSimulator(async (client) => {
    const inner = lineHere() + 2;
    const balance = async () => {
      const list = await client.wallets.list();
      return list.wallets[0];
    };
    const outer = lineHere() + 2;
    const middle = async () => {
      const wallet = await balance();
      return wallet?.amount;
    };
    const error = await rejection(middle());
    checkNames(error, inner);
    checkNames(error, outer);
  }));

test('an argument that is refused names the line of the caller', () =>
  withRefusingSimulator(async (client) => {
    const line = lineHere() + 1;
    const refused = await rejection(client.paymentLinks.create({ amount: '0', currency: 'USD' }));
    checkNames(refused, line);
    const wrong = lineHere() + 1;
    const error = await rejection(client.paymentLinks.create({ amount: 1.5, currency: 'USD' }));
    assert.ok(error instanceof TypeError);
    checkNames(error, wrong);
  }));

test('what is synchronous names the line of the caller', () => {
  const webhook = new Webhook({ apiKey: 'sim_key', apiSecret: 'sim_secret' });
  const lines = [
    [lineHere(), thrown(() => webhook.verify('{}'))],
    [lineHere(), thrown(() => webhook.verify(Buffer.from('{}')))],
    [lineHere(), thrown(() => webhook.sign({ amount: '-1', orderId: 'pl_1' }))],
    [lineHere(), thrown(() => new Webhook({ apiKey: '', apiSecret: 'sim_secret' }))],
    [lineHere(), thrown(() => new Client({ apiKey: ' ' }))],
    [lineHere(), thrown(() => new Client({ apiKey: 'sim_key', timeout: 0 }))],
  ];
  for (const [line, error] of lines) {
    assert.ok(error instanceof KazawalletError, String(error));
    checkNames(error, line);
  }
});

test('the text of a stack begins with the name and the message', () =>
  withRefusingSimulator(async (client) => {
    const error = await rejection(client.wallets.list());
    assert.ok(error.stack.startsWith(`AuthenticationError: ${error.message}`), error.stack);
    assert.ok(inspect(error).startsWith(`AuthenticationError: ${error.message}`), inspect(error));
  }));

// --- errors of real calls -----------------------------------------------------------------------------

const recipient = PaymentMethod.haramUnder3m({
  name: 'سعيد محمد حمدان',
  phone: '0933123456',
  governorate: 'دمشق',
});
const payout = {
  amount: '500000',
  currency: 'SYP',
  paymentMethod: recipient,
  note: 'salary of a person, May',
};
const PERSONAL = ['سعيد', '0933123456', 'دمشق', 'salary of a person'];
const KEYS = {
  apiKey: 'sim_a_key_of_the_test',
  apiSecret: 'sim_a_secret_of_the_test',
  merchantEmail: 'shop@example.com',
};

test('a refused connection says so in its cause', async () => {
  const baseUrl = `http://127.0.0.1:${await portThatRefuses()}`;
  const client = new Client({ ...KEYS, baseUrl, maxRetries: 0 });
  // One after the other: of two at once, the second may be rejected before anyone waits for it.
  for (const call of [() => client.wallets.list(), () => client.withdrawals.create(payout)]) {
    const error = await rejection(call());
    assert.equal(error.constructor, kazawallet.APIConnectionError);
    assert.equal(error.outcome, 'not_sent');
    assert.ok(error.cause instanceof Error);
    assert.equal(error.cause.code, 'ECONNREFUSED');
    // On Windows the system's number is none that Node.js has a name for.
    const errno = process.platform === 'win32' ? 'undefined' : 'number';
    assert.equal(typeof error.cause.errno, errno);
    checkHides(error, [...Object.values(KEYS), ...PERSONAL]);
  }
  client.close();
});

test('a reset connection says so in its cause', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.resetAndDestroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const client = new Client({ ...KEYS, baseUrl: `http://127.0.0.1:${port}`, maxRetries: 0 });
  const error = await rejection(client.wallets.list());
  assert.equal(error.constructor, kazawallet.APIConnectionError);
  assert.equal(error.cause.code, 'ECONNRESET', inspect(error));
  client.close();
  server.close();
});

test('a time-out is an APITimeoutError', async () => {
  const sim = await Simulator.start();
  sim.fault('answer_late:20000');
  const client = sim.client({ maxRetries: 0 });
  const error = await rejection(client.wallets.list({ timeout: 500 }));
  assert.equal(error.constructor, kazawallet.APITimeoutError);
  assert.ok(error instanceof kazawallet.APIConnectionError);
  assert.deepEqual([error.code, error.outcome], ['timeout', 'unknown']);
  await sim.stop();
});

test('a payout whose outcome is unknown is no connection error and no time-out', async () => {
  const sim = await Simulator.start();
  const client = sim.client();
  for (const [fault, timeout] of /** @type {const} */ ([
    ['close_after_acting', undefined],
    // The limit leaves time for the request to be sent, also on a machine that is busy.
    ['answer_late:20000', 3000],
    ['answer_status:503', undefined],
  ])) {
    sim.fault(fault);
    const error = await rejection(client.withdrawals.create({ ...payout, timeout }));
    assert.equal(error.constructor, OutcomeUnknownError);
    assert.ok(!(error instanceof kazawallet.APIConnectionError));
    assert.equal(error.outcome, 'unknown');
  }
  assert.equal(sim.requests.length, 3);
  await sim.stop();
});

test('an answer that is no tells what it said', async () => {
  const sim = await Simulator.start();
  const error = await rejection(sim.client({ apiKey: 'sim_of_another' }).wallets.list());
  assert.ok(error instanceof kazawallet.AuthenticationError);
  assert.deepEqual(
    [error.status, error.code, error.outcome, error.retryAfter],
    [401, 'authentication', 'rejected', undefined],
  );
  assert.ok(error.body);
  assert.ok(error.message);
  await sim.stop();
});

for (const fault of /** @type {const} */ ([
  'close_after_acting',
  'close_before_acting',
  'answer_status:400',
  'answer_status:401',
  'answer_status:403',
  'answer_status:404',
  'answer_status:429',
  'answer_status:500',
  'html_answer',
  'half_body',
  'error_inside_200',
])) {
  test(`an error of ${fault} shows no secret and no person`, async () => {
    const sim = await Simulator.start();
    const client = sim.client({ maxRetries: 0 });
    const hidden = [sim.apiKey, sim.apiSecret, sim.merchantEmail, ...PERSONAL];
    for (const begin of [
      () => client.withdrawals.create(payout),
      () => client.deposits.create({ ...payout, userEmail: 'user@customer.example' }),
    ]) {
      sim.fault(fault);
      const error = await rejection(begin());
      assert.ok(error instanceof KazawalletError);
      checkHides(error, [...hidden, 'user@customer.example']);
    }
    await sim.stop();
  });
}

test('a wrong argument is not repeated where it is a secret', () => {
  for (const apiKey of ['sim_key with a space\n', ' sim_a_key_that_is_secret', 'sim_kéy\u200b']) {
    for (const error of [
      thrown(() => new Client({ apiKey })),
      thrown(() => new Webhook({ apiKey, apiSecret: 'sim_secret' })),
      thrown(() => new Webhook({ apiKey: 'sim_key', apiSecret: apiKey })),
    ]) {
      assert.ok(error instanceof kazawallet.ConfigurationError);
      const text = `${error.message}${inspect(error.cause)}${JSON.stringify(error)}`;
      assert.ok(!text.includes(apiKey.trim()), text);
    }
  }
});

test('the cause of an abandoned payout is the reason', async () => {
  const sim = await Simulator.start();
  sim.fault('answer_late:1000');
  const abort = new AbortController();
  const call = rejection(sim.client().withdrawals.create({ ...payout, signal: abort.signal }));
  await until(() => sim.requests.length > 0, 'a request');
  const reason = new Error('the request of ours was cancelled');
  abort.abort(reason);
  const error = await call;
  assert.ok(error instanceof OutcomeUnknownError);
  assert.equal(error.cause, reason);
  checkHides(error, [sim.apiKey, sim.apiSecret, sim.merchantEmail, ...PERSONAL]);
  await sim.stop();
});

// --- what is shown of everything else ---------------------------------------------------------------------

test('clients, webhooks and payment methods show nothing', () => {
  const client = new Client({ ...KEYS, baseUrl: 'http://127.0.0.1:1', appName: 'shop' });
  const webhook = new Webhook({ apiKey: KEYS.apiKey, apiSecret: KEYS.apiSecret });
  const both = webhook.withPrevious({ apiKey: 'sim_older_key', apiSecret: 'sim_older_secret' });
  const hidden = [...Object.values(KEYS), ...PERSONAL, 'sim_older', 'T-an-address'];
  for (const value of [
    client,
    client.wallets,
    client.withdrawals,
    webhook,
    both,
    recipient,
    PaymentMethod.syCash({ phone: '0933123456' }),
    PaymentMethod.custom({ id: '118', fields: { address: 'T-an-address' } }),
    { deep: [{ in: { an: { object: [client, webhook, recipient] } } }] },
  ]) {
    checkHides(value, hidden);
  }
});

test('results show no person', async () => {
  const sim = await Simulator.start();
  const client = sim.client();
  const userEmail = 'user@customer.example';
  const hidden = [sim.apiKey, sim.apiSecret, sim.merchantEmail, userEmail, ...PERSONAL];
  const results = await Promise.all([
    client.withdrawals.create(payout),
    client.deposits.create({ ...payout, userEmail }),
    client.wallets.list(),
    client
      .request('POST', '/createDepositRequest', {
        json: { email: userEmail, amount: '1', currency: 'USD', paymentMethod: '118' },
      })
      .catch((error) => error),
  ]);
  for (const result of results) {
    checkHides(result, hidden);
  }
  const [withdrawal, deposit] = results;
  checkHides(withdrawal.raw, hidden);
  // It is there for those who ask.
  assert.equal(deposit.note, payout.note);
  assert.ok(deposit.raw.text.length > 2);
  await sim.stop();
});

test('an event shows its order id, its amount and its status', () => {
  const webhook = new Webhook({ apiKey: KEYS.apiKey, apiSecret: KEYS.apiSecret });
  const secret = webhook.sign({ amount: '10.50', orderId: 'pl_8f2a61c1' });
  const event = webhook.verify(
    JSON.stringify({
      order_id: 'pl_8f2a61c1',
      amount: '10.50',
      status: 'fulfilled',
      currency: 'USD',
      ref: 'order-of-mrs-haddad',
      payer: 'mrs.haddad@customer.example',
      secret,
    }),
  );
  checkHides(event, ['haddad', secret, KEYS.apiKey, KEYS.apiSecret]);
  assert.deepEqual(JSON.parse(JSON.stringify(event)), {
    orderId: 'pl_8f2a61c1',
    amount: '10.50',
    status: 'fulfilled',
  });
  for (const part of ['PaymentEvent', 'pl_8f2a61c1', '10.50', 'fulfilled']) {
    assert.ok(inspect(event).includes(part), inspect(event));
  }
  const mismatch = thrown(() =>
    event.matchOrder({ amount: '10.50', currency: 'USD', ref: 'order-of-mr-khoury' }),
  );
  assert.equal(mismatch.expected, 'order-of-mr-khoury');
  assert.equal(mismatch.actual, 'order-of-mrs-haddad');
  assert.equal(mismatch.field, 'ref');
  checkHides(mismatch, ['haddad', 'khoury', secret]);
});

test('console.log shows no secret and no person', async () => {
  const program = `
    ${LOAD}
    const sim = await Simulator.start({ apiKey: 'sim_a_key', apiSecret: 'sim_a_secret' });
    const client = sim.client();
    const webhook = sim.webhook();
    const paymentMethod = PaymentMethod.haramUnder3m({
      name: 'a name of a person',
      phone: '0933123456',
      governorate: 'a governorate',
    });
    const payout = { amount: '500000', currency: 'SYP', paymentMethod, note: 'a private note' };
    const withdrawal = await client.withdrawals.create(payout);
    const deposit = await client.deposits.create({ ...payout, userEmail: 'user@customer.example' });
    const link = await client.paymentLinks.create({ amount: '1', currency: 'USD', ref: 'of-mrs-haddad' });
    const [delivery] = await sim.pay(link);
    const event = webhook.verify(delivery.body);
    const errors = await Promise.all([
      client.request('GET', '/nothing/there').catch((error) => error),
      sim.client({ apiKey: 'sim_a_key_of_another' }).wallets.list().catch((error) => error),
    ]);
    for (const value of [client, webhook, paymentMethod, withdrawal, deposit, link, event, ...errors]) {
      console.log(value);
      console.log('%o %O %j', value, value, value);
      console.dir(value, { depth: null, showHidden: true });
    }
  `;
  const ended = await run(program);
  checkClean(ended);
  for (const hidden of [
    'sim_a_key',
    'sim_a_secret',
    'a name of a person',
    '0933123456',
    'a governorate',
    'a private note',
    'user@customer.example',
    'of-mrs-haddad',
    'merchant@example.com',
  ]) {
    assert.ok(!ended.stdout.includes(hidden), `${hidden} is seen in:\n${ended.stdout}`);
  }
  assert.match(ended.stdout, /AuthenticationError/);
});

test('an error goes to another thread with its message and its stack', async () => {
  const { port1, port2 } = new MessageChannel();
  try {
    const error = new OutcomeUnknownError('what was wrong', { body: 'private', status: 500 });
    const message = once(port2, 'message');
    port1.postMessage(error);
    const [copy] = await guarded(message, () => 'a message');
    const received = copy instanceof Error ? copy : copy.data;
    assert.equal(received.message, 'what was wrong');
    checkHides(received, ['private']);
  } finally {
    port1.close();
    port2.close();
  }
});
