// Calls of the native part, awaited. Answers come in batches: the native part wakes this thread once
// for all that have arrived.

import { channel } from 'node:diagnostics_channel';

import { fromCore } from './errors.js';
import { native } from './native.js';
import type { CallRecord, Calls, CoreError, Ended } from './native-module.js';
import type { Outcome } from './outcome.js';

/** One message a call, for logs and metrics. No person's data is in it. */
const finished = channel('kazawallet:call');

/** What the native part is told of a call. */
export interface CallStart {
  calls: Calls;
  id: number;
  /** Whether somebody listens for what there is to say of it at its end. */
  recorded: boolean;
}

/** A call that runs: who waits for it, and where it was begun. */
interface Waiting {
  resolve(ended: Ended): void;
  reject(reason: unknown): void;
  begun: { stack?: string };
  record?: CallRecord | undefined;
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
  /** `ok`, an error's `outcome`, or `cancelled` for a call that was given up before it left. */
  outcome: Outcome | 'ok' | 'cancelled';
}

const running = new Map<number, Waiting | undefined>();
let calls: Calls | undefined;
let lastId = 0;

/**
 * Makes a call; the promise is of its end.
 *
 * It is rejected with the error that the call came to, or with `signal.reason` where the signal was
 * aborted and nothing goes on.
 *
 * @throws what keeps it from being made.
 */
export function ended(
  start: (call: CallStart) => CoreError | null,
  signal?: AbortSignal,
): Promise<Ended> {
  if (signal?.aborted) {
    throw signal.reason;
  }
  calls ??= new native.Calls(deliver);
  lastId = (lastId + 1) >>> 0;
  const call = { calls, id: lastId, recorded: finished.hasSubscribers };
  const stopListening = signal && onAbort(signal, () => giveUp(call, signal.reason));
  const refused = start(call);
  if (refused !== null) {
    stopListening?.();
    throw fromCore(refused);
  }
  // An error that is made later must name the line that made the call, awaited there or not.
  const begun: { stack?: string } = {};
  Error.captureStackTrace(begun, ended);
  if (running.size === 0) {
    calls.keepAlive(true);
  }
  const end = new Promise<Ended>((resolve, reject) => {
    running.set(call.id, { resolve, reject, begun });
  });
  return call.recorded || stopListening ? observed(end, call, stopListening) : end;
}

/** The end of a call that can be given up, or of which there is something to say. */
async function observed(
  end: Promise<Ended>,
  call: CallStart,
  stopListening: (() => void) | undefined,
): Promise<Ended> {
  const waiting = running.get(call.id);
  try {
    return await end;
  } finally {
    stopListening?.();
    if (waiting?.record !== undefined) {
      publish(waiting.record);
    }
  }
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
  if (abandoned === null) {
    return; // It has ended: the answer is on its way.
  }
  const waiting = settle(id);
  if (waiting !== undefined) {
    waiting.record = abandoned.record;
  }
  if (abandoned.error === undefined) {
    waiting?.reject(reason);
    return;
  }
  // It goes on, and the process waits for it.
  calls.keepAlive(true);
  running.set(id, undefined);
  waiting?.reject(begunAt(waiting.begun, fromCore(abandoned.error, { reason })));
}

/** Called by the native part when answers have arrived. */
function deliver(): void {
  for (const end of calls?.take() ?? []) {
    const waiting = settle(end.id);
    if (waiting === undefined) {
      continue; // Its caller was told already.
    }
    waiting.record = end.record;
    if (end.error === undefined) {
      waiting.resolve(end);
    } else {
      waiting.reject(begunAt(waiting.begun, fromCore(end.error)));
    }
  }
}

function settle(id: number): Waiting | undefined {
  const waiting = running.get(id);
  running.delete(id);
  if (running.size === 0) {
    calls?.keepAlive(false);
  }
  return waiting;
}

function begunAt(begun: { stack?: string }, error: Error): Error {
  const frames = begun.stack?.match(/^\s+at .*$/gm);
  if (frames !== undefined && frames !== null) {
    error.stack = [`${error.name}: ${error.message}`, ...frames].join('\n');
  }
  return error;
}

function publish({ endpoint, status, duration, attempts, outcome }: CallRecord): void {
  const message = { endpoint, status, duration, attempts, outcome } as CallMessage;
  finished.publish(message);
}
