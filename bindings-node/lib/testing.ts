/**
 * A stand-in for the provider, which has no sandbox: for tests, and for local work.
 *
 * From a terminal, `npx kazawallet simulator` starts one.
 *
 * @packageDocumentation
 */

import type { AmountLike } from './arguments.js';
import type { CallStart } from './calls.js';
import type { ClientOptions } from './client.js';
import {
  amountText,
  Client,
  ended,
  isAbsent,
  isObject,
  native,
  optionalFlag,
  optionalText,
  options,
  own,
  succeeded,
  text,
  Webhook,
  wrongType,
} from './loaded.js';
import type { CoreError, Delivery as NativeDelivery, RunningSimulator } from './native-module.js';
import type { Status } from './webhook.js';

/** The simulator cannot be used so: a setting, a fault or a link that it does not know. */
export class SimulatorError extends Error {
  static {
    SimulatorError.prototype.name = 'SimulatorError';
  }
}

/** The settings of a `Simulator`. */
export interface SimulatorOptions {
  /** Where deliveries go. Without one they go nowhere, and can be looked at all the same. */
  webhookUrl?: string | null | undefined;
  /**
   * What the merchant has at the start, such as `{ USD: '250.00' }`. A currency that is not named has
   * its default: 1000.00 USD, and 10,000,000 SYP.
   */
  balances?: Readonly<Record<string, AmountLike>> | null | undefined;
  /** The merchant's email, if `merchant@example.com` will not do. */
  merchantEmail?: string | null | undefined;
  /** A key of your own; it must begin with `sim_`. */
  apiKey?: string | null | undefined;
  /** A secret of your own; it must begin with `sim_`. */
  apiSecret?: string | null | undefined;
  /** What a webhook calls its link's id; `documented` unless given. */
  dialect?: Dialect | null | undefined;
  /** Serves https, with a certificate that is made at the start: see `Simulator.rootCertificate`. */
  tls?: boolean | null | undefined;
  /** A port of your own; 0, which is the default, for a free one. */
  port?: number | null | undefined;
}

/** What `Simulator.trigger` sends. */
export interface TriggerOptions {
  /** Where to. */
  url: string;
  /**
   * The amount: exact text, a `bigint` or a safe integer. It may be zero, as that of a link that timed
   * out.
   */
  amount: AmountLike;
  /** `USD` unless given. */
  currency?: string | null | undefined;
  /** Your own reference; none unless given. */
  ref?: string | null | undefined;
  /** A new one unless given. */
  orderId?: string | null | undefined;
  /** `fulfilled` unless given. */
  status?: Status | null | undefined;
}

/**
 * What a webhook calls its link's id: `order_id` in `documented`, as the provider's documentation has
 * it; `id` in `plugin`, as the provider's own plugin reads it; both names in `both`.
 */
export type Dialect = 'documented' | 'plugin' | 'both';

/** What `pay` and `timeOut` take: a `PaymentLink`, its URL, or its id. */
export type LinkLike = { readonly url: string } | string;

/** A way in which the simulator can misbehave; see `Simulator.fault`. */
export type Fault =
  | 'answer_late'
  | `answer_late:${number}`
  | 'close_before_acting'
  | 'close_after_acting'
  | 'answer_status'
  | `answer_status:${number}`
  | 'html_answer'
  | 'half_body'
  | 'error_inside_200'
  | 'order_id_answer'
  | 'amount_as_number'
  | 'form_encoded'
  | 'status_changed'
  | 'currency_changed'
  | 'delivered_twice'
  | 'never_delivered';

/** How a fault is played. */
export interface FaultOptions {
  /** How often: 1 unless given; `Infinity` until `clearFaults`. */
  times?: number | null | undefined;
}

/** One webhook delivery, as it went out or would have gone out. */
export interface Delivery {
  /** The payment link's id. */
  readonly orderId: string;
  /** Where it went; `undefined` where no webhook URL is set. */
  readonly url: string | undefined;
  /** `application/json` or `application/x-www-form-urlencoded`. */
  readonly contentType: string;
  /** The body, byte for byte: a `Buffer`. */
  readonly body: Uint8Array;
  /** The fault that changed it. */
  readonly fault: string | undefined;
  /** How it ended, in words: `answered 200`, `failed: …`, `not sent: …`, `on its way`. */
  readonly outcome: string;
  /** The HTTP status that the receiver answered. */
  readonly answered: number | undefined;
}

/** An API request that the simulator received, with the key and the secret masked. */
export interface RecordedRequest {
  /** `GET`, `POST`, … */
  readonly method: string;
  /** The path and the query. */
  readonly path: string;
  /** The headers in their order, names in lower case. Those that hold a key are `***`. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The body as text. */
  readonly body: string;
  /** The status answered; `undefined` where there was no answer, or none yet. */
  readonly status: number | undefined;
  /** The fault that was played. */
  readonly fault: string | undefined;
}

const SETTINGS = [
  'webhookUrl',
  'balances',
  'merchantEmail',
  'apiKey',
  'apiSecret',
  'dialect',
  'tls',
  'port',
];
const TRIGGER = ['url', 'amount', 'currency', 'ref', 'orderId', 'status'];
const KEY = Symbol('simulator');

/**
 * A simulator in this process, on a free loopback port, with keys of its own.
 *
 * It keeps its state in memory, shows a checkout page at each link's URL, delivers the signed
 * webhook once, and misbehaves on demand. It runs until `stop()`, or the end of an `await using`
 * block. It does not keep the process alive.
 *
 * @example
 * import { Simulator } from 'kazawallet/testing';
 *
 * const sim = await Simulator.start();
 * const link = await sim.client().paymentLinks.create({
 *   amount: '10.50',
 *   currency: 'USD',
 *   ref: 'order-42',
 * });
 * const [delivery] = await sim.pay(link);
 * const event = sim.webhook().verify(delivery.body);
 * event.ref; // 'order-42'
 * event.amount; // '10.50'
 * event.isFulfilled; // true
 * await sim.stop();
 */
export class Simulator {
  readonly #running: RunningSimulator;

  private constructor(key: typeof KEY, running: RunningSimulator) {
    if (key !== KEY) {
      throw new TypeError('a simulator is started with `await Simulator.start()`');
    }
    this.#running = running;
  }

  /**
   * Starts one.
   *
   * @throws SimulatorError where a setting cannot be used, or the port is taken.
   */
  static async start(settings?: SimulatorOptions): Promise<Simulator> {
    const given = options('Simulator.start', settings, SETTINGS);
    const running = native.startSimulator({
      webhookUrl: optionalText('webhookUrl', given['webhookUrl']),
      balances: balancePairs(given['balances']),
      merchantEmail: optionalText('merchantEmail', given['merchantEmail']),
      apiKey: optionalText('apiKey', given['apiKey']),
      apiSecret: optionalText('apiSecret', given['apiSecret']),
      dialect: optionalText('dialect', given['dialect']),
      tls: optionalFlag('tls', given['tls']) ?? false,
      port: portNumber(given['port']),
    });
    if (typeof running === 'string') {
      throw new SimulatorError(running);
    }
    return new Simulator(KEY, running);
  }

  /** The base URL for a client, such as `http://127.0.0.1:40123/wallet`. */
  get url(): string {
    return this.#running.url;
  }

  /** The API key. It begins with `sim_`, and is worth nothing. */
  get apiKey(): string {
    return this.#running.apiKey;
  }

  /** The API secret. It begins with `sim_`, and is worth nothing. */
  get apiSecret(): string {
    return this.#running.apiSecret;
  }

  /** The email of the merchant that the simulator knows. */
  get merchantEmail(): string {
    return this.#running.merchantEmail;
  }

  /** The page that shows requests and deliveries, for a browser. */
  get dashboardUrl(): string {
    return this.#running.dashboardUrl;
  }

  /**
   * Where deliveries go; `undefined` for nowhere. It can be set at any time.
   *
   * @throws SimulatorError, TypeError where it is set to what is no URL.
   */
  get webhookUrl(): string | undefined {
    return this.#running.webhookUrl() ?? undefined;
  }

  set webhookUrl(url: string | null | undefined) {
    accepted(this.#running.setWebhookUrl(optionalText('webhookUrl', url)));
  }

  /**
   * The dialect that it speaks. It can be set at any time.
   *
   * @throws SimulatorError, TypeError where it is set to what is no dialect.
   */
  get dialect(): Dialect {
    return this.#running.dialect() as Dialect;
  }

  set dialect(dialect: Dialect) {
    accepted(this.#running.setDialect(text('dialect', dialect)));
  }

  /**
   * With `tls`, the PEM for another client's `rootCertificates`; `client()` trusts it by itself.
   */
  get rootCertificate(): string | undefined {
    return this.#running.rootCertificate() ?? undefined;
  }

  /** The webhook deliveries so far, oldest first. */
  get deliveries(): readonly Delivery[] {
    return this.#running.deliveries().map(deliveryOf);
  }

  /** The API requests so far, oldest first. */
  get requests(): readonly RecordedRequest[] {
    return this.#running.requests().map((request) => ({
      method: request.method,
      path: request.path,
      headers: request.headers as [string, string][],
      body: request.body,
      status: own(request, 'status'),
      fault: own(request, 'fault'),
    }));
  }

  /**
   * A `Client` that talks to this simulator; the options are the client's own.
   *
   * @throws ConfigurationError, TypeError as `Client` does.
   */
  client(settings?: ClientOptions): Client {
    return new Client({
      apiKey: this.apiKey,
      apiSecret: this.apiSecret,
      merchantEmail: this.merchantEmail,
      baseUrl: this.url,
      rootCertificates: this.rootCertificate,
      ...settings,
    });
  }

  /** A `Webhook` with this simulator's keys. */
  webhook(): Webhook {
    return new Webhook({ apiKey: this.apiKey, apiSecret: this.apiSecret });
  }

  /**
   * Pays a link (or its URL, or its id) as the customer would.
   *
   * It waits until the webhook was delivered or failed, and gives the deliveries: one, unless a fault
   * says otherwise. One that was not sent, since no webhook URL is set, is given too.
   *
   * @throws SimulatorError where no such link is open.
   */
  async pay(link: LinkLike): Promise<[Delivery, ...Delivery[]]> {
    const named = linkText(link);
    return this.#deliver((call) => this.#running.pay(call.calls, call.id, named));
  }

  /**
   * Lets a link (or its URL, or its id) time out. It waits, and gives the deliveries, as `pay` does.
   *
   * @throws SimulatorError where no such link is open.
   */
  async timeOut(link: LinkLike): Promise<[Delivery, ...Delivery[]]> {
    const named = linkText(link);
    return this.#deliver((call) => this.#running.timeOut(call.calls, call.id, named));
  }

  /**
   * Sends one signed delivery to a URL, with no link behind it, and waits for its end.
   *
   * @throws SimulatorError where the delivery cannot be made so.
   * @throws ValidationError, TypeError for an amount that is no amount.
   */
  async trigger(trigger: TriggerOptions): Promise<Delivery> {
    const given = options('trigger', trigger, TRIGGER);
    const url = text('url', given['url']);
    const amount = amountText('amount', given['amount']);
    const currency = optionalText('currency', given['currency']) ?? 'USD';
    const ref = optionalText('ref', given['ref']);
    const orderId = optionalText('orderId', given['orderId']);
    const status = optionalText('status', given['status']) ?? 'fulfilled';
    const [delivery] = await this.#deliver((call) =>
      this.#running.trigger(call.calls, call.id, url, amount, currency, status, ref, orderId),
    );
    return delivery;
  }

  /**
   * The merchant's balance; zero in a currency that it has no wallet for.
   *
   * @throws TypeError where the currency is no string.
   */
  balance(currency: string): string {
    return this.#running.balance(text('currency', currency));
  }

  /**
   * Misbehaves at the next request (or delivery, as the fault's kind is).
   *
   * At a request:
   *
   * - `answer_late:1500`: acts at once, and answers after so many milliseconds (2000 unless given)
   * - `close_before_acting`: does nothing, and cuts the connection
   * - `close_after_acting`: acts, and cuts the connection instead of answering
   * - `answer_status:503`: does nothing, and answers this status (500 unless given)
   * - `html_answer`: does nothing, and answers 502 with a page in HTML
   * - `half_body`: acts, sends half of the answer, and cuts the connection
   * - `error_inside_200`: does nothing, and answers 200 with an error in the body
   * - `order_id_answer`: answers the next new payment link with `order_id` in place of `id`
   *
   * At a delivery:
   *
   * - `amount_as_number`: carries the amount as a JSON number
   * - `form_encoded`: form fields instead of JSON
   * - `status_changed`, `currency_changed`: another status, or currency; the signature still holds
   * - `delivered_twice`: the same body twice, where a webhook URL is set
   * - `never_delivered`: nothing arrives; what would have is among `deliveries`
   *
   * @param fault One of these.
   *
   * @throws SimulatorError where no fault is called that, or its value is out of range.
   */
  fault(fault: Fault, settings?: FaultOptions): void {
    const times = options('fault', settings, ['times'])['times'] ?? 1;
    const forEver = times === Number.POSITIVE_INFINITY;
    if (!forEver && !(Number.isSafeInteger(times) && Number(times) > 0)) {
      throw new SimulatorError('`times` must be a whole number from 1, or Infinity');
    }
    const often = forEver ? undefined : Math.min(Number(times), 0xffff_ffff);
    accepted(this.#running.fault(text('fault', fault), often));
  }

  /** Behaves again: forgets every fault that was not played yet. */
  clearFaults(): void {
    this.#running.clearFaults();
  }

  /** Stops it. Stopping twice does nothing. */
  async stop(): Promise<void> {
    succeeded(await ended((call) => this.#running.stop(call.calls, call.id)));
  }

  /** Stops it, at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #deliver(start: (call: CallStart) => CoreError | null): Promise<[Delivery, ...Delivery[]]> {
    const end = succeeded(await ended(start));
    accepted(own(end, 'simulatorError'));
    return (own(end, 'deliveries') ?? []).map(deliveryOf) as [Delivery, ...Delivery[]];
  }
}

/** What `console.log` shows of a delivery is everything: no person and no key is behind it. */
function deliveryOf(delivery: NativeDelivery): Delivery {
  return {
    orderId: delivery.orderId,
    url: own(delivery, 'url'),
    contentType: delivery.contentType,
    body: Buffer.from(delivery.body),
    fault: own(delivery, 'fault'),
    outcome: delivery.outcome,
    answered: own(delivery, 'answered'),
  };
}

function accepted(problem: string | null | undefined): void {
  if (!isAbsent(problem)) {
    throw new SimulatorError(problem);
  }
}

function linkText(link: unknown): string {
  const named: unknown = isObject(link) ? link['url'] : link;
  if (typeof named !== 'string') {
    throw wrongType('link', 'a PaymentLink, its URL or its id', link);
  }
  return text('link', named);
}

function balancePairs(balances: unknown): string[] {
  if (isAbsent(balances)) {
    return [];
  }
  if (!isObject(balances)) {
    throw wrongType('balances', "an object such as { USD: '250.00' }", balances);
  }
  return Object.entries(balances).flatMap(([currency, amount]: [string, unknown]) => [
    text('balances', currency),
    amountText('balances', amount),
  ]);
}

function portNumber(port: unknown): number {
  if (isAbsent(port)) {
    return 0;
  }
  if (typeof port !== 'number') {
    throw wrongType('port', 'a number', port);
  }
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new SimulatorError('`port` must be from 0 to 65535');
  }
  return port;
}
