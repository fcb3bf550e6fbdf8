// The errors, and how the core's become them: by their stable code, in a table.

import * as jsonText from './json-text.js';
import { own } from './native.js';
import type { CoreError } from './native-module.js';
import type { Outcome } from './outcome.js';

/** The stable codes of the errors' classes, the same in every language. */
export type ErrorCode =
  | 'kazawallet'
  | 'configuration'
  | 'validation'
  | 'connection'
  | 'timeout'
  | 'outcome_unknown'
  | 'api'
  | 'authentication'
  | 'permission_denied'
  | 'not_found'
  | 'rate_limit'
  | 'account_blocked'
  | 'server'
  | 'unexpected_response'
  | 'webhook'
  | 'webhook_payload'
  | 'signature_verification'
  | 'order_mismatch'
  | LedgerErrorCode;

/** What a `LedgerError` can be about. */
export type LedgerErrorCode =
  | 'ledger_unavailable'
  | 'ledger_full'
  | 'ledger_read_only'
  | 'ledger_version'
  | 'ledger_damaged'
  | 'ledger_state'
  | 'ledger_not_found';

/**
 * What an error can be made with, besides its message: in your own tests, for example. A class
 * takes those that it has.
 */
export interface ErrorAttributes {
  /** What it came from. */
  cause?: unknown;
  /** What a `LedgerError` is about. */
  code?: LedgerErrorCode | undefined;
  /** Whether money may have moved. */
  outcome?: Outcome | undefined;
  /** The HTTP status. */
  status?: number | undefined;
  /** The provider's own key. */
  key?: string | undefined;
  /** The provider's details. */
  details?: unknown;
  /** Milliseconds to wait before the next call. */
  retryAfter?: number | undefined;
  /** The request's id. */
  requestId?: string | undefined;
  /** The beginning of the answer. */
  body?: string | undefined;
  /** The argument, or the webhook's field, that is at fault. */
  field?: string | undefined;
  /** What the order says. */
  expected?: string | undefined;
  /** What the delivery says. */
  actual?: string | undefined;
}

/**
 * The root of every error that this package makes of its own.
 *
 * `error.message` says what was wrong, what was expected and what to do. Neither it nor what
 * `console.log` and `JSON.stringify` show of an error holds a key, a secret or the personal data
 * that you sent: what may hold such data (`body`, `details`, `expected`, `actual`) is there to be
 * read, and is not shown.
 */
export class KazawalletError extends Error {
  static {
    KazawalletError.prototype.name = 'KazawalletError';
  }

  /** The stable lower-case code of the class, the same in every language. */
  readonly code: ErrorCode = 'kazawallet';
  /**
   * Whether money may have moved. `undefined` for the webhook side, which sends nothing. Look at
   * it before you repeat a call that moves money.
   */
  readonly outcome: Outcome | undefined;

  constructor(message?: string, attributes: ErrorAttributes = {}) {
    super(message, Object.hasOwn(attributes, 'cause') ? { cause: attributes.cause } : undefined);
    this.outcome = attributes.outcome;
  }
}

/** A client or a webhook that cannot be built from what it was given. */
export class ConfigurationError extends KazawalletError {
  static {
    ConfigurationError.prototype.name = 'ConfigurationError';
  }

  override readonly code: ErrorCode = 'configuration';

  constructor(message?: string, attributes: ErrorAttributes = {}) {
    super(message, { outcome: 'not_sent', ...attributes });
  }
}

/** An argument that was refused before anything was sent. */
export class ValidationError extends KazawalletError {
  static {
    ValidationError.prototype.name = 'ValidationError';
  }

  override readonly code: ErrorCode = 'validation';
  /** The argument that is at fault. */
  readonly field: string | undefined;

  constructor(message?: string, attributes: ErrorAttributes = {}) {
    super(message, { outcome: 'not_sent', ...attributes });
    this.field = attributes.field;
  }
}

/**
 * No answer came: the connection failed. Never for a payout that may have left.
 *
 * What the system said is in `cause`, with its `code` such as `ECONNREFUSED` where it has one.
 */
export class APIConnectionError extends KazawalletError {
  static {
    APIConnectionError.prototype.name = 'APIConnectionError';
  }

  override readonly code: ErrorCode = 'connection';

  constructor(message?: string, attributes: ErrorAttributes = {}) {
    super(message, { outcome: 'unknown', ...attributes });
  }
}

/** No answer came in time. Never for a payout that may have left. */
export class APITimeoutError extends APIConnectionError {
  static {
    APITimeoutError.prototype.name = 'APITimeoutError';
  }

  override readonly code: ErrorCode = 'timeout';
}

/** What errors share that come with an answer. */
abstract class AnsweredError extends KazawalletError {
  /** The HTTP status, or the error's own status where one came inside a 2xx. */
  readonly status: number | undefined;
  /** The request's id, where the answer carried one. Give it to the provider's support. */
  readonly requestId: string | undefined;
  readonly #body: string | undefined;

  constructor(message: string | undefined, attributes: ErrorAttributes) {
    super(message, attributes);
    this.status = attributes.status;
    this.requestId = attributes.requestId;
    this.#body = attributes.body;
  }

  /** The first 4 KiB of the answer, as it came. May hold personal data. */
  get body(): string | undefined {
    return this.#body;
  }
}

/**
 * A withdrawal or a deposit was sent, and no conclusive answer came.
 *
 * A time-out, a broken connection, a 5xx, 408 or 3xx, an answer that is unreadable, over-long or
 * contradicts itself; or the caller's `signal` was aborted after it may have left. **Money may
 * have moved**: look in the wallet before you do it again. It is no connection or timeout error, so
 * that no retry helper catches it.
 */
export class OutcomeUnknownError extends AnsweredError {
  static {
    OutcomeUnknownError.prototype.name = 'OutcomeUnknownError';
  }

  override readonly code: ErrorCode = 'outcome_unknown';
  /** The provider's own key of the error, where an answer held one. */
  readonly key: string | undefined;

  constructor(message?: string, attributes: ErrorAttributes = {}) {
    super(message, { outcome: 'unknown', ...attributes });
    this.key = attributes.key;
  }
}

/**
 * The provider said no. The classes below say how; this one is for what has none of its own.
 *
 * It may come with any HTTP status: an error inside a 200 is one, too (seen). A 408 is one whose
 * outcome is unknown.
 */
export class APIError extends AnsweredError {
  static {
    APIError.prototype.name = 'APIError';
  }

  override readonly code: ErrorCode = 'api';
  /** The provider's own key, such as `USER_NOT_FOUND`. */
  readonly key: string | undefined;
  /** How many milliseconds the provider asked to wait before the next call. */
  readonly retryAfter: number | undefined;
  readonly #details: unknown;

  constructor(message?: string, attributes: ErrorAttributes = {}) {
    super(message, { outcome: 'rejected', ...attributes });
    this.key = attributes.key;
    this.retryAfter = attributes.retryAfter;
    this.#details = attributes.details;
  }

  /** The `details` of the provider's error, read from JSON. May hold personal data. */
  get details(): unknown {
    return this.#details;
  }
}

/** 401: the key or the secret is wrong. */
export class AuthenticationError extends APIError {
  static {
    AuthenticationError.prototype.name = 'AuthenticationError';
  }

  override readonly code: ErrorCode = 'authentication';
}

/** 403: the key may not do this. */
export class PermissionDeniedError extends APIError {
  static {
    PermissionDeniedError.prototype.name = 'PermissionDeniedError';
  }

  override readonly code: ErrorCode = 'permission_denied';
}

/** 404, or the key `USER_NOT_FOUND`: no Kazawallet account has that email. */
export class NotFoundError extends APIError {
  static {
    NotFoundError.prototype.name = 'NotFoundError';
  }

  override readonly code: ErrorCode = 'not_found';
}

/** 429: too many calls. `retryAfter` says how long to wait, where the provider did. */
export class RateLimitError extends APIError {
  static {
    RateLimitError.prototype.name = 'RateLimitError';
  }

  override readonly code: ErrorCode = 'rate_limit';
}

/**
 * The account was blocked because calls came from a new address.
 *
 * Ask the provider's support to allow the server's address.
 */
export class AccountBlockedError extends APIError {
  static {
    AccountBlockedError.prototype.name = 'AccountBlockedError';
  }

  override readonly code: ErrorCode = 'account_blocked';
}

/** 5xx: the provider failed, and may have acted first. */
export class ServerError extends APIError {
  static {
    ServerError.prototype.name = 'ServerError';
  }

  override readonly code: ErrorCode = 'server';

  constructor(message?: string, attributes: ErrorAttributes = {}) {
    super(message, { outcome: 'unknown', ...attributes });
  }
}

/**
 * An answer to a call that moves no money which cannot be relied on.
 *
 * It cannot be read, contradicts itself, or redirects.
 */
export class UnexpectedResponseError extends AnsweredError {
  static {
    UnexpectedResponseError.prototype.name = 'UnexpectedResponseError';
  }

  override readonly code: ErrorCode = 'unexpected_response';

  constructor(message?: string, attributes: ErrorAttributes = {}) {
    super(message, { outcome: 'unknown', ...attributes });
  }
}

/** The root of the webhook side. */
export class WebhookError extends KazawalletError {
  static {
    WebhookError.prototype.name = 'WebhookError';
  }

  override readonly code: ErrorCode = 'webhook';
}

/**
 * A webhook body that cannot be read.
 *
 * It may be a delivery of a form that this version does not know, and there is no second one: keep
 * the body.
 */
export class WebhookPayloadError extends WebhookError {
  static {
    WebhookPayloadError.prototype.name = 'WebhookPayloadError';
  }

  override readonly code: ErrorCode = 'webhook_payload';
  /** The field of the body that is at fault, where it is one, as the provider calls it. */
  readonly field: string | undefined;

  constructor(message?: string, attributes: ErrorAttributes = {}) {
    super(message, attributes);
    this.field = attributes.field;
  }
}

/** A webhook whose signature does not hold. It proves nothing: change no order because of it. */
export class SignatureVerificationError extends WebhookError {
  static {
    SignatureVerificationError.prototype.name = 'SignatureVerificationError';
  }

  override readonly code: ErrorCode = 'signature_verification';
}

/**
 * A genuine webhook that does not fit the order it was held against.
 *
 * Do not fulfil the order; keep the delivery and look into it.
 */
export class OrderMismatchError extends WebhookError {
  static {
    OrderMismatchError.prototype.name = 'OrderMismatchError';
  }

  override readonly code: ErrorCode = 'order_mismatch';
  /** What does not fit: `orderId`, `ref`, `currency` or `amount`. */
  readonly field: 'orderId' | 'ref' | 'currency' | 'amount' | undefined;
  readonly #expected: string | undefined;
  readonly #actual: string | undefined;

  constructor(message?: string, attributes: ErrorAttributes = {}) {
    super(message, attributes);
    this.field = attributes.field as typeof this.field;
    this.#expected = attributes.expected;
    this.#actual = attributes.actual;
  }

  /** What the order says. */
  get expected(): string | undefined {
    return this.#expected;
  }

  /** What the delivery says; `undefined` where it says nothing. */
  get actual(): string | undefined {
    return this.#actual;
  }
}

/**
 * The ledger could not do what was asked of it. `code` says why:
 *
 * - `ledger_unavailable`: its database cannot be reached, was lost, or was locked for too long
 * - `ledger_full`: its disk is full
 * - `ledger_read_only`: its database, or the folder that it is in, cannot be written
 * - `ledger_version`: its database was made by a newer version of this package
 * - `ledger_damaged`: its database is damaged, or is none
 * - `ledger_state`: what was asked does not fit what is recorded
 * - `ledger_not_found`: there is no such order, payment or payout
 *
 * Its outcome is `unknown` where a payout was sent and its answer could not be recorded, `rejected`
 * for a payout that a person saw was not paid, and `not_sent` otherwise.
 */
export class LedgerError extends KazawalletError {
  static {
    LedgerError.prototype.name = 'LedgerError';
  }

  override readonly code: LedgerErrorCode;

  constructor(message?: string, attributes: ErrorAttributes = {}) {
    super(message, { outcome: 'not_sent', ...attributes });
    this.code = attributes.code ?? 'ledger_unavailable';
  }
}

const BY_CODE: Readonly<Record<string, typeof KazawalletError | undefined>> = {
  configuration: ConfigurationError,
  validation: ValidationError,
  connection: APIConnectionError,
  timeout: APITimeoutError,
  outcome_unknown: OutcomeUnknownError,
  api: APIError,
  authentication: AuthenticationError,
  permission_denied: PermissionDeniedError,
  not_found: NotFoundError,
  rate_limit: RateLimitError,
  account_blocked: AccountBlockedError,
  server: ServerError,
  unexpected_response: UnexpectedResponseError,
  webhook_payload: WebhookPayloadError,
  signature_verification: SignatureVerificationError,
  order_mismatch: OrderMismatchError,
  ledger_unavailable: LedgerError,
  ledger_full: LedgerError,
  ledger_read_only: LedgerError,
  ledger_version: LedgerError,
  ledger_damaged: LedgerError,
  ledger_state: LedgerError,
  ledger_not_found: LedgerError,
};

/**
 * Text that no UTF-8 can hold, refused as the core refuses what else cannot be sent.
 *
 * @internal
 */
export function halfACharacter(
  Refusal: typeof ValidationError | typeof ConfigurationError,
  name: string,
): KazawalletError {
  const message = `\`${name}\` was refused: it holds half a character (a lone surrogate)`;
  return new Refusal(message, { field: name });
}

/**
 * The error for one of the core's. A code that is not known gives the root class. Where the caller
 * had a reason to stop waiting, that is what it came from.
 *
 * @internal
 */
export function fromCore(error: CoreError, aborted?: { reason: unknown }): KazawalletError {
  const details = own(error, 'details');
  const attributes: ErrorAttributes = {
    // Only a `LedgerError` takes it: of the others each has its own.
    code: error.code as LedgerErrorCode,
    status: own(error, 'status'),
    key: own(error, 'key'),
    details: details === undefined ? undefined : jsonText.readLeniently(details),
    retryAfter: own(error, 'retryAfter'),
    requestId: own(error, 'requestId'),
    body: own(error, 'body'),
    field: own(error, 'field'),
    expected: own(error, 'expected'),
    actual: own(error, 'actual'),
    // The webhook side has none, and the others always have one.
    outcome: own(error, 'outcome') as Outcome | undefined,
  };
  const cause = own(error, 'cause');
  if (aborted !== undefined) {
    attributes.cause = aborted.reason;
  } else if (cause !== undefined) {
    attributes.cause = systemError(cause);
  }
  return new (BY_CODE[error.code] ?? KazawalletError)(error.message, attributes);
}

/** Whether a code is that of an error. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(BY_CODE, code);
}

/** What the system said, as Node.js tells it: with `errno` and `code`, where they are known. */
function systemError(said: NonNullable<CoreError['cause']>): Error {
  const error = new Error(said.message);
  const [code, errno] = [own(said, 'code'), own(said, 'errno')];
  if (errno === undefined) {
    return code === undefined ? error : Object.assign(error, { code });
  }
  const { getSystemErrorName } = require('node:util') as typeof import('node:util');
  return Object.assign(error, { errno: -errno, code: code ?? getSystemErrorName(-errno) });
}
