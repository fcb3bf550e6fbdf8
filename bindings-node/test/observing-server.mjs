// A small HTTP server that tells on which connection a request came, and when one was closed.
//
// The simulator does not tell connections apart, and the scripted server says what it saw only at its
// end. This one can be watched while it runs, holds answers back for as long as a test wants, and
// closes kept connections when it is told to.

import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:net';

import { guarded } from './runtimes.mjs';

/**
 * @typedef {object} Seen A request that was read whole.
 * @property {number} connection Connections are numbered from 1 in the order in which they were made.
 * @property {string} method
 * @property {string} path
 * @property {string} body
 *
 * @typedef {object} Answer What is answered instead of the usual.
 * @property {number} status
 * @property {Record<string, string>} [headers]
 * @property {string} [body]
 *
 * @typedef {object} Connection
 * @property {number} number
 * @property {import('node:net').Socket} socket
 * @property {Buffer} unread
 * @property {boolean} busy Whether it has a request that was not answered yet.
 * @property {boolean} closedHere
 */

export class ObservingServer {
  apiKey = 'sim_key_of_the_tests';
  apiSecret = 'sim_secret_of_the_tests';
  merchantEmail = 'merchant@example.com';
  /** All requests so far. @type {Seen[]} */
  requests = [];
  /** How many connections were made. */
  connections = 0;
  /** How many answers were written. */
  answered = 0;
  /** The connections that the client's side closed. @type {Set<number>} */
  closedByClient = new Set();

  #server = createServer((socket) => this.#accept(socket));
  #changes = new EventEmitter();
  /** @type {Set<Connection>} */
  #open = new Set();
  /** @type {Answer[]} */
  #next = [];
  /** @type {string | undefined} */
  #heldPath;
  /** @type {(() => void)[]} */
  #held = [];

  static async start() {
    const server = new ObservingServer();
    server.#changes.setMaxListeners(0);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port() {
    return /** @type {import('node:net').AddressInfo} */ (this.#server.address()).port;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The options of a client that calls this server. */
  get options() {
    return {
      apiKey: this.apiKey,
      apiSecret: this.apiSecret,
      merchantEmail: this.merchantEmail,
      baseUrl: this.url,
    };
  }

  /**
   * The connections on which requests came whose path begins so.
   *
   * @param {string} path
   */
  connectionsOf(path) {
    const seen = this.requests.filter((request) => request.path.startsWith(path));
    return new Set(seen.map((request) => request.connection));
  }

  /**
   * The next request that comes gets this answer.
   *
   * @param {Answer} answer
   */
  answerNext(answer) {
    this.#next.push(answer);
  }

  /** Requests whose path begins so are not answered before `release`. */
  hold(path = '/') {
    this.#heldPath = path;
  }

  /** Answers what was held, and holds nothing any more. */
  release() {
    this.#heldPath = undefined;
    for (const answer of this.#held.splice(0)) {
      answer();
    }
  }

  /**
   * Waits until so many requests came in all.
   *
   * @param {number} count
   */
  async requestsCame(count) {
    await this.#until(() => this.requests.length >= count, `${count} requests`);
  }

  /**
   * Waits until so many connections were made in all.
   *
   * @param {number} count
   */
  async connectionsCame(count) {
    await this.#until(() => this.connections >= count, `${count} connections`);
  }

  /**
   * Waits until so many answers were written in all.
   *
   * @param {number} count
   */
  async answersWritten(count) {
    await this.#until(() => this.answered >= count, `${count} answers`);
  }

  /**
   * Waits until the client's side closed so many connections in all.
   *
   * @param {number} count
   */
  async clientClosed(count) {
    await this.#until(() => this.closedByClient.size >= count, `${count} closed by the client`);
  }

  /** Closes the connections whose requests are held, without an answer. */
  breakHeld() {
    for (const connection of this.#open) {
      if (connection.busy) {
        connection.closedHere = true;
        connection.socket.destroy();
      }
    }
  }

  /** Closes the connections that have no request, and waits until the client has closed them, too. */
  async closeKept() {
    const kept = [...this.#open].filter((connection) => !connection.busy);
    for (const connection of kept) {
      connection.closedHere = true;
      connection.socket.end();
    }
    await this.#until(
      () => kept.every((connection) => !this.#open.has(connection)),
      'kept connections to be closed',
    );
  }

  async stop() {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const connection of this.#open) {
      connection.closedHere = true;
      connection.socket.destroy();
    }
    await guarded(closed, () => 'the end of the server');
  }

  /** @param {import('node:net').Socket} socket */
  #accept(socket) {
    this.connections += 1;
    /** @type {Connection} */
    const connection = {
      number: this.connections,
      socket,
      unread: Buffer.alloc(0),
      busy: false,
      closedHere: false,
    };
    this.#open.add(connection);
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      connection.unread = Buffer.concat([connection.unread, bytes]);
      this.#read(connection);
    });
    // A reset is an end as any other: `close` comes after it.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#open.delete(connection);
      if (!connection.closedHere) {
        this.closedByClient.add(connection.number);
      }
      this.#changes.emit('change');
    });
    this.#changes.emit('change');
  }

  /** @param {Connection} connection */
  #read(connection) {
    const end = connection.unread.indexOf('\r\n\r\n');
    if (end < 0) {
      return;
    }
    const [first = '', ...lines] = connection.unread.subarray(0, end).toString().split('\r\n');
    const headers = Object.fromEntries(lines.map((line) => line.toLowerCase().split(': ', 2)));
    const length = Number(headers['content-length'] ?? 0);
    const body = connection.unread.subarray(end + 4, end + 4 + length);
    if (body.length < length) {
      return;
    }
    connection.unread = connection.unread.subarray(end + 4 + length);
    connection.busy = true;
    const [method = '', path = ''] = first.split(' ');
    const seen = { connection: connection.number, method, path, body: body.toString() };
    this.requests.push(seen);
    const answer = this.#next.shift() ?? usual(seen);
    const write = () => this.#write(connection, answer);
    if (this.#heldPath !== undefined && path.startsWith(this.#heldPath)) {
      this.#held.push(write);
    } else {
      write();
    }
    this.#changes.emit('change');
  }

  /**
   * @param {Connection} connection
   * @param {Answer} answer
   */
  #write(connection, { status, headers = {}, body = '{}' }) {
    if (!this.#open.has(connection)) {
      return;
    }
    const named = {
      'content-type': 'application/json',
      ...headers,
      'content-length': Buffer.byteLength(body),
    };
    const lines = Object.entries(named).map(([name, value]) => `${name}: ${value}\r\n`);
    connection.busy = false;
    connection.socket.write(`HTTP/1.1 ${status} Said\r\n${lines.join('')}\r\n${body}`, () => {
      this.answered += 1;
      this.#changes.emit('change');
    });
  }

  /**
   * @param {() => boolean} happened
   * @param {string} what
   */
  async #until(happened, what) {
    /** @type {() => void} */
    let look = () => {};
    /** @type {Promise<void>} */
    const did = new Promise((resolve) => {
      look = () => {
        if (happened()) {
          resolve();
        }
      };
    });
    this.#changes.on('change', look);
    look();
    try {
      await guarded(
        did,
        () =>
          `${what}; ${this.requests.length} requests were seen, the last of them ` +
          `${JSON.stringify(this.requests.slice(-5))}; ${this.closedByClient.size} connections ` +
          'were closed by the client',
      );
    } finally {
      this.#changes.off('change', look);
    }
  }
}

/**
 * Does `work` with a server, and stops that afterwards.
 *
 * @param {(server: ObservingServer) => Promise<void>} work
 */
export async function withServer(work) {
  const server = await ObservingServer.start();
  try {
    await work(server);
  } finally {
    await server.stop();
  }
}

/**
 * An answer that every call can read.
 *
 * @param {Seen} seen
 * @returns {Answer}
 */
function usual(seen) {
  /** @type {Record<string, unknown>} */
  let body = { path: seen.path };
  if (seen.path === '/get-merchant-wallets') {
    body = { wallets: [{ currency: 'USD', amount: '250.00' }] };
  } else if (seen.path === '/createPaymentLink') {
    body = { success: true, url: `https://pay.example/l/${JSON.parse(seen.body).ref}` };
  } else if (seen.path === '/createWithdrawalRequest') {
    body = { success: true, status: 'approved' };
  } else if (seen.path === '/createDepositRequest') {
    body = { success: true, status: 'pending' };
  }
  return { status: 200, body: JSON.stringify(body) };
}
