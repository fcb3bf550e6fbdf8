// A process that runs for months: memory and open files stay where they are.
//
// Each program measures itself after a warm-up, in which allocators, pools and compilers grow to
// their size.

import assert from 'node:assert/strict';
import { withServer } from './observing-server.mjs';
import { testing } from './package.mjs';
import { checkClean, LOAD, PAYOUT, run, withProgram } from './programs.mjs';
import { GUARD, test } from './runtimes.mjs';

const { Simulator } = testing;

/**
 * Bytes: what the process may grow by as the system sees it, with room for what a garbage collector
 * keeps for later; and what JavaScript's own heap may grow by, which is exact.
 */
const MOST_RESIDENT = 4 * 1024 * 1024;
const MOST_HEAP = 1024 * 1024;
/** A leak grows in each of these; a pool that grows to its size, however late, does not. */
const ROUNDS = 3;
/** How many connections are kept, and how many still close, is different each time. */
const MOST_FILES = 32;

const MEASURE = `
  import { readdirSync } from 'node:fs';

  const collect = async () => {
    for (let turn = 0; turn < 4; turn += 1) {
      globalThis.Bun === undefined ? gc() : Bun.gc(true);
      // What is finalized is finalized between two turns.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const measured = async () => {
    await collect();
    const { rss, heapUsed, external } = process.memoryUsage();
    return { resident: rss, heap: heapUsed + external, files: readdirSync('/dev/fd').length };
  };
  const staysFlat = async (work, times, warmUp) => {
    await work(warmUp);
    let before = await measured();
    for (let round = 1; ; round += 1) {
      await work(times);
      const after = await measured();
      const [resident, heap] = [after.resident - before.resident, after.heap - before.heap];
      const files = after.files - before.files;
      console.log(
        \`\${times} times: \${resident >> 10} KiB more, \${heap >> 10} KiB in the heap, \${files} files\`,
      );
      if (resident < ${MOST_RESIDENT} && heap < ${MOST_HEAP} && files < ${MOST_FILES}) {
        return;
      }
      if (round === ${ROUNDS}) {
        throw new Error(\`it grows: \${JSON.stringify({ before, after })}\`);
      }
      before = after;
    }
  };
`;

/**
 * @param {string} program
 * @param {import('kazawallet/testing').SimulatorOptions} [settings]
 */
async function check(program, settings) {
  const provider = await Simulator.start(settings);
  try {
    const ended = await run(`${LOAD}${MEASURE}${program}`, {
      provider,
      collectsGarbage: true,
      within: 10 * GUARD,
    });
    checkClean(ended);
    console.log(ended.stdout);
  } finally {
    await provider.stop();
  }
}

const DELIVERY = `
  const webhook = new Webhook({ apiKey: 'sim_key', apiSecret: 'sim_secret' });
  const fields = {
    order_id: 'pl_8f2a61c1',
    amount: '10.50',
    status: 'fulfilled',
    currency: 'USD',
    ref: 'order-42',
    more: { than: ['was', 'known', 1.5] },
    secret: webhook.sign({ amount: '10.50', orderId: 'pl_8f2a61c1' }),
  };
  const text = JSON.stringify(fields);
`;

for (const [name, body] of [
  ['a Buffer', 'Buffer.from(text)'],
  ['a string', 'text'],
]) {
  test(`200,000 verifications of ${name}`, () =>
    check(`
      ${DELIVERY}
      const body = ${body};
      const work = async (times) => {
        for (let turn = 0; turn < times; turn += 1) {
          const event = webhook.verify(body);
          event.matchOrder({ amount: '10.50', currency: 'USD', ref: 'order-42' });
        }
      };
      await staysFlat(work, 200_000, 20_000);
    `));
}

test('all that an event gives, and deliveries that are refused', () =>
  check(`
    ${DELIVERY}
    import { inspect } from 'node:util';
    const both = webhook.withPrevious({ apiKey: 'sim_old', apiSecret: 'sim_older' });
    const bad = [JSON.stringify({ ...fields, amount: '10.51' }), 'no json', '[]', 'x'.repeat(70_000)];
    const work = async (times) => {
      for (let turn = 0; turn < times; turn += 1) {
        const event = both.verify(text);
        inspect(event), event.extra, event.body, event.ref;
        try {
          event.matchOrder({ amount: '10.51', currency: 'USD', ref: 'order-42' });
        } catch (error) {
          error.expected, error.stack;
        }
        for (const body of bad) {
          try {
            both.verify(body);
          } catch (error) {
            error.stack;
          }
        }
      }
    };
    await staysFlat(work, 20_000, 4_000);
  `));

test('20,000 calls, one at a time', () =>
  check(`
    const client = new Client();
    const work = async (times) => {
      for (let turn = 0; turn < times / 2; turn += 1) {
        await client.wallets.list();
        await client.paymentLinks.create({ amount: '1', currency: 'USD', ref: \`order-\${turn}\` });
      }
    };
    await staysFlat(work, 20_000, 4_000);
  `));

test('20,000 calls, many at a time', () =>
  check(`
    const client = new Client();
    const work = async (times) => {
      for (let turn = 0; turn < times / 50; turn += 1) {
        await Promise.all(Array.from({ length: 50 }, () => client.wallets.list()));
      }
    };
    await staysFlat(work, 20_000, 5_000);
  `));

test('calls that fail', () =>
  check(`
    const client = new Client({ apiKey: 'sim_wrong', apiSecret: 'sim_wrong', maxRetries: 0 });
    const work = async (times) => {
      for (let turn = 0; turn < times / 2; turn += 1) {
        for (const amount of ['1', '0']) {
          await client.paymentLinks.create({ amount, currency: 'USD' }).catch((error) => error.stack);
        }
      }
    };
    await staysFlat(work, 6_000, 2_000);
  `));

test('calls that are aborted', () =>
  check(`
    const client = new Client();
    const { signal } = new AbortController();
    const work = async (times) => {
      for (let turn = 0; turn < times / 16; turn += 1) {
        const abort = new AbortController();
        const calls = Array.from({ length: 16 }, () =>
          client.wallets.list({ signal: abort.signal }).catch((error) => error),
        );
        await new Promise((resolve) => setImmediate(resolve));
        abort.abort();
        await Promise.all(calls);
        // One signal for all the calls of a process is as good.
        await client.wallets.list({ signal });
      }
    };
    await staysFlat(work, 8_000, 3_000);
  `));

test('payouts that are aborted', () =>
  check(
    `
    ${PAYOUT}
    const client = new Client();
    const work = async (times) => {
      for (let turn = 0; turn < times / 8; turn += 1) {
        const abort = new AbortController();
        const calls = Array.from({ length: 8 }, () =>
          client.withdrawals.create({ ...payout, signal: abort.signal }).catch((error) => error),
        );
        for (let wait = 0; wait < turn % 6; wait += 1) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        abort.abort();
        await Promise.all(calls);
        await client.wallets.list();
      }
    };
    await staysFlat(work, 1_600, 800);
  `,
    { balances: { USD: '1000000' } },
  ));

for (const [name, close] of [
  ['that are closed', 'client.close();'],
  ['that are dropped', ''],
]) {
  test(`clients ${name} come and go`, () =>
    check(`
      const work = async (times) => {
        for (let turn = 0; turn < times; turn += 1) {
          const client = new Client();
          await client.wallets.list();
          ${close}
          if (turn % 50 === 0) {
            await collect();
          }
        }
      };
      await staysFlat(work, 300, 100);
    `));
}

test('simulators come and go', () =>
  check(`
    const work = async (times) => {
      for (let turn = 0; turn < times; turn += 1) {
        const sim = await Simulator.start();
        const client = sim.client();
        const link = await client.paymentLinks.create({ amount: '1', currency: 'USD' });
        await sim.pay(link);
        await sim.stop();
      }
    };
    await staysFlat(work, 100, 40);
  `));

test('workers come and go', () =>
  check(`
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    const worker = new URL(\`data:text/javascript,\${encodeURIComponent(\`
      const { kazawallet, testing } = await import('\${new URL('../package.mjs', import.meta.url)}');
      const client = new kazawallet.Client();
      await client.wallets.list();
    \`)}\`);
    await new Client().wallets.list();
    const work = async (times) => {
      for (let turn = 0; turn < times; turn += 1) {
        const [status] = await once(new Worker(worker), 'exit');
        if (status !== 0) {
          throw new Error(\`status \${status}\`);
        }
      }
    };
    await staysFlat(work, 40, 30);
  `));

test('payouts leave no connection behind', () =>
  withServer(async (server) => {
    const program = `
      ${LOAD}
      ${MEASURE}
      ${PAYOUT}
      const client = new Client();
      for (let turn = 0; turn < 3; turn += 1) {
        await client.withdrawals.create(payout);
      }
      const { files } = await measured();
      for (let turn = 0; turn < 200; turn += 1) {
        await client.withdrawals.create(payout);
      }
      const after = await measured();
      console.log(after.files <= files + ${MOST_FILES});
      await told();
    `;
    const settings = { provider: server, collectsGarbage: true };
    await withProgram(program, settings, async (running) => {
      assert.equal(await running.line(), 'true');
      assert.equal(server.connections, 203);
      await server.clientClosed(203);
      running.tell();
      checkClean(await running.end());
    });
  }));
