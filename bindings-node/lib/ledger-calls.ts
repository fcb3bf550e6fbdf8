// What the ledger's methods do. It is loaded when the first ledger is opened, and takes what it shares
// with the rest of the package from the file that is loaded first.

import { AsyncLocalStorage } from 'node:async_hooks';
import { types } from 'node:util';

import type {
  Conflict,
  OrderLink,
  OrderRecord,
  Payment,
  PaymentHandler,
  Payout,
  PersonDecision,
  Receipt,
  StopOptions,
  Summary,
} from './ledger.js';
import {
  amountText,
  ask,
  ConfigurationError,
  count,
  environment,
  type Given,
  isAbsent,
  isObject,
  milliseconds,
  native,
  nativeConnection,
  nativePaymentMethod,
  nativeWebhook,
  optionalFlag,
  optionalOptionText,
  optionalText,
  options,
  own,
  pause,
  paymentEvent,
  rawBytes,
  refuseHandler,
  stopTimeout,
  tell,
  tellOf,
  text,
  typeName,
  ValidationError,
  wellFormedText,
  wrongType,
} from './loaded.js';
import type {
  Handover,
  LedgerAnswer,
  Count as NativeCount,
  Ledger as NativeLedger,
  Receipt as NativeReceipt,
} from './native-module.js';
import type { Tell } from './reports.js';

const OPEN = ['client', 'webhook', 'spool', 'clockMargin'];
const CREATE_PAYMENT_LINK = ['ref', 'amount', 'currency', 'redirectUrl', 'timeout'];
const SETTLE = ['by', 'ref', 'note'];
const PERSON = ['by', 'note'];
const PROCESS = ['maxTries', 'firstPause', 'pollInterval', 'lease', 'persistent'];
const LIST = ['limit'];
const WITHDRAW = ['reference', 'amount', 'currency', 'paymentMethod', 'note', 'timeout'];

const USUAL_LIMIT = 100;

export async function open(url: unknown, settings: unknown): Promise<NativeLedger> {
  const optionsAlone = isObject(url);
  if (optionsAlone && settings !== undefined) {
    throw new TypeError('Ledger.open takes one object of options, behind the URL or alone');
  }
  const given = options('Ledger.open', optionsAlone ? url : settings, OPEN);
  const { client, webhook, spool } = given;
  const how = {
    url: optionsAlone ? undefined : optionalOptionText('url', url),
    spool: spool === false ? undefined : optionalOptionText('spool', spool),
    noSpool: spool === false,
    clockMargin: pause('clockMargin', given['clockMargin'], ConfigurationError),
  };
  const connection = isAbsent(client) ? undefined : nativeConnection('client', client);
  const verifier = isAbsent(webhook) ? undefined : nativeWebhook('webhook', webhook);
  let number = 0;
  const answer = await ask((call) => {
    number = call.id;
    return native.openLedger(call.calls, call.id, how, connection, verifier, environment());
  });
  const opened = answer.opened as NativeLedger;
  numbers.set(opened, number);
  return opened;
}

const numbers = new WeakMap<NativeLedger, number>();

/** What a ledger tells is told with this number. */
export function numberOf(ledger: NativeLedger): number {
  return numbers.get(ledger) ?? 0;
}

export async function createPaymentLink(
  ledger: NativeLedger,
  order: unknown,
  surplus: readonly unknown[],
): Promise<OrderLink> {
  const given = options('ledger.createPaymentLink', order, CREATE_PAYMENT_LINK, surplus);
  const timeout = milliseconds('timeout', given['timeout']);
  // Without a ref it is refused by the core, by name.
  const ref = optionalText('ref', given['ref']);
  const amount = amountText('amount', given['amount']);
  const currency = text('currency', given['currency']);
  const redirectUrl = optionalText('redirectUrl', given['redirectUrl']);
  const { link } = await ask(({ calls, id }) =>
    ledger.createPaymentLink(calls, id, timeout, ref, amount, currency, redirectUrl),
  );
  return record<OrderLink>(link, { url: HIDDEN, id: SHOWN, ref: HIDDEN, state: SHOWN });
}

export async function order(ledger: NativeLedger, ref: unknown): Promise<OrderRecord | undefined> {
  const named = text('ref', ref);
  return orders(await ask(({ calls, id }) => ledger.order(calls, id, named)))[0];
}

export async function receive(ledger: NativeLedger, body: unknown): Promise<Receipt> {
  const bytes = typeof body === 'string' ? Buffer.from(wellFormedText(body)) : rawBytes(body);
  const answer = await ask(({ calls, id }) => ledger.receive(calls, id, bytes));
  return receipts(ledger, answer)[0] as Receipt;
}

export async function payment(
  ledger: NativeLedger,
  orderId: unknown,
): Promise<Payment | undefined> {
  const named = text('orderId', orderId);
  return payments(await ask(({ calls, id }) => ledger.payment(calls, id, named)))[0];
}

export async function settle(
  ledger: NativeLedger,
  orderId: unknown,
  decision: unknown,
  settings: unknown,
): Promise<Payment> {
  const [named, decided] = [text('orderId', orderId), text('decision', decision)];
  const given = options('settle', settings, SETTLE);
  const ref = optionalText('ref', given['ref']);
  const [by, note] = person(given);
  const answer = await ask(({ calls, id }) =>
    ledger.settle(calls, id, named, decided, ref, by, note),
  );
  return payments(answer)[0] as Payment;
}

export async function setLinkIdCheck(
  ledger: NativeLedger,
  check: unknown,
  settings: unknown,
): Promise<void> {
  if (typeof check !== 'boolean') {
    throw wrongType('check', 'a boolean', check);
  }
  const [by, note] = person(options('setLinkIdCheck', settings, PERSON));
  await ask(({ calls, id }) => ledger.setLinkIdCheck(calls, id, check, by, note));
}

export async function reverify(ledger: NativeLedger): Promise<readonly Receipt[]> {
  return receipts(ledger, await ask(({ calls, id }) => ledger.reverify(calls, id)));
}

export function process(
  ledger: NativeLedger,
  handler: unknown,
  settings: unknown,
  heard: Tell<Payment> = (report) => tellOf(numberOf(ledger), report),
): LedgerWorker {
  refuseHandler(handler);
  const given = options('process', settings, PROCESS);
  const persistent = optionalFlag('persistent', given['persistent']) ?? true;
  const handover = ledger.handover(
    count('maxTries', given['maxTries'], ValidationError, 1),
    pause('firstPause', given['firstPause']),
    pause('pollInterval', given['pollInterval']),
    pause('lease', given['lease']),
  );
  if (closing.has(ledger)) {
    handover.stop(); // It would begin what nobody waits for.
  }
  const work = { ledger, handover, heard, handling: undefined, leave: () => {}, left: false };
  return new LedgerWorker(KEY, work, handler as PaymentHandler, persistent);
}

export async function pending(
  ledger: NativeLedger,
  settings: unknown,
): Promise<readonly Payment[]> {
  const limit = limitOf('pending', settings);
  return payments(await ask(({ calls, id }) => ledger.pending(calls, id, limit)));
}

export async function markProcessed(ledger: NativeLedger, orderId: unknown): Promise<void> {
  const named = text('orderId', orderId);
  await ask(({ calls, id }) => ledger.markProcessed(calls, id, named));
}

export async function retry(
  ledger: NativeLedger,
  orderId: unknown,
  settings: unknown,
): Promise<Payment> {
  const named = text('orderId', orderId);
  const [by, note] = person(options('retry', settings, PERSON));
  const answer = await ask(({ calls, id }) => ledger.retry(calls, id, named, by, note));
  return payments(answer)[0] as Payment;
}

export async function withdraw(
  ledger: NativeLedger,
  payout: unknown,
  surplus: readonly unknown[],
): Promise<Payout> {
  const given = options('ledger.withdraw', payout, WITHDRAW, surplus);
  const timeout = milliseconds('timeout', given['timeout']);
  const reference = text('reference', given['reference']);
  const amount = amountText('amount', given['amount']);
  const currency = text('currency', given['currency']);
  const method = nativePaymentMethod('paymentMethod', given['paymentMethod']);
  const note = optionalText('note', given['note']);
  const answer = await ask(({ calls, id }) =>
    ledger.withdraw(calls, id, timeout, reference, amount, currency, method, note),
  );
  return payouts(answer)[0] as Payout;
}

export async function payout(
  ledger: NativeLedger,
  reference: unknown,
): Promise<Payout | undefined> {
  const named = text('reference', reference);
  return payouts(await ask(({ calls, id }) => ledger.payout(calls, id, named)))[0];
}

export async function resolve(
  ledger: NativeLedger,
  reference: unknown,
  decision: unknown,
  settings: unknown,
): Promise<Payout> {
  const [named, decided] = [text('reference', reference), text('decision', decision)];
  const [by, note] = person(options('resolve', settings, PERSON));
  const answer = await ask(({ calls, id }) => ledger.resolve(calls, id, named, decided, by, note));
  return payouts(answer)[0] as Payout;
}

export async function overdue(
  ledger: NativeLedger,
  olderThan: unknown,
  settings: unknown,
): Promise<readonly OrderRecord[]> {
  const age = pause('olderThan', olderThan);
  if (age === undefined) {
    throw wrongType('olderThan', 'a number of milliseconds', olderThan);
  }
  const limit = limitOf('overdue', settings);
  return orders(await ask(({ calls, id }) => ledger.overdue(calls, id, age, limit)));
}

export async function unsettled(
  ledger: NativeLedger,
  settings: unknown,
): Promise<readonly Payment[]> {
  const limit = limitOf('unsettled', settings);
  return payments(await ask(({ calls, id }) => ledger.unsettled(calls, id, limit)));
}

export async function parked(ledger: NativeLedger, settings: unknown): Promise<readonly Payment[]> {
  const limit = limitOf('parked', settings);
  return payments(await ask(({ calls, id }) => ledger.parked(calls, id, limit)));
}

export async function unresolved(
  ledger: NativeLedger,
  settings: unknown,
): Promise<readonly Payout[]> {
  const limit = limitOf('unresolved', settings);
  return payouts(await ask(({ calls, id }) => ledger.unresolved(calls, id, limit)));
}

export async function conflicts(
  ledger: NativeLedger,
  settings: unknown,
): Promise<readonly Conflict[]> {
  const limit = limitOf('conflicts', settings);
  const answer = await ask(({ calls, id }) => ledger.conflicts(calls, id, limit));
  return records<Conflict>(own(answer, 'conflicts'), {
    orderId: SHOWN,
    problem: SHOWN,
    ref: HIDDEN,
    amount: SHOWN,
    currency: SHOWN,
    status: SHOWN,
    receivedAt: TIME,
  });
}

export async function decisions(
  ledger: NativeLedger,
  settings: unknown,
): Promise<readonly PersonDecision[]> {
  const limit = limitOf('decisions', settings);
  const answer = await ask(({ calls, id }) => ledger.decisions(calls, id, limit));
  return records<PersonDecision>(own(answer, 'decisions'), {
    at: TIME,
    by: HIDDEN,
    action: SHOWN,
    subject: HIDDEN,
    decision: SHOWN,
    ref: HIDDEN,
    note: HIDDEN,
  });
}

export async function summary(ledger: NativeLedger): Promise<Summary> {
  const answer = await ask(({ calls, id }) => ledger.summary(calls, id));
  const told = answer.summary as NonNullable<LedgerAnswer['summary']>;
  const byState = (counts: readonly NativeCount[]) =>
    Object.freeze(Object.fromEntries(counts.map(({ of, number }) => [of, number])));
  return Object.freeze({
    orders: byState(told.orders),
    payments: byState(told.payments),
    processing: byState(told.processing),
    payouts: byState(told.payouts),
    conflicts: told.conflicts,
    quarantined: told.quarantined,
    spooled: told.spooled,
    linkIds: told.linkIds,
  }) as Summary;
}

export async function forget(ledger: NativeLedger, before: unknown): Promise<number> {
  if (!types.isDate(before)) {
    throw wrongType('before', 'a Date', before);
  }
  const moment = Date.prototype.getTime.call(before);
  if (Number.isNaN(moment)) {
    throw new TypeError('`before` must be a valid Date');
  }
  const answer = await ask(({ calls, id }) => ledger.forget(calls, id, moment));
  return own(answer, 'count') ?? 0;
}

/** The ledgers that are being closed, or are closed. */
const closing = new WeakMap<NativeLedger, Promise<void>>();

export async function close(ledger: NativeLedger): Promise<void> {
  const begun = closing.get(ledger);
  if (begun === undefined) {
    const end = stopAndClose(ledger);
    closing.set(ledger, end);
    await end;
  } else if (!workersOf(ledger).some(isCalledByItsHandler)) {
    await begun; // Else it waits for that handler.
  }
}

async function stopAndClose(ledger: NativeLedger): Promise<void> {
  // One that failed must not keep the database open.
  await Promise.allSettled(workersOf(ledger).map((work) => stopped(work)));
  await ask(({ calls, id }) => ledger.close(calls, id));
}

const KEY = Symbol('worker');

/**
 * A worker that hands payments to your handler: `Ledger.process` starts one. Unless it was started with
 * `persistent: false`, it keeps the process alive until it is stopped, or its ledger is closed.
 */
export class LedgerWorker {
  readonly #work: Work;

  /** @internal */
  constructor(
    key: typeof KEY,
    work: Omit<Work, 'ended'>,
    handler: PaymentHandler,
    persistent: boolean,
  ) {
    if (key !== KEY) {
      throw new TypeError('a worker is started with `ledger.process(handler)`');
    }
    this.#work = { ...work, ended: Promise.resolve() };
    this.#work.ended = handOut(this.#work, handler, persistent);
  }

  /**
   * Takes no further payment, and waits for the handler that runs; inside of that handler it waits for
   * nothing. Stopping twice does nothing. If it takes longer than a second, a warning says which payment is
   * waited for.
   *
   * @param settings With a `timeout` it waits no longer than that. The payment of a handler that has not
   *   ended by then is given back: that counts as a failed try, and a warning says so. The handler itself
   *   goes on, and keeps the process alive no longer.
   *
   * @returns whether the handler ended.
   * @throws TypeError, ValidationError for a time-out that is none.
   */
  async stop(settings?: StopOptions): Promise<boolean> {
    return await stopped(this.#work, stopTimeout('stop', settings));
  }

  /** Stops it, at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** The longest that a timer can wait, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

/** What a worker does. */
interface Work {
  ledger: NativeLedger;
  handover: Handover;
  heard: Tell<Payment>;
  /** Stands for the call of the handler that runs. */
  handling: object | undefined;
  /** Ends the waiting for the handler that runs. */
  leave: () => void;
  /** Whether a stop did not wait for the handler's end. */
  left: boolean;
  ended: Promise<void>;
}

/**
 * A ledger that is closed waits for its workers. And a handler may wait for what nothing refers to: else it
 * would be forgotten, and its worker with it, which would give up its payment.
 */
const atWork = new Set<Work>();

/** Tells which call of a handler, of whatever worker, the code that runs belongs to. */
const handling = new AsyncLocalStorage<object>();

function workersOf(ledger: NativeLedger): Work[] {
  return [...atWork].filter((work) => work.ledger === ledger);
}

/** What a handler started, and left behind, does not belong to it any more. */
function isCalledByItsHandler(work: Work): boolean {
  return work.handling !== undefined && work.handling === handling.getStore();
}

/** Ends a worker, whose own handler cannot wait for that. */
async function stopped(work: Work, timeout?: number): Promise<boolean> {
  work.handover.stop();
  if (isCalledByItsHandler(work)) {
    return true;
  }
  const { stopped: ended } = await ask(({ calls, id }) =>
    work.handover.stopped(calls, id, timeout),
  );
  if (ended === false) {
    work.left = true;
    atWork.delete(work);
    work.leave();
  } else if (!work.left) {
    await keepingAlive(work.ended);
  }
  return !work.left;
}

/** Hands out one payment after the other, until there is none any more. */
async function handOut(work: Work, handler: PaymentHandler, persistent: boolean): Promise<void> {
  const { handover } = work;
  atWork.add(work);
  let problem: string | undefined;
  try {
    for (;;) {
      const answer = await ask(({ calls, id }) => handover.next(calls, id, persistent));
      const [payment] = payments(answer);
      if (payment === undefined) {
        return;
      }
      let failure: { error: unknown; payment: Payment } | undefined;
      work.handling = {};
      const left = new Promise<void>((resolve) => {
        work.leave = resolve;
      });
      const handled = (async () => handling.run(work.handling as object, handler, payment))();
      handled.catch(() => {}); // If it is left, nobody listens to it.
      try {
        await keepingAlive(Promise.race([handled, left]));
      } catch (error) {
        failure = { error, payment };
      }
      work.handling = undefined;
      const told = await ask(({ calls, id }) =>
        failure === undefined
          ? handover.done(calls, id)
          : handover.failed(calls, id, ...described(failure.error)),
      );
      const report = own(told, 'report');
      if (report !== undefined) {
        tell(report, (heard) => work.heard(heard, failure as never));
      }
    }
  } catch (error) {
    problem = described(error).join(': ');
  } finally {
    atWork.delete(work);
    handover.leave(problem);
  }
}

/** Waits for what may itself keep no process alive. */
async function keepingAlive(work: unknown): Promise<void> {
  const alive = setInterval(() => {}, LONGEST);
  try {
    await work;
  } finally {
    clearInterval(alive);
  }
}

/** The kind of what a handler threw, which may be anything, and its message. */
function described(thrown: unknown): [kind: string, message: string] {
  try {
    if (thrown instanceof Error || types.isNativeError(thrown)) {
      return [`${thrown.name}`.toWellFormed(), `${thrown.message}`.toWellFormed()];
    }
    return [typeName(thrown), `${thrown}`.toWellFormed()];
  } catch {
    return ['what has no text', ''];
  }
}

/** What a person says: who, and why. */
function person(given: Given): [by: string, note: string | undefined] {
  return [text('by', given['by']), optionalText('note', given['note'])];
}

function limitOf(owner: string, settings: unknown): number {
  return count('limit', options(owner, settings, LIST)['limit'], ValidationError) ?? USUAL_LIMIT;
}

/** Shown by `console.log` and `JSON.stringify`. */
const SHOWN = 'shown';
/** It may be a person's data, or lead to it: it is there to be read, and is not shown. */
const HIDDEN = 'hidden';
/** Shown; it comes as milliseconds since 1970. */
const TIME = 'time';
/** Hidden; it comes as text. */
const BYTES = 'bytes';

type Fields<T> = Readonly<
  Record<keyof T, typeof SHOWN | typeof HIDDEN | typeof TIME | typeof BYTES>
>;

/** What the native part told, as an object that nobody can change. */
function record<T extends object>(told: object | undefined, fields: Fields<T>): T {
  const made = {};
  for (const [name, kind] of Object.entries(fields)) {
    const value = told && own(told as Record<string, unknown>, name);
    const enumerable = kind === SHOWN || kind === TIME;
    Object.defineProperty(
      made,
      name,
      kind === BYTES && value !== undefined
        ? { enumerable, get: () => Buffer.from(value as string) }
        : {
            enumerable,
            value: kind === TIME && value !== undefined ? new Date(value as number) : value,
          },
    );
  }
  return Object.freeze(made) as T;
}

function records<T extends object>(
  told: readonly object[] | undefined,
  fields: Fields<T>,
): readonly T[] {
  return (told ?? []).map((one) => record(one, fields));
}

function orders(answer: LedgerAnswer): readonly OrderRecord[] {
  return records<OrderRecord>(own(answer, 'orders'), {
    ref: HIDDEN,
    amount: SHOWN,
    currency: SHOWN,
    state: SHOWN,
    url: HIDDEN,
    linkId: SHOWN,
    paidBy: SHOWN,
    createdAt: TIME,
    linkAt: TIME,
    paidAt: TIME,
  });
}

function receipts(ledger: NativeLedger, answer: LedgerAnswer): readonly Receipt[] {
  const told: readonly NativeReceipt[] = own(answer, 'receipts') ?? [];
  const webhook = told.length > 0 ? ledger.webhook() : null;
  return told.map((receipt) => {
    // What verified it is there.
    const event = paymentEvent(receipt.event, webhook as NonNullable<typeof webhook>);
    return record<Receipt>(
      { ...receipt, event },
      {
        event: SHOWN,
        decision: SHOWN,
        duplicate: SHOWN,
        problem: SHOWN,
        linkIds: SHOWN,
        linkRef: HIDDEN,
        waitsForPerson: SHOWN,
      },
    );
  });
}

function payments(answer: LedgerAnswer): readonly Payment[] {
  return records<Payment>(own(answer, 'payments'), {
    orderId: SHOWN,
    ref: HIDDEN,
    amount: SHOWN,
    currency: SHOWN,
    status: SHOWN,
    decision: SHOWN,
    isPaid: SHOWN,
    problem: SHOWN,
    linkIds: SHOWN,
    linkRef: HIDDEN,
    receivedAt: TIME,
    processing: SHOWN,
    tries: SHOWN,
    lastError: HIDDEN,
    body: BYTES,
  });
}

function payouts(answer: LedgerAnswer): readonly Payout[] {
  return records<Payout>(own(answer, 'payouts'), {
    reference: HIDDEN,
    state: SHOWN,
    amount: SHOWN,
    currency: SHOWN,
    paymentMethod: SHOWN,
    status: SHOWN,
    message: HIDDEN,
    details: HIDDEN,
    createdAt: TIME,
    deadline: TIME,
    changedAt: TIME,
  });
}
