// Calls of the native part, awaited. Answers come in batches: the native part wakes this thread once
// for all that have arrived.

import { channel } from 'node:diagnostics_channel';

import { fromCore } from './errors.js';
import { native, own } from './native.js';
import type { CallRecord, Calls, CoreError, Ended, LedgerAnswer } from './native-module.js';
import type { Outcome } from './outcome.js';
import { tellOf } from './reports.js';

/** One message a call, for logs and metrics. No person's data is in it. */
const finished = channel('kazawallet:call');

/** What the native part is told of a call. */
export interface CallStart {
  calls: Calls;
  id: number;
  /** Whether somebody listens for what there is to say of it at its end. */
  recorded: boolean;
}

/** What a call came to. */
interface End extends Ended {
  /** The caller's signal ended the waiting. */
  aborted?: { reason: unknown };
}

/** What the `node:diagnostics_channel` named `kazawallet:call` carries of each call. */
export interface CallMessage {
  /** The endpoint's path; of a raw request its first segment. */
  endpoint: string;
  /** The HTTP status of the last answer; `undefined` where none came. */
  status: number | undefined;
  /** Milliseconds. */
  duration: number;
  /** How many tries were begun. */
  attempts: number;
  /** `ok`, an error's `outcome`, or `cancelled` for a call that its caller gave up. */
  outcome: Outcome | 'ok' | 'cancelled';
}

const waiting = new Map<number, (end: End) => void>();
let calls: Calls | undefined;
let lastId = 0;

/**
 * Makes a call, and gives what it came to: see `succeeded`.
 *
 * @throws what keeps it from being made.
 */
export function ended(
  start: (call: CallStart) => CoreError | null,
  signal?: AbortSignal,
): Promise<End> {
  if (signal?.aborted) {
    throw signal.reason;
  }
  calls ??= new native.Calls(deliver);
  lastId = (lastId + 1) >>> 0;
  const call = { calls, id: lastId, recorded: finished.hasSubscribers };
  const stopListening = signal && onAbort(signal, () => giveUp(call, signal.reason));
  const end = new Promise<End>((resolve) => {
    waiting.set(call.id, resolve);
  });
  let begun = false;
  try {
    const refused = start(call);
    if (refused !== null) {
      throw fromCore(refused);
    }
    begun = true;
  } finally {
    if (!begun) {
      waiting.delete(call.id);
      stopListening?.();
    }
  }
  return call.recorded || stopListening ? observed(end, stopListening) : end;
}

/**
 * The end of a call that brought what it was made for. It is asked where the call was made, so that
 * an error's stack names the line that awaits it.
 *
 * @throws the error that it came to, or `signal.reason` where the signal was aborted and nothing goes
 *   on.
 */
export function succeeded(end: End): Ended {
  const [failed, aborted] = [own(end, 'error'), own(end, 'aborted')];
  if (failed !== undefined) {
    const error = fromCore(failed, aborted);
    Error.captureStackTrace?.(error, succeeded);
    throw error;
  }
  if (aborted !== undefined) {
    throw aborted.reason;
  }
  return end;
}

/** Asks a ledger something, and gives what it tells. */
export async function ask(start: (call: CallStart) => CoreError | null): Promise<LedgerAnswer> {
  return own(succeeded(await ended(start)), 'ledger') ?? {};
}

/** The end of a call that can be given up, or of which there is something to say. */
async function observed(end: Promise<End>, stopListening: (() => void) | undefined): Promise<End> {
  const ended = await end;
  try {
    stopListening?.();
  } catch {
    // A signal of somebody's own making must not take the answer away.
  }
  const record = own(ended, 'record');
  if (record !== undefined) {
    publish(record);
  }
  return ended;
}

/** Who is told when a signal is aborted: all the calls that share it. */
interface Listener {
  calls: Set<() => void>;
  abort: () => void;
}

const listeners = new WeakMap<AbortSignal, Listener>();

/** Listens once a signal, however many calls share it: Node.js warns of more than ten listeners. */
function onAbort(signal: AbortSignal, abort: () => void): () => void {
  const listener = listeners.get(signal) ?? listen(signal);
  listener.calls.add(abort);
  return () => {
    listener.calls.delete(abort);
    if (listener.calls.size === 0) {
      signal.removeEventListener('abort', listener.abort);
      listeners.delete(signal);
    }
  };
}

function listen(signal: AbortSignal): Listener {
  const calls = new Set<() => void>();
  const abort = () => {
    for (const call of calls) {
      call();
    }
  };
  signal.addEventListener('abort', abort, { once: true });
  const listener = { calls, abort };
  listeners.set(signal, listener);
  return listener;
}

function giveUp({ calls, id }: CallStart, reason: unknown): void {
  const abandoned = calls.abandon(id);
  if (abandoned !== null) {
    settle({ id, ...abandoned, aborted: { reason } });
  } // Else it has ended: the answer is on its way.
}

/** Called by the native part when something was told, or answers have arrived. */
function deliver(): void {
  for (const heard of calls?.listen() ?? []) {
    const [report, record] = [own(heard, 'report'), own(heard, 'record')];
    if (report !== undefined) {
      tellOf(heard.ledger, report);
    } else if (record !== undefined && finished.hasSubscribers) {
      publish(record);
    }
  }
  for (const end of calls?.take() ?? []) {
    settle(end);
  }
}

/** Tells who waits. Nobody does where the caller gave up a payout that went on. */
function settle(end: End): void {
  const resolve = waiting.get(end.id);
  waiting.delete(end.id);
  resolve?.(end);
}

function publish(record: CallRecord): void {
  const { endpoint, duration, attempts, outcome } = record;
  const status = own(record, 'status');
  const message = { endpoint, status, duration, attempts, outcome } as CallMessage;
  finished.publish(message);
}
