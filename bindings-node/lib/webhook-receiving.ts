// What a webhook's route does, the same in every framework. The adapters give it the request, and hand
// its answer on.

import { types } from 'node:util';

import type { Ledger, Payment, PaymentHandler } from './ledger.js';
import type { LedgerWorker } from './ledger-calls.js';
import {
  isAbsent,
  isObject,
  main,
  native,
  optionalFlag,
  options,
  typeName,
  wrongType,
} from './loaded.js';
import type { RouteAnswer } from './native-module.js';
import type { PaymentEvent, Webhook } from './webhook.js';

/**
 * What handles a verified event before the webhook is answered, where there is no ledger. Where it
 * throws, the answer is 500, and **the provider does not deliver again**.
 */
export type EventHandler = (event: PaymentEvent) => unknown;

/**
 * A ledger that is open, which the receiver never closes; or how to open one: a function, which is
 * called when the receiver starts, or the promise of `Ledger.open`. What is opened so is closed when
 * the receiver stops.
 */
export type LedgerSource = Ledger | Promise<Ledger> | (() => Ledger | Promise<Ledger>);

/** How deliveries are received. */
export interface WebhookReceiverOptions {
  /**
   * Whether the receiver has a worker, which hands each payment of the ledger to your handler: `true`
   * unless given. `false` where nothing runs between requests, as on serverless: then a cron job calls
   * `Ledger.pending`, and no handler is needed.
   */
  worker?: boolean | null | undefined;
  /**
   * Is told of everything that goes wrong: an error where a delivery was refused, a text where a payment
   * waits for a person. Where your handler threw, it is told what, and as `payment` what the handler was
   * called with: without a ledger nothing else remembers that payment.
   *
   * Unless given, it is logged: a payment by its order id, without a ledger also its ref, status, amount
   * and currency; of errors that are not this package's the class and the stack, without the message,
   * which may hold anybody's data.
   */
  onError?: ((error: unknown, payment?: Payment | PaymentEvent) => unknown) | null | undefined;
}

/** How deliveries are received where another process hands payments out, or a cron job. */
export interface WithoutWorkerOptions extends WebhookReceiverOptions {
  /** No worker: no handler is called. */
  worker: false;
}

/** When the receiver runs. */
export interface RunningReceiver {
  /**
   * Opens the ledger and starts the worker, unless that was done, and verifies again what is in the
   * ledger's quarantine. A delivery opens and starts, too, also after `stop`.
   *
   * @throws LedgerError, ConfigurationError where the ledger cannot be opened, or has nothing to verify
   * deliveries with.
   */
  start(): Promise<void>;
  /**
   * Waits for the deliveries that are being received and for the handler that runs, takes no further
   * payment, and closes the ledger that it opened. Do not await it inside of a handler. Stopping twice
   * does nothing.
   */
  stop(): Promise<void>;
}

/** The ways to make a receiver. */
export interface MakesReceivers<Receiver> {
  /**
   * With a ledger: a delivery is answered with 200 as soon as it is stored. A worker calls the handler
   * for each payment, at least once: see `Ledger.process`.
   */
  (ledger: LedgerSource, handler: PaymentHandler, settings?: WebhookReceiverOptions): Receiver;
  /** With a ledger, and without a worker: deliveries are stored, and no handler is called. */
  (
    ledger: LedgerSource,
    handler: PaymentHandler | null | undefined,
    settings: WithoutWorkerOptions,
  ): Receiver;
  /** With a ledger, and without a worker: deliveries are stored, and no handler is called. */
  (ledger: LedgerSource, settings: WithoutWorkerOptions): Receiver;
  /**
   * Without a ledger: the handler runs before the answer, since nothing else remembers. Where it
   * throws, that payment is lost for you, but for what `onError` is told or the log says: the provider
   * calls once.
   */
  (webhook: Webhook, handler: EventHandler, settings?: WebhookReceiverOptions): Receiver;
}

const SETTINGS = ['worker', 'onError'];
const ANSWERS = new Map(native.webhookAnswers().map((answer) => [answer.name, answer]));
const LONGEST = native.longestWebhookBody();

/**
 * How a receiver is to be: its arguments, of which the types are known.
 *
 * @internal
 */
export interface Wanted {
  source: Webhook | LedgerSource;
  handler: ((received: never) => unknown) | undefined;
  onError: WebhookReceiverOptions['onError'];
}

/** @internal */
export function wanted(given: readonly unknown[]): Wanted {
  const [source, second, third] = given;
  const settingsFollow = third === undefined && isObject(second);
  const handler = settingsFollow ? undefined : second;
  const settings = options('webhookReceiver', settingsFollow ? second : third, SETTINGS);
  const worker = optionalFlag('worker', settings['worker']);
  const onError = settings['onError'];
  if (!isAbsent(onError) && typeof onError !== 'function') {
    throw wrongType('onError', 'a function', onError);
  }
  const isWebhook = source instanceof main.Webhook;
  if (!isWebhook && !isLedgerSource(source)) {
    throw wrongType('source', 'a Webhook, a Ledger, or a function that opens a ledger', source);
  }
  const called = isWebhook || worker !== false;
  if (typeof handler !== 'function' && (called || !isAbsent(handler))) {
    throw wrongType('handler', 'a function', handler);
  }
  return {
    source,
    handler: called ? (handler as Wanted['handler']) : undefined,
    onError: onError as Wanted['onError'],
  };
}

function isLedgerSource(source: unknown): source is LedgerSource {
  return source instanceof main.Ledger || typeof source === 'function' || isPromise(source);
}

function isPromise(source: unknown): source is Promise<unknown> {
  return typeof source === 'object' && source !== null && 'then' in source;
}

/** What receives verified deliveries, until it is stopped. */
interface Running {
  /** Gives the answer's name. */
  receive(body: Uint8Array | string): Promise<string>;
  /** Fails where it can verify nothing. */
  check(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * A request, as the frameworks have it.
 *
 * @internal
 */
export interface Delivery {
  method: string | undefined;
  contentLength: string | null | undefined;
  /** The raw body; `undefined` where it has more bytes than the limit. */
  body(longest: number): Promise<Uint8Array | string | undefined>;
}

/**
 * Receives deliveries.
 *
 * @internal
 */
export class Receiving implements RunningReceiver {
  readonly #wanted: Wanted;
  readonly #log: (line: string) => void;
  readonly #underWay = new Set<Promise<unknown>>();
  #running: Promise<Running> | undefined;
  #stopped: Promise<void> = Promise.resolve();

  constructor(wanted: Wanted, log: (line: string) => void = logToConsole) {
    this.#wanted = wanted;
    this.#log = log;
    if (isPromise(wanted.source)) {
      // Whoever starts is told.
      wanted.source.catch(() => {});
    }
  }

  async start(): Promise<void> {
    const running = await this.#started();
    await running.check();
  }

  stop(): Promise<void> {
    const running = this.#running;
    if (running !== undefined) {
      this.#running = undefined;
      this.#stopped = this.#end(running);
    }
    return this.#stopped;
  }

  async answer({ method, contentLength, body }: Delivery): Promise<RouteAnswer> {
    if (method !== 'POST') {
      return answerNamed('method_not_allowed');
    }
    try {
      const bytes = Number(contentLength) > LONGEST ? undefined : await body(LONGEST);
      if (bytes === undefined || Buffer.byteLength(bytes) > LONGEST) {
        this.report(
          new main.WebhookPayloadError(`a delivery was refused: it has more than ${LONGEST} bytes`),
        );
        return answerNamed('body_too_large');
      }
      const running = await this.#started();
      return answerNamed(await this.#untilStopped(running.receive(bytes)));
    } catch (error) {
      this.report(error);
      return answerNamed(error instanceof main.KazawalletError ? error.code : 'not_processed');
    }
  }

  /** Tells the developer, and never fails. A payment is one that the handler failed for. */
  report(error: unknown, payment?: Payment | PaymentEvent): void {
    const { onError } = this.#wanted;
    const tell = async () => {
      try {
        await (isAbsent(onError) ? this.#log(reported(error, payment)) : onError(error, payment));
      } catch (problem) {
        logToConsole(reported(error, payment)); // Perhaps nothing else remembers it.
        logToConsole(`telling of it failed: ${inWords(problem)}`);
      }
    };
    void tell();
  }

  #started(): Promise<Running> {
    if (this.#running === undefined) {
      const running = this.#begin();
      this.#running = running;
      running.catch(() => {
        // The next delivery tries again.
        if (this.#running === running) {
          this.#running = undefined;
        }
      });
    }
    return this.#running;
  }

  async #begin(): Promise<Running> {
    await this.#stopped.catch(() => {});
    const { source, handler } = this.#wanted;
    if (source instanceof main.Webhook) {
      return this.#withWebhook(source, handler as EventHandler);
    }
    if (source instanceof main.Ledger) {
      return this.#withLedger(source, false);
    }
    const ledger: unknown = await (typeof source === 'function' ? source() : source);
    if (!(ledger instanceof main.Ledger)) {
      throw new main.ConfigurationError(
        'what opens the ledger for a webhook receiver must give a Ledger',
      );
    }
    return this.#withLedger(ledger, true);
  }

  #withWebhook(webhook: Webhook, handler: EventHandler): Running {
    return {
      receive: async (body) => {
        const event = webhook.verify(body);
        try {
          await handler(event);
        } catch (error) {
          this.report(error, event);
          return 'not_processed'; // Whatever the error is: the delivery was genuine.
        }
        return 'received';
      },
      check: async () => {},
      stop: async () => {},
    };
  }

  #withLedger(ledger: Ledger, isOurs: boolean): Running {
    const handler = this.#wanted.handler as PaymentHandler | undefined;
    let worker: LedgerWorker | undefined;
    if (handler !== undefined) {
      const reporting: PaymentHandler = async (payment) => {
        try {
          await handler(payment);
        } catch (error) {
          this.report(error, payment);
          throw error;
        }
      };
      // It is the server that keeps the process alive.
      worker = ledger.process(reporting, { persistent: false });
    }
    return {
      receive: async (body) => {
        const { event, decision, duplicate, problem, waitsForPerson } = await ledger.receive(body);
        if (waitsForPerson && !duplicate) {
          const what = problem === undefined ? decision : `${decision}, ${problem}`;
          const where = 'see `npx kazawallet ledger`';
          this.report(
            `the payment ${event.orderId} is stored and waits for a person: ${what} (${where})`,
          );
        }
        return 'received';
      },
      check: async () => {
        try {
          // Recovers what a forgotten rotation of keys refused.
          await ledger.reverify();
        } catch (error) {
          if (!(error instanceof main.LedgerError)) {
            throw error;
          }
          this.report(error);
        }
      },
      stop: async () => {
        await worker?.stop();
        if (isOurs) {
          await ledger.close();
        }
      },
    };
  }

  async #untilStopped<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work);
    try {
      return await work;
    } finally {
      this.#underWay.delete(work);
    }
  }

  async #end(running: Promise<Running>): Promise<void> {
    const begun = await running.catch(() => undefined); // What was not opened needs no closing.
    await Promise.allSettled(this.#underWay);
    await begun?.stop();
  }
}

/** An error's code is the name of its answer, where it has one of its own. */
function answerNamed(name: string): RouteAnswer {
  return (ANSWERS.get(name) ?? ANSWERS.get('not_processed')) as RouteAnswer;
}

/** @internal */
export function headersOf({ status }: RouteAnswer): Record<string, string> {
  return {
    'content-type': 'application/json',
    ...(status === 405 && { allow: 'POST' }),
  };
}

/** @internal */
export function logToConsole(line: string): void {
  console.error('kazawallet:', line);
}

/** What is logged of a report. */
function reported(error: unknown, payment: Payment | PaymentEvent | undefined): string {
  if (payment === undefined) {
    return typeof error === 'string' ? error : inWords(error);
  }
  return `${failedFor(payment)}: ${inWords(error)}`;
}

function failedFor(payment: Payment | PaymentEvent): string {
  const { orderId, ref, status, amount, currency } = payment;
  if (!(payment instanceof main.PaymentEvent)) {
    return `the handler failed for ${orderId}`; // The rest is in the ledger.
  }
  const named = `ref ${ref}, ${status}, ${amount} ${currency}`;
  // What is not signed may hold line breaks, to look like other lines of the log.
  const line = named.replace(/\p{Cc}/gu, ' ');
  return `the handler failed for the order id ${orderId} (${line}), which will not come again`;
}

/**
 * An error as a log may show it. The message of a foreign one may hold anything: where it was thrown is
 * shown in its place.
 */
function inWords(error: unknown): string {
  try {
    if (error instanceof main.WebhookError) {
      return `${error}`; // Anybody can send what is refused: a line for each.
    }
    if (error instanceof main.KazawalletError) {
      return `${error}${framesOf(error)}`;
    }
    if (error instanceof Error || types.isNativeError(error)) {
      return `${error.name} (its message is not shown)${framesOf(error)}`;
    }
    return `${typeName(error)} (its message is not shown)`;
  } catch {
    return 'what has no text';
  }
}

function framesOf({ stack, message }: Error): string {
  // A message may have lines that look like them.
  const lines = `${stack}`.replace(message, '').split('\n');
  return lines
    .filter((line) => /^ {4}at /.test(line))
    .map((line) => `\n${line}`)
    .join('');
}

/**
 * What is needed of the request of Node's own server, which Express's and Fastify's stand on.
 */
export interface NodeRequestLike {
  /** `POST`, or another method. */
  readonly method?: string | undefined;
  /** Names in lower case. */
  readonly headers: { readonly 'content-length'?: string | undefined };
  /** Whether somebody began to read it. */
  readonly readableDidRead: boolean;
  /** Whether somebody read it to its end. */
  readonly readableEnded: boolean;
  /** Tells of the body's pieces. */
  on(event: string, listener: (...told: never[]) => void): unknown;
}

/**
 * Reads a request's body. What is more than the limit is read and dropped, so that the sender gets to
 * see the answer.
 *
 * @internal
 */
export function nodeBody(
  request: NodeRequestLike,
  longest: number,
  gone: string,
): Promise<Uint8Array | undefined> {
  if (request.readableDidRead || request.readableEnded) {
    throw new main.ConfigurationError(gone);
  }
  return new Promise((resolve, reject) => {
    const pieces: Uint8Array[] = [];
    let size = 0;
    request.on('data', (piece: Uint8Array | string) => {
      size += piece.length;
      if (size > longest) {
        pieces.length = 0;
        resolve(undefined);
      } else {
        pieces.push(typeof piece === 'string' ? Buffer.from(piece) : piece);
      }
    });
    request.on('end', () => resolve(Buffer.concat(pieces)));
    request.on('error', (problem: unknown) => reject(brokenOff({ cause: problem })));
    request.on('close', () => reject(brokenOff()));
  });
}

/**
 * A delivery whose sender went away.
 *
 * @internal
 */
export function brokenOff(attributes?: { cause: unknown }): Error {
  const message = 'the connection broke in the middle of a delivery';
  return new main.WebhookPayloadError(message, attributes);
}
