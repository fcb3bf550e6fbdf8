// What `npx kazawallet` starts, in real processes.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

import { kazawallet } from './package.mjs';
import { inheritedEnvironment } from './programs.mjs';
import { withShop } from './receiver.mjs';
import { guarded, runtime, test } from './runtimes.mjs';

const { Client, Webhook } = kazawallet;

const require = createRequire(import.meta.url);
const manifest = require.resolve('kazawallet/package.json');
const { version, bin } = JSON.parse(readFileSync(manifest, 'utf8'));
const program = join(dirname(manifest), bin.kazawallet);
const KEYS = { apiKey: 'sim_key_of_the_test', apiSecret: 'sim_secret_of_the_test' };

/**
 * Starts the command. It has its own end when standard output and standard error have theirs.
 *
 * @param {readonly string[]} parameters
 * @param {Record<string, string>} [environment]
 */
function start(parameters, environment = {}) {
  const options = runtime === 'deno' ? ['run', '--allow-all', '--quiet', '--no-lock'] : [];
  const child = spawn(process.execPath, [...options, program, ...parameters], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...inheritedEnvironment(), ...environment },
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  /** @type {string[]} */
  const lines = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(line));
  const ended = Promise.all([once(child, 'close'), once(reader, 'close')]);
  return {
    child,
    reader,
    lines,
    end: async () => {
      const [[status]] = await guarded(ended, () => `the end of ${parameters}: ${stderr}`);
      return { status, stdout: lines.join('\n'), stderr };
    },
  };
}

/**
 * @param {readonly string[]} parameters
 * @param {Record<string, string>} [environment]
 */
async function run(parameters, environment) {
  return await start(parameters, environment).end();
}

/**
 * Does `work` with a simulator's process and the variables that it printed.
 *
 * @param {readonly string[]} parameters
 * @param {(running: ReturnType<typeof start>, printed: Record<string, string>) => Promise<void>} work
 */
async function withSimulator(parameters, work) {
  const running = start(['simulator', ...parameters]);
  try {
    /** @type {Record<string, string>} */
    const printed = {};
    /** @type {Promise<void>} */
    const all = new Promise((resolve, reject) => {
      running.reader.on('line', (line) => {
        const [, name, value] = /^\s*(?:export )?(KAZAWALLET_\w+)=(.*)$/.exec(line) ?? [];
        if (name !== undefined && value !== undefined) {
          printed[name] = value;
        }
        if (name === 'KAZAWALLET_MERCHANT_EMAIL') {
          resolve();
        }
      });
      running.reader.on('close', () => reject(new Error(running.lines.join('\n'))));
    });
    await guarded(all, () => `the variables: ${running.lines.join('\n')}`);
    await work(running, printed);
  } finally {
    running.child.kill('SIGKILL');
  }
}

/**
 * @param {ReturnType<typeof start>} running
 * @param {NodeJS.Signals} signal
 */
async function checkStopsOn(running, signal) {
  // Not `child.kill`: after it Deno tells of no status, whatever the process ended with.
  const { pid } = running.child;
  assert.ok(pid);
  process.kill(pid, signal);
  const { status, stdout, stderr } = await running.end();
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.match(stdout, /Stopped\./);
}

for (const parameters of [[], ['--help'], ['-h'], ['help']]) {
  test(`it lists what there is: ${parameters.join(' ') || 'without a command'}`, async () => {
    const { status, stdout, stderr } = await run(parameters);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    for (const command of ['simulator', 'simulator trigger', 'version']) {
      assert.ok(stdout.includes(`\n  ${command} `), stdout);
    }
    assert.match(stdout, /usage: npx kazawallet COMMAND/);
    assert.match(stdout, /not the provider's own product/);
  });
}

test('an unknown command is told', async () => {
  const { status, stdout, stderr } = await run(['simulate']);
  assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
  assert.ok(stderr.startsWith('unknown command: simulate\n'), stderr);
  assert.match(stderr, /usage: npx kazawallet COMMAND/);
});

for (const command of ['version', '--version']) {
  test(`the version: ${command}`, async () => {
    assert.deepEqual(await run([command]), { status: 0, stdout: version, stderr: '' });
  });
}

test('the simulator tells its options', async () => {
  const { status, stdout, stderr } = await run(['simulator', '--help']);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  for (const part of [
    'npx kazawallet simulator',
    ...['--port', '--webhook-url', '--balance', '--fault', 'trigger'],
  ]) {
    assert.ok(stdout.includes(part), `${part} in ${stdout}`);
  }
});

test('an unknown option is told', async () => {
  const { status, stdout, stderr } = await run(['simulator', '--color']);
  assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
  assert.match(stderr, /--color/);
  assert.doesNotMatch(stderr, /\n\s+at /);
});

test('a setting that cannot be used is told', async () => {
  const { status, stdout, stderr } = await run(['simulator', '--api-key', 'a_real_key']);
  assert.deepEqual({ status, stdout }, { status: 1, stdout: '' });
  assert.match(stderr, /sim_/);
  assert.doesNotMatch(stderr, /a_real_key|\n\s+at /);
});

test('the simulator prints its variables, serves, and stops on Ctrl-C', () =>
  withSimulator(['--balance', 'USD=12.50'], async (running, printed) => {
    assert.deepEqual(Object.keys(printed).sort(), [
      'KAZAWALLET_API_KEY',
      'KAZAWALLET_API_SECRET',
      'KAZAWALLET_BASE_URL',
      'KAZAWALLET_MERCHANT_EMAIL',
    ]);
    const client = new Client({
      apiKey: printed['KAZAWALLET_API_KEY'],
      apiSecret: printed['KAZAWALLET_API_SECRET'],
      merchantEmail: printed['KAZAWALLET_MERCHANT_EMAIL'],
      baseUrl: printed['KAZAWALLET_BASE_URL'],
    });
    const { wallets } = await client.wallets.list();
    assert.equal(wallets.find(({ currency }) => currency === 'USD')?.amount, '12.50');
    client.close();
    await checkStopsOn(running, 'SIGINT');
  }));

test('the simulator stops when it is terminated', () =>
  withSimulator([], (running) => checkStopsOn(running, 'SIGTERM')));

test('a delivery is triggered', () =>
  withShop(async (shop) => {
    const { status, stdout, stderr } = await run([
      ...['simulator', 'trigger', shop.url, '--amount', '7.50', '--ref', 'order-7'],
      ...['--api-key', KEYS.apiKey, '--api-secret', KEYS.apiSecret],
    ]);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.match(stdout, /200/);
    const [body] = shop.bodies;
    assert.ok(body);
    const event = new Webhook(KEYS).verify(body);
    assert.deepEqual([event.ref, event.amount], ['order-7', '7.50']);
  }));

test('a delivery is signed with the keys of the environment', () =>
  withShop(async (shop) => {
    const { status, stderr } = await run(['simulator', 'trigger', shop.url], {
      KAZAWALLET_API_KEY: KEYS.apiKey,
      KAZAWALLET_API_SECRET: KEYS.apiSecret,
    });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    const [body] = shop.bodies;
    assert.ok(body);
    new Webhook(KEYS).verify(body);
  }));

test('a delivery that is refused is told', () =>
  withShop(async (shop) => {
    const { status, stderr } = await run([
      ...['simulator', 'trigger', shop.url],
      ...['--api-key', KEYS.apiKey, '--api-secret', KEYS.apiSecret],
    ]);
    assert.equal(status, 1);
    assert.match(stderr, /401/);
    assert.doesNotMatch(stderr, /\n\s+at /);
  }, 401));

test('a real key is not repeated', async () => {
  const { status, stdout, stderr } = await run([
    ...['simulator', 'trigger', 'http://127.0.0.1:9/webhook'],
    ...['--api-key', 'a_real_key', '--api-secret', KEYS.apiSecret],
  ]);
  assert.equal(status, 1);
  assert.doesNotMatch(stdout + stderr, /a_real_key/);
});
