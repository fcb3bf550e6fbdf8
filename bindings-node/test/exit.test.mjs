// The end of a process: no hang, no crash, not a word on stderr, whatever is still under way.

import assert from 'node:assert/strict';

import { withServer } from './observing-server.mjs';
import { testing } from './package.mjs';
import { checkClean, LOAD, PAYOUT, run, withProgram } from './programs.mjs';
import { GUARD, test } from './runtimes.mjs';

const { Simulator } = testing;

/** How often a program is run of which the end is a race. */
const TIMES = 10;

/**
 * Does `work` with a simulator.
 *
 * @param {(sim: import('kazawallet/testing').Simulator) => Promise<void>} work
 */
async function withSimulator(work) {
  const sim = await Simulator.start({ balances: { USD: '1000000' } });
  try {
    await work(sim);
  } finally {
    await sim.stop();
  }
}

test('a process that only loads the package ends', async () => {
  checkClean(await run(LOAD));
});

test('clients, a webhook and a simulator keep no process alive', () =>
  withSimulator(async (provider) => {
    const program = `
      ${LOAD}
      const client = new Client();
      await client.wallets.list();
      const sim = await Simulator.start();
      const other = sim.client();
      await other.wallets.list();
      const webhook = sim.webhook();
      webhook.sign({ amount: '1', orderId: 'pl_1' });
      await client.paymentLinks.create({ amount: '1', currency: 'USD' });
      process.on('exit', (status) => console.log('exit', status));
    `;
    const ended = await run(program, { provider });
    checkClean(ended);
    assert.equal(ended.stdout, 'exit 0');
  }));

test('a process waits for the call that it makes', () =>
  withServer(async (server) => {
    const program = `
      ${LOAD}
      new Client().wallets.list().then((list) => console.log(list.wallets[0].amount));
    `;
    server.hold();
    await withProgram(program, { provider: server }, async (running) => {
      await server.requestsCame(1);
      // Time in which a process that does not wait would end.
      await new Promise((resolve) => setTimeout(resolve, 700));
      assert.deepEqual([...server.closedByClient], []);
      server.release();
      const ended = await running.end();
      checkClean(ended);
      assert.equal(ended.stdout, '250.00');
    });
  }));

test('a process waits again after a time without a call', () =>
  withSimulator(async (provider) => {
    const program = `
      ${LOAD}
      const client = new Client();
      await client.wallets.list();
      setTimeout(() => {
        client.wallets.list().then(() => {
          setTimeout(() => {
            client.wallets.list().then(() => console.log('third'));
          }, 50);
        });
      }, 50);
    `;
    const ended = await run(program, { provider });
    checkClean(ended);
    assert.equal(ended.stdout, 'third');
  }));

test('a process does not wait for a call that was aborted', () =>
  withServer(async (server) => {
    const program = `
      ${LOAD}
      const abort = new AbortController();
      const call = new Client().wallets.list({ signal: abort.signal }).catch((error) => console.log(error.name));
      await told();
      abort.abort();
      await call;
    `;
    server.hold();
    await withProgram(program, { provider: server }, async (running) => {
      await server.requestsCame(1);
      running.tell();
      const ended = await running.end();
      checkClean(ended);
      assert.equal(ended.stdout, 'AbortError');
    });
  }));

test('a payout that nobody awaits is waited for', () =>
  withServer(async (server) => {
    const program = `
      ${LOAD}
      ${PAYOUT}
      const client = new Client();
      client.withdrawals.create(payout);
      client.close();
    `;
    server.hold();
    await withProgram(program, { provider: server }, async (running) => {
      await server.requestsCame(1);
      await new Promise((resolve) => setTimeout(resolve, 700));
      server.release();
      await server.answersWritten(1);
      checkClean(await running.end());
    });
  }));

test('a call in beforeExit', () =>
  withSimulator(async (provider) => {
    const program = `
      ${LOAD}
      const client = new Client();
      await client.wallets.list();
      process.once('beforeExit', async () => {
        const list = await client.wallets.list();
        console.log('beforeExit', list.wallets.length > 0);
      });
    `;
    const ended = await run(program, { provider });
    checkClean(ended);
    assert.equal(ended.stdout, 'beforeExit true');
  }));

test('a call that is begun in an exit handler', () =>
  withSimulator(async (provider) => {
    const program = `
      ${LOAD}
      ${PAYOUT}
      const client = new Client();
      await client.wallets.list();
      process.on('exit', () => {
        client.wallets.list();
        client.withdrawals.create(payout);
        client.close();
      });
    `;
    for (let turn = 0; turn < TIMES; turn += 1) {
      checkClean(await run(program, { provider }));
    }
  }));

test('process.exit with calls that wait', () =>
  withServer(async (server) => {
    const program = `
      ${LOAD}
      ${PAYOUT}
      const client = new Client();
      client.wallets.list();
      client.paymentLinks.create({ amount: '1', currency: 'USD' });
      client.withdrawals.create(payout);
      await told();
      process.exit(7);
    `;
    server.hold();
    for (let turn = 1; turn <= 3; turn += 1) {
      await withProgram(program, { provider: server }, async (running) => {
        await server.requestsCame(3 * turn);
        running.tell();
        const { status, signal, stderr } = await running.end();
        assert.deepEqual({ status, signal, stderr }, { status: 7, signal: null, stderr: '' });
      });
    }
  }));

test('process.exit while calls come and go', () =>
  withSimulator(async (provider) => {
    const program = `
      ${LOAD}
      ${PAYOUT}
      const client = new Client();
      const sim = await Simulator.start();
      const own = sim.client();
      const call = async (number) => {
        for (;;) {
          await (number % 4 === 0 ? client.withdrawals.create(payout) : (number % 2 ? own : client).wallets.list());
        }
      };
      for (let number = 0; number < 16; number += 1) {
        call(number);
      }
      await client.wallets.list();
      // It is referred to until then: one that is collected is stopped, and its calls are refused.
      setTimeout(() => process.exit(sim === undefined ? 1 : 0), Number(process.argv[2]));
    `;
    for (let turn = 0; turn < 2 * TIMES; turn += 1) {
      checkClean(await run(program, { provider, parameters: [`${turn * 3}`] }));
    }
  }));

test('an error that nobody catches ends the process as usual, with calls under way', () =>
  withServer(async (server) => {
    const program = `
      ${LOAD}
      ${PAYOUT}
      const client = new Client();
      client.wallets.list();
      client.withdrawals.create(payout);
      await told();
      setTimeout(() => {
        throw new Error('a slip of the program');
      });
    `;
    server.hold();
    await withProgram(program, { provider: server }, async (running) => {
      await server.requestsCame(2);
      running.tell();
      const { status, signal, stderr } = await running.end();
      assert.deepEqual({ status, signal }, { status: 1, signal: null });
      assert.match(stderr, /a slip of the program/);
    });
  }));

for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT'])) {
  test(`${signal} ends a process as usual, with calls under way`, () =>
    withServer(async (server) => {
      const program = `
        ${LOAD}
        ${PAYOUT}
        const client = new Client();
        const sim = await Simulator.start();
        await sim.client().wallets.list();
        client.wallets.list();
        client.withdrawals.create(payout);
      `;
      server.hold();
      await withProgram(program, { provider: server }, async (running) => {
        await server.requestsCame(2);
        running.send(signal);
        const ended = await running.end();
        assert.deepEqual([ended.status, ended.signal, ended.stderr], [null, signal, '']);
      });
    }));

  test(`a handler for ${signal} can let the calls come to their end`, () =>
    withServer(async (server) => {
      const program = `
        ${LOAD}
        const client = new Client();
        const call = client.wallets.list();
        process.once('${signal}', async () => {
          console.log('signal');
          const list = await call;
          console.log('answered', list.wallets.length);
        });
        console.log('ready');
      `;
      server.hold();
      await withProgram(program, { provider: server }, async (running) => {
        await server.requestsCame(1);
        assert.equal(await running.line(), 'ready');
        running.send(signal);
        assert.equal(await running.line(), 'signal');
        server.release();
        assert.equal(await running.line(), 'answered 1');
        running.send('SIGKILL');
      });
    }));
}

test('a rejection that nobody handles shows no secret', () =>
  withSimulator(async (provider) => {
    const program = `
      ${LOAD}
      ${PAYOUT}
      const client = new Client({
        apiKey: 'sim_of_another',
        apiSecret: 'sim_secret_of_another',
        merchantEmail: 'somebody@example.com',
      });
      client.withdrawals.create({ ...payout, note: 'salary of May' });
    `;
    const { status, signal, stderr } = await run(program, { provider });
    assert.deepEqual({ status, signal }, { status: 1, signal: null });
    assert.match(stderr, /AuthenticationError/);
    for (const hidden of [
      'sim_of_another',
      'sim_secret_of_another',
      'somebody@example.com',
      'salary of May',
    ]) {
      // Some runtimes quote lines of the source.
      const shown = stderr
        .split('\n')
        .filter(
          (line) => !/^\s*(\d+ \||>?\s*(apiKey|apiSecret|merchantEmail|client\.))/.test(line),
        );
      assert.ok(!shown.join('\n').includes(hidden), stderr);
    }
  }));

test('a process that was forked', () =>
  withSimulator(async (provider) => {
    const program = `
      ${LOAD}
      import { fork } from 'node:child_process';
      import { once } from 'node:events';
      const client = new Client();
      if (process.argv[2] === 'child') {
        const list = await client.wallets.list();
        process.send(list.wallets.length);
        process.disconnect();
      } else {
        await client.wallets.list();
        const children = Array.from({ length: 3 }, () => fork(process.argv[1], ['child']));
        const ends = children.map((child) => once(child, 'exit'));
        const messages = await Promise.all(children.map((child) => once(child, 'message')));
        console.log(messages.every(([count]) => count > 0));
        console.log(JSON.stringify(await Promise.all(ends)));
        await client.wallets.list();
      }
    `;
    const ended = await run(program, { provider, within: 2 * GUARD });
    checkClean(ended);
    assert.equal(ended.stdout, 'true\n[[0,null],[0,null],[0,null]]');
  }));

test('workers of a cluster', () =>
  withSimulator(async (provider) => {
    const program = `
      ${LOAD}
      import cluster from 'node:cluster';
      import { once } from 'node:events';
      const client = new Client();
      if (cluster.isPrimary) {
        await client.wallets.list();
        const workers = [cluster.fork(), cluster.fork()];
        const ends = workers.map((worker) => once(worker, 'exit'));
        await Promise.all(workers.map((worker) => once(worker, 'message')));
        workers[0].disconnect();
        workers[1].kill('SIGTERM');
        await Promise.all(ends);
        console.log('ended', (await client.wallets.list()).wallets.length > 0);
      } else {
        await client.wallets.list();
        process.send('called');
      }
    `;
    const ended = await run(program, { provider, within: 2 * GUARD });
    checkClean(ended);
    assert.equal(ended.stdout, 'ended true');
  }));

test('a call in the top-level await of a module', () =>
  withSimulator(async (provider) => {
    const program = `
      ${LOAD}
      console.log((await new Client().wallets.list()).wallets.length > 0);
    `;
    const ended = await run(program, { provider });
    checkClean(ended);
    assert.equal(ended.stdout, 'true');
  }));

test("a test of somebody's ends though nothing was closed", () =>
  withSimulator(async (provider) => {
    const program = `
      ${LOAD}
      import assert from 'node:assert/strict';
      import { test } from 'node:test';
      const sim = await Simulator.start();
      const client = sim.client();
      test('pays', async () => {
        const link = await client.paymentLinks.create({ amount: '1', currency: 'USD' });
        const [delivery] = await sim.pay(link);
        assert.equal(sim.webhook().verify(delivery.body).orderId, link.id);
      });
      test('calls another', async () => {
        assert.ok((await new Client().wallets.list()).wallets.length > 0);
      });
    `;
    const { status, signal, stdout, stderr } = await run(program, { provider, as: 'test' });
    assert.deepEqual({ status, signal }, { status: 0, signal: null }, stdout + stderr);
    assert.match(stdout + stderr, /\b2 pass|pass 2\b/);
  }));

test('a provider that is gone holds up no end', () =>
  withServer(async (server) => {
    const program = `
      ${LOAD}
      const client = new Client({ maxRetries: 0 });
      await client.wallets.list();
      console.log('answered');
      await told();
      await client.wallets.list().catch((error) => console.log(error.code));
    `;
    await withProgram(program, { provider: server }, async (running) => {
      assert.equal(await running.line(), 'answered');
      await server.stop();
      running.tell();
      const ended = await running.end();
      checkClean(ended);
      assert.equal(ended.stdout, 'connection');
    });
  }));
