/**
 * The webhook's route where requests and responses are those of the web platform: Next.js route
 * handlers, Hono, Remix, SvelteKit, Bun, Deno.
 *
 * @packageDocumentation
 */

import type { StopOptions } from './ledger.js';
import {
  BrokeOff,
  headersOf,
  type MakesReceivers,
  ReadBefore,
  Receiving,
  type RunningReceiver,
  wanted,
} from './webhook-receiving.js';

export type {
  EventHandler,
  LedgerSource,
  MakesReceivers,
  RunningReceiver,
  WebhookReceiverOptions,
  WithoutWorkerOptions,
} from './webhook-receiving.js';

/**
 * Receives deliveries: a function from a `Request` to its `Response`. It starts with the first
 * delivery, or with `start`, and runs until `stop`.
 */
export interface WebReceiver extends RunningReceiver {
  /** Answers a request, and is never rejected. */
  (request: Request): Promise<Response>;
}

const GONE =
  'Give the receiver the request before anything else reads it, or read a clone: `request.clone()`.';

/**
 * Receives the webhook: `export const POST = webhookReceiver(openLedger, onPayment)` in a route handler
 * of Next.js, `app.all(path, (c) => receive(c.req.raw))` in Hono. Leave the route out of CSRF checks.
 *
 * It answers `POST` alone, reads the raw body itself, at most 64 KiB of it, and answers 200 once the
 * delivery is stored in the ledger. A worker calls the handler for each payment, also for those that
 * came before a restart. The handler can be called twice for one: key what it does by `orderId`.
 *
 * Nothing happens when it is made, so that a build can import its module. Call `start` where the
 * server starts (in Next.js in its instrumentation file), or the worker waits for the first delivery after
 * a restart. On serverless nothing runs between requests: say `worker: false`, and let a cron job
 * call `Ledger.pending`.
 *
 * @throws TypeError for an argument of a wrong type.
 *
 * @example
 * import { Ledger } from 'kazawallet';
 * import { Simulator } from 'kazawallet/testing';
 * import { webhookReceiver } from 'kazawallet/web';
 *
 * const sim = await Simulator.start();
 * // Reads KAZAWALLET_LEDGER, such as sqlite:///var/lib/shop/kazawallet.db
 * const ledger = await Ledger.open({ client: sim.client() });
 * const POST = webhookReceiver(ledger, async (payment) => {
 *   if (payment.isPaid) {
 *     console.log('ship', payment.ref);
 *   }
 * });
 *
 * const order = { ref: 'order-42', amount: '10.50', currency: 'USD' };
 * const [delivery] = await sim.pay(await ledger.createPaymentLink(order));
 * const body = Buffer.from(delivery.body).toString();
 * const url = 'http://127.0.0.1/webhooks/kazawallet';
 * const response = await POST(new Request(url, { method: 'POST', body }));
 * response.status; // 200
 *
 * await POST.stop();
 * await ledger.close();
 * await sim.stop();
 */
export const webhookReceiver: MakesReceivers<WebReceiver> = (...given: unknown[]) => {
  const receiving = new Receiving(wanted(given));
  return Object.assign(
    async (request: Request): Promise<Response> => {
      const answer = isRequest(request)
        ? await receiving.answer({
            method: request.method,
            contentLength: request.headers.get('content-length'),
            contentEncoding: request.headers.get('content-encoding'),
            body: (longest) => webBody(request, longest),
          })
        : receiving.noRequest(request, WANTED);
      return new Response(answer.body, { status: answer.status, headers: headersOf(answer) });
    },
    {
      start: () => receiving.start(),
      stop: (settings?: StopOptions) => receiving.stop(settings),
    },
  );
};

const WANTED = 'the Request itself: in Hono `context.req.raw`, in SvelteKit `event.request`';

/** Not by its class: a polyfill's, or that of another realm, is as good. */
function isRequest(given: unknown): given is Request {
  const { method, headers } = (given ?? {}) as Partial<Request>;
  return typeof method === 'string' && typeof headers?.get === 'function';
}

async function webBody(request: Request, longest: number): Promise<Uint8Array | undefined> {
  if (request.bodyUsed || request.body?.locked) {
    throw new ReadBefore(GONE);
  }
  const pieces: Uint8Array[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  for (;;) {
    const read = await reader?.read().catch(() => {
      throw new BrokeOff(size);
    });
    if (read === undefined || read.done) {
      return Buffer.concat(pieces);
    }
    size += read.value.length;
    if (size > longest) {
      void dropTheRest(reader);
      return undefined;
    }
    pieces.push(read.value);
  }
}

/** Cancelled, a request's connection is cut by some servers, and the sender never sees the answer. */
async function dropTheRest(reader: { read(): Promise<{ done: boolean }> } | undefined) {
  try {
    while ((await reader?.read())?.done === false) {}
  } catch {
    // The sender gave up.
  }
}
