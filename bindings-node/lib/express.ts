/**
 * The webhook's route in Express 5 and 4, and on Node's own server.
 *
 * @packageDocumentation
 */

import { types } from 'node:util';

import type { StopOptions } from './ledger.js';
import {
  headersOf,
  Kept,
  type MakesReceivers,
  type NodeRequestLike,
  nodeBody,
  Receiving,
  type RunningReceiver,
  wanted,
} from './webhook-receiving.js';

export type {
  EventHandler,
  LedgerSource,
  MakesReceivers,
  NodeRequestLike,
  RunningReceiver,
  WebhookReceiverOptions,
  WithoutWorkerOptions,
} from './webhook-receiving.js';

/** What is needed of Express's request. */
export interface ExpressRequestLike extends NodeRequestLike {
  /** What a body parser made of the body; a `Buffer` or text is taken for the raw body. */
  readonly body?: unknown;
  /** The raw body, where a body parser or the platform kept it. */
  readonly rawBody?: unknown;
  /** The connection. */
  readonly socket?: unknown;
}

/** What is needed of Express's response. */
export interface ExpressResponseLike {
  /** Whether somebody has answered already. */
  readonly headersSent: boolean;
  /** The HTTP status. */
  statusCode: number;
  /** Sets a header. */
  setHeader(name: string, value: string): unknown;
  /** Sends the answer. */
  end(body: string): unknown;
}

/**
 * Receives deliveries in Express. It starts when it is made, and stops when the server that brought it
 * a delivery closes, or with `stop`.
 */
export interface ExpressReceiver extends RunningReceiver {
  /** Answers a request, whatever it is: it calls no `next`. */
  (request: ExpressRequestLike, response: ExpressResponseLike): void;
}

const GONE =
  'Mount the receiver before every body parser: ' +
  "`app.use('/webhooks/kazawallet', receiver)` above `app.use(express.json())`.";

/**
 * Receives the webhook: `app.use('/webhooks/kazawallet', receiver)`, **before `express.json()`** and
 * every other body parser. Leave the route out of CSRF checks.
 *
 * It answers `POST` alone, reads the raw body itself, at most 64 KiB of it, and answers 200 once the
 * delivery is stored in the ledger. A worker calls the handler for each payment, also for those that
 * came before a restart. The handler can be called twice for one: key what it does by `orderId`.
 *
 * It starts at once: the ledger is opened, and the worker runs until the server closes. Where no
 * delivery came until then the receiver knows of no server, so call `stop` when the process ends.
 *
 * @throws TypeError for an argument of a wrong type.
 *
 * @example
 * import { Ledger } from 'kazawallet';
 * import { webhookReceiver } from 'kazawallet/express';
 * import { Simulator } from 'kazawallet/testing';
 *
 * const sim = await Simulator.start();
 * // Reads KAZAWALLET_LEDGER, such as sqlite:///var/lib/shop/kazawallet.db
 * const ledger = await Ledger.open({ client: sim.client() });
 * const receiver = webhookReceiver(ledger, async (payment) => {
 *   if (payment.isPaid) {
 *     console.log('ship', payment.ref);
 *   }
 * });
 * // app.use('/webhooks/kazawallet', receiver); above app.use(express.json())
 * typeof receiver; // 'function'
 *
 * await receiver.stop(); // When the process ends.
 * await ledger.close();
 * await sim.stop();
 */
export const webhookReceiver: MakesReceivers<ExpressReceiver> = (...given: unknown[]) => {
  const receiving = new Receiving(wanted(given));
  const servers = new Set<Server>();

  const stopWith = (server: Server | undefined) => {
    if (server !== undefined && !servers.has(server)) {
      servers.add(server);
      server.once('close', () => {
        servers.delete(server);
        if (servers.size === 0) {
          receiving.stopOrTell();
        }
      });
    }
  };

  const answerTo = (request: unknown) => {
    if (!isRequest(request)) {
      const wanted = "the request of Express, or of Node's own server";
      return receiving.noRequest(request, wanted);
    }
    stopWith(serverOf(request));
    return receiving.answer({
      method: request.method,
      contentLength: request.headers['content-length'],
      contentEncoding: request.headers['content-encoding'],
      body: async (longest) => keptBody(request) ?? (await nodeBody(request, longest, GONE)),
    });
  };

  const respond = async (request: unknown, response: ExpressResponseLike) => {
    const answer = await answerTo(request);
    if (response.headersSent) {
      return;
    }
    response.statusCode = answer.status;
    for (const [name, value] of Object.entries(headersOf(answer))) {
      response.setHeader(name, value);
    }
    response.end(answer.body);
  };

  receiving.startOrTell();
  return Object.assign(
    (request: ExpressRequestLike, response: ExpressResponseLike): void => {
      // What fails is the response: then there is nobody to answer.
      respond(request, response).catch(() => {});
    },
    {
      start: () => receiving.start(),
      stop: (settings?: StopOptions) => receiving.stop(settings),
    },
  );
};

/** The raw body, if a parser kept it. */
function keptBody({ rawBody, body }: ExpressRequestLike): Kept | undefined {
  const kept = [rawBody, body].find(
    (one): one is Uint8Array | string => typeof one === 'string' || types.isUint8Array(one),
  );
  return kept === undefined ? undefined : new Kept(kept);
}

function isRequest(given: unknown): given is ExpressRequestLike {
  const { headers, on } = (given ?? {}) as Partial<ExpressRequestLike>;
  return typeof headers === 'object' && typeof on === 'function';
}

interface Server {
  once(event: 'close', listener: () => void): unknown;
}

/** Express has no hook for the application's end, and the server none for its middleware. */
function serverOf({ socket }: ExpressRequestLike): Server | undefined {
  const { server } = (socket ?? {}) as { server?: Partial<Server> };
  return typeof server?.once === 'function' ? (server as Server) : undefined;
}
