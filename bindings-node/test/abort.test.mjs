// `signal`: an ordinary request is dropped; a payout that may have left runs to its end.

import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { createServer } from 'node:net';

import { ObservingServer, withServer } from './observing-server.mjs';
import { kazawallet, testing } from './package.mjs';
import { checkClean, LOAD, PAYOUT, run, withProgram } from './programs.mjs';
import { guarded, test, until } from './runtimes.mjs';

const { Client, OutcomeUnknownError, PaymentMethod } = kazawallet;
const { Simulator } = testing;

/** @typedef {import('kazawallet').Client} AnyClient */
/** @typedef {(client: AnyClient, options?: import('kazawallet').CallOptions) => Promise<unknown>} Begin */

const recipient = PaymentMethod.custom({ id: '118', fields: {} });
const payout = { amount: '10', currency: 'USD', paymentMethod: recipient };

/** @type {Record<string, Begin>} */
const DROPPED = {
  'wallets.list': (client, options) => client.wallets.list(options),
  'paymentLinks.create': (client, options) =>
    client.paymentLinks.create({ amount: '10', currency: 'USD', ref: 'order-42', ...options }),
  'a raw GET': (client, options) => client.request('GET', '/anything', options),
};

/** @type {Record<string, Begin>} */
const CARRIED_OUT = {
  'withdrawals.create': (client, options) => client.withdrawals.create({ ...payout, ...options }),
  'deposits.create': (client, options) =>
    client.deposits.create({ ...payout, userEmail: 'user@example.com', ...options }),
  'a raw POST': (client, options) =>
    client.request('POST', '/wallet-cards/create', { json: {}, ...options }),
};

const EVERY = { ...DROPPED, ...CARRIED_OUT };

/**
 * Does the same with several calls at once, since it takes its time.
 *
 * @param {Record<string, Begin>} calls
 * @param {(begin: Begin) => Promise<void>} check
 */
async function atOnce(calls, check) {
  await Promise.all(Object.values(calls).map(check));
}

/**
 * What a promise is rejected with.
 *
 * @param {Promise<unknown>} promise
 */
async function rejection(promise) {
  return await guarded(
    promise.then(
      (value) => assert.fail(`it was fulfilled: ${value}`),
      (error) => error,
    ),
    () => 'a rejection',
  );
}

/**
 * @param {unknown} error
 * @param {unknown} reason
 */
function checkUnknown(error, reason) {
  assert.ok(error instanceof OutcomeUnknownError, String(error));
  assert.equal(error.code, 'outcome_unknown');
  assert.equal(error.outcome, 'unknown');
  assert.equal(error.cause, reason);
  assert.equal(error.status, undefined);
}

/**
 * Does `work` with a port that accepts connections, reads and never says a word: as seen from a client
 * that wants TLS, a handshake that stalls.
 *
 * @param {(stalled: { url: string, connections: import('node:net').Socket[], came: () => Promise<void> }) => Promise<void>} work
 */
async function withStalledHandshakes(work) {
  /** @type {import('node:net').Socket[]} */
  const connections = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.resume();
    connections.push(socket);
    server.emit('came');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const came = async () => {
    if (connections.length === 0) {
      await guarded(once(server, 'came'), () => 'a connection');
    }
  };
  try {
    await work({ url: `https://127.0.0.1:${port}`, connections, came });
  } finally {
    for (const socket of connections) {
      socket.destroy();
    }
    server.close();
  }
}

/** @param {import('node:net').Socket} socket */
async function closed(socket) {
  if (!socket.closed) {
    await guarded(once(socket, 'close'), () => 'the end of a connection');
  }
}

/** @param {string} url */
function credentialsFor(url) {
  return {
    apiKey: 'sim_key',
    apiSecret: 'sim_secret',
    merchantEmail: 'merchant@example.com',
    baseUrl: url,
  };
}

for (const [name, begin] of Object.entries(DROPPED)) {
  test(`${name} that is aborted drops its request`, () =>
    withServer(async (server) => {
      const client = new Client(server.options);
      const abort = new AbortController();
      server.hold();
      const call = rejection(begin(client, { signal: abort.signal }));
      await server.requestsCame(1);
      abort.abort();
      const error = await call;
      assert.equal(error, abort.signal.reason);
      assert.ok(error instanceof DOMException);
      assert.equal(error.name, 'AbortError');
      await server.clientClosed(1);
      server.release();
      // The client works on.
      assert.equal((await client.wallets.list()).wallets.length, 1);
      assert.equal(server.requests.length, 2);
      client.close();
    }));
}

test('a call that is aborted in the pause before another try is not tried again', () =>
  atOnce(DROPPED, (begin) =>
    withServer(async (server) => {
      const client = new Client(server.options);
      const abort = new AbortController();
      server.answerNext({ status: 429, headers: { 'retry-after': '1' } });
      const call = rejection(begin(client, { signal: abort.signal }));
      await server.answersWritten(1);
      abort.abort('enough');
      assert.equal(await call, 'enough');
      // Longer than the pause that the server asked for: only time can show that nothing comes.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      assert.equal(server.requests.length, 1);
      client.close();
    }),
  ));

for (const [name, begin] of Object.entries(CARRIED_OUT)) {
  test(`${name} that is aborted after it left is of unknown outcome, and runs to its end`, () =>
    withServer(async (server) => {
      const client = new Client(server.options);
      const abort = new AbortController();
      server.hold();
      const call = rejection(begin(client, { signal: abort.signal }));
      await server.requestsCame(1);
      abort.abort();
      // At once: nothing is answered yet.
      checkUnknown(await call, abort.signal.reason);
      assert.equal(server.answered, 0);
      // The client's end does not stop it.
      client.close();
      server.release();
      await server.answersWritten(1);
      assert.equal(server.requests.length, 1);
      assert.deepEqual([...server.closedByClient], []);
    }));
}

test('a payout that is aborted before it left never leaves', () =>
  atOnce(CARRIED_OUT, (begin) =>
    withStalledHandshakes(async (stalled) => {
      const client = new Client({ ...credentialsFor(stalled.url), connectTimeout: 1000 });
      const abort = new AbortController();
      const reason = new Error('the customer went away');
      const call = rejection(begin(client, { signal: abort.signal }));
      await stalled.came();
      abort.abort(reason);
      assert.equal(await call, reason);
      const [socket] = stalled.connections;
      assert.ok(socket);
      await closed(socket);
      // Longer than the first pause between two tries can be.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      assert.equal(stalled.connections.length, 1);
      client.close();
    }),
  ));

test('a payout that is aborted between two connections that failed never leaves', () =>
  withStalledHandshakes(async (stalled) => {
    const client = new Client({
      ...credentialsFor(stalled.url),
      connectTimeout: 200,
      maxRetries: 100,
    });
    const abort = new AbortController();
    const call = rejection(client.withdrawals.create({ ...payout, signal: abort.signal }));
    await stalled.came();
    const [first] = stalled.connections;
    assert.ok(first);
    // The client gave up on it, and tries again after a pause.
    await closed(first);
    abort.abort();
    assert.equal(await call, abort.signal.reason);
    // Time for a connection that was just begun to come, and to be given up.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const count = stalled.connections.length;
    await Promise.all(stalled.connections.map(closed));
    // Longer than the pauses between two tries are at first.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal(stalled.connections.length, count);
    client.close();
  }));

test('a payout that is aborted in the pause after a 429 is said to be where it is', () =>
  withServer(async (server) => {
    const client = new Client(server.options);
    const abort = new AbortController();
    server.answerNext({ status: 429, headers: { 'retry-after': '1' } });
    const call = rejection(client.withdrawals.create({ ...payout, signal: abort.signal }));
    await server.answersWritten(1);
    abort.abort();
    const error = await call;
    if (error instanceof OutcomeUnknownError) {
      // It was still on its way, or goes on: then it comes again, and is answered.
      checkUnknown(error, abort.signal.reason);
      await server.answersWritten(2);
    } else {
      // Nothing is on its way: then nothing ever is.
      assert.equal(error, abort.signal.reason);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      assert.equal(server.requests.length, 1);
    }
    client.close();
  }));

test('the money of an aborted withdrawal moves', async () => {
  const sim = await Simulator.start({ balances: { USD: '100' } });
  const client = sim.client();
  const abort = new AbortController();
  sim.fault('answer_late:1000');
  const call = rejection(client.withdrawals.create({ ...payout, signal: abort.signal }));
  await until(() => sim.requests.length > 0, 'a request');
  abort.abort();
  checkUnknown(await call, abort.signal.reason);
  // It has a status once it was answered, and it is answered only on an open connection.
  await until(() => sim.requests[0]?.status !== undefined, 'an answer');
  assert.equal(sim.requests[0]?.status, 200);
  assert.equal(sim.balance('USD'), '90');
  assert.equal(sim.requests.length, 1);
  client.close();
  await sim.stop();
});

for (const [name, begin] of Object.entries(EVERY)) {
  test(`${name} with a signal that was aborted before sends nothing`, () =>
    withServer(async (server) => {
      const client = new Client(server.options);
      const reason = { any: 'value' };
      assert.equal(await rejection(begin(client, { signal: AbortSignal.abort(reason) })), reason);
      const usual = await rejection(begin(client, { signal: AbortSignal.abort() }));
      assert.equal(usual.name, 'AbortError');
      await client.request('GET', '/after');
      assert.deepEqual(
        server.requests.map((seen) => seen.path),
        ['/after'],
      );
      client.close();
    }));

  test(`${name} that is aborted right after it was begun`, () =>
    withServer(async (server) => {
      const client = new Client(server.options);
      server.hold();
      for (let turn = 0; turn < 20; turn += 1) {
        const abort = new AbortController();
        const call = rejection(begin(client, { signal: abort.signal }));
        abort.abort();
        const error = await call;
        if (name in CARRIED_OUT && error instanceof OutcomeUnknownError) {
          checkUnknown(error, abort.signal.reason);
        } else {
          assert.equal(error, abort.signal.reason);
        }
      }
      server.release();
      assert.equal((await client.wallets.list()).wallets.length, 1);
      client.close();
    }));
}

test('the reason of AbortSignal.timeout', () =>
  withServer(async (server) => {
    const client = new Client(server.options);
    server.hold();
    const signal = AbortSignal.timeout(300);
    const error = await rejection(client.wallets.list({ signal }));
    assert.equal(error, signal.reason);
    assert.equal(error.name, 'TimeoutError');
    const of = AbortSignal.timeout(300);
    checkUnknown(await rejection(client.withdrawals.create({ ...payout, signal: of })), of.reason);
    server.release();
    client.close();
  }));

test('the reason of AbortSignal.any', () =>
  withServer(async (server) => {
    const client = new Client(server.options);
    const [one, other] = [new AbortController(), new AbortController()];
    server.hold();
    const signal = AbortSignal.any([one.signal, other.signal]);
    const call = rejection(client.wallets.list({ signal }));
    await server.requestsCame(1);
    other.abort(42);
    assert.equal(await call, 42);
    await server.clientClosed(1);
    client.close();
  }));

test('a reason that is falsy is handed on as it is', () =>
  withServer(async (server) => {
    const client = new Client(server.options);
    server.hold();
    for (const [turn, reason] of [null, false, 0, ''].entries()) {
      const abort = new AbortController();
      const call = client.wallets.list({ signal: abort.signal }).then(
        () => assert.fail('it was fulfilled'),
        (error) => ({ error }),
      );
      await server.requestsCame(turn + 1);
      abort.abort(reason);
      assert.deepEqual(await call, { error: reason });
    }
    client.close();
  }));

test('aborting after the answer was taken does nothing', () =>
  withServer(async (server) => {
    const client = new Client(server.options);
    for (const begin of Object.values(EVERY)) {
      const abort = new AbortController();
      assert.ok(await begin(client, { signal: abort.signal }));
      abort.abort();
    }
    // The connection of a payout is closed by now, or soon; the kept one is used again.
    await client.wallets.list();
    assert.equal(server.connectionsOf('/get-merchant-wallets').size, 1);
    client.close();
  }));

test('aborting between the answer and its being taken', async () => {
  const sim = await Simulator.start();
  const client = sim.client();
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (const begin of [DROPPED['wallets.list'], CARRIED_OUT['withdrawals.create']]) {
    assert.ok(begin);
    const abort = new AbortController();
    /** @type {Promise<{ value?: unknown, error?: unknown }>} */
    const call = begin(client, { signal: abort.signal }).then(
      (value) => ({ value }),
      (error) => ({ error }),
    );
    // This thread stands still while the answer comes in.
    await new Promise((resolve) => setImmediate(resolve));
    Atomics.wait(clock, 0, 0, 500);
    abort.abort();
    const { value, error } = await guarded(call, () => 'the end of the call');
    if (value === undefined && error !== abort.signal.reason) {
      checkUnknown(error, abort.signal.reason);
    }
    assert.ok((await client.wallets.list()).wallets.length > 0);
  }
  client.close();
  await sim.stop();
});

test('aborting at any moment', async () => {
  const sim = await Simulator.start();
  const client = sim.client();
  for (let turns = 0; turns < 60; turns += 1) {
    const abort = new AbortController();
    const calls = Array.from({ length: 8 }, () =>
      client.wallets.list({ signal: abort.signal }).then(
        (list) => assert.ok(list.wallets.length > 0),
        (error) => assert.equal(error, abort.signal.reason),
      ),
    );
    for (let turn = 0; turn < turns; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    abort.abort();
    await guarded(Promise.all(calls), () => 'the end of the calls');
  }
  assert.ok((await client.wallets.list()).wallets.length > 0);
  client.close();
  await sim.stop();
});

test('five hundred at once are aborted by one signal', () =>
  withServer(async (server) => {
    const calls = 500;
    const client = new Client(server.options);
    const abort = new AbortController();
    server.hold();
    const all = Array.from({ length: calls }, () =>
      rejection(client.wallets.list({ signal: abort.signal })),
    );
    await server.requestsCame(calls);
    abort.abort();
    for (const error of await Promise.all(all)) {
      assert.equal(error, abort.signal.reason);
    }
    await server.clientClosed(calls);
    server.release();
    assert.equal((await client.wallets.list()).wallets.length, 1);
    client.close();
  }));

test('listeners are taken off the signal again', async () => {
  const program = `
    ${LOAD}
    import { getEventListeners } from 'node:events';
    const warnings = [];
    process.on('warning', (warning) => warnings.push(warning));
    const client = new Client({ maxRetries: 0 });
    const { signal } = new AbortController();
    const wrong = new Client({ apiKey: 'sim_wrong', apiSecret: 'sim_wrong', maxRetries: 0 });
    for (let turn = 0; turn < 100; turn += 1) {
      await Promise.all(Array.from({ length: turn === 0 ? 64 : 9 }, () => client.wallets.list({ signal })));
      await wrong.wallets.list({ signal }).catch(() => {});
      await client.request('GET', '//', { signal }).catch(() => {});
    }
    console.log(getEventListeners(signal, 'abort').length, String(warnings));
    client.close();
    wrong.close();
  `;
  const sim = await Simulator.start();
  const ended = await run(program, { provider: sim });
  checkClean(ended);
  assert.equal(ended.stdout, '0 ');
  await sim.stop();
});

test('a call that was aborted leaves no listener behind', () =>
  withServer(async (server) => {
    const client = new Client(server.options);
    const abort = new AbortController();
    server.hold();
    const calls = Object.values(EVERY).map((begin) =>
      rejection(begin(client, { signal: abort.signal })),
    );
    await server.requestsCame(calls.length);
    abort.abort();
    await Promise.all(calls);
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
    server.release();
    await server.answersWritten(Object.keys(CARRIED_OUT).length);
    client.close();
  }));

test('a program waits for a payout that was aborted', () =>
  withServer(async (server) => {
    const program = `
      ${LOAD}
      ${PAYOUT}
      const abort = new AbortController();
      const client = new Client();
      const call = client.withdrawals.create({ ...payout, signal: abort.signal });
      await told();
      abort.abort();
      try {
        await call;
      } catch (error) {
        console.log(error.code, error.cause.name);
      }
    `;
    server.hold();
    await withProgram(program, { provider: server }, async (running) => {
      await server.requestsCame(1);
      running.tell();
      assert.equal(await running.line(), 'outcome_unknown AbortError');
      // Time in which a process that does not wait would end.
      await new Promise((resolve) => setTimeout(resolve, 700));
      assert.deepEqual([...server.closedByClient], []);
      server.release();
      await server.answersWritten(1);
      checkClean(await running.end());
    });
    assert.equal(server.requests.length, 1);
  }));

// --- client.close() ---------------------------------------------------------------------------

test('a running call comes to its end though the client is closed', () =>
  withServer(async (server) => {
    const client = new Client(server.options);
    server.hold();
    const calls = Object.values(EVERY).map((begin) => begin(client));
    await server.requestsCame(calls.length);
    client.close();
    client.close();
    server.release();
    assert.equal((await Promise.all(calls)).length, Object.keys(EVERY).length);
    await server.clientClosed(calls.length);
  }));

test('a call after the close is rejected', () =>
  withServer(async (server) => {
    const client = new Client(server.options);
    await client.wallets.list();
    client.close();
    await server.clientClosed(1);
    for (const begin of Object.values(EVERY)) {
      const error = await rejection(begin(client));
      assert.ok(error instanceof Error && !(error instanceof kazawallet.KazawalletError));
      assert.match(error.message, /^the client is closed: /);
    }
    assert.equal(server.requests.length, 1);
  }));

test('closing one client leaves the others alone', () =>
  withServer(async (server) => {
    const [one, other] = [new Client(server.options), new Client(server.options)];
    server.hold();
    const call = other.wallets.list();
    await server.requestsCame(1);
    one.close();
    server.release();
    assert.equal((await call).wallets.length, 1);
    other.close();
  }));

test('a server that is gone is no reason to hang when a call is aborted', async () => {
  const server = await ObservingServer.start();
  const client = new Client({ ...server.options, maxRetries: 100 });
  await server.stop();
  const abort = new AbortController();
  const call = rejection(client.withdrawals.create({ ...payout, signal: abort.signal }));
  await new Promise((resolve) => setTimeout(resolve, 100));
  abort.abort();
  // Connections are refused: nothing ever left.
  assert.equal(await call, abort.signal.reason);
  client.close();
});
