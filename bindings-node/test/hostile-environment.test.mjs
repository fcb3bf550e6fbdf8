// What other code of the process, or the system around it, may do to the package.

import assert from 'node:assert/strict';

import { testing } from './package.mjs';
import { LOAD, PAYOUT, withProgram } from './programs.mjs';
import { test } from './runtimes.mjs';

const { Simulator } = testing;

/**
 * Runs a program against a simulator; gives what it printed.
 *
 * @param {string} source
 * @param {import('./programs.mjs').Settings} [settings]
 */
async function printed(source, settings) {
  const sim = await Simulator.start();
  try {
    let stdout = '';
    await withProgram(LOAD + source, { provider: sim, ...settings }, async (program) => {
      const ended = await program.end();
      assert.equal(ended.status, 0, ended.stderr);
      stdout = ended.stdout;
    });
    return { sim, lines: stdout.split('\n').filter(Boolean) };
  } finally {
    await sim.stop();
  }
}

test('what is on Object.prototype makes no error of a payout, and no fields of an answer', async () => {
  const { lines, sim } = await printed(`
    ${PAYOUT}
    const client = new Client();
    for (const name of ['error', 'aborted', 'message', 'requestId', 'simulatorError']) {
      Object.defineProperty(Object.prototype, name, { value: 'polluted', configurable: true });
    }
    const withdrawal = await client.withdrawals.create(payout);
    const { requestId } = withdrawal.raw;
    for (const name of ['error', 'aborted', 'message', 'requestId', 'simulatorError']) {
      delete Object.prototype[name];
    }
    console.log(withdrawal.status, requestId);
  `);
  assert.deepEqual(lines, ['approved undefined']);
  assert.equal(sim.requests.length, 1);
});

test('a base URL on Object.prototype gets no key', async () => {
  const elsewhere = await Simulator.start();
  try {
    const { lines, sim } = await printed(
      `
        Object.prototype.KAZAWALLET_BASE_URL = process.argv[2];
        Object.prototype.baseUrl = process.argv[2];
        await new Client().wallets.list();
        console.log('done');
      `,
      { parameters: [elsewhere.url] },
    );
    assert.deepEqual(lines, ['done']);
    assert.equal(elsewhere.requests.length, 0);
    assert.equal(sim.requests.length, 1);
  } finally {
    await elsewhere.stop();
  }
});

test('a variable that is no text is refused by its name, and not shown', async () => {
  const { lines } = await printed(`
    process.env = { ...process.env, KAZAWALLET_API_SECRET: 8886681234 };
    try {
      new Client();
    } catch (error) {
      console.log(error.name, error.message);
    }
  `);
  const [line = 'it was taken'] = lines;
  assert.doesNotMatch(line, /8886681234/);
  assert.match(line, /^TypeError .*KAZAWALLET_API_SECRET.* must be a string|^it was taken$/);
});

test('where file descriptors are out, a call fails and the process lives', async () => {
  for (let left = 0; left <= 8; left += 1) {
    const { lines } = await printed(
      `
        import { closeSync, openSync } from 'node:fs';
        const client = new Client({ maxRetries: 0, timeout: 20_000 });
        const open = [];
        try {
          for (;;) open.push(openSync('/dev/null'));
        } catch {}
        for (const file of open.splice(0, ${left})) closeSync(file);
        const ended = await client.wallets.list().then(() => 'answered', () => 'failed');
        for (const file of open) closeSync(file);
        console.log(ended);
      `,
      { openFiles: 120 },
    );
    assert.match(`${lines}`, /^(answered|failed)$/, `with ${left} left`);
  }
});
