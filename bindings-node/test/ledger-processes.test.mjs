// The ledger in real processes and threads: what keeps one alive, what is left of one that dies, what
// several do at once; and its program.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import { passed, rejection, terms, withLedger } from './ledgers.mjs';
import { kazawallet } from './package.mjs';
import { checkClean, inheritedEnvironment, LOAD, run, withProgram } from './programs.mjs';
import { GUARD, guarded, runtime, test, until } from './runtimes.mjs';

const { OutcomeUnknownError } = kazawallet;

const ORDER = { amount: '10.50', currency: 'USD' };

/** The beginning of a program with a ledger, whose URL is in the environment. */
const OPEN = `
  ${LOAD}
  const { Ledger } = kazawallet;
  const ledger = await Ledger.open({ client: new Client(), clockMargin: 0 });
  const terms = {
    amount: '10',
    currency: 'USD',
    paymentMethod: PaymentMethod.syCash({ phone: '0933123456' }),
  };
`;

/** @param {{ sim: import('kazawallet/testing').Simulator, url: string }} shop */
const settings = ({ sim, url }) => ({
  provider: sim,
  environment: { KAZAWALLET_LEDGER: url },
  within: 2 * GUARD,
});

/**
 * So many orders that were paid, and whose deliveries were received.
 *
 * @param {import('./ledgers.mjs').Shop} shop
 * @param {number} number
 */
async function paidOrders({ ledger, sim }, number) {
  const refs = Array.from({ length: number }, (_, index) => `order-${index}`);
  for (const ref of refs) {
    const link = await ledger.createPaymentLink({ ref, ...ORDER });
    const [{ body }] = await sim.pay(link.url);
    await ledger.receive(body);
  }
  return refs.sort();
}

test('an open ledger keeps no process alive', () =>
  withLedger(async (shop) => {
    const program = `
      ${OPEN}
      const order = { ref: 'order-1', amount: 5, currency: 'USD' };
      await ledger.createPaymentLink(order);
      const worker = ledger.process(() => {});
      await worker.stop();
      console.log((await ledger.createPaymentLink(order)).state);
    `;
    const ended = await run(program, settings(shop));
    checkClean(ended);
    assert.equal(ended.stdout, 'open');
  }));

test('a call that nobody awaits is waited for', () =>
  withLedger(async (shop) => {
    shop.sim.fault('answer_late:700');
    const program = `
      ${OPEN}
      ledger.withdraw({ reference: 'salary-1', ...terms });
    `;
    checkClean(await run(program, settings(shop)));
    assert.equal((await shop.ledger.payout('salary-1'))?.state, 'paid');
  }));

test('a worker keeps its process alive until it is stopped', () =>
  withLedger(async (shop) => {
    const program = `
      ${OPEN}
      const worker = ledger.process((payment) => console.log(payment.ref));
      process.on('SIGTERM', () => worker.stop());
    `;
    await withProgram(program, settings(shop), async (running) => {
      for (const ref of await paidOrders(shop, 2)) {
        assert.equal(await running.line(), ref);
      }
      running.send('SIGTERM');
      checkClean(await running.end());
    });
    assert.equal((await shop.ledger.summary()).processing.done, 2);
  }));

test('a worker that is not persistent keeps its process alive for the handler alone', () =>
  withLedger(async (shop) => {
    const [ref] = await paidOrders(shop, 1);
    const program = `
      ${OPEN}
      // What the handler waits for keeps no process alive.
      const handler = async (payment) => {
        await new Promise((resolve) => setTimeout(resolve, 300).unref());
        console.log(payment.ref);
      };
      ledger.process(handler, { persistent: false });
      // Like a server: until it is closed.
      const server = setInterval(() => {}, 60_000);
      await told();
      clearInterval(server);
    `;
    await withProgram(program, settings(shop), async (running) => {
      assert.equal(await running.line(), ref);
      running.tell();
      checkClean(await running.end());
    });
    assert.equal((await shop.ledger.summary()).processing.done, 1);
  }));

test('the stop of a worker that is not persistent is waited for', () =>
  withLedger(async (shop) => {
    const program = `
      ${OPEN}
      const worker = ledger.process(() => {}, { persistent: false });
      await worker.stop();
      await ledger.close();
      console.log('closed');
    `;
    const ended = await run(program, settings(shop));
    checkClean(ended);
    assert.equal(ended.stdout, 'closed');
  }));

test('a process that ends in its handler', () =>
  withLedger(async (shop) => {
    await paidOrders(shop, 1);
    const program = `
      ${OPEN}
      ledger.process(() => process.exit(0));
    `;
    checkClean(await run(program, settings(shop)));
    assert.equal((await shop.ledger.summary()).processing.waiting, 1);
  }));

test('what a killed process had goes to another', () =>
  withLedger(async (shop) => {
    const [ref = ''] = await paidOrders(shop, 1);
    const program = `
      ${OPEN}
      ledger.process((payment) => {
        console.log(payment.ref);
        return new Promise(() => {});
      }, { lease: 1_000 });
    `;
    await withProgram(program, settings(shop), async (running) => {
      assert.equal(await running.line(), ref);
      // It is renewed: longer than the lease nobody else has it.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      assert.deepEqual(await shop.ledger.pending(), []);
      running.send('SIGKILL');
      await running.end();
    });
    /** @type {import('kazawallet').Payment} */
    const payment = await guarded(
      new Promise((resolve) => {
        shop.ledger.process(async (one) => resolve(one), { pollInterval: 50 });
      }),
      () => 'the payment that the killed process had',
    );
    assert.deepEqual([payment.ref, payment.tries], [ref, 2]);
  }));

test('several processes share the payments', () =>
  withLedger(async (shop) => {
    const refs = await paidOrders(shop, 20);
    const program = `
      ${OPEN}
      const worker = ledger.process((payment) => console.log(payment.ref), { pollInterval: 20 });
      for (;;) {
        const { processing } = await ledger.summary();
        if (processing.done === 20) {
          break;
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await worker.stop();
      await ledger.close();
    `;
    const ended = await Promise.all([1, 2].map(() => run(program, settings(shop))));
    ended.forEach(checkClean);
    const handled = ended.flatMap(({ stdout }) => stdout.split('\n').filter(Boolean));
    assert.deepEqual(handled.sort(), refs);
  }));

test('several processes ask for the same payouts, and each is paid once', () =>
  withLedger(async (shop) => {
    const program = `
      ${OPEN}
      await told();
      const payouts = await Promise.all(
        Array.from({ length: 10 }, (_, number) =>
          ledger.withdraw({ reference: \`salary-\${number}\`, ...terms })),
      );
      console.log(payouts.every(({ state }) => state === 'paid'));
      process.exit(0);
    `;
    await withProgram(program, settings(shop), (first) =>
      withProgram(program, settings(shop), async (second) => {
        first.tell();
        second.tell();
        for (const running of [first, second]) {
          const ended = await running.end();
          checkClean(ended);
          assert.equal(ended.stdout, 'true');
        }
      }),
    );
    assert.equal(shop.sim.balance('USD'), '900');
    assert.equal(shop.sim.requests.length, 10);
  }));

test('the outcome of a payout whose sender was killed is unknown', () =>
  withLedger(
    async (shop) => {
      const { ledger, sim } = shop;
      sim.fault('answer_late:60000');
      const program = `
        ${OPEN}
        await ledger.withdraw({ reference: 'salary-1', ...terms, timeout: 2_000 });
      `;
      await withProgram(program, settings(shop), async (running) => {
        await until(() => sim.balance('USD') === '990', 'the payout');
        running.send('SIGKILL');
        await running.end();
      });
      const again = () => ledger.withdraw({ reference: 'salary-1', ...terms() });
      assert.ok((await rejection(again)) instanceof OutcomeUnknownError);
      assert.equal(sim.requests.length, 1);
      const [unknown] = await ledger.unresolved();
      assert.deepEqual([unknown?.reference, unknown?.state], ['salary-1', 'unknown']);
      const resolved = await ledger.resolve('salary-1', 'paid', { by: 'sara' });
      assert.equal(resolved.state, 'paid');
      assert.equal((await again()).state, 'paid');
      assert.equal(sim.balance('USD'), '990');
    },
    { clockMargin: 0 },
  ));

/**
 * A program whose threads are the same file, each with a ledger of its own.
 *
 * @param {{ main: string, thread: string }} parts
 */
const inThreads = ({ main, thread }) => `
  import { once } from 'node:events';
  import { isMainThread, parentPort, Worker } from 'node:worker_threads';
  ${OPEN}
  const startThread = () => new Worker(new URL(import.meta.url));

  if (isMainThread) {
    ${main}
  } else {
    ${thread}
  }
`;

test('each thread has a ledger of its own', () =>
  withLedger(async (shop) => {
    const refs = await paidOrders(shop, 12);
    const program = inThreads({
      main: `
        const threads = [startThread(), startThread()];
        const seen = [];
        // Each also says that it listens: Deno drops what is told to a thread before it does.
        await new Promise((resolve) => {
          for (const thread of threads) {
            thread.on('message', (said) => {
              seen.push(said);
              if (seen.length === 12 + threads.length) {
                resolve();
              }
            });
          }
        });
        for (const thread of threads) {
          thread.postMessage('stop');
          await once(thread, 'exit');
        }
        console.log(seen.filter((said) => said !== 'listening').sort().join());
        await ledger.close();
      `,
      thread: `
        const worker = ledger.process((payment) => parentPort.postMessage(payment.ref), { pollInterval: 20 });
        parentPort.once('message', async () => {
          await worker.stop();
          await ledger.close();
          process.exit(0);
        });
        parentPort.postMessage('listening');
      `,
    });
    const ended = await run(program, settings(shop));
    checkClean(ended);
    assert.equal(ended.stdout, refs.join());
    assert.equal((await shop.ledger.summary()).processing.done, 12);
  }));

test('what a terminated thread had goes to another', () =>
  withLedger(async (shop) => {
    const [ref = ''] = await paidOrders(shop, 1);
    const program = inThreads({
      main: `
        const thread = startThread();
        const [seen] = await once(thread, 'message');
        console.log(seen);
        await thread.terminate();
        const worker = ledger.process((payment) => {
          console.log(payment.ref, payment.tries);
          worker.stop();
        }, { pollInterval: 50 });
      `,
      thread: `
        ledger.process((payment) => {
          parentPort.postMessage(payment.ref);
          return new Promise(() => {});
        }, { lease: 1_000 });
      `,
    });
    const ended = await run(program, settings(shop));
    checkClean(ended);
    assert.equal(ended.stdout, `${ref}\n${ref} 2`);
  }));

test('a payout goes on where the thread that asked for it is terminated', () =>
  withLedger(async (shop) => {
    shop.sim.fault('answer_late:1500');
    const program = inThreads({
      main: `
        const thread = startThread();
        await once(thread, 'message');
        await told();
        await thread.terminate();
        console.log('terminated');
        const payout = await ledger.withdraw({ reference: 'salary-1', ...terms });
        console.log(payout.state);
      `,
      thread: `
        ledger.withdraw({ reference: 'salary-1', ...terms });
        parentPort.postMessage('sent');
      `,
    });
    await withProgram(program, settings(shop), async (running) => {
      await until(() => shop.sim.balance('USD') === '990', 'the payout');
      running.tell();
      assert.equal(await running.line(), 'terminated');
      assert.equal(await running.line(), 'paid');
      checkClean(await running.end());
    });
    assert.equal(shop.sim.requests.length, 1);
  }));

// ---------------------------------------------------------------- the program

const MANIFEST = createRequire(import.meta.url).resolve('kazawallet/package.json');
const PROGRAM = path.join(
  path.dirname(MANIFEST),
  JSON.parse(readFileSync(MANIFEST, 'utf8')).bin.kazawallet,
);

/**
 * Runs `npx kazawallet ledger` to its end.
 *
 * @param {readonly string[]} parameters
 * @param {Record<string, string>} environment
 */
async function npx(parameters, environment) {
  const options = runtime === 'deno' ? ['run', '--allow-all', '--quiet', '--no-lock'] : [];
  const child = spawn(process.execPath, [...options, PROGRAM, 'ledger', ...parameters], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...inheritedEnvironment(), ...environment },
  });
  const said = { stdout: '', stderr: '' };
  for (const name of /** @type {const} */ (['stdout', 'stderr'])) {
    child[name].setEncoding('utf8').on('data', (text) => {
      said[name] += text;
    });
  }
  const ended = new Promise((resolve) => child.once('close', resolve));
  const status = await guarded(ended, () => `the end of ${parameters}: ${said.stderr}`);
  return { status, ...said };
}

test('the program shows what there is, and a person decides', () =>
  withLedger(
    async ({ ledger, sim, url }) => {
      const environment = { KAZAWALLET_LEDGER: url };
      const link = await ledger.createPaymentLink({ ref: 'order-42', ...ORDER });
      sim.fault('currency_changed');
      const [{ body }] = await sim.pay(link.url);
      assert.equal((await ledger.receive(body)).decision, 'mismatch');

      const summary = await npx([], environment);
      assert.deepEqual([summary.status, summary.stderr], [0, '']);
      assert.match(summary.stdout, /unsettled/);
      const listed = await npx(['unsettled', '--json'], environment);
      const [payment, ...more] = listed.stdout.trim().split('\n');
      assert.deepEqual(more, []);
      assert.equal(JSON.parse(`${payment}`).decision, 'mismatch');
      const orderId = `${link.id}`;
      const settled = await npx(['settle', orderId, 'paid', '--by', 'sara'], environment);
      assert.deepEqual([settled.status, settled.stderr], [0, '']);
      assert.equal((await ledger.payment(orderId))?.decision, 'paid');
      const again = await npx(['settle', orderId, 'paid', '--by', 'sara'], environment);
      assert.equal(again.status, 1);
      assert.equal(again.stdout, '');

      for (const [reference, timeout] of /** @type {const} */ ([
        ['salary-1', 2_000],
        ['salary-2', 600_000],
      ])) {
        sim.fault('close_after_acting');
        await rejection(() => ledger.withdraw({ reference, ...terms(), timeout }));
      }
      const early = await npx(['resolve', 'salary-2', 'paid', '--by', 'sara'], environment);
      assert.equal(early.status, 1);
      assert.match(early.stderr, /may yet leave/);
      await passed((await ledger.payout('salary-1'))?.deadline);
      const resolved = await npx(['resolve', 'salary-1', 'paid', '--by', 'sara'], environment);
      assert.deepEqual([resolved.status, resolved.stderr], [0, '']);
      assert.equal((await ledger.payout('salary-1'))?.state, 'paid');
      assert.equal((await ledger.unresolved()).length, 1);
    },
    { clockMargin: 0 },
  ));

test('the program says what it cannot do', async () => {
  const help = await npx(['--help'], {});
  assert.equal(help.status, 0);
  assert.match(help.stdout, /npx kazawallet ledger/);
  const none = await npx(['summary'], {});
  assert.equal(none.status, 1);
  assert.match(none.stderr, /KAZAWALLET_LEDGER/);
  const unknown = await npx(['dance'], {});
  assert.equal(unknown.status, 2);
});
