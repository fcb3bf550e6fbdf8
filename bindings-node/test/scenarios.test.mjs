// Every scenario of tests/scenarios, as tests/README.md says.
//
// Most of a scenario's time is waiting, so they run side by side, each with a server of its own. Each
// is then a test, and one that fails hides no other.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect, isDeepStrictEqual } from 'node:util';

import { kazawallet } from './package.mjs';
import { test } from './runtimes.mjs';
import { ScriptedServer } from './scripted-server.mjs';
import {
  camelCase,
  fileNames,
  holdKeys,
  NotUnderstood,
  readJson,
  readJsonExactly,
  readText,
  words,
} from './shared-data.mjs';

const { Client, Deposit, KazawalletError, PaymentLink, PaymentMethod } = kazawallet;
const { Response, WalletList, WebhookError, Withdrawal } = kazawallet;

const AT_ONCE = 16;
/** A scenario that takes longer than this, in milliseconds, hangs. */
const NEVER_LONGER_THAN = 60_000;
/** Values shorter than this are in a text by chance. */
const TELLING = 4;

// ---------------------------------------------------------------- a scenario as it stands in its file

/**
 * What an operation is called with: what it must have, and what it may.
 *
 * @type {Record<string, [string, string]>}
 */
const OPERATIONS = {
  'payment_links.create': ['amount currency', 'ref redirect_url'],
  'withdrawals.create': ['amount currency payment_method', 'note'],
  'wallets.list': ['', ''],
  'deposits.create': ['amount currency user_email payment_method', 'note'],
  request: ['method path', 'json'],
};
/** @type {Record<string, string>} */
const PAYMENT_METHODS = {
  haram_under_3m: 'kind name phone governorate',
  haram_over_3m: 'kind name phone governorate',
  sy_cash: 'kind phone',
  custom: 'kind id fields',
};
const ERROR_PROPERTIES = words('code outcome status key field request_id details');
const ERROR_KEYS =
  'status key field request_id retry_after_ms details ' +
  'message_contains message_lacks body_contains body_max_bytes';
const RESULT_KEYS = 'url id status message transaction_id note wallets http_status request_id text';

/**
 * @typedef {{ operation: string, arguments: any, timeout_ms?: number, pause_after_ms?: number }} Call
 * @typedef {{ client: any, earlier_calls: Call[], call: Call, server: any, expect: any }} Scenario
 */

/**
 * The scenario; `NotUnderstood` is thrown where it says something unknown. The script is read by the
 * server itself.
 *
 * @param {string} name
 * @param {string} text
 * @returns {Scenario}
 */
function readScenario(name, text) {
  const file = holdKeys(
    'the file',
    readJson(text),
    'name why client call server expect',
    'earlier_calls',
  );
  if (file.name !== name) {
    throw new NotUnderstood("`name` is not the file's name");
  }
  holdKeys(
    'client',
    file.client,
    'api_key',
    'api_secret merchant_email base_path base_url timeout_ms connect_timeout_ms max_retries',
  );
  const earlier = file.earlier_calls ?? [];
  for (const call of earlier) {
    holdCall('an earlier call', call, 'timeout_ms pause_after_ms');
  }
  holdCall('call', file.call, 'timeout_ms');
  // A fraction in `details` is compared as it was written.
  const { expect } = readJsonExactly(text);
  holdExpect(expect);
  return { ...file, earlier_calls: earlier, expect };
}

/**
 * @param {string} where
 * @param {any} call
 * @param {string} optional
 */
function holdCall(where, call, optional) {
  holdKeys(where, call, 'operation arguments', optional);
  const operation = OPERATIONS[call.operation];
  if (operation === undefined) {
    throw new NotUnderstood(`${where}: what is the operation ${call.operation}?`);
  }
  const given = holdKeys(`${where}, arguments`, call.arguments, ...operation);
  if (
    'amount' in given &&
    typeof given.amount !== 'string' &&
    !Number.isSafeInteger(given.amount)
  ) {
    throw new NotUnderstood(`${where}: an amount is a string or an integer`);
  }
  if ('payment_method' in given) {
    const method = PAYMENT_METHODS[given.payment_method?.kind];
    if (method === undefined) {
      throw new NotUnderstood(`${where}: what is the payment method?`);
    }
    holdKeys(`${where}, payment_method`, given.payment_method, method);
  }
}

/** @param {any} expect */
function holdExpect(expect) {
  holdKeys('expect', expect, 'requests', 'connections result error');
  for (const request of expect.requests) {
    holdKeys('expect, a request', request, 'method path headers body', 'absent_headers');
  }
  if ('result' in expect === 'error' in expect) {
    throw new NotUnderstood('expect: exactly one of `result` and `error`');
  }
  if ('result' in expect) {
    holdKeys('expect, result', expect.result, '', RESULT_KEYS);
    for (const wallet of expect.result.wallets ?? []) {
      holdKeys('expect, a wallet', wallet, 'currency amount');
    }
  } else {
    holdKeys('expect, error', expect.error, 'class code outcome', ERROR_KEYS);
  }
}

// ---------------------------------------------------------------- carrying one out

/**
 * What a call came to: a result or an error.
 *
 * @typedef {{ result?: any, error?: any, clientShown: string }} Done
 */

/** @param {any} value */
const inCamelCase = (value) =>
  Object.fromEntries(Object.entries(value).map(([name, one]) => [camelCase(name), one]));

/**
 * @param {Scenario} scenario
 * @param {ScriptedServer} server
 */
function clientOptions({ client }, server) {
  const { base_path, base_url, timeout_ms, connect_timeout_ms, ...same } = client;
  return {
    ...inCamelCase(same),
    baseUrl: base_url ?? `${server.url}${base_path ?? ''}`,
    ...(timeout_ms !== undefined && { timeout: timeout_ms }),
    ...(connect_timeout_ms !== undefined && { connectTimeout: connect_timeout_ms }),
    ...(server.rootCertificate !== null && { rootCertificates: server.rootCertificate }),
  };
}

/**
 * @param {any} client
 * @param {Call} call
 */
async function make(client, call) {
  const { method, path, payment_method: paymentMethod, ...given } = call.arguments;
  const options = inCamelCase(given);
  if (call.timeout_ms !== undefined) {
    options.timeout = call.timeout_ms;
  }
  if (call.operation === 'request') {
    return client.request(method, path, options);
  }
  if (paymentMethod !== undefined) {
    const { kind, ...fields } = paymentMethod;
    options.paymentMethod = /** @type {any} */ (PaymentMethod)[camelCase(kind)](fields);
  }
  const [resource = '', method_name = ''] = call.operation.split('.');
  return client[camelCase(resource)][method_name](options);
}

/**
 * @param {Scenario} scenario
 * @param {ScriptedServer} server
 * @returns {Promise<Done>}
 */
async function carryOut(scenario, server) {
  let client;
  try {
    client = new Client(clientOptions(scenario, server));
  } catch (error) {
    return { error: ofOurs(error), clientShown: '' };
  }
  const clientShown = `${inspect(client)} ${JSON.stringify(client)}`;
  try {
    for (const call of scenario.earlier_calls) {
      await make(client, call);
      await sleep(call.pause_after_ms ?? 0);
    }
    try {
      return { result: await make(client, scenario.call), clientShown };
    } catch (error) {
      return { error: ofOurs(error), clientShown };
    }
  } finally {
    client.close();
  }
}

/** @param {unknown} error */
function ofOurs(error) {
  if (error instanceof KazawalletError) {
    return error;
  }
  throw error;
}

/**
 * @param {Scenario} scenario
 * @returns {Promise<string[]>}
 */
async function run(scenario) {
  const server = await ScriptedServer.start(scenario.server);
  try {
    const done = await carryOut(scenario, server);
    return complaints(scenario, await server.finish(), done);
  } finally {
    server.stop();
  }
}

// ---------------------------------------------------------------- what did not fit

/**
 * @param {Scenario} scenario
 * @param {import('./scripted-server.mjs').Observed} observed
 * @param {Done} done
 * @returns {string[]}
 */
function complaints(scenario, observed, { result, error, clientShown }) {
  const found = [...wireComplaints(scenario.expect, observed)];
  let shown = clientShown;
  if (error === undefined) {
    found.push(...resultComplaints(scenario.expect, result));
    shown += resultShown(result);
  } else {
    found.push(...errorComplaints(scenario.expect, error));
    shown += errorShown(error);
  }
  for (const value of privateValues(scenario)) {
    if (shown.includes(value)) {
      found.push(`${JSON.stringify(value)} is shown in: ${shown}`);
    }
  }
  return found;
}

/**
 * @param {any} expect
 * @param {import('./scripted-server.mjs').Observed} observed
 */
function* wireComplaints(expect, { connections, requests, steps_left, incomplete_requests }) {
  if (expect.requests.length !== requests.length) {
    const seen = requests.map(({ method, path }) => `${method} ${path}`);
    yield `${expect.requests.length} requests were expected, seen were ${JSON.stringify(seen)}`;
  }
  for (const [index, seen] of requests.entries()) {
    const wanted = expect.requests[index];
    if (wanted !== undefined) {
      for (const [what, said, was] of requestDifferences(wanted, seen)) {
        yield `request ${index + 1}, ${what}:\n      expected ${said}\n      seen     ${was}`;
      }
    }
  }
  if ((expect.connections ?? connections) !== connections) {
    yield `${expect.connections} connections were expected, seen were ${connections}`;
  }
  if (steps_left > 0) {
    yield `${steps_left} of the server's steps were not used`;
  }
  if (incomplete_requests > 0) {
    yield `${incomplete_requests} requests were not finished`;
  }
}

/**
 * @param {any} wanted
 * @param {import('./scripted-server.mjs').ObservedRequest} seen
 */
function requestDifferences(wanted, seen) {
  // A header that came twice has both values, so that it equals neither.
  const header = (/** @type {string} */ name) => {
    const values = seen.headers.filter(([other]) => other === name).map(([, value]) => value);
    return values.length > 0 ? values.join(', ') : undefined;
  };
  const compared = [
    ['method', wanted.method, seen.method],
    ['path', wanted.path, seen.path],
    ['body', wanted.body, seen.body],
    ['known to the script', true, !seen.unexpected],
    ...Object.entries(wanted.headers).map(([name, value]) => [name, value, header(name)]),
    ...(wanted.absent_headers ?? []).map((/** @type {string} */ name) => [
      name,
      undefined,
      header(name),
    ]),
  ];
  return compared.filter(([, said, was]) => said !== was);
}

/**
 * @param {any} expect
 * @param {any} result
 */
function* resultComplaints(expect, result) {
  if ('error' in expect) {
    yield `an error was expected, seen was ${inspect(result)}`;
    return;
  }
  const seen = fieldsOf(result);
  for (const [name, wanted] of Object.entries(expect.result)) {
    if (!(name in seen)) {
      yield `result: what is \`${name}\`?`;
    } else if (!isDeepStrictEqual(wanted ?? undefined, seen[name])) {
      yield `${name}: expected ${inspect(wanted)}, seen ${inspect(seen[name])}`;
    }
  }
}

/**
 * A result's fields, and those of the answer that it was read from.
 *
 * @param {any} result
 * @returns {Record<string, unknown>}
 */
function fieldsOf(result) {
  const raw = result instanceof Response ? result : result?.raw;
  assert.ok(raw instanceof Response, `${inspect(result)} has no answer`);
  const fields = { http_status: raw.status, request_id: raw.requestId, text: raw.text };
  if (result instanceof PaymentLink) {
    return { ...fields, url: result.url, id: result.id };
  }
  if (result instanceof Withdrawal) {
    return { ...fields, status: result.status, message: result.message };
  }
  if (result instanceof Deposit) {
    const { status, transactionId, message, note } = result;
    return { ...fields, status, transaction_id: transactionId, message, note };
  }
  if (result instanceof WalletList) {
    assert.deepEqual([...result], [...result.wallets]);
    const wallets = [...result].map(({ currency, amount }) => ({ currency, amount }));
    return { ...fields, wallets };
  }
  assert.equal(result, raw, `what is ${inspect(result)}?`);
  return fields;
}

/**
 * @param {any} expect
 * @param {any} error
 */
function* errorComplaints(expect, error) {
  if ('result' in expect) {
    yield `a result was expected, seen was ${errorShown(error)}`;
    return;
  }
  const wanted = expect.error;
  if (error.constructor !== /** @type {any} */ (kazawallet)[wanted.class]) {
    yield `class: expected ${wanted.class}, seen ${error.constructor.name}`;
  }
  if (error.name !== wanted.class) {
    yield `name: expected ${wanted.class}, seen ${error.name}`;
  }
  for (const name of ERROR_PROPERTIES) {
    if (name in wanted) {
      const said = wantedProperty(name, wanted[name] ?? undefined, error);
      const seen = error[camelCase(name)];
      if (!isDeepStrictEqual(said, seen)) {
        yield `${name}: expected ${inspect(said)}, seen ${inspect(seen)}`;
      }
    }
  }
  if ('retry_after_ms' in wanted && (wanted.retry_after_ms ?? undefined) !== error.retryAfter) {
    yield `retryAfter: expected ${wanted.retry_after_ms} ms, seen ${error.retryAfter} ms`;
  }
  const [shown, body] = [errorShown(error), error.body ?? ''];
  for (const text of wanted.message_contains ?? []) {
    if (!error.message.includes(text)) {
      yield `the message lacks ${JSON.stringify(text)}: ${error.message}`;
    }
  }
  for (const text of wanted.message_lacks ?? []) {
    if (shown.includes(text)) {
      yield `${JSON.stringify(text)} is shown in: ${shown}`;
    }
  }
  for (const text of wanted.body_contains ?? []) {
    if (!body.includes(text)) {
      yield `the body lacks ${JSON.stringify(text)}: ${JSON.stringify(body)}`;
    }
  }
  const size = Buffer.byteLength(body);
  if (size > (wanted.body_max_bytes ?? Number.POSITIVE_INFINITY)) {
    yield `the body has ${size} bytes`;
  }
}

/**
 * A `field` names an argument, which is in camel case; a webhook's own field is called as it is there.
 *
 * @param {string} name
 * @param {any} value
 * @param {unknown} error
 */
function wantedProperty(name, value, error) {
  return name === 'field' && value !== undefined && !(error instanceof WebhookError)
    ? camelCase(value)
    : value;
}

// ---------------------------------------------------------------- what a person can see

/**
 * All that a person can see of a result without asking for a field of it.
 *
 * @param {any} result
 */
function resultShown(result) {
  const parts = [result, result?.raw, ...(result instanceof WalletList ? result : [])];
  return parts.map((part) => `${part} ${inspect(part)} ${JSON.stringify(part)}`).join(' ');
}

/**
 * All that a person can see of an error, and of what it came from.
 *
 * @param {unknown} error
 */
function errorShown(error) {
  const shown = [];
  const known = new Set();
  for (let one = error; one instanceof Error && !known.has(one); one = one.cause) {
    known.add(one);
    shown.push(
      `${one}`,
      inspect(one),
      inspect(one, { depth: Number.POSITIVE_INFINITY }),
      // The names of source files in it are the program's own.
      one.stack ?? '',
      JSON.stringify(one),
    );
  }
  return shown.join(' ');
}

/**
 * What must not be shown, whatever the scenario says.
 *
 * @param {Scenario} scenario
 * @returns {string[]}
 */
function privateValues({ client, earlier_calls, call }) {
  const values = [client.api_key, client.api_secret, client.merchant_email];
  for (const { arguments: given } of [...earlier_calls, call]) {
    values.push(given.user_email, given.note);
    values.push(given.payment_method?.name, given.payment_method?.phone);
  }
  return values.filter((value) => typeof value === 'string' && value.trim().length >= TELLING);
}

// ---------------------------------------------------------------- all of them, side by side

/**
 * What did not fit; for an error that no scenario expects, all that is known of it.
 *
 * @param {string} name
 * @returns {Promise<string[]>}
 */
async function outcomeOf(name) {
  const guard = new AbortController();
  try {
    return await Promise.race([
      run(readScenario(name, readText('scenarios', `${name}.json`))),
      sleep(NEVER_LONGER_THAN, [`not done after ${NEVER_LONGER_THAN} ms`], guard),
    ]);
  } catch (error) {
    return [error instanceof NotUnderstood ? error.message : inspect(error)];
  } finally {
    guard.abort();
  }
}

const FILES = fileNames('scenarios');
const NAMES = FILES.map((file) => file.replace(/\.json$/, ''));
/** @type {Map<string, PromiseWithResolve>} */
const outcomes = new Map(NAMES.map((name) => [name, promiseWithResolve()]));

/**
 * @typedef {{ promise: Promise<string[]>, resolve: (found: string[]) => void }} PromiseWithResolve
 * @returns {PromiseWithResolve}
 */
function promiseWithResolve() {
  /** @type {(found: string[]) => void} */
  let resolve = () => {};
  const promise = new Promise((/** @type {(found: string[]) => void} */ settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

const waiting = [...outcomes];
for (let runner = 0; runner < AT_ONCE; runner += 1) {
  runWaiting();
}

async function runWaiting() {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const [name, { resolve }] = next;
    resolve(await outcomeOf(name));
  }
}

for (const [name, { promise }] of outcomes) {
  test(`scenario: ${name}`, async () => {
    const found = await promise;
    if (found.length > 0) {
      assert.fail(`scenarios/${name}.json\n    ${found.join('\n    ')}`);
    }
  });
}

test('every file of the folder is a scenario', () => {
  assert.deepEqual(
    FILES.filter((file) => !file.endsWith('.json')),
    [],
  );
  assert.ok(FILES.length >= 290, 'these are too few to be all of them');
});

// ---------------------------------------------------------------- the runner itself

const GOOD = {
  name: 'a-name',
  why: 'One 503 and no retry.',
  client: { api_key: '81A107141716', merchant_email: 'merchant@example.com', max_retries: 0 },
  earlier_calls: [],
  call: {
    operation: 'withdrawals.create',
    arguments: {
      amount: '1',
      currency: 'USD',
      payment_method: { kind: 'sy_cash', phone: '0944123456' },
    },
  },
  server: { steps: [{ do: 'respond', status: 503, body: { text: '' } }] },
  expect: {
    requests: [{ method: 'GET', path: '/', headers: {}, body: '' }],
    error: { class: 'APIError', code: 'api', outcome: 'rejected' },
  },
};

/**
 * The good scenario as text, with another value at the place.
 *
 * @param {string} place
 * @param {unknown} value
 */
function changed(place, value) {
  const scenario = structuredClone(GOOD);
  const way = place.split('/');
  const last = way.pop() ?? '';
  const inner = way.reduce((/** @type {any} */ outer, step) => outer[step], scenario);
  inner[last] = value;
  return JSON.stringify(scenario);
}

/** @type {[string, unknown][]} */
const NOT_UNDERSTOOD = [
  ['speed', 1],
  ['client/speed', 1],
  ['call/speed', 1],
  ['call/pause_after_ms', 1],
  ['call/arguments/speed', 1],
  ['call/arguments/amount', 1.5],
  ['call/arguments/amount', true],
  ['call/arguments/payment_method/speed', 1],
  ['call/arguments/payment_method/kind', 'dance'],
  ['call/operation', 'wallets.dance'],
  ['earlier_calls', [{ operation: 'wallets.list', arguments: {}, speed: 1 }]],
  ['expect/speed', 1],
  ['expect/result', {}],
  ['expect/requests/0/speed', 1],
  ['expect/error/speed', 1],
  ['name', 'another-name'],
];

test('what is not understood is refused', () => {
  readScenario('a-name', JSON.stringify(GOOD));
  for (const [place, value] of NOT_UNDERSTOOD) {
    assert.throws(() => readScenario('a-name', changed(place, value)), NotUnderstood, place);
  }
  const twice = JSON.stringify(GOOD).replace('"name"', '"why":"","name"');
  assert.throws(() => readScenario('a-name', twice), /twice/);
});

test('a step that is not understood is refused', async () => {
  const scenario = readScenario('a-name', changed('server/steps', [{ do: 'dance' }]));
  await assert.rejects(run(scenario), /dance/);
});

test('the runner sees what does not fit', async () => {
  const found = await run({
    client: GOOD.client,
    earlier_calls: [],
    call: { operation: 'payment_links.create', arguments: { amount: '1', currency: 'USD' } },
    server: { steps: [{ do: 'respond', status: 503 }, { do: 'hang' }] },
    expect: {
      requests: [
        {
          method: 'GET',
          path: '/elsewhere',
          headers: { 'x-api-key': 'another' },
          absent_headers: ['content-type'],
          body: '{}',
        },
        { method: 'GET', path: '/', headers: {}, body: '' },
      ],
      connections: 7,
      error: {
        class: 'APIError',
        code: 'api',
        outcome: 'rejected',
        status: null,
        retry_after_ms: 5,
        message_contains: ['no such text'],
        message_lacks: ['503'],
        body_contains: ['no such body'],
        body_max_bytes: -1,
      },
    },
  });
  for (const wanted of [
    '2 requests were expected',
    'request 1, method',
    'request 1, path',
    'request 1, body',
    'request 1, x-api-key',
    'request 1, content-type',
    '7 connections were expected',
    "1 of the server's steps were not used",
    'class: expected APIError, seen ServerError',
    'name: expected APIError, seen ServerError',
    "code: expected 'api', seen 'server'",
    'outcome: expected',
    'status: expected undefined',
    'retryAfter: expected 5 ms',
    'the message lacks "no such text"',
    '"503" is shown',
    'the body lacks "no such body"',
    'the body has 0 bytes',
  ]) {
    assert.ok(found.join('\n').includes(wanted), `${wanted}\n\n${found.join('\n')}`);
  }
});

test('the runner sees the wrong kind of end', () => {
  const error = new KazawalletError('no');
  assert.notDeepEqual([...errorComplaints({ result: {} }, error)], []);
  assert.notDeepEqual([...resultComplaints({ error: {} }, 'a result')], []);
});

test('the runner sees what is shown of a cause', () => {
  const scenario = readScenario('a-name', JSON.stringify(GOOD));
  const error = new KazawalletError('no', { cause: new Error('for 0944123456') });
  const observed = { connections: 0, requests: [], incomplete_requests: 0, steps_left: 0 };
  const found = complaints(scenario, observed, { error, clientShown: '' });
  assert.ok(found.join('\n').includes('"0944123456" is shown'));
});
