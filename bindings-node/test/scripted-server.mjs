// The scripted server of the scenarios, driven as tests/README.md says: one process a script.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { holdKeys, readJson, variable } from './shared-data.mjs';

/** Longer than any end of the program takes, in milliseconds; a guard, not a measure. */
const ENDS_WITHIN = 30_000;

/** The program did not do its part: above all, it did not understand the script. */
export class ScriptedServerError extends Error {}

/**
 * A request that the server read whole.
 *
 * @typedef {{
 *   connection: number,
 *   method: string,
 *   path: string,
 *   headers: [string, string][],
 *   body: string,
 *   unexpected: boolean,
 * }} ObservedRequest
 */

/**
 * What the server saw.
 *
 * @typedef {{
 *   connections: number,
 *   requests: ObservedRequest[],
 *   incomplete_requests: number,
 *   steps_left: number,
 * }} Observed
 */

/**
 * A server that does what a script says.
 *
 *     const server = await ScriptedServer.start({ steps: [...] });
 *     try {
 *       ... // Make calls to server.url, close the client.
 *       const observed = await server.finish();
 *     } finally {
 *       server.stop();
 *     }
 */
export class ScriptedServer {
  #child = spawn(variable('KAZAWALLET_SCRIPTED_SIMULATOR'), ['scripted'], { stdio: 'pipe' });
  /** @type {AsyncIterator<string>} */
  #lines;
  #complaint = '';
  /** Resolved when the program has ended. */
  #ended;

  url = '';
  /** @type {string | null} */
  rootCertificate = null;

  constructor() {
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', (status) => resolve(`exit status ${status}`));
      this.#child.once('error', (error) => resolve(error.message));
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text) => {
      this.#complaint += text;
    });
    // A program that has ended already says why on standard error.
    this.#child.stdin.on('error', () => {});
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /**
   * Starts the program, and waits until it listens.
   *
   * @param {object} script
   */
  static async start(script) {
    const server = new ScriptedServer();
    try {
      server.#child.stdin.write(`${JSON.stringify(script)}\n`);
      const ready = holdKeys('the server', await server.#readLine(), 'url root_certificate');
      server.url = ready.url;
      server.rootCertificate = ready.root_certificate;
      return server;
    } catch (error) {
      server.stop();
      throw error;
    }
  }

  /**
   * Ends the server, and tells what it saw. Close the client first.
   *
   * @returns {Promise<Observed>}
   */
  async finish() {
    this.#child.stdin.end();
    const seen = holdKeys(
      'the server',
      await this.#readLine(),
      'connections requests incomplete_requests steps_left',
    );
    for (const request of seen.requests) {
      holdKeys('a request', request, 'connection method path headers body unexpected');
    }
    await this.#ended;
    return seen;
  }

  /** Ends the program, whether or not it was asked what it saw. Stopping twice does nothing. */
  stop() {
    this.#child.stdin.destroy();
    this.#child.kill('SIGKILL');
  }

  async #readLine() {
    const guard = setTimeout(() => this.stop(), ENDS_WITHIN);
    try {
      const { done, value } = await this.#lines.next();
      if (done === true) {
        throw new ScriptedServerError(`${await this.#ended}: ${this.#complaint.trim()}`);
      }
      return readJson(value);
    } finally {
      clearTimeout(guard);
    }
  }
}
