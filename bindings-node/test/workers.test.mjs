// Worker threads: each can use the package, and end at any moment.

import assert from 'node:assert/strict';

import { withServer } from './observing-server.mjs';
import { testing } from './package.mjs';
import { checkClean, LOAD, PAYOUT, run, withProgram } from './programs.mjs';
import { GUARD, test } from './runtimes.mjs';

const { Simulator } = testing;

/**
 * A program of which the main thread never loads the package, and whose workers are the same file.
 *
 * @param {{ main: string, worker: string }} parts
 */
const inWorkersAlone = ({ main, worker }) => `
  import assert from 'node:assert/strict';
  import { once } from 'node:events';
  import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

  const startWorker = (settings) => new Worker(new URL(import.meta.url), settings);

  if (isMainThread) {
    ${main}
  } else {
    const { kazawallet, testing } = await import('../package.mjs');
    const { Client, PaymentMethod, Webhook } = kazawallet;
    const { Simulator } = testing;
    ${PAYOUT}
    ${worker}
  }
`;

/**
 * As `inWorkersAlone`, with a main thread that uses the package, too.
 *
 * @param {{ main: string, worker: string }} parts
 */
const inAllThreads = ({ main, worker }) => `
  import assert from 'node:assert/strict';
  import { once } from 'node:events';
  import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
  ${LOAD}
  ${PAYOUT}
  const startWorker = (settings) => new Worker(new URL(import.meta.url), settings);

  if (isMainThread) {
    ${main}
  } else {
    ${worker}
  }
`;

/**
 * Runs a program against a simulator.
 *
 * @param {string} program
 */
async function runAgainstSimulator(program) {
  const sim = await Simulator.start({ balances: { USD: '1000000' } });
  const ended = await run(program, { provider: sim, within: 4 * GUARD });
  checkClean(ended);
  await sim.stop();
  return { sim, stdout: ended.stdout };
}

const USES_EVERYTHING = `
  const client = new Client();
  const webhook = new Webhook({ apiKey: 'sim_key', apiSecret: 'sim_secret' });
  const secret = webhook.sign({ amount: '1.50', orderId: 'pl_1' });
  const body = JSON.stringify({ order_id: 'pl_1', amount: '1.50', status: 'fulfilled', secret });
  for (let turn = 0; turn < 10; turn += 1) {
    const ref = \`order-\${turn}\`;
    const [link, list] = await Promise.all([
      client.paymentLinks.create({ amount: '1', currency: 'USD', ref }),
      client.wallets.list(),
      client.withdrawals.create(payout),
    ]);
    assert.ok(link.url.startsWith('http'));
    assert.ok(list.wallets.length > 0);
    assert.equal(webhook.verify(body).amount, '1.50');
  }
  const sim = await Simulator.start();
  await sim.pay(await sim.client().paymentLinks.create({ amount: '1', currency: 'USD' }));
  assert.equal(sim.deliveries.length, 1);
  await sim.stop();
`;

test('workers alone load the package, one after the other', async () => {
  const program = inWorkersAlone({
    main: `
      for (let turn = 0; turn < 30; turn += 1) {
        const [status] = await once(startWorker(), 'exit');
        assert.equal(status, 0);
      }
    `,
    worker: `
      const client = new Client();
      assert.ok((await client.wallets.list()).wallets.length > 0);
    `,
  });
  await runAgainstSimulator(program);
});

test('many workers at once, each with all that there is', async () => {
  const program = inAllThreads({
    main: `
      const workers = Array.from({ length: 6 }, () => startWorker());
      const ends = Promise.all(workers.map((worker) => once(worker, 'exit')));
      ${USES_EVERYTHING}
      assert.deepEqual(await ends, workers.map(() => [0]));
    `,
    worker: USES_EVERYTHING,
  });
  await runAgainstSimulator(program);
});

test('the answers of a worker go to that worker', () =>
  withServer(async (server) => {
    const program = inAllThreads({
      main: `
        const workers = Array.from({ length: 4 }, (_, number) => startWorker({ workerData: number }));
        const ends = Promise.all(workers.map((worker) => once(worker, 'exit')));
        const client = new Client();
        for (let turn = 0; turn < 100; turn += 1) {
          const ref = \`main-\${turn}\`;
          const link = await client.paymentLinks.create({ amount: '1', currency: 'USD', ref });
          assert.equal(link.url, \`https://pay.example/l/\${ref}\`);
        }
        assert.deepEqual(await ends, workers.map(() => [0]));
      `,
      worker: `
        const client = new Client();
        for (let turn = 0; turn < 10; turn += 1) {
          const refs = Array.from({ length: 10 }, (_, number) => \`\${workerData}-\${turn}-\${number}\`);
          const links = await Promise.all(
            refs.map((ref) => client.paymentLinks.create({ amount: '1', currency: 'USD', ref })),
          );
          assert.deepEqual(links.map(({ url }) => url), refs.map((ref) => \`https://pay.example/l/\${ref}\`));
        }
      `,
    });
    checkClean(await run(program, { provider: server, within: 4 * GUARD }));
    assert.equal(server.requests.length, 100 + 4 * 100);
  }));

const CALLS_WITHOUT_END = `
  const sim = await Simulator.start({ balances: { USD: '1000000' } });
  const [client, own] = [new Client(), sim.client()];
  const call = async (client, number) => {
    const { signal } = new AbortController();
    for (;;) {
      await (number % 3 === 0 ? client.withdrawals.create(payout) : client.wallets.list({ signal }));
    }
  };
  for (let number = 0; number < 12; number += 1) {
    call(client, number);
    // The simulator ends with its worker, in Bun before the worker's own code does.
    call(own, number).catch(() => {});
  }
  const webhook = new Webhook({ apiKey: 'sim_key', apiSecret: 'sim_secret' });
  setInterval(() => webhook.sign({ amount: '1', orderId: 'pl_1' }), 1);
  parentPort.postMessage('begun');
`;

test('workers are terminated at any moment with calls under way', async () => {
  const program = inAllThreads({
    main: `
      const client = new Client();
      for (let turn = 0; turn < 25; turn += 1) {
        const worker = startWorker();
        // Some are ended while they still load or begin.
        if (turn % 5 !== 0) {
          await once(worker, 'message');
        }
        await new Promise((resolve) => setTimeout(resolve, (turn * 7) % 40));
        const [list] = await Promise.all([client.wallets.list(), worker.terminate()]);
        assert.ok(list.wallets.length > 0);
      }
    `,
    worker: CALLS_WITHOUT_END,
  });
  await runAgainstSimulator(program);
});

test('workers are terminated where they alone load the package', async () => {
  const program = inWorkersAlone({
    main: `
      for (let turn = 0; turn < 10; turn += 1) {
        const workers = Array.from({ length: 3 }, () => startWorker());
        await Promise.all(workers.map((worker) => once(worker, 'message')));
        await new Promise((resolve) => setTimeout(resolve, (turn * 7) % 40));
        await Promise.all(workers.map((worker) => worker.terminate()));
      }
    `,
    worker: CALLS_WITHOUT_END,
  });
  await runAgainstSimulator(program);
});

test('a worker is terminated while its calls wait', () =>
  withServer(async (server) => {
    const program = inAllThreads({
      main: `
        const client = new Client();
        const worker = startWorker();
        await told();
        const [list] = await Promise.all([client.request('GET', '/main'), worker.terminate()]);
        assert.equal(list.status, 200);
        console.log('terminated');
        await told();
      `,
      worker: `
        const client = new Client();
        client.wallets.list();
        client.paymentLinks.create({ amount: '1', currency: 'USD' });
        client.withdrawals.create(payout);
        new Client().request('GET', '/get-merchant-wallets');
      `,
    });
    server.hold();
    await withProgram(program, { provider: server }, async (running) => {
      await server.requestsCame(4);
      server.hold('/get-merchant-wallets');
      running.tell();
      assert.equal(await running.line(), 'terminated');
      server.release();
      running.tell();
      checkClean(await running.end());
    });
  }));

test('answers that arrive for a worker that is gone', () =>
  withServer(async (server) => {
    const program = inAllThreads({
      main: `
        const client = new Client();
        const worker = startWorker();
        await told();
        await worker.terminate();
        console.log('terminated');
        await told();
        assert.equal((await client.request('GET', '/main')).status, 200);
      `,
      worker: `
        const client = new Client();
        for (let number = 0; number < 8; number += 1) {
          client.withdrawals.create(payout);
        }
      `,
    });
    server.hold();
    await withProgram(program, { provider: server }, async (running) => {
      await server.requestsCame(8);
      running.tell();
      assert.equal(await running.line(), 'terminated');
      server.release();
      running.tell();
      checkClean(await running.end());
    });
    assert.equal(server.requests.length, 9);
  }));

test('process.exit in a worker with calls under way', async () => {
  const program = inAllThreads({
    main: `
      const client = new Client();
      for (let turn = 0; turn < 15; turn += 1) {
        const worker = startWorker({ workerData: (turn * 7) % 40 });
        const [status] = await once(worker, 'exit');
        assert.equal(status, 5);
        assert.ok((await client.wallets.list()).wallets.length > 0);
      }
    `,
    worker: `
      ${CALLS_WITHOUT_END}
      setTimeout(() => process.exit(5), workerData);
    `,
  });
  await runAgainstSimulator(program);
});

test('an error that nobody catches ends its worker and no other', async () => {
  const program = inAllThreads({
    main: `
      const client = new Client();
      const worker = startWorker();
      const [error] = await once(worker, 'error');
      assert.match(error.message, /nobody catches/);
      assert.ok((await client.wallets.list()).wallets.length > 0);
    `,
    worker: `
      ${CALLS_WITHOUT_END}
      setTimeout(() => {
        throw new Error('nobody catches this');
      }, 20);
    `,
  });
  const sim = await Simulator.start({ balances: { USD: '1000000' } });
  const { status, signal, stderr } = await run(program, { provider: sim });
  // Deno tells of the error on standard error, too.
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr);
  await sim.stop();
});

test('a worker ends by itself though its client and its simulator were never closed', async () => {
  const program = inAllThreads({
    main: `
      for (let turn = 0; turn < 5; turn += 1) {
        const [status] = await once(startWorker(), 'exit');
        assert.equal(status, 0);
      }
    `,
    worker: `
      const sim = await Simulator.start();
      const [mine, other] = [sim.client(), new Client()];
      await Promise.all([mine.wallets.list(), other.wallets.list()]);
    `,
  });
  await runAgainstSimulator(program);
});

test('a process ends while its workers call', async () => {
  const program = inAllThreads({
    main: `
      const workers = Array.from({ length: 3 }, () => startWorker());
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      process.exit(0);
    `,
    worker: CALLS_WITHOUT_END,
  });
  const sim = await Simulator.start({ balances: { USD: '1000000' } });
  for (let turn = 0; turn < 8; turn += 1) {
    checkClean(await run(program, { provider: sim, within: 4 * GUARD }));
  }
  await sim.stop();
});

test('a worker has an environment of its own', () =>
  withServer(async (server) => {
    const program = inAllThreads({
      main: `
        const env = { ...process.env, KAZAWALLET_BASE_URL: \`\${process.env.KAZAWALLET_BASE_URL}/other\` };
        assert.deepEqual(await once(startWorker({ env }), 'exit'), [0]);
        await new Client().request('GET', '/main');
        // A variable that was set by the program counts, too.
        process.env.KAZAWALLET_BASE_URL += '/changed';
        await new Client().request('GET', '/main');
        delete process.env.KAZAWALLET_API_KEY;
        assert.throws(() => new Client(), { code: 'configuration' });
      `,
      worker: `
        await new Client().request('GET', '/worker');
      `,
    });
    checkClean(await run(program, { provider: server }));
    assert.deepEqual(
      server.requests.map((seen) => seen.path),
      ['/other/worker', '/main', '/changed/main'],
    );
  }));

test('a process with workers ends by itself when all are done', async () => {
  const program = inWorkersAlone({
    main: `
      for (let number = 0; number < 4; number += 1) {
        startWorker();
      }
    `,
    worker: `
      await new Client().wallets.list();
      console.log('answered');
    `,
  });
  const { stdout } = await runAgainstSimulator(program);
  assert.deepEqual(stdout.split('\n'), Array(4).fill('answered'));
});
