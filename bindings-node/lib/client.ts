import { types } from 'node:util';

import {
  type AmountLike,
  amountText,
  type CallOptions,
  count,
  type Given,
  isAbsent,
  milliseconds,
  optionalOptionText,
  optionalText,
  options,
  optionText,
  signalOf,
  text,
  wrongType,
} from './arguments.js';
import { type CallStart, ended, succeeded } from './calls.js';
import { fromCore, ValidationError } from './errors.js';
import * as jsonText from './json-text.js';
import { native } from './native.js';
import type { CoreError, Connection as NativeConnection } from './native-module.js';
import { nativePaymentMethod, type PaymentMethod } from './payment-method.js';
import {
  type Deposit,
  make,
  type PaymentLink,
  type Response,
  type WalletList,
  type Withdrawal,
} from './results.js';

/** The options of a `Client`. What is left out comes from the environment, or has a default. */
export interface ClientOptions {
  /**
   * The merchant's API key, from its Kazawallet profile. Else the environment variable
   * `KAZAWALLET_API_KEY`.
   */
  apiKey?: string | null | undefined;
  /**
   * What payouts, deposits and balances need; the provider's support hands it out on request
   * (documented). Else `KAZAWALLET_API_SECRET`, but only where the key came from the environment, too.
   */
  apiSecret?: string | null | undefined;
  /** The email of the merchant's own Kazawallet account. Else `KAZAWALLET_MERCHANT_EMAIL`. */
  merchantEmail?: string | null | undefined;
  /**
   * Another address than the provider's, such as a simulator's. Else `KAZAWALLET_BASE_URL`. `http` is
   * allowed to this machine only, or anywhere with a simulator's key.
   */
  baseUrl?: string | null | undefined;
  /** Milliseconds for a whole call, all tries included; 30,000 unless given. */
  timeout?: number | null | undefined;
  /** Milliseconds for one connection to be made; 10,000 unless given. */
  connectTimeout?: number | null | undefined;
  /**
   * How often a call is tried again after the first time, where that cannot move money twice; 2
   * unless given, 0 for never.
   */
  maxRetries?: number | null | undefined;
  /**
   * A proxy's URL (`http`, `https`, `socks5`) in place of the system's settings. This machine is never
   * reached through a proxy.
   */
  proxy?: string | null | undefined;
  /** Certificates, in PEM, to trust besides the system's and the built-in ones. */
  rootCertificates?: string | Uint8Array | null | undefined;
  /** A name for your application, appended to the user agent. */
  appName?: string | null | undefined;
}

/** What a payment link is made with. */
export interface CreatePaymentLinkOptions extends CallOptions {
  /** What the customer pays: exact text such as `'10.50'`, a `bigint` or a safe integer. */
  amount: AmountLike;
  /** The currency's code, such as `USD` or `SYP`. */
  currency: string;
  /**
   * Your own reference, which the webhook brings back: the id of the order that the link pays. At
   * most 1,024 bytes. Without one no event can be held against its order.
   */
  ref?: string | null | undefined;
  /**
   * Where the customer's browser goes afterwards. That it arrives there proves nothing: only the
   * webhook tells of a payment.
   */
  redirectUrl?: string | null | undefined;
}

/** What a withdrawal is made with. */
export interface CreateWithdrawalOptions extends CallOptions {
  /** Exact text such as `'500000'`, a `bigint` or a safe integer. */
  amount: AmountLike;
  /** The currency's code, such as `SYP`. */
  currency: string;
  /** How it reaches its recipient. */
  paymentMethod: PaymentMethod;
  /** A note for the withdrawal. */
  note?: string | null | undefined;
}

/** What a deposit is made with. */
export interface CreateDepositOptions extends CallOptions {
  /** Exact text such as `'25'`, a `bigint` or a safe integer. */
  amount: AmountLike;
  /** The currency's code, such as `USD`. */
  currency: string;
  /** The email of the user whose wallet it goes into. */
  userEmail: string;
  /** How the user pays it in. */
  paymentMethod: PaymentMethod;
  /** A note for the deposit. */
  note?: string | null | undefined;
}

/** The methods that a raw request can have. */
export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** What a raw request is made with. */
export interface RequestOptions extends CallOptions {
  /**
   * The body: what `JSON.stringify` takes. A number that is no safe integer is refused: write it as
   * text.
   */
  json?: unknown;
}

const CALL = ['timeout', 'signal'];
const CREATE_PAYMENT_LINK = ['amount', 'currency', 'ref', 'redirectUrl', ...CALL];
const CREATE_WITHDRAWAL = ['amount', 'currency', 'paymentMethod', 'note', ...CALL];
const CREATE_DEPOSIT = ['amount', 'currency', 'userEmail', 'paymentMethod', 'note', ...CALL];
const REQUEST = ['json', ...CALL];
const CLIENT = [
  'apiKey',
  'apiSecret',
  'merchantEmail',
  'baseUrl',
  'timeout',
  'connectTimeout',
  'maxRetries',
  'proxy',
  'rootCertificates',
  'appName',
];

/** @internal The native part of a client. */
export let nativeConnection: (name: string, value: unknown) => NativeConnection;

/** The core's client, until it is closed. */
class Connection {
  #native: NativeConnection | undefined;

  constructor(connection: NativeConnection) {
    this.#native = connection;
  }

  /** The native part, for a call or for a ledger. */
  get native(): NativeConnection {
    if (this.#native === undefined) {
      throw new Error('the client is closed: make a new one, or close it later');
    }
    return this.#native;
  }

  /** Makes a call: see `ended`. */
  end(
    given: Given,
    start: (connection: NativeConnection, call: CallStart, timeout?: number) => CoreError | null,
  ): ReturnType<typeof ended> {
    const connection = this.native;
    const timeout = milliseconds('timeout', given['timeout']);
    const signal = signalOf(given['signal']);
    return ended((call) => start(connection, call, timeout), signal);
  }

  close(): void {
    this.#native?.close();
    this.#native = undefined;
  }
}

/**
 * A merchant's connection to the Kazawallet API.
 *
 * Make one and keep it: it keeps its connections alive. They do not keep the process alive.
 *
 * TLS is always verified; nothing turns that off. Redirects are not followed, so that a key never
 * travels to another host.
 *
 * For logs and metrics, each call publishes one message on the `node:diagnostics_channel` named
 * `kazawallet:call`: `{ endpoint, status, duration, attempts, outcome }`, the duration in
 * milliseconds, the outcome `ok`, `not_sent`, `rejected`, `unknown` or `cancelled`.
 *
 * @example
 * import { Client } from 'kazawallet';
 * import { Simulator } from 'kazawallet/testing';
 *
 * const sim = await Simulator.start();
 * const client = new Client({
 *   apiKey: sim.apiKey,
 *   merchantEmail: sim.merchantEmail,
 *   baseUrl: sim.url,
 * });
 * const link = await client.paymentLinks.create({
 *   amount: '10.50',
 *   currency: 'USD',
 *   ref: 'order-42',
 * });
 * link.url.startsWith('http://127.0.0.1:'); // true
 * client.close();
 * await sim.stop();
 */
export class Client {
  static {
    nativeConnection = (name, value) => {
      if (typeof value === 'object' && value !== null && #connection in value) {
        return value.#connection.native;
      }
      throw wrongType(name, 'a Client', value);
    };
  }

  /** Payment links: what a customer pays through. */
  readonly paymentLinks: PaymentLinks;
  /** Withdrawals: paying out of the merchant's wallet. */
  readonly withdrawals: Withdrawals;
  /** The merchant's balances. */
  readonly wallets: Wallets;
  /** Deposits into a user's wallet. */
  readonly deposits: Deposits;
  readonly #connection: Connection;

  /**
   * @throws ConfigurationError where there is no key, or an option cannot be used; the message says
   *   which.
   * @throws TypeError where an option has the wrong type, or is not known.
   */
  constructor(settings?: ClientOptions) {
    const given = options('Client', settings, CLIENT);
    const certificates = given['rootCertificates'];
    const connection = native.connect(
      {
        apiKey: optionalOptionText('apiKey', given['apiKey']),
        apiSecret: optionalOptionText('apiSecret', given['apiSecret']),
        merchantEmail: optionalOptionText('merchantEmail', given['merchantEmail']),
        baseUrl: optionalOptionText('baseUrl', given['baseUrl']),
        timeout: milliseconds('timeout', given['timeout']),
        connectTimeout: milliseconds('connectTimeout', given['connectTimeout']),
        maxRetries: count('maxRetries', given['maxRetries']),
        proxy: optionalOptionText('proxy', given['proxy']),
        rootCertificates: isAbsent(certificates)
          ? undefined
          : types.isUint8Array(certificates)
            ? certificates
            : Buffer.from(optionText('rootCertificates', certificates)),
        appName: optionalOptionText('appName', given['appName']),
      },
      environment(),
    );
    if (Object.hasOwn(connection, 'code')) {
      throw fromCore(connection as CoreError);
    }
    this.#connection = new Connection(connection as NativeConnection);
    this.paymentLinks = new PaymentLinks(this.#connection);
    this.withdrawals = new Withdrawals(this.#connection);
    this.wallets = new Wallets(this.#connection);
    this.deposits = new Deposits(this.#connection);
  }

  /**
   * A request to an endpoint that this package does not know, such as the virtual cards'.
   *
   * It carries the key and, where the client has them, the secret and the merchant's email. A `GET` is
   * repeated as `wallets.list` is; anything else is taken to move money, and follows the rule of
   * `withdrawals.create`.
   *
   * @param method `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
   * @param path Begins with one `/`, and is appended to the base URL.
   *
   * @throws ValidationError for a method, a path or a JSON value that cannot be used.
   * @throws TypeError for a number that is not exact, or something that is no JSON, in `json`.
   * @throws OutcomeUnknownError where anything but a `GET` was sent, and no conclusive answer came.
   * @throws APIConnectionError, APITimeoutError, APIError as for the other calls.
   *
   * @example
   * import { Simulator } from 'kazawallet/testing';
   *
   * const sim = await Simulator.start();
   * const client = sim.client();
   * const response = await client.request('GET', '/get-merchant-wallets');
   * response.status; // 200
   * await sim.stop();
   */
  request(method: HttpMethod, path: string, settings?: RequestOptions): Promise<Response>;
  async request(
    method: HttpMethod,
    path: string,
    settings?: RequestOptions,
    ...surplus: unknown[]
  ): Promise<Response> {
    const given = options('request', settings, REQUEST, surplus);
    const [verb, target] = [text('method', method), text('path', path)];
    const json = jsonBody(given['json']);
    const end = await this.#connection.end(given, (connection, call, timeout) =>
      connection.request(call.calls, call.id, call.recorded, timeout, verb, target, json),
    );
    return make.response(succeeded(end));
  }

  /**
   * Closes the connections. A call that is running comes to its end; a later one is rejected with an
   * `Error`. Closing twice does nothing.
   */
  close(): void {
    this.#connection.close();
  }
}

/** Payment links: what a customer pays through. Reached as `client.paymentLinks`. */
export class PaymentLinks {
  readonly #connection: Connection;

  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Makes a link through which a customer pays. Needs the client's merchant email.
   *
   * A try that failed is repeated also where the first may have made a link that nobody saw: it harms
   * nobody.
   *
   * @throws TypeError for an amount that is a number with a fraction, another argument of a wrong type,
   *   or an option that is not known.
   * @throws ValidationError before anything is sent: no merchant email, an amount that is not positive
   *   or not plain digits, a blank currency, a ref or a redirect URL that cannot be used.
   * @throws APIConnectionError, APITimeoutError where no answer came.
   * @throws UnexpectedResponseError where an answer came that holds no link that can be relied on.
   * @throws APIError where the provider said no; its classes say why.
   *
   * @example
   * import { Simulator } from 'kazawallet/testing';
   *
   * const sim = await Simulator.start();
   * const link = await sim.client().paymentLinks.create({
   *   amount: 500_000,
   *   currency: 'SYP',
   *   ref: 'order-43',
   * });
   * link.id !== undefined; // true
   * await sim.stop();
   */
  create(link: CreatePaymentLinkOptions): Promise<PaymentLink>;
  async create(link: CreatePaymentLinkOptions, ...surplus: unknown[]): Promise<PaymentLink> {
    const given = options('paymentLinks.create', link, CREATE_PAYMENT_LINK, surplus);
    const amount = amountText('amount', given['amount']);
    const currency = text('currency', given['currency']);
    const ref = optionalText('ref', given['ref']);
    const redirectUrl = optionalText('redirectUrl', given['redirectUrl']);
    const end = await this.#connection.end(given, (connection, call, timeout) =>
      connection.createPaymentLink(
        call.calls,
        call.id,
        call.recorded,
        timeout,
        amount,
        currency,
        ref,
        redirectUrl,
      ),
    );
    return make.paymentLink(succeeded(end));
  }
}

/** Withdrawals: paying out of the merchant's wallet. Reached as `client.withdrawals`. */
export class Withdrawals {
  readonly #connection: Connection;

  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Pays out of the merchant's wallet. Needs the client's API secret and merchant email.
   *
   * **What is sent twice may be paid twice**: the provider has no idempotency key. So a try is repeated
   * only where nothing left this machine, or the provider answered 429. It opens a connection of its
   * own, and once begun it runs to its end while the process lives: a `signal` that is aborted ends
   * the waiting, with an `OutcomeUnknownError` unless nothing had left.
   *
   * @throws OutcomeUnknownError where it was sent and no conclusive answer came. **Money may have
   *   moved**: look in the wallet before you do it again.
   * @throws TypeError for an amount that is a number with a fraction, another argument of a wrong type,
   *   or an option that is not known.
   * @throws ValidationError before anything is sent: no secret, no merchant email, an amount that is
   *   not positive, a blank currency, or what `PaymentMethod` refuses.
   * @throws APIConnectionError, APITimeoutError where nothing was sent.
   * @throws APIError where the provider said no; its classes say why.
   *
   * @example
   * import { PaymentMethod } from 'kazawallet';
   * import { Simulator } from 'kazawallet/testing';
   *
   * const sim = await Simulator.start();
   * const withdrawal = await sim.client().withdrawals.create({
   *   amount: '500000',
   *   currency: 'SYP',
   *   paymentMethod: PaymentMethod.haramUnder3m({
   *     name: 'سعيد محمد حمدان',
   *     phone: '0933123456',
   *     governorate: 'دمشق',
   *   }),
   *   note: 'salary, May',
   * });
   * withdrawal.status; // 'approved'
   * await sim.stop();
   */
  create(withdrawal: CreateWithdrawalOptions): Promise<Withdrawal>;
  async create(withdrawal: CreateWithdrawalOptions, ...surplus: unknown[]): Promise<Withdrawal> {
    const given = options('withdrawals.create', withdrawal, CREATE_WITHDRAWAL, surplus);
    const amount = amountText('amount', given['amount']);
    const currency = text('currency', given['currency']);
    const method = nativePaymentMethod('paymentMethod', given['paymentMethod']);
    const note = optionalText('note', given['note']);
    const end = await this.#connection.end(given, (connection, call, timeout) =>
      connection.createWithdrawal(
        call.calls,
        call.id,
        call.recorded,
        timeout,
        amount,
        currency,
        method,
        note,
      ),
    );
    return make.withdrawal(succeeded(end));
  }
}

/** The merchant's balances. Reached as `client.wallets`. */
export class Wallets {
  readonly #connection: Connection;

  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Lists the merchant's wallets, one a currency. Needs the API secret and merchant email.
   *
   * Any failure but a refusal is tried again: reading moves no money.
   *
   * @throws ValidationError before anything is sent: no secret, or no merchant email.
   * @throws APIConnectionError, APITimeoutError, UnexpectedResponseError where no answer came, or none
   *   that can be relied on.
   * @throws APIError where the provider said no; its classes say why.
   *
   * @example
   * import { Simulator } from 'kazawallet/testing';
   *
   * const sim = await Simulator.start({ balances: { USD: '250.00' } });
   * const list = await sim.client().wallets.list();
   * for (const wallet of list) {
   *   console.log(wallet.amount, wallet.currency);
   * }
   * list.wallets.find((wallet) => wallet.currency === 'USD')?.amount; // '250.00'
   * await sim.stop();
   */
  list(settings?: CallOptions): Promise<WalletList>;
  async list(settings?: CallOptions, ...surplus: unknown[]): Promise<WalletList> {
    const given = options('wallets.list', settings, CALL, surplus);
    const end = await this.#connection.end(given, (connection, call, timeout) =>
      connection.listWallets(call.calls, call.id, call.recorded, timeout),
    );
    return make.walletList(succeeded(end));
  }
}

/** Deposits into a user's wallet. Reached as `client.deposits`. */
export class Deposits {
  readonly #connection: Connection;

  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Asks for a deposit into a user's wallet. Needs the API secret and merchant email.
   *
   * It moves money as a withdrawal does, and follows the same rule: see `Withdrawals.create`.
   *
   * @throws As `Withdrawals.create`; besides, a `ValidationError` where `userEmail` is no email.
   *
   * @example
   * import { PaymentMethod } from 'kazawallet';
   * import { Simulator } from 'kazawallet/testing';
   *
   * const sim = await Simulator.start();
   * const deposit = await sim.client().deposits.create({
   *   amount: '25',
   *   currency: 'USD',
   *   userEmail: 'user@example.com',
   *   paymentMethod: PaymentMethod.custom({ id: '118', fields: {} }),
   * });
   * deposit.status; // 'pending'
   * await sim.stop();
   */
  create(deposit: CreateDepositOptions): Promise<Deposit>;
  async create(deposit: CreateDepositOptions, ...surplus: unknown[]): Promise<Deposit> {
    const given = options('deposits.create', deposit, CREATE_DEPOSIT, surplus);
    const amount = amountText('amount', given['amount']);
    const currency = text('currency', given['currency']);
    const userEmail = text('userEmail', given['userEmail']);
    const method = nativePaymentMethod('paymentMethod', given['paymentMethod']);
    const note = optionalText('note', given['note']);
    const end = await this.#connection.end(given, (connection, call, timeout) =>
      connection.createDeposit(
        call.calls,
        call.id,
        call.recorded,
        timeout,
        amount,
        currency,
        userEmail,
        method,
        note,
      ),
    );
    return make.deposit(succeeded(end));
  }
}

/**
 * The process's own variables; a worker thread may have others than the system knows of.
 *
 * @internal
 */
export function environment(): Record<string, string> {
  const ours: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith('KAZAWALLET_')) {
      ours[name] = optionText(name, value);
    }
  }
  return ours;
}

function jsonBody(value: unknown): string | undefined {
  if (isAbsent(value)) {
    return undefined;
  }
  try {
    return jsonText.write('json', value);
  } catch (problem) {
    if (problem instanceof RangeError) {
      throw new ValidationError('`json` was refused: it is nested too deeply', { field: 'json' });
    }
    throw problem;
  }
}
