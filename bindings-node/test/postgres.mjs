// A real PostgreSQL for the tests: the repository's own program makes it, in a temporary folder and on
// a free port, and removes it when its input ends.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { guarded } from './runtimes.mjs';
import { variable } from './shared-data.mjs';

/** A server, which takes a few seconds to be made. */
const WITHIN = 120_000;

export class Postgres {
  #process = spawn(variable('KAZAWALLET_SERVE_POSTGRES'), { stdio: ['pipe', 'pipe', 'inherit'] });
  #closed = once(this.#process, 'close');
  #lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();

  /** Makes a server, and starts it. */
  static async start() {
    const server = new Postgres();
    await server.#answer();
    return server;
  }

  /** The URL of an empty database. */
  async newDatabase() {
    return await this.#tell('create');
  }

  /** Stops it as a crash would. */
  async stop() {
    assert.equal(await this.#tell('stop'), 'done');
  }

  /** Starts it again, where it was. */
  async startAgain() {
    assert.equal(await this.#tell('start'), 'done');
  }

  /** Leaves nothing of it behind. */
  async remove() {
    this.#process.stdin.end();
    await guarded(this.#closed, () => 'the end of PostgreSQL', WITHIN);
  }

  /** @param {string} command */
  async #tell(command) {
    this.#process.stdin.write(`${command}\n`);
    return await this.#answer();
  }

  async #answer() {
    const line = await guarded(this.#lines.next(), () => 'an answer of PostgreSQL', WITHIN);
    assert.ok(line.done !== true, 'PostgreSQL could not do what it was told');
    return line.value;
  }
}
