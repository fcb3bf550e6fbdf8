/**
 * The webhook's route in Fastify 5, as a plugin.
 *
 * @packageDocumentation
 */

import { toConsole, wrongType } from './loaded.js';
import {
  headersOf,
  type MakesReceivers,
  type NodeRequestLike,
  nodeBody,
  Receiving,
  wanted,
} from './webhook-receiving.js';

export type {
  EventHandler,
  LedgerSource,
  MakesReceivers,
  NodeRequestLike,
  WebhookReceiverOptions,
  WithoutWorkerOptions,
} from './webhook-receiving.js';

/** What is needed of Fastify's request. */
export interface FastifyRequestLike {
  /** Node's own request. */
  readonly raw: NodeRequestLike;
}

/** What is needed of Fastify's reply. */
export interface FastifyReplyLike {
  /** Sets the HTTP status. */
  code(status: number): unknown;
  /** Sets headers. */
  headers(headers: Record<string, string>): unknown;
  /** Sends the answer. */
  send(body: string): unknown;
}

/** What is needed of a Fastify application. */
export interface FastifyLike {
  /** The application's logger. */
  readonly log: { error(line: string): void };
  /** The methods that a route can have. */
  readonly supportedMethods: readonly string[];
  /** Adds a hook of the application. */
  addHook(name: 'onReady' | 'onClose', hook: () => Promise<void>): unknown;
  /** Adds a route. */
  route(route: FastifyRouteLike): unknown;
}

/** What is needed of a Fastify route. */
export interface FastifyRouteLike {
  /** Its methods. */
  method: string[];
  /** Its path. */
  url: string;
  /** What is called before anything is parsed. */
  onRequest: (request: FastifyRequestLike, reply: FastifyReplyLike) => Promise<unknown>;
  /** What is called at the end. */
  handler: () => Promise<void>;
}

/** The options of the plugin. */
export interface FastifyReceiverOptions {
  /** The route's path, such as `/webhooks/kazawallet`. */
  path: string;
}

/**
 * Receives deliveries in Fastify. It starts when the application is ready, and stops when it is
 * closed.
 */
export type FastifyReceiver = (
  application: FastifyLike,
  settings: FastifyReceiverOptions,
) => Promise<void>;

const GONE =
  'A hook of the application must not read `request.raw`: register that hook in a plugin of its own, ' +
  'away from the webhook.';

/**
 * Receives the webhook: `app.register(webhookReceiver(ledger, onPayment), { path })`.
 *
 * It answers `POST` alone, reads the raw body itself, at most 64 KiB of it, and answers 200 once the
 * delivery is stored in the ledger. A worker calls the handler for each payment, also for those that
 * came before a restart. The handler can be called twice for one: key what it does by `orderId`.
 *
 * Hooks of the application that come after `onRequest` do not see a delivery, and its content type
 * parsers neither. What goes wrong goes to the application's logger; to the console where it has
 * none.
 *
 * @throws TypeError for an argument of a wrong type.
 *
 * @example
 * import { Ledger } from 'kazawallet';
 * import { webhookReceiver } from 'kazawallet/fastify';
 * import { Simulator } from 'kazawallet/testing';
 *
 * const sim = await Simulator.start();
 * // Reads KAZAWALLET_LEDGER, such as sqlite:///var/lib/shop/kazawallet.db
 * const receiver = webhookReceiver(
 *   () => Ledger.open({ client: sim.client() }),
 *   async (payment) => {
 *     if (payment.isPaid) {
 *       console.log('ship', payment.ref);
 *     }
 *   },
 * );
 * // app.register(receiver, { path: '/webhooks/kazawallet' });
 * typeof receiver; // 'function'
 * await sim.stop();
 */
export const webhookReceiver: MakesReceivers<FastifyReceiver> = (...given: unknown[]) => {
  const asked = wanted(given);
  return async (application, { path }) => {
    if (typeof path !== 'string') {
      throw wrongType('path', "a string such as '/webhooks/kazawallet'", path);
    }
    const receiving = new Receiving(asked, loggerOf(application));
    application.addHook('onReady', () => receiving.start());
    application.addHook('onClose', async () => {
      await receiving.stop();
    });
    application.route({
      method: [...application.supportedMethods],
      url: path,
      // Before any parser, which would refuse what it does not know.
      onRequest: async ({ raw }, reply) => {
        const answer = await receiving.answer({
          method: raw.method,
          contentLength: raw.headers['content-length'],
          contentEncoding: raw.headers['content-encoding'],
          body: (longest) => nodeBody(raw, longest, GONE),
        });
        reply.code(answer.status);
        reply.headers(headersOf(answer));
        reply.send(answer.body);
        return reply;
      },
      handler: async () => {}, // Fastify wants one. Each request was answered before.
    });
  };
};

/** Without a logger of the application's, Fastify has one that says nothing: it has no level. */
function loggerOf({ log }: FastifyLike): (report: { text: string }) => void {
  return 'level' in log ? ({ text }) => log.error(`kazawallet: ${text}`) : toConsole;
}
