/**
 * The SDK for the Kazawallet payment API. It is not the provider's own product.
 *
 * @packageDocumentation
 */

export type { AmountLike, CallOptions } from './arguments.js';
export type { CallMessage } from './calls.js';
export {
  Client,
  type ClientOptions,
  type CreateDepositOptions,
  type CreatePaymentLinkOptions,
  type CreateWithdrawalOptions,
  type Deposits,
  type HttpMethod,
  type PaymentLinks,
  type RequestOptions,
  type Wallets,
  type Withdrawals,
} from './client.js';
export {
  AccountBlockedError,
  APIConnectionError,
  APIError,
  APITimeoutError,
  AuthenticationError,
  ConfigurationError,
  type ErrorAttributes,
  type ErrorCode,
  KazawalletError,
  LedgerError,
  type LedgerErrorCode,
  NotFoundError,
  OrderMismatchError,
  OutcomeUnknownError,
  PermissionDeniedError,
  RateLimitError,
  ServerError,
  SignatureVerificationError,
  UnexpectedResponseError,
  ValidationError,
  WebhookError,
  WebhookPayloadError,
} from './errors.js';
export {
  type Conflict,
  type CreateOrderLinkOptions,
  type Decision,
  Ledger,
  type LedgerOptions,
  type LinkIds,
  type ListOptions,
  type OrderLink,
  type OrderRecord,
  type OrderState,
  type Payment,
  type PaymentHandler,
  type Payout,
  type PayoutState,
  type PersonDecision,
  type PersonOptions,
  type Processing,
  type ProcessOptions,
  type Receipt,
  type Resolution,
  type Settlement,
  type SettleOptions,
  type StopOptions,
  type Summary,
  type WithdrawOptions,
} from './ledger.js';
export type { LedgerWorker } from './ledger-calls.js';
export type { Outcome } from './outcome.js';
export {
  type CustomMethod,
  type HaramRecipient,
  PaymentMethod,
  type SyCashRecipient,
} from './payment-method.js';
export type { Report } from './reports.js';
export { Deposit, PaymentLink, Response, type Wallet, WalletList, Withdrawal } from './results.js';
export {
  type Order,
  PaymentEvent,
  type SignedFields,
  type Status,
  Webhook,
  type WebhookOptions,
} from './webhook.js';
