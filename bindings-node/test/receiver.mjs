// A small shop that receives the webhook, in this process.

import { once } from 'node:events';
import { createServer } from 'node:http';

/**
 * Does `work` with a shop that keeps what is posted to it.
 *
 * @param {(shop: { url: string, bodies: Buffer[], contentTypes: (string | undefined)[] }) => Promise<void>} work
 * @param {number} [answers]
 */
export async function withShop(work, answers = 200) {
  /** @type {Buffer[]} */
  const bodies = [];
  /** @type {(string | undefined)[]} */
  const contentTypes = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) {
      chunks.push(chunk);
    }
    bodies.push(Buffer.concat(chunks));
    contentTypes.push(request.headers['content-type']);
    response.writeHead(answers, { connection: 'close' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  try {
    await work({ url: `http://127.0.0.1:${port}/webhook`, bodies, contentTypes });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** A port on which nothing listens any more. */
export async function portThatRefuses() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const closed = once(server, 'close');
  server.close();
  await closed;
  return port;
}
