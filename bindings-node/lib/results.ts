// What the calls return. What may hold personal data is behind a getter, so that neither
// `console.log` nor `JSON.stringify` shows it.

import * as jsonText from './json-text.js';
import { own } from './native.js';
import type { Answer, Ended } from './native-module.js';

/** @internal How each is made, from the end of a call that succeeded: nobody else can. */
export const make = {} as {
  response(end: Ended): Response;
  paymentLink(end: Ended): PaymentLink;
  withdrawal(end: Ended): Withdrawal;
  deposit(end: Ended): Deposit;
  walletList(end: Ended): WalletList;
};

/**
 * The provider's whole answer, as it came.
 *
 * Every result keeps it as `raw`, since the provider's answers are half documented: what this
 * package does not read is still there. `console.log` does not show the body, which may hold
 * personal data.
 */
export class Response {
  static {
    make.response = (end) => new Response(end);
  }

  /** The HTTP status. */
  readonly status: number;
  /** The request's id, where the answer carried one. */
  readonly requestId: string | undefined;
  readonly #content: string | Uint8Array;

  private constructor(end: Ended) {
    const answer = end.answer as Answer;
    this.status = answer.httpStatus;
    this.requestId = own(answer, 'requestId');
    this.#content = own(answer, 'body') ?? '';
  }

  /** The body's bytes: a `Buffer`. */
  get body(): Uint8Array {
    return Buffer.from(this.#content as string);
  }

  /** The body as text; bytes that are not UTF-8 are replaced. */
  get text(): string {
    const content = this.#content;
    return typeof content === 'string' ? content : Buffer.from(content).toString();
  }

  /**
   * The body, read from JSON. A number that JavaScript cannot hold exactly is given as its text:
   * `10.50` is `'10.50'`.
   *
   * @throws SyntaxError where the body is not JSON.
   */
  json(): unknown {
    return jsonText.read(this.text);
  }
}

/** A link through which a customer pays. */
export class PaymentLink {
  static {
    make.paymentLink = (end) => new PaymentLink(end);
  }

  /** Where to send the customer. */
  readonly url: string;
  /**
   * The link's id: the answer's `order_id`, else its `id`; `undefined` if it has neither. That the
   * webhook brings the same id as `orderId` is likely, and not documented.
   */
  readonly id: string | undefined;
  /** The whole answer. */
  readonly raw: Response;

  private constructor(end: Ended) {
    const answer = end.answer as Answer;
    this.url = own(answer, 'url') ?? '';
    this.id = own(answer, 'id');
    this.raw = make.response(end);
  }
}

/** A withdrawal that the provider answered without an error. Look at the status. */
export class Withdrawal {
  static {
    make.withdrawal = (end) => new Withdrawal(end);
  }

  /** `approved` (documented). Other values are possible; `undefined` where the answer has none. */
  readonly status: string | undefined;
  /** The whole answer. */
  readonly raw: Response;
  readonly #message: string | undefined;

  private constructor(end: Ended) {
    const answer = end.answer as Answer;
    this.status = own(answer, 'status');
    this.raw = make.response(end);
    this.#message = own(answer, 'message');
  }

  /** The provider's message. */
  get message(): string | undefined {
    return this.#message;
  }
}

/** A deposit that the provider answered without an error. Look at the status. */
export class Deposit {
  static {
    make.deposit = (end) => new Deposit(end);
  }

  /** `pending` (reference). Other values are possible; `undefined` where the answer has none. */
  readonly status: string | undefined;
  /** The deposit's id, such as `de-…`. */
  readonly transactionId: string | undefined;
  /** The whole answer. */
  readonly raw: Response;
  readonly #message: string | undefined;
  readonly #note: string | undefined;

  private constructor(end: Ended) {
    const answer = end.answer as Answer;
    this.status = own(answer, 'status');
    this.transactionId = own(answer, 'transactionId');
    this.raw = make.response(end);
    this.#message = own(answer, 'message');
    this.#note = own(answer, 'note');
  }

  /** The provider's message. */
  get message(): string | undefined {
    return this.#message;
  }

  /** The note, as the provider keeps it. */
  get note(): string | undefined {
    return this.#note;
  }
}

/** The balance in one currency. */
export interface Wallet {
  /** The currency's code. */
  readonly currency: string;
  /** What is in it, exactly as the provider says. May be zero, or negative. */
  readonly amount: string;
}

/** The merchant's wallets. It can be looped over. */
export class WalletList implements Iterable<Wallet> {
  static {
    make.walletList = (end) => new WalletList(end);
  }

  /** One a currency, in the provider's order. */
  readonly wallets: readonly Wallet[];
  /** The whole answer. */
  readonly raw: Response;

  private constructor(end: Ended) {
    const answer = end.answer as Answer;
    this.wallets = own(answer, 'wallets') ?? [];
    this.raw = make.response(end);
  }

  /** The wallets, one after the other. */
  [Symbol.iterator](): IterableIterator<Wallet> {
    return this.wallets.values();
  }
}
