// Small programs, each run in a real process of its own with this runtime.
//
// What a process does at its start, at a signal and at its end is seen only from outside.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { GUARD, guarded, runtime } from './runtimes.mjs';

/**
 * The beginning of a program: the package, as the tests have it, and `told()`, which waits for a line
 * on standard input.
 */
export const LOAD = `
  import { kazawallet, testing } from '../package.mjs';
  import { told } from '../program-side.mjs';
  const { Client, OutcomeUnknownError, PaymentMethod, Webhook } = kazawallet;
  const { Simulator } = testing;
`;

/** A payout that both the simulator and the observing server take. */
export const PAYOUT = `
  const payout = {
    amount: '10',
    currency: 'USD',
    paymentMethod: PaymentMethod.custom({ id: '118', fields: {} }),
  };
`;

/**
 * @typedef {object} Provider What a program's client needs to know: a simulator, or an observing server.
 * @property {string} url
 * @property {string} apiKey
 * @property {string} apiSecret
 * @property {string} merchantEmail
 *
 * @typedef {object} Settings
 * @property {Provider} [provider] What `new Client()` reaches in the program.
 * @property {readonly string[]} [parameters]
 * @property {boolean} [collectsGarbage] Whether it has `gc()`, and keeps little for later.
 * @property {'run' | 'test'} [as]
 * @property {string} [file] Its file's name; `program.mjs` (`program.test.mjs` for a test) unless given.
 * @property {Record<string, string>} [environment]
 * @property {number} [openFiles] How many file descriptors the system gives it.
 * @property {number} [within] Milliseconds after which it counts as hanging.
 *
 * @typedef {object} Ended How a program ended.
 * @property {number | null} status
 * @property {string | null} signal The signal that ended it.
 * @property {string} stdout What it printed and nobody read before.
 * @property {string} stderr
 */

/** A program that runs. */
export class Program {
  #folder;
  #process;
  #within;
  #stdin;
  /** @type {string[]} */
  #lines = [];
  #stderr = '';
  /** @type {(() => void) | undefined} */
  #lineCame;
  #closed = false;
  #ended;

  /**
   * @param {string} source
   * @param {Settings} [settings]
   */
  constructor(source, settings = {}) {
    const { provider, parameters = [], environment = {}, within = GUARD } = settings;
    this.#within = within;
    // Below the tests, so that it finds the package as they do.
    this.#folder = mkdtempSync(join(import.meta.dirname, 'program-'));
    const usual = settings.as === 'test' ? 'program.test.mjs' : 'program.mjs';
    const file = join(this.#folder, settings.file ?? usual);
    writeFileSync(file, source);
    const limited = ['sh', '-c', `ulimit -n ${settings.openFiles} && exec "$@"`, 'sh'];
    const [command = '', ...options] = [
      ...(settings.openFiles === undefined ? [] : limited),
      ...commandLine(settings),
    ];
    this.#process = spawn(command, [...options, file, ...parameters], {
      cwd: this.#folder,
      env: {
        ...inheritedEnvironment(),
        ...(provider && {
          KAZAWALLET_API_KEY: provider.apiKey,
          KAZAWALLET_API_SECRET: provider.apiSecret,
          KAZAWALLET_MERCHANT_EMAIL: provider.merchantEmail,
          KAZAWALLET_BASE_URL: provider.url,
        }),
        ...environment,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const { stdin, stdout, stderr } = this.#process;
    this.#stdin = stdin;
    // It may end before it reads.
    stdin.on('error', () => {});
    const reader = createInterface({ input: stdout });
    reader.on('line', (line) => {
      this.#lines.push(line);
      this.#lineCame?.();
    });
    stderr.setEncoding('utf8').on('data', (text) => {
      this.#stderr += text;
    });
    this.#ended = Promise.all([once(this.#process, 'close'), once(reader, 'close')]).then(
      ([[status, signal]]) => {
        this.#closed = true;
        this.#lineCame?.();
        return { status, signal };
      },
    );
  }

  /** The next line that it prints. */
  async line() {
    if (this.#lines.length === 0 && !this.#closed) {
      /** @type {Promise<void>} */
      const came = new Promise((resolve) => {
        this.#lineCame = resolve;
      });
      await guarded(came, () => `a line of the program: ${this.#stderr}`, this.#within);
    }
    const line = this.#lines.shift();
    assert.ok(line !== undefined, `the program ended early: ${this.#stderr}`);
    return line;
  }

  /** Writes a line to its standard input. */
  tell(text = '') {
    this.#stdin.write(`${text}\n`);
  }

  /** @param {NodeJS.Signals} signal */
  send(signal) {
    // Not `kill` of the process object: after it Deno tells of no status, whatever it was.
    const { pid } = this.#process;
    assert.ok(pid);
    process.kill(pid, signal);
  }

  /**
   * Waits until it has ended.
   *
   * @returns {Promise<Ended>}
   */
  async end() {
    const { status, signal } = await guarded(
      this.#ended,
      () => `the end of the program, which said: ${this.#lines.join('\n')}\n${this.#stderr}`,
      this.#within,
    );
    return { status, signal, stdout: this.#lines.splice(0).join('\n'), stderr: this.#stderr };
  }

  /** Leaves no process and no file behind. */
  async clear() {
    this.#process.kill('SIGKILL');
    await this.#ended;
    rmSync(this.#folder, { recursive: true });
  }
}

/**
 * Does `work` while a program runs.
 *
 * @template T
 * @param {string} source
 * @param {Settings} settings
 * @param {(program: Program) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withProgram(source, settings, work) {
  const program = new Program(source, settings);
  try {
    return await work(program);
  } finally {
    await program.clear();
  }
}

/**
 * Runs a program to its end.
 *
 * @param {string} source
 * @param {Settings} [settings]
 */
export async function run(source, settings = {}) {
  return await withProgram(source, settings, (program) => program.end());
}

/**
 * The program ended well, and said nothing on standard error.
 *
 * @param {Ended} ended
 */
export function checkClean(ended) {
  const { status, signal, stderr } = ended;
  assert.deepEqual(
    { status, signal, stderr },
    { status: 0, signal: null, stderr: '' },
    ended.stdout,
  );
}

/** MiB. Otherwise V8 keeps up to 32 MiB for young objects, which hides what is looked for. */
const SMALL_NURSERY = '--max-semi-space-size=2';

/**
 * @param {Settings} settings
 * @returns {[string, ...string[]]}
 */
function commandLine({ collectsGarbage = false, as = 'run' }) {
  switch (runtime) {
    case 'node':
      return [
        process.execPath,
        ...(collectsGarbage ? ['--expose-gc', SMALL_NURSERY] : []),
        ...(as === 'test' ? ['--test'] : []),
      ];
    case 'bun':
      return [process.execPath, as];
    case 'deno':
      return [
        process.execPath,
        as,
        '--allow-all',
        '--quiet',
        '--no-lock',
        ...(as === 'test' ? ['--no-check'] : []),
        ...(collectsGarbage ? [`--v8-flags=--expose-gc,${SMALL_NURSERY}`] : []),
      ];
  }
}

/** Settings of whoever runs the tests must not leak into the programs. */
export function inheritedEnvironment() {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) =>
        name === 'KAZAWALLET_LOADED_BY' || !/^(KAZAWALLET_|NODE_OPTIONS$|NODE_TEST_)/.test(name),
    ),
  );
}
