import { types } from 'node:util';

import {
  type AmountLike,
  amountText,
  optionalText,
  options,
  optionText,
  text,
  typeName,
  wrongType,
} from './arguments.js';
import { fromCore, WebhookPayloadError } from './errors.js';
import * as jsonText from './json-text.js';
import { native } from './native.js';
import type { CoreError, Webhook as NativeWebhook } from './native-module.js';

/**
 * What a delivery says of its link: `fulfilled`, the customer paid (documented); `timed_out`, the
 * link was not paid in time (documented). Any other text is kept as it came. Treat it as not paid.
 */
// `string & {}` is any string, without hiding the two that are known from an editor.
export type Status = 'fulfilled' | 'timed_out' | (string & {});

/** A merchant's key and secret. */
export interface WebhookOptions {
  /** The merchant's API key. */
  apiKey: string;
  /** The merchant's API secret. */
  apiSecret: string;
}

/** An order of yours, to hold an event against. */
export interface Order {
  /** What the order costs. */
  amount: AmountLike;
  /** The currency's code, as the link was made with. */
  currency: string;
  /** The ref that the link was made with. */
  ref: string;
  /** The link's id, where it is known: `PaymentLink.id`. */
  orderId?: string | null | undefined;
}

/** What a signature covers. */
export interface SignedFields {
  /** The amount, as it is to stand in the delivery. */
  amount: AmountLike;
  /** The order id: the link's id. */
  orderId: string;
}

const CREDENTIALS = ['apiKey', 'apiSecret'];
const SIGNED = ['amount', 'orderId'];
const ORDER = ['amount', 'currency', 'ref', 'orderId'];
const VERIFIED = Symbol('verified');

const FIELD_COUNT = 5;
const FIELDS_START = 1 + 3 * FIELD_COUNT;
const NO_FIELD = 0x1f_ffff;

/** @internal What the native part says of a genuine delivery, and who found it so. */
export let paymentEvent: (packed: string, webhook: NativeWebhook) => PaymentEvent;

/** @internal The native part of a webhook. */
export let nativeWebhook: (name: string, value: unknown) => NativeWebhook;

/**
 * What a genuine delivery says. Only `Webhook.verify` and `Ledger.receive` make one.
 *
 * The signature covers `orderId` and `amount` alone (documented). **`status`, `currency`, `ref`
 * and `extra` are not signed**: whoever holds one genuine delivery can change them. So hold every
 * event against your own order with `matchOrder`, and let an `orderId` settle one order, once.
 *
 * `console.log` and `JSON.stringify` show the order id, the amount and the status. To keep an
 * event, store its `body`, and verify that again where it is read.
 */
export class PaymentEvent {
  static {
    paymentEvent = (packed, webhook) => new PaymentEvent(VERIFIED, packed, webhook);
  }

  readonly #packed: string;
  readonly #webhook: NativeWebhook;

  private constructor(key: typeof VERIFIED, packed: string, webhook: NativeWebhook) {
    if (key !== VERIFIED) {
      throw new TypeError(
        'a PaymentEvent comes from Webhook.verify and Ledger.receive, and from nowhere else',
      );
    }
    this.#packed = packed;
    this.#webhook = webhook;
  }

  /** The payment's identity: the link's id. Signed. */
  get orderId(): string {
    return field(this.#packed, 0) ?? '';
  }

  /** The amount, exactly as it stood in the delivery. Signed. Zero is possible where a link timed out. */
  get amount(): string {
    return field(this.#packed, 1) ?? '';
  }

  /** `fulfilled`, `timed_out`, or another text. **Not signed.** */
  get status(): Status {
    return field(this.#packed, 2) ?? '';
  }

  /** The currency's code, where the delivery has one. **Not signed.** */
  get currency(): string | undefined {
    return field(this.#packed, 3);
  }

  /** Your own reference of the link, where the delivery has one. **Not signed.** */
  get ref(): string | undefined {
    return field(this.#packed, 4);
  }

  /** Whether the status is `fulfilled`. **Not signed.** */
  get isFulfilled(): boolean {
    return this.#packed.startsWith('1');
  }

  /**
   * The fields that this version does not know. **Not signed.** A number that JavaScript cannot hold
   * exactly is given as its text.
   */
  get extra(): Readonly<Record<string, unknown>> {
    const fields = native.extraFields(this.#webhook, bodyText(this.#packed));
    return Object.fromEntries(fields.map(([name, json]) => [name, jsonText.readLeniently(json)]));
  }

  /** The delivery's bytes, exactly as they came: a `Buffer`. */
  get body(): Uint8Array {
    return Buffer.from(bodyText(this.#packed));
  }

  /**
   * Holds the event against your order, and returns it where it fits.
   *
   * Amounts are compared as exact numbers (`10.5` is `10.50`; not for a link that timed out), the
   * currency without regard to case, the ref exactly, and the order id where you give it.
   *
   * What no signature can tell you: that this order id was not used before. Record it, and let it
   * settle one order once. Otherwise a captured delivery with an edited ref pays for a second order
   * of the same price.
   *
   * @throws OrderMismatchError with `field`, `expected` and `actual`, for the first of `orderId`,
   *   `ref`, `currency`, `amount` that does not fit. A currency or ref that the delivery lacks does
   *   not fit.
   * @throws ValidationError where the order's amount is no plain number.
   * @throws TypeError where the order's amount is a number with a fraction, or another field has the
   *   wrong type.
   */
  matchOrder(order: Order): this {
    const given = options('matchOrder', order, ORDER);
    const mismatch = native.matchOrder(
      this.#webhook,
      bodyText(this.#packed),
      amountText('amount', given['amount']),
      text('currency', given['currency']),
      text('ref', given['ref']),
      optionalText('orderId', given['orderId']),
    );
    if (mismatch !== null) {
      throw fromCore(mismatch);
    }
    return this;
  }

  /** What is shown of it: the order id, the amount and the status. */
  toJSON(): { orderId: string; amount: string; status: string } {
    return { orderId: this.orderId, amount: this.amount, status: this.status };
  }

  /** @internal */
  [Symbol.for('nodejs.util.inspect.custom')](
    _depth: number,
    settings: object,
    inspect: (value: unknown, settings: object) => string,
  ): string {
    return `PaymentEvent ${inspect(this.toJSON(), settings)}`;
  }
}

/**
 * Verifies the webhook deliveries of one merchant, and signs for tests.
 *
 * Build it once: the work that depends on the key and the secret alone is done when it is built.
 *
 * The signature covers the **amount** and the **order id** (documented). It does not cover the
 * status, the currency or the ref, and it has no timestamp: whoever holds one genuine delivery can
 * change those three and send it again. So hold every event against your own order with
 * `PaymentEvent.matchOrder`, and let an order id settle one order once.
 *
 * @example
 * import { Webhook } from 'kazawallet';
 *
 * const webhook = new Webhook({ apiKey: '81A107141716', apiSecret: '888B6B8877F8' });
 * // Exactly as it came over the network, before any parser touched it.
 * const body = Buffer.from(
 *   '{"order_id":"pl_8f2a61c1","amount":"10.50","status":"fulfilled","currency":"USD",' +
 *     '"ref":"order-42","secret":"ld0+KSK+nepc7Ua31LKYnGD982/+f5ULWmTN7LJ6QFMNK1OwtdbD9EAUhU1' +
 *     '+XArNWC6/V/lUOSmPFLo4AaqyKg=="}',
 * );
 * const event = webhook.verify(body);
 * event.matchOrder({ amount: '10.50', currency: 'USD', ref: 'order-42' }).isFulfilled; // true
 */
export class Webhook {
  static {
    nativeWebhook = (name, value) => {
      if (typeof value === 'object' && value !== null && #native in value) {
        return value.#native;
      }
      throw wrongType(name, 'a Webhook', value);
    };
  }

  #native: NativeWebhook;

  /**
   * @throws ConfigurationError where the key or the secret is blank, holds a control character or an
   *   invisible one, or begins or ends with white space.
   * @throws TypeError where one is no string, or an option is not known.
   */
  constructor(credentials: WebhookOptions) {
    const given = options('Webhook', credentials, CREDENTIALS);
    this.#native = webhookOrThrow(
      native.newWebhook(
        optionText('apiKey', given['apiKey']),
        optionText('apiSecret', given['apiSecret']),
      ),
    );
  }

  /**
   * A webhook that accepts what was signed with an earlier key and secret, too, while keys are being
   * rotated. Never after a leak: whoever has the old secret can sign.
   *
   * @throws ConfigurationError and TypeError as for the constructor.
   */
  withPrevious(credentials: WebhookOptions): Webhook {
    const given = options('withPrevious', credentials, CREDENTIALS);
    const apiKey = optionText('apiKey', given['apiKey']);
    const apiSecret = optionText('apiSecret', given['apiSecret']);
    const both = new Webhook({ apiKey, apiSecret });
    both.#native = webhookOrThrow(native.withPrevious(this.#native, apiKey, apiSecret));
    return both;
  }

  /**
   * Reads a delivery's body, JSON or form-encoded, and checks its signature. There is no other way
   * to a `PaymentEvent`.
   *
   * @param body The raw body, before any parser: a `Buffer`, a `Uint8Array`, an `ArrayBuffer` or a
   *   string. In Express `express.raw({ type: () => true })` and `req.body`; in Fastify a content type
   *   parser with `parseAs: 'buffer'` and `request.body`; in Next.js and Hono `await request.text()`
   *   and `await c.req.text()`.
   *
   * @throws WebhookPayloadError where the body cannot be read: larger than 64 KiB, not UTF-8, neither
   *   a JSON object nor form fields, a repeated key, a field that is missing or malformed.
   * @throws SignatureVerificationError where no key that this webhook knows signed it. It proves
   *   nothing: change no order because of it.
   * @throws TypeError where the body is something that was already parsed.
   */
  verify(body: Uint8Array | ArrayBuffer | string): PaymentEvent {
    const verified =
      typeof body === 'string'
        ? native.verifyText(this.#native, wellFormedText(body))
        : native.verify(this.#native, rawBytes(body));
    if (typeof verified !== 'string') {
      throw fromCore(verified);
    }
    return paymentEvent(verified, this.#native);
  }

  /**
   * The `secret` field that the provider would send for an amount and an order id, for tests: base64
   * of HMAC-SHA512, keyed with the API secret, over the SHA-256 of `amount:::order_id:::key`
   * (documented). The amount may be zero, as that of a link that timed out.
   *
   * @throws ValidationError where the amount is no plain number.
   * @throws TypeError where the amount is a number with a fraction, or the order id is no string.
   */
  sign(signed: SignedFields): string {
    const given = options('sign', signed, SIGNED);
    const signature = native.sign(
      this.#native,
      amountText('amount', given['amount']),
      text('orderId', given['orderId']),
    );
    if (typeof signature !== 'string') {
      throw fromCore(signature);
    }
    return signature;
  }
}

function webhookOrThrow(made: NativeWebhook | CoreError): NativeWebhook {
  if (Object.hasOwn(made, 'code')) {
    throw fromCore(made as CoreError);
  }
  return made as NativeWebhook;
}

/** @internal */
export function wellFormedText(body: string): string {
  if (!body.isWellFormed()) {
    throw new WebhookPayloadError('the body is not UTF-8: it holds half a character');
  }
  return body;
}

/** @internal */
export function rawBytes(body: unknown): Uint8Array {
  if (types.isUint8Array(body)) {
    return body;
  }
  if (types.isArrayBuffer(body)) {
    return new Uint8Array(body);
  }
  throw new TypeError(
    `\`body\` must be the raw bytes of the request, before any parser, not ${typeName(body)}: in ` +
      'Express use express.raw({ type: () => true }) on this route and pass `req.body`; in Fastify add a ' +
      "content type parser with { parseAs: 'buffer' } that hands the body on as it is, and pass " +
      '`request.body`; in Next.js pass `await request.text()`, in Hono `await c.req.text()`',
  );
}

/**
 * A field of a genuine delivery. One string comes over from the native part, since that is faster
 * than an object: `1` or `0` for fulfilled, the five fields' lengths, the fields, the body. A length
 * is three characters of seven bits each; all bits set means that there is no such field.
 */
function field(packed: string, index: number): string | undefined {
  const length = lengthOf(packed, index);
  const start = startOf(packed, index);
  return length < 0 ? undefined : packed.slice(start, start + length);
}

/** The body stands behind the last field. */
function bodyText(packed: string): string {
  return packed.slice(startOf(packed, FIELD_COUNT));
}

/** Where a field begins: behind those before it. */
function startOf(packed: string, index: number): number {
  let start = FIELDS_START;
  for (let before = 0; before < index; before += 1) {
    start += Math.max(lengthOf(packed, before), 0);
  }
  return start;
}

/** The length of a field; -1 where there is none. */
function lengthOf(packed: string, index: number): number {
  const at = 1 + 3 * index;
  const length =
    (packed.charCodeAt(at) << 14) | (packed.charCodeAt(at + 1) << 7) | packed.charCodeAt(at + 2);
  return length === NO_FIELD ? -1 : length;
}
