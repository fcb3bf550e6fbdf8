// @ts-check
// Applications in the frameworks for which there are adapters, each on a real server with the webhook's
// route and a page.

import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { connect } from 'node:net';

import { load } from './package.mjs';
import { guarded, runtime } from './runtimes.mjs';

/** @type {typeof import('kazawallet/express')} */
export const forExpress = await load('kazawallet/express');
/** @type {typeof import('kazawallet/fastify')} */
export const forFastify = await load('kazawallet/fastify');
/** @type {typeof import('kazawallet/web')} */
export const forWeb = await load('kazawallet/web');

export const PATH = '/webhooks/kazawallet';

/**
 * @typedef {object} Application
 * @property {any[]} receiver The arguments of `webhookReceiver`.
 * @property {boolean} [bodyReadBefore] Something reads the body before the receiver.
 * @property {boolean} [noRequest] The receiver is given something else than the request.
 * @property {boolean} [notStarted] The receiver is left to start with the first delivery.
 *
 * @typedef {object} Served
 * @property {string} url The route's.
 * @property {(settings?: { timeout: number }) => Promise<boolean>} [stop] Ends the receiver alone, where
 *   it can be.
 * @property {() => Promise<void>} close Ends the application, as its framework has it.
 *
 * @typedef {(application: Application) => Promise<Served>} Serve
 */

/** @param {import('node:http').Server} server */
async function listening(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return `http://127.0.0.1:${port}`;
}

/** @param {import('node:http').Server} server */
async function closed(server) {
  const end = once(server, 'close');
  server.close();
  await guarded(end, () => 'the end of the server');
}

/**
 * @param {string} name
 * @returns {Serve}
 */
function express(name) {
  return async ({ receiver: given, bodyReadBefore = false, noRequest = false }) => {
    const { default: make } = await import(name);
    const app = make();
    if (bodyReadBefore) {
      app.use(make.json());
    }
    const receiver = forExpress.webhookReceiver(.../** @type {[any, any]} */ (given));
    app.use(
      PATH,
      noRequest
        ? (/** @type {any} */ _, /** @type {any} */ response) =>
            receiver(/** @type {any} */ (undefined), response)
        : receiver,
    );
    app.get('/', (/** @type {any} */ _, /** @type {any} */ response) => response.send('a page'));
    const server = createServer(app);
    const url = await listening(server);
    return {
      url: `${url}${PATH}`,
      stop: (settings) => receiver.stop(settings),
      close: async () => {
        await closed(server);
        await receiver.stop();
      },
    };
  };
}

/** @type {Serve} */
async function fastify({ receiver: given, bodyReadBefore = false }) {
  const { default: make } = await import('fastify');
  const app = make();
  if (bodyReadBefore) {
    app.addHook('onRequest', async ({ raw }) => {
      for await (const _ of raw) {
        // As a hook that logs bodies does.
      }
    });
  }
  const plugin = forFastify.webhookReceiver(.../** @type {[any, any]} */ (given));
  app.register(plugin, { path: PATH });
  app.get('/', async () => 'a page');
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { url: `${url}${PATH}`, close: () => app.close() };
}

/** @type {Serve} */
async function web({
  receiver: given,
  bodyReadBefore = false,
  notStarted = false,
  noRequest = false,
}) {
  const receive = forWeb.webhookReceiver(.../** @type {[any, any]} */ (given));
  const { Hono } = await import('hono');
  const app = new Hono();
  app.all(PATH, async (context) => {
    if (bodyReadBefore) {
      await context.req.raw.text();
    }
    return await receive(noRequest ? /** @type {any} */ (context) : context.req.raw);
  });
  app.get('/', (context) => context.text('a page'));
  if (!notStarted) {
    await receive.start().catch(() => {}); // The next delivery says it, too.
  }
  const { url, close } = await FETCH_SERVERS[runtime](app.fetch);
  return {
    url: `${url}${PATH}`,
    stop: (settings) => receive.stop(settings),
    close: async () => {
      await close();
      await receive.stop();
    },
  };
}

/**
 * @type {Record<typeof runtime, (fetch: any) => Promise<{ url: string, close: () => Promise<void> }>>}
 */
const FETCH_SERVERS = {
  node: async (fetch) => {
    const { createAdaptorServer } = await import('@hono/node-server');
    const server = /** @type {import('node:http').Server} */ (createAdaptorServer({ fetch }));
    return { url: await listening(server), close: () => closed(server) };
  },
  bun: async (fetch) => {
    const { Bun } = /** @type {any} */ (globalThis);
    const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch });
    return { url: `http://127.0.0.1:${server.port}`, close: () => server.stop() };
  },
  deno: async (fetch) => {
    const { Deno } = /** @type {any} */ (globalThis);
    const server = Deno.serve({ hostname: '127.0.0.1', port: 0, onListen: () => {} }, fetch);
    return { url: `http://127.0.0.1:${server.addr.port}`, close: () => server.shutdown() };
  },
};

/**
 * The frameworks, by their names.
 *
 * @type {Record<string, Serve>}
 */
export const FRAMEWORKS = {
  'Express 5': express('express'),
  'Express 4': express('express-4'),
  Fastify: fastify,
  web,
};

/**
 * Does `work` with an application.
 *
 * @template T
 * @param {Serve} serve
 * @param {Application} application
 * @param {(served: Served) => Promise<T>} work
 */
export async function withApplication(serve, application, work) {
  const served = await serve(application);
  try {
    return await work(served);
  } finally {
    await served.close();
  }
}

/**
 * @typedef {object} Sent
 * @property {string} [method]
 * @property {Uint8Array | string} [body]
 * @property {string | null} [contentType]
 * @property {string | null | undefined} [contentEncoding]
 * @property {boolean} [chunked]
 */

/**
 * Sends a request on a connection of its own.
 *
 * @param {string} url
 * @param {Sent} sent
 * @returns {Promise<{ status: number | undefined, headers: import('node:http').IncomingHttpHeaders, text: string }>}
 */
export function send(
  url,
  { method = 'POST', body = '', contentType = JSON_TYPE, contentEncoding, chunked = false },
) {
  const bytes = Buffer.from(body);
  const answered = new Promise((resolve, reject) => {
    const request = httpRequest(url, {
      method,
      agent: false,
      headers: {
        ...(contentType !== null && { 'content-type': contentType }),
        ...(contentEncoding && { 'content-encoding': contentEncoding }),
        ...(chunked
          ? { 'transfer-encoding': 'chunked' }
          : (bytes.length > 0 || method === 'POST') && { 'content-length': bytes.length }),
      },
    });
    request.once('error', reject);
    request.once('response', (response) => {
      /** @type {Buffer[]} */
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.once('error', reject);
      response.once('end', () => {
        const { statusCode: status, headers } = response;
        resolve({ status, headers, text: Buffer.concat(pieces).toString() });
      });
    });
    if (chunked) {
      // Two pieces at least.
      const half = Math.ceil(bytes.length / 2);
      request.write(bytes.subarray(0, half));
      request.write(bytes.subarray(half));
      request.end();
    } else {
      request.end(bytes.length > 0 ? bytes : undefined);
    }
  });
  return guarded(answered, () => `an answer to ${method} ${url}`);
}

/**
 * Sends the head and half of a body, and closes the connection, or its own half of it alone: then the answer
 * is read, if there is one.
 *
 * @param {string} url
 * @param {Buffer} body
 * @param {boolean} half
 * @returns {Promise<string | undefined>} The answer's status and body.
 */
export async function hangUp(url, body, half) {
  const { hostname, port, pathname, host } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  let answer = '';
  socket.on('data', (piece) => {
    answer += piece;
  });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {}); // It is reset by a server that is at an end with it.
  const head = `POST ${pathname} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n`;
  socket.write(`${head}content-length: ${body.length}\r\n\r\n`);
  await new Promise((resolve) => socket.write(body.subarray(0, body.length / 2), resolve));
  if (half) {
    socket.end();
  } else {
    socket.destroy();
  }
  await guarded(closed, () => 'the end of the connection');
  return half && answer !== '' ? answer : undefined;
}

const JSON_TYPE = 'application/json';
