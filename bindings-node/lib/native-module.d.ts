// Made by napi build.

/** The core's webhook, behind an external. */
export type Webhook = { readonly of: 'core' };

/** The calls of one JavaScript thread. */
export declare class Calls {
  /** `wake` is called when something has ended. */
  constructor(wake: () => void)
  /** What has ended since the last time. */
  take(): Array<Ended>
  /** What the ledgers of this thread have told since the last time. */
  listen(): Array<Heard>
  /** Gives a call up; `null` where it has ended already. */
  abandon(id: number): Abandoned | null
}

/** A client of the core. */
export declare class Connection {
  /** Starts the call; what is given back was refused at once. */
  createPaymentLink(calls: Calls, id: number, recorded: boolean, timeout: number | undefined | null, amount: string, currency: string, reference?: string | undefined | null, redirectUrl?: string | undefined | null): CoreError | null
  /** Starts the call; what is given back was refused at once. */
  createWithdrawal(calls: Calls, id: number, recorded: boolean, timeout: number | undefined | null, amount: string, currency: string, paymentMethod: PaymentMethod, note?: string | undefined | null): CoreError | null
  /** Starts the call; what is given back was refused at once. */
  listWallets(calls: Calls, id: number, recorded: boolean, timeout?: number | undefined | null): CoreError | null
  /** Starts the call; what is given back was refused at once. */
  createDeposit(calls: Calls, id: number, recorded: boolean, timeout: number | undefined | null, amount: string, currency: string, userEmail: string, paymentMethod: PaymentMethod, note?: string | undefined | null): CoreError | null
  /** Starts the call; what is given back was refused at once. */
  request(calls: Calls, id: number, recorded: boolean, timeout: number | undefined | null, method: string, path: string, json?: string | undefined | null): CoreError | null
  /** Lets the connections go. Calls that run come to their end. */
  close(): void
}

/** Hands payments to a handler, one after the other. */
export declare class Handover {
  /**
   * Waits for a payment, and holds it until its end; there is none once the worker is stopped or the
   * ledger closed. Unless it is persistent, the thread's loop may end meanwhile.
   */
  next(calls: Calls, id: number, persistent: boolean): CoreError | null
  /** The handler has dealt with it. */
  done(calls: Calls, id: number): CoreError | null
  /** The handler failed, with an error of this kind. */
  failed(calls: Calls, id: number, kind: string, message: string): CoreError | null
  /** Takes no further payment. */
  stop(): void
  /** Stops, and waits for the handler that runs, at most for so many milliseconds. */
  stopped(calls: Calls, id: number, timeout?: number | undefined | null): CoreError | null
  /** The worker ends; a problem is why it does although nobody stopped it. */
  leave(problem?: string | undefined | null): void
}

/** A ledger that is open. */
export declare class Ledger {
  /** What verifies its deliveries, where anything does. */
  webhook(): Webhook | null
  /** An order's link. */
  createPaymentLink(calls: Calls, id: number, timeout: number | undefined | null, reference: string | undefined | null, amount: string, currency: string, redirectUrl?: string | undefined | null): CoreError | null
  /** An order. */
  order(calls: Calls, id: number, reference: string): CoreError | null
  /** Receives a delivery. */
  receive(calls: Calls, id: number, body: Uint8Array): CoreError | null
  /** A payment. */
  payment(calls: Calls, id: number, orderId: string): CoreError | null
  /** A person decides a payment. */
  settle(calls: Calls, id: number, orderId: string, decision: string, reference: string | undefined | null, by: string, note?: string | undefined | null): CoreError | null
  /** A person switches the check of link ids off, or on again. */
  setLinkIdCheck(calls: Calls, id: number, check: boolean, by: string, note?: string | undefined | null): CoreError | null
  /** Verifies the quarantine again. */
  reverify(calls: Calls, id: number): CoreError | null
  /** Payments for a handler, one by one. */
  handover(maxTries?: number | undefined | null, firstPause?: number | undefined | null, pollInterval?: number | undefined | null, lease?: number | undefined | null): Handover
  /** The payments that are due. */
  pending(calls: Calls, id: number, limit: number): CoreError | null
  /** A payment has been dealt with. */
  markProcessed(calls: Calls, id: number, orderId: string): CoreError | null
  /** Hands a parked payment out again. */
  retry(calls: Calls, id: number, orderId: string, by: string, note?: string | undefined | null): CoreError | null
  /** Pays out. */
  withdraw(calls: Calls, id: number, timeout: number | undefined | null, reference: string, amount: string, currency: string, paymentMethod: PaymentMethod, note?: string | undefined | null): CoreError | null
  /** A payout. */
  payout(calls: Calls, id: number, reference: string): CoreError | null
  /** A person says what became of a payout. */
  resolve(calls: Calls, id: number, reference: string, decision: string, by: string, note?: string | undefined | null): CoreError | null
  /** The orders with a link and no webhook. */
  overdue(calls: Calls, id: number, olderThan: number, limit: number): CoreError | null
  /** The payments that wait for a person. */
  unsettled(calls: Calls, id: number, limit: number): CoreError | null
  /** The payments whose handler failed too often. */
  parked(calls: Calls, id: number, limit: number): CoreError | null
  /** The payouts whose outcome is unknown. */
  unresolved(calls: Calls, id: number, limit: number): CoreError | null
  /** The deliveries that contradict. */
  conflicts(calls: Calls, id: number, limit: number): CoreError | null
  /** What people decided. */
  decisions(calls: Calls, id: number, limit: number): CoreError | null
  /** How many there are of everything. */
  summary(calls: Calls, id: number): CoreError | null
  /** Erases people's data. `before` is in milliseconds since 1970. */
  forget(calls: Calls, id: number, before: number): CoreError | null
  /** Closes it. */
  close(calls: Calls, id: number): CoreError | null
}

/** How a payout reaches its recipient. */
export declare class PaymentMethod {
  /** Haram, up to a limit. */
  static haramUnder3m(name: string, phone: string, governorate: string): PaymentMethod
  /** Haram, above that limit. */
  static haramOver3m(name: string, phone: string, governorate: string): PaymentMethod
  /** SY Cash. */
  static syCash(phone: string): PaymentMethod
  /** Any other, with pairs of names and values, one behind the other. */
  static custom(id: string, fields: Array<string>): PaymentMethod
}

/** The route of one receiver. */
export declare class Route {
  /** A route that has told nothing yet. */
  constructor()
  /** The answer to a request that is refused by its head; `length` is its `Content-Length`. */
  refusedByHead(method: string, length?: number | undefined | null): Reception | null
  /** What came of a body that was read to its end. */
  delivery(body: Uint8Array, length?: number | undefined | null, encoding?: string | undefined | null): Delivered
  /** The body has more bytes than the limit. */
  tooLong(): Reception
  /** The sender went away after so many bytes. */
  brokeOff(got: number, of?: number | undefined | null): Reception
  /** Something of the application has read the body before. */
  readBefore(wayOut: string): Reception
  /** The route was given something else than a request. */
  noRequest(given: string, wanted: string): Reception
  /** The event of a genuine delivery, packed. */
  verify(webhook: Webhook, body: Uint8Array): string | Reception
  /** The answer if the handler has dealt with the event. */
  handled(): Reception
  /**
   * The answer if the handler failed with an error of this kind. Only what verifies is an event, so the
   * body is verified again.
   */
  handlerFailed(webhook: Webhook, body: string, kind: string): Reception
  /** Has a ledger receive a delivery. */
  receive(calls: Calls, id: number, ledger: Ledger, body: Uint8Array): CoreError | null
  /** Verifies again what is in a ledger's quarantine. */
  start(calls: Calls, id: number, ledger: Ledger): CoreError | null
  /** The answer if the ledger could not be opened. */
  notOpened(problem: string): Reception
  /** What is told if deliveries are stored, and no worker hands them to the handler. */
  workerNotStarted(problem: string): Report | null
}

/** A simulator of the native crate, as `kazawallet/testing` uses it. */
export declare class RunningSimulator {
  /** The base URL for a client. */
  get url(): string
  /** The API key. */
  get apiKey(): string
  /** The API secret. */
  get apiSecret(): string
  /** The merchant's email. */
  get merchantEmail(): string
  /** The page for a browser. */
  get dashboardUrl(): string
  /** Where deliveries go. */
  webhookUrl(): string | null
  /** Sets where deliveries go; text says why not. */
  setWebhookUrl(url?: string | undefined | null): string | null
  /** The dialect that it speaks. */
  dialect(): string
  /** Sets the dialect; text says why not. */
  setDialect(dialect: string): string | null
  /** The PEM that a client must trust. */
  rootCertificate(): string | null
  /** The deliveries so far. */
  deliveries(): Array<Delivery>
  /** The requests so far. */
  requests(): Array<RecordedRequest>
  /** Pays a link. */
  pay(calls: Calls, id: number, link: string): CoreError | null
  /** Lets a link time out. */
  timeOut(calls: Calls, id: number, link: string): CoreError | null
  /** Sends one delivery. */
  trigger(calls: Calls, id: number, url: string, amount: string, currency: string, status: string, reference?: string | undefined | null, orderId?: string | undefined | null): CoreError | null
  /** The merchant's balance. */
  balance(currency: string): string
  /** Misbehaves so many times, or until it is told to stop; text says why not. */
  fault(fault: string, times?: number | undefined | null): string | null
  /** Behaves again. */
  clearFaults(): void
  /** Stops it. */
  stop(calls: Calls, id: number): CoreError | null
}

/** The simulator's program. */
export declare class SimulatorProgram {
  /** One that does not run yet. */
  constructor()
  /** Runs it until it ends or is stopped. The process's signals are JavaScript's. */
  run(calls: Calls, id: number, arguments: Array<string>): CoreError | null
  /** Stops it. */
  stop(): void
}

/** What is to be told of a call that was given up. */
export interface Abandoned {
  /** It goes on, and this is what the caller must know. */
  error?: CoreError
  /** What there is to say of the call to logs and metrics. */
  record?: CallRecord
}

/** A provider's answer, and what was read from it: which of the fields there are depends on the call. */
export interface Answer {
  /** The HTTP status. */
  httpStatus: number
  /** The request's id. */
  requestId?: string
  /** The body, as text where it is UTF-8. */
  body: string | Uint8Array
  /** A link's URL. */
  url?: string
  /** A link's id. */
  id?: string
  /** A withdrawal's or a deposit's status. */
  status?: string
  /** A withdrawal's or a deposit's message. */
  message?: string
  /** A deposit's id. */
  transactionId?: string
  /** A deposit's note. */
  note?: string
  /** The balances. */
  wallets?: Array<Wallet>
}

/** What there is to say of a call to logs and metrics. */
export interface CallRecord {
  /** The endpoint's path. */
  endpoint: string
  /** The HTTP status of the last answer. */
  status?: number
  /** Milliseconds. */
  duration: number
  /** How many tries were begun. */
  attempts: number
  /** `ok`, `not_sent`, `rejected`, `unknown` or `cancelled`. */
  outcome: string
}

/** A later delivery that contradicts the first one. */
export interface Conflict {
  /** The payment's identity. */
  orderId: string
  /** The field in which it differs. */
  problem: string
  /** The ref that it says. */
  ref?: string
  /** The amount that it says. */
  amount: string
  /** The currency that it says. */
  currency?: string
  /** The status that it says. */
  status: string
  /** When it came. */
  receivedAt: number
}

/** Makes a client. `environment` holds the variables that count. */
export declare function connect(options: ConnectionOptions, environment: Record<string, string>): Connection | CoreError

/** The client's options. */
export interface ConnectionOptions {
  /** The API key. */
  apiKey?: string
  /** The API secret. */
  apiSecret?: string
  /** The merchant's email. */
  merchantEmail?: string
  /** Another address than the provider's. */
  baseUrl?: string
  /** Milliseconds. */
  timeout?: number
  /** Milliseconds. */
  connectTimeout?: number
  /** Tries after the first. */
  maxRetries?: number
  /** A proxy's URL. */
  proxy?: string
  /** PEM. */
  rootCertificates?: Uint8Array
  /** The application's name. */
  appName?: string
}

/** An error of the core. */
export interface CoreError {
  /** The stable code of its class. */
  code: string
  /** What was wrong, what was expected, what to do. */
  message: string
  /** `not_sent`, `rejected` or `unknown`. */
  outcome?: string
  /** The HTTP status. */
  status?: number
  /** The provider's own key. */
  key?: string
  /** The provider's details, as JSON text. */
  details?: string
  /** Milliseconds. */
  retryAfter?: number
  /** The request's id. */
  requestId?: string
  /** The answer's beginning. */
  body?: string
  /** The argument, or the webhook's field. */
  field?: string
  /** What the order says. */
  expected?: string
  /** What the delivery says. */
  actual?: string
  /** What the system said. */
  cause?: SystemError
}

/** How many there are in a state. */
export interface Count {
  /** The state. */
  of: string
  /** How many. */
  number: number
}

/** What came of a body: nothing, if it is the delivery as it stands. */
export interface Delivered {
  /** It was compressed: these are its bytes. */
  inflated?: Buffer
  /** It is none. */
  refused?: Reception
}

/** One webhook delivery. */
export interface Delivery {
  /** The link's id. */
  orderId: string
  /** Where it went. */
  url?: string
  /** JSON or form fields. */
  contentType: string
  /** The body. */
  body: string
  /** The fault that changed it. */
  fault?: string
  /** How it ended, in words. */
  outcome: string
  /** The status that the receiver answered. */
  answered?: number
}

/** What a call has come to: one of these, and the record where one was asked for. */
export interface Ended {
  /** The call's number. */
  id: number
  /** The provider's answer. */
  answer?: Answer
  /** Why there is none. */
  error?: CoreError
  /** What there is to say of the call to logs and metrics. */
  record?: CallRecord
  /** The simulator's deliveries. */
  deliveries?: Array<Delivery>
  /** Why the simulator refused. */
  simulatorError?: string
  /** What the ledger tells. */
  ledger?: LedgerAnswer
  /** A program has ended. */
  exitStatus?: number
}

/** The fields that the core does not know: names, and values as JSON text. */
export declare function extraFields(webhook: Webhook, body: string): [name: string, json: string][]

/** What a ledger tells by itself: one of these. */
export interface Heard {
  /** The number of the call that opened the ledger. */
  ledger: number
  /** Something that a person should hear. */
  report?: Report
  /** It has called the provider. */
  record?: CallRecord
}

/** What a call of the ledger came to: one of these. */
export interface LedgerAnswer {
  /** A ledger that was opened. */
  opened?: Ledger
  /** An order's link. */
  link?: OrderLink
  /** Orders; none or one where one was asked for. */
  orders?: Array<OrderRecord>
  /** What was done with deliveries. */
  receipts?: Array<Receipt>
  /** Payments; none or one where one was asked for. */
  payments?: Array<Payment>
  /** Deliveries that contradict. */
  conflicts?: Array<Conflict>
  /** Payouts; none or one where one was asked for. */
  payouts?: Array<Payout>
  /** What people decided. */
  decisions?: Array<PersonDecision>
  /** How many there are of everything. */
  summary?: Summary
  /** How many it was done to. */
  count?: number
  /** What a delivery is answered. */
  reception?: Reception
  /** What a person should hear of a handler's end. */
  report?: Report
  /** Whether the handler of a worker that was stopped has ended. */
  stopped?: boolean
}

/** How a ledger is opened. */
export interface LedgerOptions {
  /** The database. */
  url?: string
  /** The spool's folder. */
  spool?: string
  /** Whether there is to be none. */
  noSpool: boolean
  /** Milliseconds. */
  clockMargin?: number
}

/** How many bytes a delivery may have. */
export declare function longestWebhookBody(): number

/**
 * What the order does not have of the event; `null` where it fits. Only what verifies is an event,
 * so the body is verified again.
 */
export declare function matchOrder(webhook: Webhook, body: string, amount: string, currency: string, reference: string, orderId?: string | undefined | null): CoreError | null

/** A webhook for a key and a secret. */
export declare function newWebhook(apiKey: string, apiSecret: string): Webhook | CoreError

/** Opens a ledger. `environment` holds the variables that count. What it tells is told with `id`. */
export declare function openLedger(calls: Calls, id: number, options: LedgerOptions, client: Connection | undefined | null, webhook: Webhook | undefined | null, environment: Record<string, string>): CoreError | null

/** The link of an order. */
export interface OrderLink {
  /** Where to send the customer. */
  url: string
  /** The link's id. */
  id?: string
  /** The order's ref. */
  ref: string
  /** The order's state. */
  state: string
}

/** An order. */
export interface OrderRecord {
  /** The merchant's reference. */
  ref: string
  /** What it costs. */
  amount: string
  /** The currency's code. */
  currency: string
  /** How far it has come. */
  state: string
  /** Its link's address. */
  url?: string
  /** Its link's id. */
  linkId?: string
  /** The order id of the payment that settled it. */
  paidBy?: string
  /** When it was first asked for. */
  createdAt: number
  /** When its link was made. */
  linkAt?: number
  /** When it was paid. */
  paidAt?: number
}

/** A payment. */
export interface Payment {
  /** The payment's identity. */
  orderId: string
  /** The ref of its order, or the one that the delivery says. */
  ref?: string
  /** The amount. */
  amount: string
  /** The currency. */
  currency?: string
  /** The status that the delivery says. */
  status: string
  /** What was made of it. */
  decision: string
  /** Whether it paid its order. */
  isPaid: boolean
  /** The field that does not fit. */
  problem?: string
  /** Whether the ids of links were proven when it was decided. */
  linkIds?: string
  /** The ref of the order whose link the signed id is, where it is another's. */
  linkRef?: string
  /** When the delivery came. */
  receivedAt: number
  /** Where it stands on its way to the handler. */
  processing?: string
  /** How often it was handed to a handler. */
  tries: number
  /** How the handler failed the last time. */
  lastError?: string
  /** The delivery's body. */
  body?: string
}

/** A payout. */
export interface Payout {
  /** The merchant's reference. */
  reference: string
  /** How far it has come. */
  state: string
  /** The amount. */
  amount: string
  /** The currency's code. */
  currency: string
  /** The id of the payment method. */
  paymentMethod: string
  /** The provider's status. */
  status?: string
  /** The provider's message. */
  message?: string
  /** The recipient's data and the note, as JSON text. */
  details?: string
  /** When it was first asked for. */
  createdAt: number
  /** Until when it may have left. */
  deadline?: number
  /** When its state became what it is. */
  changedAt: number
}

/** What a person decided. */
export interface PersonDecision {
  /** When. */
  at: number
  /** Who. */
  by: string
  /** What kind of decision it was. */
  action: string
  /** The payout's reference, or the payment's order id; empty for the ids of links. */
  subject: string
  /** What. */
  decision: string
  /** The ref of the order that a payment was said to pay. */
  ref?: string
  /** Their note. */
  note?: string
}

/** What was done with a delivery. */
export interface Receipt {
  /** The event, packed. */
  event: string
  /** What was made of it. */
  decision: string
  /** Whether it was received before. */
  duplicate: boolean
  /** The field that does not fit. */
  problem?: string
  /** Whether the ids of links were proven when it was decided. */
  linkIds?: string
  /** The ref of the order whose link the signed id is, where it is another's. */
  linkRef?: string
  /** Whether a person is to look at it. */
  waitsForPerson: boolean
}

/** What a request is answered, and what a person should hear of it. */
export interface Reception {
  /** The HTTP status. */
  status: number
  /** JSON. */
  body: string
  /** The header `Allow`. */
  allow?: string
  /** What to tell. */
  report?: Report
}

/** An API request that the simulator received. */
export interface RecordedRequest {
  /** The method. */
  method: string
  /** The path and the query. */
  path: string
  /** Names and values. */
  headers: [name: string, value: string][]
  /** The body. */
  body: string
  /** The status answered. */
  status?: number
  /** The fault that was played. */
  fault?: string
}

/** Something that a person should hear: one line. */
export interface Report {
  /** `info`, `warning` or `error`. */
  level: string
  /** What it is about, for programs. */
  code: string
  /** What happened, and what to do. */
  text: string
  /** The order id of the payment that it is about. */
  orderId?: string
}

/** Runs the ledger's program to its end. */
export declare function runLedgerProgram(calls: Calls, id: number, arguments: Array<string>): CoreError | null

/** The signature of an amount and an order id. */
export declare function sign(webhook: Webhook, amount: string, orderId: string): string | CoreError

/** Its settings. */
export interface SimulatorSettings {
  /** Where deliveries go. */
  webhookUrl?: string
  /** Currencies and amounts, one behind the other. */
  balances: Array<string>
  /** The merchant's email. */
  merchantEmail?: string
  /** A key of the user's own. */
  apiKey?: string
  /** A secret of the user's own. */
  apiSecret?: string
  /** The dialect's name. */
  dialect?: string
  /** Whether it serves https. */
  tls: boolean
  /** 0 for a free one. */
  port: number
}

/** Starts a simulator; text says why there is none. */
export declare function startSimulator(settings: SimulatorSettings): RunningSimulator | string

/** How many there are of everything. */
export interface Summary {
  /** Orders by their state. */
  orders: Array<Count>
  /** Payments by their decision. */
  payments: Array<Count>
  /** Payments for the handler, by how far they are. */
  processing: Array<Count>
  /** Payouts by their state. */
  payouts: Array<Count>
  /** Deliveries that contradict. */
  conflicts: number
  /** Deliveries in quarantine. */
  quarantined: number
  /** Deliveries in the spool. */
  spooled: number
  /** Whether the ids of links are proven. */
  linkIds: string
}

/** What the system said. */
export interface SystemError {
  /** In words. */
  message: string
  /**
   * Its name in Node.js, such as `ECONNREFUSED`, where it is one of those that have the same name
   * on every system.
   */
  code?: string
  /** The system's number, where Node.js knows it by that. */
  errno?: number
}

/** The event of a genuine delivery, packed. */
export declare function verify(webhook: Webhook, body: Uint8Array): string | CoreError

/** The event of a genuine delivery, packed. */
export declare function verifyText(webhook: Webhook, body: string): string | CoreError

/** The balance in one currency. */
export interface Wallet {
  /** The currency's code. */
  currency: string
  /** What is in it, as exact text. */
  amount: string
}

/** The same webhook, which accepts an earlier key and secret, too. */
export declare function withPrevious(webhook: Webhook, apiKey: string, apiSecret: string): Webhook | CoreError
