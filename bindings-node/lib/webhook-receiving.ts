// What a webhook's route does, the same in every framework. The adapters give it the request, and hand
// its answer on.

import { types } from 'node:util';

import type { Ledger, Payment, PaymentHandler, StopOptions } from './ledger.js';
import type { LedgerWorker } from './ledger-calls.js';
import {
  ask,
  fromCore,
  isAbsent,
  isErrorCode,
  isObject,
  listen,
  main,
  native,
  nativeLedger,
  nativeWebhook,
  optionalFlag,
  options,
  own,
  paymentEvent,
  type Report,
  refuseHandler,
  stopTimeout,
  tell,
  toConsole,
  typeName,
  wrongType,
} from './loaded.js';
import type { Reception } from './native-module.js';
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
   * Is told of everything that somebody should look at, of the ledger and the worker, too: as `report`
   * what it is, in one line. `error` is what your handler threw, and `payment` what it was called with:
   * without a ledger nothing else remembers that payment. Otherwise `error` is an error of this package,
   * or the report's text if there is none, such as for a payment that waits for a person.
   *
   * Unless given, the report's text is logged: it names a payment by its order id, and has no message of
   * an error that is not this package's, which may hold anybody's data.
   */
  onError?:
    | ((error: unknown, payment: Payment | PaymentEvent | undefined, report: Report) => unknown)
    | null
    | undefined;
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
   * ledger's quarantine. The first delivery does so, too.
   *
   * @throws LedgerError, ConfigurationError where the ledger cannot be opened, or has nothing to verify
   * deliveries with.
   */
  start(): Promise<void>;
  /**
   * Waits for the deliveries that are being received and for the handler that runs, takes no further
   * payment, and closes the ledger that it opened. Do not await it inside of a handler. Stopping twice
   * does nothing. A delivery that comes afterwards is stored all the same: there is no second one.
   *
   * @param settings With a `timeout` it waits no longer for the handler; see `LedgerWorker.stop`.
   * @returns whether the handler ended.
   * @throws TypeError, ValidationError for a time-out that is none.
   */
  stop(settings?: StopOptions): Promise<boolean>;
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
  if (called || !isAbsent(handler)) {
    refuseHandler(handler);
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

/**
 * A request, as the frameworks have it.
 *
 * @internal
 */
export interface Arriving {
  method: string | undefined;
  contentLength: string | null | undefined;
  contentEncoding: string | null | undefined;
  /** The raw body; `undefined` if it has more bytes than the limit. It throws `BrokeOff`, `ReadBefore`. */
  body(longest: number): Promise<Uint8Array | Kept | undefined>;
}

/**
 * A body that something has read and kept, perhaps inflated.
 *
 * @internal
 */
export class Kept {
  constructor(readonly bytes: Uint8Array | string) {}
}

/**
 * The sender of a body went away in the middle of it.
 *
 * @internal
 */
export class BrokeOff extends Error {
  constructor(readonly got: number) {
    super('the sender went away');
  }
}

/**
 * Something has read a request's body before.
 *
 * @internal
 */
export class ReadBefore extends Error {}

/** A ledger that a receiver uses, and its worker. */
interface Running {
  ledger: Ledger;
  /** Whether the receiver has opened it. */
  isOurs: boolean;
  worker: LedgerWorker | undefined;
  stopListening: () => void;
  /** Verifies again what is in quarantine, once. */
  checked?: Promise<void>;
}

/**
 * Receives deliveries.
 *
 * @internal
 */
export class Receiving implements RunningReceiver {
  readonly #wanted: Wanted;
  readonly #log: (report: { text: string }) => void;
  readonly #route = new native.Route();
  readonly #underWay = new Set<Promise<unknown>>();
  #running: Promise<Running> | undefined;
  #isStopped = false;
  #stopped: Promise<boolean> = Promise.resolve(true);

  constructor(wanted: Wanted, log: (report: { text: string }) => void = toConsole) {
    this.#wanted = wanted;
    this.#log = log;
    if (isPromise(wanted.source)) {
      // `start` reports this error.
      wanted.source.catch(() => {});
    }
  }

  async start(): Promise<void> {
    this.#isStopped = false;
    if (!(this.#wanted.source instanceof main.Webhook)) {
      await this.#check(await this.#started());
    }
  }

  async stop(settings?: StopOptions): Promise<boolean> {
    const timeout = stopTimeout('stop', settings);
    const running = this.#running;
    if (running !== undefined) {
      this.#isStopped = true;
      this.#running = undefined;
      this.#stopped = this.#end(running, timeout);
    } else if (this.#wanted.source instanceof main.Webhook) {
      return await this.#handlersEnd(timeout);
    }
    return await this.#stopped;
  }

  /** Starts, and reports what keeps it from that. */
  startOrTell(): void {
    this.start().catch((error) => this.#toldNotStarted(error));
  }

  /** Stops, and reports what goes wrong. */
  stopOrTell(): void {
    this.stop().catch((error) => this.#toldNotStarted(error));
  }

  /** What a request is answered. It never fails. */
  async answer(arriving: Arriving): Promise<Reception> {
    try {
      const reception = await this.#receive(arriving);
      this.#tellOf(reception);
      return reception;
    } catch (error) {
      const reception = this.#route.notOpened(inWords(error));
      this.#tellOf(reception, error);
      return reception;
    }
  }

  /** The answer to something else than a request. */
  noRequest(given: unknown, wanted: string): Reception {
    const reception = this.#route.noRequest(typeName(given), wanted);
    this.#tellOf(reception);
    return reception;
  }

  async #receive(arriving: Arriving): Promise<Reception> {
    const route = this.#route;
    const { method, contentEncoding } = arriving;
    const contentLength = lengthOf(arriving.contentLength);
    const refused = route.refusedByHead(`${method}`, contentLength);
    if (refused !== null) {
      return refused;
    }
    let arrived: Uint8Array | Kept | undefined;
    try {
      arrived = await arriving.body(LONGEST);
    } catch (error) {
      if (error instanceof BrokeOff) {
        return route.brokeOff(error.got, contentLength);
      }
      if (error instanceof ReadBefore) {
        return route.readBefore(error.message);
      }
      throw error;
    }
    if (arrived === undefined) {
      return route.tooLong();
    }
    // What was kept may be inflated, and may have another length then.
    const bytes = arrived instanceof Kept ? Buffer.from(arrived.bytes as string) : arrived;
    const delivered =
      arrived instanceof Kept
        ? route.delivery(bytes)
        : route.delivery(bytes, contentLength, contentEncoding ?? undefined);
    const none = own(delivered, 'refused');
    if (none !== undefined) {
      return none;
    }
    const delivery = own(delivered, 'inflated') ?? bytes;
    const { source, handler } = this.#wanted;
    return await this.#untilStopped(
      source instanceof main.Webhook
        ? this.#verify(source, handler as EventHandler, delivery)
        : this.#store(delivery),
    );
  }

  async #verify(webhook: Webhook, handler: EventHandler, delivery: Uint8Array): Promise<Reception> {
    const verifier = nativeWebhook('source', webhook);
    const verified = this.#route.verify(verifier, delivery);
    if (typeof verified !== 'string') {
      return verified;
    }
    const event = paymentEvent(verified, verifier);
    try {
      await handler(event);
    } catch (error) {
      const body = Buffer.from(delivery).toString();
      const reception = this.#route.handlerFailed(verifier, body, inWords(error));
      this.#tellOf(reception, error, event);
      const { report: _, ...answer } = reception; // It is told.
      return answer;
    }
    return this.#route.handled();
  }

  async #store(delivery: Uint8Array): Promise<Reception> {
    if (this.#isStopped && this.#running === undefined) {
      return await this.#storeLate(delivery);
    }
    const running = await this.#started();
    try {
      return await this.#stored(running.ledger, delivery);
    } finally {
      // Not before: what is in quarantine must not keep a delivery waiting.
      this.#check(running).catch((error) => this.#toldNotStarted(error));
    }
  }

  /** There is no second delivery: the ledger is opened for this one. */
  async #storeLate(delivery: Uint8Array): Promise<Reception> {
    await this.#stopped.catch(() => {});
    const { ledger, isOurs } = await this.#opened();
    try {
      return await this.#stored(ledger, delivery);
    } finally {
      if (isOurs) {
        await ledger.close().catch(() => {}); // The delivery has its answer.
      }
    }
  }

  async #stored(ledger: Ledger, delivery: Uint8Array): Promise<Reception> {
    const opened = nativeLedger.of(ledger);
    const answer = await ask(({ calls, id }) => this.#route.receive(calls, id, opened, delivery));
    return answer.reception as Reception;
  }

  /** Tells what the receiver, its ledger or its worker has to say, and never fails. */
  readonly #heard = (
    report: Report,
    failure?: { error: unknown; payment: Payment | PaymentEvent },
  ): void => {
    const { onError } = this.#wanted;
    if (isAbsent(onError)) {
      this.#log(report);
      return;
    }
    const error = failure === undefined ? asError(report) : failure.error;
    (async () => onError(error, failure?.payment, report))().catch((problem) => {
      this.#log(report); // Perhaps nothing else remembers it.
      this.#log({ text: `onError failed: ${inWords(problem)}` });
    });
  };

  #tellOf(reception: Reception, error?: unknown, payment?: PaymentEvent): void {
    const report = own(reception, 'report');
    if (report !== undefined) {
      const failure = error === undefined ? undefined : { error, payment: payment as PaymentEvent };
      tell(report, (told) => this.#heard(told, failure));
    }
  }

  #toldNotStarted(error: unknown): void {
    const report = this.#route.workerNotStarted(inWords(error));
    if (report !== null) {
      tell(report, (told) => this.#heard(told, { error, payment: undefined as never }));
    }
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
    const { ledger, isOurs } = await this.#opened();
    const stopListening = listen(nativeLedger.number(ledger), this.#heard);
    const { handler } = this.#wanted;
    const worker = handler && nativeLedger.process(ledger, handler as PaymentHandler, this.#heard);
    return { ledger, isOurs, worker, stopListening };
  }

  async #opened(): Promise<{ ledger: Ledger; isOurs: boolean }> {
    const source = this.#wanted.source as LedgerSource;
    if (source instanceof main.Ledger) {
      return { ledger: source, isOurs: false };
    }
    const ledger: unknown = await (typeof source === 'function' ? source() : source);
    if (!(ledger instanceof main.Ledger)) {
      throw new main.ConfigurationError(
        'what opens the ledger for a webhook receiver must give a Ledger',
      );
    }
    return { ledger, isOurs: true };
  }

  /** Verifies again what is in quarantine: that recovers what a forgotten rotation of keys refused. */
  #check(running: Running): Promise<void> {
    const ledger = nativeLedger.of(running.ledger);
    running.checked ??= ask(({ calls, id }) => this.#route.start(calls, id, ledger)).then(() => {});
    return running.checked;
  }

  async #untilStopped<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work);
    try {
      return await work;
    } finally {
      this.#underWay.delete(work);
    }
  }

  async #end(running: Promise<Running>, timeout: number | undefined): Promise<boolean> {
    const begun = await running.catch(() => undefined); // What was not opened needs no closing.
    try {
      // At once: the worker takes no further payment while deliveries are waited for.
      const stopping = begun?.worker?.stop({ timeout });
      await Promise.allSettled(this.#underWay);
      return (await stopping) ?? true;
    } finally {
      if (begun?.isOurs) {
        await begun.ledger.close();
      }
      begun?.stopListening();
    }
  }

  /** Without a ledger a handler is part of its delivery. Gives whether all have ended in time. */
  async #handlersEnd(timeout: number | undefined): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const ended = Promise.allSettled(this.#underWay).then(() => true);
    if (timeout === undefined) {
      return await ended;
    }
    const tooLate = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, timeout, false);
    });
    return await Promise.race([ended, tooLate]).finally(() => clearTimeout(timer));
  }
}

/** The headers of an answer. @internal */
export function headersOf(answer: Reception): Record<string, string> {
  const allow = own(answer, 'allow');
  return { 'content-type': 'application/json', ...(allow !== undefined && { allow }) };
}

function lengthOf(header: string | null | undefined): number | undefined {
  const length = Number.parseInt(`${header}`, 10);
  return Number.isNaN(length) ? undefined : Math.max(length, 0);
}

/** What `onError` is given, if nothing was thrown: the package's own error, or the text. */
function asError({ code, text }: Report): unknown {
  return isErrorCode(code) ? fromCore({ code, message: text }) : text;
}

/**
 * An error as a log may show it, in one line. The message of a foreign one may hold anything: where it was
 * thrown is shown in its place.
 */
function inWords(error: unknown): string {
  try {
    if (error instanceof main.KazawalletError) {
      return `${error}`;
    }
    if (error instanceof Error || types.isNativeError(error)) {
      const frame = framesOf(error)[0]?.trim();
      return frame === undefined ? error.name : `${error.name} (thrown ${frame})`;
    }
    return typeName(error);
  } catch {
    return 'what has no text';
  }
}

function framesOf({ stack, message }: Error): string[] {
  // A message may have lines that look like them.
  const lines = `${stack}`.replace(message, '').split('\n');
  return lines.filter((line) => /^ {4}at /.test(line));
}

/**
 * What is needed of the request of Node's own server, which Express's and Fastify's stand on.
 */
export interface NodeRequestLike {
  /** `POST`, or another method. */
  readonly method?: string | undefined;
  /** Names in lower case. */
  readonly headers: {
    readonly 'content-length'?: string | undefined;
    readonly 'content-encoding'?: string | undefined;
  };
  /** Whether somebody began to read it. */
  readonly readableDidRead: boolean;
  /** Whether somebody read it to its end. */
  readonly readableEnded: boolean;
  /** Whether its connection is gone. */
  readonly destroyed?: boolean | undefined;
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
    throw new ReadBefore(gone);
  }
  if (request.destroyed) {
    throw new BrokeOff(0); // Its events are over.
  }
  return new Promise((resolve, reject) => {
    const pieces: Uint8Array[] = [];
    let size = 0;
    request.on('data', (piece: Uint8Array | string) => {
      const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
      size += bytes.length;
      if (size > longest) {
        pieces.length = 0;
        resolve(undefined);
      } else {
        pieces.push(bytes);
      }
    });
    request.on('end', () => resolve(Buffer.concat(pieces)));
    request.on('error', () => reject(new BrokeOff(size)));
    request.on('close', () => reject(new BrokeOff(size)));
  });
}
