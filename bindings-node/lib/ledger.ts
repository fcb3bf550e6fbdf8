// The ledger's face. What it does is in a file of its own, `ledger-calls`, that is loaded when the first
// ledger is opened: whoever opens none does not wait for it.

import type { AmountLike } from './arguments.js';
import type { Client } from './client.js';
import type { LedgerWorker } from './ledger-calls.js';
import type { Ledger as NativeLedger } from './native-module.js';
import type { PaymentMethod } from './payment-method.js';
import type { Tell } from './reports.js';
import type { PaymentEvent, Status, Webhook } from './webhook.js';

/**
 * How far an order has come.
 *
 * - `creating`: its terms are recorded; its link is being made, or was not made yet
 * - `open`: it has a link, and no webhook told of its end
 * - `timed_out`: its link timed out; the next `createPaymentLink` makes another
 * - `paid`: one payment settled it
 */
export type OrderState = 'creating' | 'open' | 'timed_out' | 'paid';

/**
 * What the ledger made of a delivery.
 *
 * - `paid`: it fits its order, and paid it
 * - `timed_out`: it tells that a link timed out
 * - `mismatch`: genuine, but it does not fit its order: `problem` names the field. A person decides
 * - `no_order`: genuine, but no order has its ref. It waits for the order, or for a person
 * - `overpaid`: it fits an order that another payment has paid already. A person decides
 * - `dismissed`: a person said that it pays for nothing
 * - `conflict`: its order id is known, and it says something else than the first delivery did. It is
 *   kept, and changes nothing
 * - `spooled`: the database could not be reached. Its bytes are in the spool, and are decided later
 */
export type Decision =
  | 'paid'
  | 'timed_out'
  | 'mismatch'
  | 'no_order'
  | 'overpaid'
  | 'dismissed'
  | 'conflict'
  | 'spooled';

/**
 * Whether a delivery must carry the id of a link that is known.
 *
 * That the id which the provider answers when a link is made is the one that its webhook carries is
 * likely, and documented nowhere. So the ledger learns it. A delivery with another order's link id is a
 * `mismatch` of the `ref` from the start; one with an id that is no known link's is held against its
 * order's terms alone until the ids are proven.
 *
 * - `unproven`: no payment has carried the id of its own order's link yet
 * - `proven`: a payment came whose id is a link of its own order, and whose amount and currency fit.
 *   From then on a delivery with an unknown id is a `mismatch` of the `orderId`. The proof counts for
 *   the scheme, host and port that made the link: a simulator's for the simulator
 * - `ignored`: a person has switched the check off, with `setLinkIdCheck`
 */
export type LinkIds = 'unproven' | 'proven' | 'ignored';

/**
 * Where a payment stands on its way to your handler.
 *
 * - `waiting`: it is to be handed to it, now or at a later time
 * - `done`: the handler has dealt with it
 * - `parked`: the handler failed too often; `lastError` says how
 */
export type Processing = 'waiting' | 'done' | 'parked';

/**
 * How far a payout has come.
 *
 * - `not_sent`: it is certain that nothing has left; asking again sends it
 * - `sending`: a process is sending it, until its `deadline` at the latest
 * - `paid`: the provider accepted it, or a person saw that it was paid. Final
 * - `rejected`: the provider refused it. Final
 * - `unknown`: it may have been paid. A person looks in the wallet, and says so with `resolve`
 * - `not_paid`: a person saw that it was not paid. Final
 */
export type PayoutState = 'not_sent' | 'sending' | 'paid' | 'rejected' | 'unknown' | 'not_paid';

/**
 * What a person says of a payment that the ledger could not decide: it pays an order (`paid`), or it
 * pays for nothing, since the money was given back or the matter was settled elsewhere (`dismissed`).
 */
export type Settlement = 'paid' | 'dismissed';

/**
 * What a person says of a payout whose outcome is unknown: the wallet shows it (`paid`), or it does
 * not (`not_paid`).
 */
export type Resolution = 'paid' | 'not_paid';

/** The link of an order. `console.log` and `JSON.stringify` show neither its url nor its ref. */
export interface OrderLink {
  /** Where to send the customer. */
  readonly url: string;
  /** The link's id, very likely the webhook's `orderId`; `undefined` if the answer had none. */
  readonly id: string | undefined;
  /** The order's ref. */
  readonly ref: string;
  /** `open`, or `paid` where the customer has paid already. */
  readonly state: OrderState;
}

/** An order: what it must cost, and what became of it. Its url and its ref are not shown. */
export interface OrderRecord {
  /** Your own reference. */
  readonly ref: string;
  /** What it costs, as it was given. */
  readonly amount: string;
  /** The currency's code, in capitals. */
  readonly currency: string;
  /** How far it has come. */
  readonly state: OrderState;
  /** Its link's address, where it has one. */
  readonly url: string | undefined;
  /** Its link's id, where it is known. */
  readonly linkId: string | undefined;
  /** The order id of the payment that settled it. */
  readonly paidBy: string | undefined;
  /** When it was first asked for. */
  readonly createdAt: Date;
  /** When its link was made. */
  readonly linkAt: Date | undefined;
  /** When it was paid, as far as the ledger knows. */
  readonly paidAt: Date | undefined;
}

/**
 * What `Ledger.receive` did with a delivery. Where there is one, the delivery would survive a power
 * cut.
 */
export interface Receipt {
  /**
   * The verified event. **Its status, currency and ref are not signed**: go by the decision.
   */
  readonly event: PaymentEvent;
  /** What the ledger made of it. */
  readonly decision: Decision;
  /** Whether the same delivery was received before. Then nothing was changed. */
  readonly duplicate: boolean;
  /** The field that does not fit, for `mismatch` and `conflict`. */
  readonly problem: string | undefined;
  /**
   * Whether the ids of links were proven when it was decided; `undefined` of one that is in the spool,
   * or that a former version decided.
   */
  readonly linkIds: LinkIds | undefined;
  /**
   * The ref of the order whose link the signed id is, if the problem is `ref` and it is another order's
   * than the delivery says. `console.log` and `JSON.stringify` do not show it.
   */
  readonly linkRef: string | undefined;
  /**
   * Whether a person is to look at it: the ledger could not decide it alone (`mismatch`, `no_order`,
   * `overpaid`), or it contradicts what was decided (`conflict`).
   */
  readonly waitsForPerson: boolean;
}

/**
 * A payment: the first genuine delivery of an order id, and what was made of it. Its ref, its
 * `linkRef`, its `lastError` and its body are not shown.
 */
export interface Payment {
  /** The payment's identity. Signed. */
  readonly orderId: string;
  /** The ref of the order that it settled; else the one that the delivery says, **not signed**. */
  readonly ref: string | undefined;
  /** The amount, as it stood in the delivery. Signed. */
  readonly amount: string;
  /** The currency that the delivery says. Where the decision is `paid`, it is the order's. */
  readonly currency: string | undefined;
  /** The status that the delivery says. **Not signed**: go by the decision. */
  readonly status: Status;
  /** What was made of it. */
  readonly decision: Decision;
  /** Whether it paid its order. What is handed to a handler otherwise is a link that timed out. */
  readonly isPaid: boolean;
  /** The field that does not fit, for `mismatch`. */
  readonly problem: string | undefined;
  /**
   * Whether the ids of links were proven when it was decided; `undefined` if a former version decided it.
   */
  readonly linkIds: LinkIds | undefined;
  /**
   * The ref of the order whose link the signed id is, if the problem is `ref` and it is another order's
   * than the delivery says.
   */
  readonly linkRef: string | undefined;
  /** When the delivery came. */
  readonly receivedAt: Date;
  /** Where it stands on its way to the handler; `undefined` where it is not for the handler. */
  readonly processing: Processing | undefined;
  /** How often it was handed to a handler, this time included. */
  readonly tries: number;
  /** How the handler failed the last time. */
  readonly lastError: string | undefined;
  /** The delivery's bytes, as they came: a `Buffer`; `undefined` once erased with `forget`. */
  readonly body: Uint8Array | undefined;
}

/** A later delivery that contradicts the first one of its order id. Its ref is not shown. */
export interface Conflict {
  /** The payment's identity. Signed. */
  readonly orderId: string;
  /** The field in which it differs. */
  readonly problem: string;
  /** The ref that it says. **Not signed.** */
  readonly ref: string | undefined;
  /** The amount that it says. Signed. */
  readonly amount: string;
  /** The currency that it says. **Not signed.** */
  readonly currency: string | undefined;
  /** The status that it says. **Not signed.** */
  readonly status: Status;
  /** When it came. */
  readonly receivedAt: Date;
}

/** A payout. Its reference, message and details are not shown. */
export interface Payout {
  /** Your own reference: the payout's identity. */
  readonly reference: string;
  /** How far it has come. */
  readonly state: PayoutState;
  /** The amount, as it was given. */
  readonly amount: string;
  /** The currency's code, in capitals. */
  readonly currency: string;
  /** The id of the payment method. */
  readonly paymentMethod: string;
  /** The provider's status, such as `approved`. */
  readonly status: string | undefined;
  /** The provider's message, or what its error said. */
  readonly message: string | undefined;
  /**
   * The recipient's data and the note, as JSON text, for the person who looks in the wallet;
   * `undefined` once erased with `forget`.
   */
  readonly details: string | undefined;
  /** When it was first asked for. */
  readonly createdAt: Date;
  /** Until when it may have left, of the last time that it was sent. */
  readonly deadline: Date | undefined;
  /** When its state became what it is. */
  readonly changedAt: Date;
}

/** What a person decided, kept for ever. Who, of what and the note are not shown. */
export interface PersonDecision {
  /** When. */
  readonly at: Date;
  /** Who. */
  readonly by: string;
  /** Which call it was. */
  readonly action: 'resolve' | 'settle' | 'retry' | 'link_ids';
  /** The payout's reference, or the payment's order id; empty for `link_ids`. */
  readonly subject: string;
  /**
   * What: `waiting` is a payment that is to be handed to the handler again; `ignored` and `checked` are
   * of the ids of links.
   */
  readonly decision: Resolution | Settlement | 'waiting' | 'ignored' | 'checked';
  /** The ref of the order that a payment was said to pay. */
  readonly ref: string | undefined;
  /** Their note; `undefined` where there was none, or once erased with `forget`. */
  readonly note: string | undefined;
}

/** How many there are of everything, by state. */
export interface Summary {
  /** Orders, by their state. */
  readonly orders: Readonly<Record<OrderState, number>>;
  /** Payments, by their decision. */
  readonly payments: Readonly<Record<Exclude<Decision, 'conflict' | 'spooled'>, number>>;
  /** Payments for the handler, by how far they are. */
  readonly processing: Readonly<Record<Processing, number>>;
  /** Payouts, by their state. */
  readonly payouts: Readonly<Record<PayoutState, number>>;
  /** Deliveries that contradict the first one of their order id. */
  readonly conflicts: number;
  /** Deliveries in quarantine: their signature did not hold. */
  readonly quarantined: number;
  /** Deliveries in this machine's spool, which the database does not know yet. */
  readonly spooled: number;
  /**
   * Whether the ids of links are proven, for the provider or simulator that the ledger's client calls;
   * without a client for the one that made the latest link.
   */
  readonly linkIds: LinkIds;
}

/** How a ledger is opened. */
export interface LedgerOptions {
  /**
   * What makes links and pays out. Its key and secret also verify deliveries, unless `webhook` is
   * given. The client can be closed while the ledger goes on.
   */
  client?: Client | null | undefined;
  /**
   * What verifies deliveries, in place of the client's key and secret: for a ledger without a client,
   * or while keys are being rotated (`Webhook.withPrevious`).
   */
  webhook?: Webhook | null | undefined;
  /**
   * The folder that keeps deliveries while the database cannot be reached. It must outlive a restart.
   * Unless given, a ledger in PostgreSQL takes the variable `KAZAWALLET_SPOOL`, else `kazawallet` in
   * the user's state folder; a ledger in SQLite has none. `false` for none: then such a delivery is
   * refused, and the provider never repeats it.
   */
  spool?: string | false | null | undefined;
  /**
   * Milliseconds after a payout's deadline from which on it may be resolved by hand: 60,000 unless
   * given. It must be longer than the clocks of your machines differ.
   */
  clockMargin?: number | null | undefined;
}

/** What an order's payment link is made with. */
export interface CreateOrderLinkOptions {
  /** Your own reference of the order: its identity. At most 1,024 bytes. */
  ref: string;
  /** What the order costs: exact text such as `'10.50'`, a `bigint` or a safe integer. */
  amount: AmountLike;
  /** The currency's code, such as `USD` or `SYP`. */
  currency: string;
  /** Where the customer's browser goes afterwards. That it arrives there proves nothing. */
  redirectUrl?: string | null | undefined;
  /** Milliseconds for the provider's answer, in place of the client's. */
  timeout?: number | null | undefined;
}

/** What a person says with a settlement. */
export interface SettleOptions {
  /** Who decides: a name that the record keeps. */
  by: string;
  /** The order that it pays, where it is not the one that the delivery names. */
  ref?: string | null | undefined;
  /** Why. */
  note?: string | null | undefined;
}

/**
 * What a person says with a resolution, when a payment is to be handed out again, or when the check of
 * link ids is switched.
 */
export interface PersonOptions {
  /** Who decides: a name that the record keeps. */
  by: string;
  /** Why. */
  note?: string | null | undefined;
}

/** How a handler is called. */
export interface ProcessOptions {
  /** After how many tries a payment is parked: 10 unless given, and 1 at least. */
  maxTries?: number | null | undefined;
  /**
   * Milliseconds before the second try: 1,000 unless given. The pause doubles with each try, up to 10
   * minutes, and is cut at random.
   */
  firstPause?: number | null | undefined;
  /**
   * How often the database is asked for payments that other processes received, in milliseconds:
   * 1,000 unless given.
   */
  pollInterval?: number | null | undefined;
  /**
   * Milliseconds for which a payment stays with a worker that died: 60,000 unless given. It is renewed
   * while the handler runs.
   */
  lease?: number | null | undefined;
  /**
   * Whether the process goes on for as long as the worker runs: `true` unless given. With `false` it
   * may end while the worker waits for a payment, as beside a server that was closed; while the handler
   * runs it goes on.
   */
  persistent?: boolean | null | undefined;
}

/** How long something that stops may take. */
export interface StopOptions {
  /** Milliseconds; without it, as long as the handler that runs takes. */
  timeout?: number | null | undefined;
}

/** How long a list is. */
export interface ListOptions {
  /** At most so many: 100 unless given. */
  limit?: number | null | undefined;
}

/** What a payout is made with. */
export interface WithdrawOptions {
  /** Your own reference of the payout: its identity. It is never sent twice. */
  reference: string;
  /** Exact text such as `'500000'`, a `bigint` or a safe integer. */
  amount: AmountLike;
  /** The currency's code, such as `SYP`. */
  currency: string;
  /** How it reaches its recipient. */
  paymentMethod: PaymentMethod;
  /** A note for the withdrawal. */
  note?: string | null | undefined;
  /** Milliseconds for the provider's answer, all tries included, in place of the client's. */
  timeout?: number | null | undefined;
}

/**
 * What a handler is: it is called with one payment at a time, and has dealt with it when its promise is
 * fulfilled. It is called again for a payment that it had before where that is not certain, so
 * let its effect be keyed by `orderId`.
 */
export type PaymentHandler = (payment: Payment) => unknown;

type Calls = typeof import('./ledger-calls.js');

const KEY = Symbol('ledger');
let calls: Calls;

/**
 * What an open ledger stands on, and how it is processed by who tells of failures in a way of its own.
 *
 * @internal
 */
export let nativeLedger: {
  of(ledger: Ledger): NativeLedger;
  number(ledger: Ledger): number;
  process(ledger: Ledger, handler: PaymentHandler, tell: Tell<Payment>): LedgerWorker;
};

/**
 * What a shop remembers of its orders, payments and payouts, in SQLite (one file, which several
 * processes of one machine may share) or in PostgreSQL: so that nothing is lost, and nothing is paid
 * twice.
 *
 * An open ledger keeps no process alive; a call that is under way does, and so does a worker. What was
 * begun runs to its end: no call takes a `signal`. Each worker thread opens a ledger of its own.
 *
 * **Each call can be rejected with a `LedgerError`**, whose `code` says why, and with a `TypeError` for
 * an argument of a wrong type or an option that is not known. What else one can come to stands with it.
 *
 * @example
 * import { Ledger } from 'kazawallet';
 * import { Simulator } from 'kazawallet/testing';
 *
 * const sim = await Simulator.start();
 * // Reads KAZAWALLET_LEDGER, such as sqlite:///var/lib/shop/kazawallet.db
 * const ledger = await Ledger.open({ client: sim.client() });
 *
 * // 1. Where the customer pays. The same ref gives the same link.
 * const order = { ref: 'order-42', amount: '10.50', currency: 'USD' };
 * const link = await ledger.createPaymentLink(order);
 * (await ledger.createPaymentLink(order)).url === link.url; // true
 *
 * // 2. In the webhook's route: answer 200 once this has returned.
 * const [delivery] = await sim.pay(link.url);
 * const receipt = await ledger.receive(delivery.body);
 * receipt.decision; // 'paid'
 *
 * // 3. Beside the web server: your code, for each payment that was decided.
 * const worker = ledger.process(async (payment) => {
 *   console.log(payment.ref, payment.isPaid);
 * });
 *
 * // When the process ends:
 * await worker.stop();
 * await ledger.close();
 * await sim.stop();
 */
export class Ledger {
  static {
    nativeLedger = {
      of: (ledger) => ledger.#native,
      number: (ledger) => calls.numberOf(ledger.#native),
      // It is the server that keeps the process alive.
      process: (ledger, handler, tell) =>
        calls.process(ledger.#native, handler, { persistent: false }, tell),
    };
  }

  readonly #native: NativeLedger;

  private constructor(key: typeof KEY, opened: NativeLedger) {
    if (key !== KEY) {
      throw new TypeError('a ledger is opened with `await Ledger.open(url, { client })`');
    }
    this.#native = opened;
  }

  /**
   * Opens a ledger: makes the database where there is none, and brings its tables up to date.
   *
   * @param url `sqlite:///var/lib/shop/kazawallet.db`, or `postgres://user:password@host/database`.
   *   Else the environment variable `KAZAWALLET_LEDGER`; then the options may stand in its place.
   *
   * @throws ConfigurationError for a URL or an option that no ledger can be opened with.
   * @throws LedgerError `ledger_unavailable`, `ledger_full`, `ledger_read_only`, `ledger_version`,
   *   `ledger_damaged` for a database that cannot be opened.
   * @throws TypeError for an option that is not known or has the wrong type.
   */
  static async open(
    url?: string | LedgerOptions | null,
    settings?: LedgerOptions,
  ): Promise<Ledger> {
    calls ??= require('./ledger-calls.js') as Calls;
    return new Ledger(KEY, await calls.open(url, settings));
  }

  /**
   * Records what an order must cost, then makes its payment link.
   *
   * The same ref with the same terms gives the same link, without a second call to the provider, also
   * while another process is making it. After a link timed out, the same ref makes a new one.
   *
   * @throws ValidationError before anything is sent: without a ref, with a ref that was given
   *   other terms before (field `amount` or `currency`), and for what `paymentLinks.create` refuses.
   * @throws ConfigurationError for a ledger that was opened without a client.
   * @throws APIConnectionError, APITimeoutError, UnexpectedResponseError, APIError as
   *   `paymentLinks.create`. Calling again is safe.
   * @throws LedgerError where the ledger cannot record it.
   */
  createPaymentLink(order: CreateOrderLinkOptions): Promise<OrderLink>;
  async createPaymentLink(order: CreateOrderLinkOptions, ...more: unknown[]): Promise<OrderLink> {
    return await calls.createPaymentLink(this.#native, order, more);
  }

  /**
   * The order with this ref; `undefined` where there is none.
   *
   * @throws LedgerError where the database cannot be read.
   */
  async order(ref: string): Promise<OrderRecord | undefined> {
    return await calls.order(this.#native, ref);
  }

  /**
   * Verifies a delivery, holds it against its order, decides it and stores it. **Answer the webhook
   * with 200 once this has returned**, whatever the decision is; with 500 for a `LedgerError`. It may
   * be called for several deliveries at once.
   *
   * The `orderId` is the payment's identity: its first genuine delivery decides, and it settles one
   * order at most.
   *
   * @param body The raw body, before any parser, as for `Webhook.verify`.
   *
   * @throws SignatureVerificationError where no key signed it. It is kept in a small quarantine, and
   *   changes nothing: see `reverify`.
   * @throws WebhookPayloadError where the body cannot be read. It goes to the quarantine, too.
   * @throws ConfigurationError for a ledger that was opened without a webhook, and without a client
   *   that has a secret.
   * @throws LedgerError where it could not be stored; with a spool, only where that failed, too.
   * @throws TypeError where the body is something that was already parsed.
   */
  async receive(body: Uint8Array | ArrayBuffer | string): Promise<Receipt> {
    return await calls.receive(this.#native, body);
  }

  /**
   * The payment with this order id; `undefined` where there is none.
   *
   * @throws LedgerError where the database cannot be read.
   */
  async payment(orderId: string): Promise<Payment | undefined> {
    return await calls.payment(this.#native, orderId);
  }

  /**
   * A person decides what the ledger could not: a payment that does not fit (`mismatch`), has no order
   * (`no_order`) or pays twice (`overpaid`).
   *
   * @throws LedgerError `ledger_not_found` where no payment has this order id, `ledger_state` where
   *   it is decided already, or the order that it is to pay is missing or paid.
   * @throws ValidationError for a blank `by`, and for a decision that is none.
   */
  async settle(orderId: string, decision: Settlement, settings: SettleOptions): Promise<Payment> {
    return await calls.settle(this.#native, orderId, decision, settings);
  }

  /**
   * A person switches the check of link ids off (`false`), or on again; see `LinkIds`. It is on in a new
   * ledger. Who switched it, and when, is kept for ever.
   *
   * Switch it off if genuine payments are decided as a `mismatch` of `orderId` or `ref` although the
   * wallet shows that they are right: then the provider numbers its links and its deliveries apart, and
   * a proof was an accident. What was decided before stays as it is: see `settle`.
   *
   * @throws ValidationError for a `by` that is blank, or too long.
   * @throws LedgerError where the database cannot be written.
   * @throws TypeError for a `check` that is no boolean.
   */
  async setLinkIdCheck(check: boolean, settings: PersonOptions): Promise<void> {
    await calls.setLinkIdCheck(this.#native, check, settings);
  }

  /**
   * Verifies again what is in quarantine, and receives what holds now: after a key was rotated and the
   * ledger did not know it. Gives the receipts.
   *
   * @throws ConfigurationError as `receive`.
   * @throws LedgerError where the database cannot be reached.
   */
  async reverify(): Promise<readonly Receipt[]> {
    return await calls.reverify(this.#native);
  }

  /**
   * Hands each decided payment to your code, at least once: those that paid an order, and those that
   * tell of a link that timed out (`payment.isPaid` is false). The oldest comes first; a worker hands
   * out one at a time, and no other worker has it meanwhile, in whatever process or machine.
   *
   * Where the handler throws, the payment comes again after a pause, and is parked after `maxTries`.
   *
   * @throws ValidationError for an option that cannot be used.
   * @throws TypeError for a handler that is no function.
   *
   * @example
   * import { Ledger } from 'kazawallet';
   * import { Simulator } from 'kazawallet/testing';
   *
   * const sim = await Simulator.start();
   * const ledger = await Ledger.open({ client: sim.client() });
   * const worker = ledger.process(
   *   async (payment) => {
   *     if (payment.isPaid) {
   *       console.log('ship', payment.ref);
   *     }
   *   },
   *   { maxTries: 5 },
   * );
   *
   * // When the process is to end:
   * await worker.stop();
   * await ledger.close();
   * await sim.stop();
   */
  process(handler: PaymentHandler, settings?: ProcessOptions): LedgerWorker {
    return calls.process(this.#native, handler, settings);
  }

  /**
   * The payments that are due, oldest first, for a loop of your own or a cron job. Each is held for a
   * minute, in which nobody else gets it; then it comes again, unless `markProcessed` was called.
   *
   * @throws LedgerError where the database cannot be reached.
   */
  async pending(settings?: ListOptions): Promise<readonly Payment[]> {
    return await calls.pending(this.#native, settings);
  }

  /**
   * Your code has dealt with this payment: it does not come again.
   *
   * @throws LedgerError `ledger_not_found` where there is no such payment, `ledger_state` where it is
   *   not for a handler, or a person settled it and it was not handed over since.
   */
  async markProcessed(orderId: string): Promise<void> {
    await calls.markProcessed(this.#native, orderId);
  }

  /**
   * A person has a parked payment handed to the handler again.
   *
   * @throws LedgerError `ledger_not_found` where there is no such payment, `ledger_state` where it is
   *   not parked.
   * @throws ValidationError for a blank `by`.
   */
  async retry(orderId: string, settings: PersonOptions): Promise<Payment> {
    return await calls.retry(this.#native, orderId, settings);
  }

  /**
   * Pays out, once for this reference. Asked again, also by another process at the same time, it gives
   * the recorded result, or is rejected as it was the first time.
   *
   * It is sent again only where it is certain that nothing has left before (`not_sent`). `paid`,
   * `rejected` and `not_paid` are final: paying again takes a new reference.
   *
   * @throws OutcomeUnknownError where it was sent, and no conclusive answer came; and each time
   *   after that until a person says with `resolve` what became of it. **Money may have moved.**
   * @throws ValidationError before anything is sent: for a reference that was given other terms before
   *   (field `reference`), and for what `withdrawals.create` refuses.
   * @throws ConfigurationError for a ledger that was opened without a client.
   * @throws APIConnectionError, APITimeoutError where nothing was sent. Calling again is safe.
   * @throws APIError where the provider said no; its classes say why.
   * @throws LedgerError `ledger_state` where a person said that it was not paid. With outcome
   *   `unknown` where it was sent, and its answer could not be recorded.
   *
   * @example
   * import { Ledger, PaymentMethod } from 'kazawallet';
   * import { Simulator } from 'kazawallet/testing';
   *
   * const sim = await Simulator.start();
   * const ledger = await Ledger.open({ client: sim.client() });
   * const salary = {
   *   reference: 'salary-may-7',
   *   amount: '10',
   *   currency: 'USD',
   *   paymentMethod: PaymentMethod.syCash({ phone: '0933123456' }),
   * };
   * (await ledger.withdraw(salary)).state; // 'paid'
   * (await ledger.withdraw(salary)).state; // 'paid'
   * sim.balance('USD'); // '990.00'
   * await ledger.close();
   * await sim.stop();
   */
  withdraw(payout: WithdrawOptions): Promise<Payout>;
  async withdraw(payout: WithdrawOptions, ...more: unknown[]): Promise<Payout> {
    return await calls.withdraw(this.#native, payout, more);
  }

  /**
   * The payout with this reference; `undefined` where there is none.
   *
   * @throws LedgerError where the database cannot be read.
   */
  async payout(reference: string): Promise<Payout | undefined> {
    return await calls.payout(this.#native, reference);
  }

  /**
   * A person who has looked in the wallet says what became of a payout whose outcome is unknown.
   *
   * @throws LedgerError `ledger_not_found` where there is no such payout, `ledger_state` where its
   *   outcome is known, or its deadline and the ledger's `clockMargin` are not over.
   * @throws ValidationError for a blank `by`, and for a decision that is none.
   */
  async resolve(reference: string, decision: Resolution, settings: PersonOptions): Promise<Payout> {
    return await calls.resolve(this.#native, reference, decision, settings);
  }

  /**
   * The orders that have had a link for longer than this, and no webhook; oldest first.
   *
   * @param olderThan Milliseconds.
   *
   * @throws ValidationError for a negative age.
   * @throws LedgerError where the database cannot be read.
   */
  async overdue(olderThan: number, settings?: ListOptions): Promise<readonly OrderRecord[]> {
    return await calls.overdue(this.#native, olderThan, settings);
  }

  /**
   * The payments that wait for a person: `mismatch`, `no_order`, `overpaid`; oldest first.
   *
   * @throws LedgerError where the database cannot be read.
   */
  async unsettled(settings?: ListOptions): Promise<readonly Payment[]> {
    return await calls.unsettled(this.#native, settings);
  }

  /**
   * The payments whose handler failed too often, oldest first: see `retry`.
   *
   * @throws LedgerError where the database cannot be read.
   */
  async parked(settings?: ListOptions): Promise<readonly Payment[]> {
    return await calls.parked(this.#native, settings);
  }

  /**
   * The payouts whose outcome is unknown, oldest first: see `resolve`.
   *
   * @throws LedgerError where the database cannot be read.
   */
  async unresolved(settings?: ListOptions): Promise<readonly Payout[]> {
    return await calls.unresolved(this.#native, settings);
  }

  /**
   * The deliveries that contradict the first one of their order id, newest first.
   *
   * @throws LedgerError where the database cannot be read.
   */
  async conflicts(settings?: ListOptions): Promise<readonly Conflict[]> {
    return await calls.conflicts(this.#native, settings);
  }

  /**
   * What people decided, newest first.
   *
   * @throws LedgerError where the database cannot be read.
   */
  async decisions(settings?: ListOptions): Promise<readonly PersonDecision[]> {
    return await calls.decisions(this.#native, settings);
  }

  /**
   * How many there are of everything, by state.
   *
   * @throws LedgerError where the database cannot be read.
   */
  async summary(): Promise<Summary> {
    return await calls.summary(this.#native);
  }

  /**
   * Erases names, phones, emails and bodies of what was settled before then, and the quarantine from
   * before then. References, order ids, states and digests stay for ever: without them a payment could
   * repeat. Gives how many records it erased something of.
   *
   * @throws LedgerError where the database cannot be written.
   * @throws TypeError for what is no `Date`, or an invalid one.
   */
  async forget(before: Date): Promise<number> {
    return await calls.forget(this.#native, before);
  }

  /**
   * Stops the workers, waits for their handlers, and closes the connections. What is under way comes to
   * its end; what is called later is rejected with a `LedgerError`, `ledger_unavailable`. Closing twice
   * does nothing.
   *
   * A handler can close its own ledger, which waits for the other handlers alone: better let it end
   * first, since nobody can record then that it did, and its payment comes again.
   */
  async close(): Promise<void> {
    await calls.close(this.#native);
  }

  /** Closes it, at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
