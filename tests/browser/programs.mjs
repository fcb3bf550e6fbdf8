// Programs that run beside the browser: the simulator, and the shops.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { Failed } from '../../bindings-node/scripts/steps.mjs';

/** Milliseconds. Far more than anything here needs; it is there so that what hangs is told of. */
export const GUARD = 30_000;
/** How a program ends that was asked to stop; 143 is what a shell makes of the signal, and Next.js, too. */
const STOPPED = ['status 0', 'SIGTERM', 'status 143'];
/** A failure shows so many of a program's last lines. */
const LINES_SHOWN = 100;

/**
 * @typedef {{ id: number, order_id: string, url: string, content_type: string, body: string,
 *   outcome: string, status: number | null }} Delivery
 */

/** Those that were started and have not ended. @type {Set<Program>} */
const RUNNING = new Set();

/** Leaves none behind, where something failed before it could be stopped. */
export async function killAll() {
  await Promise.all([...RUNNING].map((program) => program.kill()));
}

/** A program that runs, and what it has said so far. */
export class Program {
  /** @type {string[]} */
  lines = [];
  #name;
  #process;
  #ended;
  /** @type {Set<() => void>} */
  #listeners = new Set();
  /** @type {string | undefined} */
  #end;

  /**
   * @param {string} name What a failure calls it.
   * @param {readonly string[]} command
   * @param {{ folder: string, environment?: Record<string, string> }} settings
   */
  constructor(name, [command = '', ...programArguments], { folder, environment = {} }) {
    this.#name = name;
    this.#process = spawn(command, programArguments, {
      cwd: folder,
      env: { ...inheritedEnvironment(), ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    RUNNING.add(this);
    const { stdout, stderr } = this.#process;
    for (const input of [stdout, stderr]) {
      createInterface({ input }).on('line', (line) => this.#heard(line));
    }
    /** @type {Promise<void>} */
    this.#ended = new Promise((resolve) => {
      const end = /** @param {string} how */ (how) => {
        RUNNING.delete(this);
        this.#end = how;
        this.#tell();
        resolve();
      };
      this.#process.once('error', (error) => end(error.message));
      this.#process.once('close', (status, signal) => end(signal ?? `status ${status}`));
    });
  }

  /** @param {string} line */
  #heard(line) {
    this.lines.push(line);
    this.#tell();
  }

  #tell() {
    for (const listener of this.#listeners) {
      listener();
    }
  }

  /** What it said last, to be shown with a failure. */
  get output() {
    const left = this.lines.length > LINES_SHOWN ? '   …\n' : '';
    const last = this.lines.slice(-LINES_SHOWN).map((line) => `   ${line}\n`);
    return `what ${this.#name} said:\n${left}${last.join('') || '   nothing\n'}`;
  }

  /**
   * Waits for a line that it prints, or has printed already.
   *
   * @param {RegExp} pattern
   * @returns {Promise<RegExpExecArray>}
   */
  line(pattern) {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(guard);
        this.#listeners.delete(look);
      };
      const fail = /** @param {string} what */ (what) => {
        done();
        reject(new Failed(`${this.#name} ${what}, and never said ${pattern}`));
      };
      const look = () => {
        const found = this.lines.map((line) => pattern.exec(line)).find((match) => match);
        if (found) {
          done();
          resolve(found);
        } else if (this.#end !== undefined) {
          fail(`ended (${this.#end})`);
        }
      };
      const guard = setTimeout(() => fail(`was waited for ${GUARD / 1000} s`), GUARD);
      this.#listeners.add(look);
      look();
    });
  }

  /** Waits until it has done what it was started for. */
  async done() {
    await this.#ended;
    if (this.#end !== 'status 0') {
      throw new Failed(`${this.#name} ended with ${this.#end}; ${this.output}`);
    }
  }

  /** Ends it as a crash would, and waits until it is gone. */
  async kill() {
    this.#process.kill('SIGKILL');
    await this.#ended;
  }

  /** Asks it to stop, and waits until it has done so: in good order, unless it was killed before. */
  async stop() {
    if (this.#end !== undefined) {
      return;
    }
    this.#process.kill('SIGTERM');
    const guard = setTimeout(() => this.#process.kill('SIGKILL'), GUARD);
    await this.#ended;
    clearTimeout(guard);
    if (!STOPPED.includes(this.#end ?? '')) {
      throw new Failed(`${this.#name} was asked to stop, and ended with ${this.#end}`);
    }
  }
}

/** The environment without what belongs to whoever runs the tests. */
function inheritedEnvironment() {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(KAZAWALLET_|SHOP_|PORT$|NODE_|npm_|PYTHON|VIRTUAL_ENV$|RUST_LOG$)/i.test(name),
  );
  return {
    ...Object.fromEntries(inherited),
    NO_COLOR: '1',
    // Else Next.js tells its makers what was built.
    NEXT_TELEMETRY_DISABLED: '1',
    // Else Python keeps what it prints until there is more of it.
    PYTHONUNBUFFERED: '1',
  };
}

/** @typedef {'documented' | 'plugin' | 'both'} Dialect What its webhooks are like. */

/** A running simulator. */
export class Simulator {
  #control;
  #program;

  /**
   * @param {Program} program
   * @param {Record<string, string>} settings The variables that a client reads.
   * @param {URL} dashboard
   */
  constructor(program, settings, dashboard) {
    this.#program = program;
    /** For the environment of a shop. */
    this.settings = settings;
    /** For a client in this process. */
    this.clientOptions = {
      apiKey: settings['KAZAWALLET_API_KEY'],
      apiSecret: settings['KAZAWALLET_API_SECRET'],
      baseUrl: settings['KAZAWALLET_BASE_URL'],
      merchantEmail: settings['KAZAWALLET_MERCHANT_EMAIL'],
    };
    this.dashboard = dashboard.href;
    this.#control = {
      url: new URL('/__simulator/api/', dashboard),
      token: dashboard.searchParams.get('token') ?? '',
    };
  }

  /**
   * @param {string} program
   * @param {string} folder Where it runs.
   * @param {string} webhookUrl
   * @param {Dialect} [dialect]
   */
  static async start(program, folder, webhookUrl, dialect = 'documented') {
    const options = ['--webhook-url', webhookUrl, '--balance', 'USD=1000', '--dialect', dialect];
    const running = new Program('the simulator', [program, ...options], { folder });
    const [, dashboard = ''] = await running.line(/^Dashboard\s+(\S+)/);
    await running.line(/^KAZAWALLET_MERCHANT_EMAIL=/);
    const settings = running.lines.flatMap((line) => {
      const [, name, value] = /^(KAZAWALLET_\w+)=(.*)$/.exec(line) ?? [];
      return name !== undefined && value !== undefined ? [[name, value]] : [];
    });
    return new Simulator(running, Object.fromEntries(settings), new URL(dashboard));
  }

  /**
   * What its control API lists.
   *
   * @param {'requests' | 'deliveries' | 'links' | 'balances' | 'faults'} list
   */
  async list(list) {
    return await this.#ask(list, {});
  }

  /** @returns {Promise<Delivery[]>} */
  async deliveries() {
    return await this.list('deliveries');
  }

  /** @param {string} fault What it is to do wrong, once. */
  async fault(fault) {
    const headers = { 'content-type': 'application/json' };
    await this.#ask('fault', { method: 'POST', headers, body: JSON.stringify({ fault }) });
  }

  /**
   * @param {string} name
   * @param {RequestInit} request
   */
  async #ask(name, request) {
    const { url, token } = this.#control;
    const answer = await fetch(new URL(name, url), {
      ...request,
      headers: { ...request.headers, 'x-simulator-token': token },
      signal: AbortSignal.timeout(GUARD),
    });
    const text = await answer.text();
    if (!answer.ok) {
      throw new Failed(`the simulator answered ${answer.status} to ${name}: ${text}`);
    }
    return JSON.parse(text);
  }

  get output() {
    return this.#program.output;
  }

  stop() {
    return this.#program.stop();
  }
}

/** A loopback port that nobody uses now. A shop must come back at the same one, so it is told which. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') {
    throw new Failed('the system gave no port');
  }
  return address.port;
}
