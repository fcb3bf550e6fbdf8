// What a person should hear of a webhook's route or of a ledger, and who hears it.

import { channel } from 'node:diagnostics_channel';

import { own } from './native.js';
import type { Report as NativeReport } from './native-module.js';

/**
 * Something that a person should hear: what `onError` is given, and what the `node:diagnostics_channel`
 * named `kazawallet:report` carries.
 */
export interface Report {
  /**
   * `error`: a payment may be lost, or waits, unless somebody acts. `warning`: somebody should look at
   * it. `info`: anybody can cause it, and nothing is to be done.
   */
  level: 'info' | 'warning' | 'error';
  /** What it is about, for programs. */
  code: string;
  /** What happened, and what to do: one line, without anybody's data but the order id. */
  text: string;
  /** The order id of the payment that it is about. What is about none is told once a minute. */
  orderId: string | undefined;
}

/** Is told of warnings and errors. With a handler's failure come what it threw and what it was given. */
export type Tell<T = never> = (report: Report, failure?: { error: unknown; payment: T }) => void;

/** One message a report, of each level. */
const reported = channel('kazawallet:report');

/**
 * Hands a report to the channel, and unless anybody could have caused it, to `heard`.
 *
 * @internal
 */
export function tell(report: NativeReport, heard: (report: Report) => void): void {
  const { level, code, text } = report;
  const told = { level, code, text, orderId: own(report, 'orderId') } as Report;
  reported.publish(told);
  if (level !== 'info') {
    heard(told);
  }
}

/**
 * For what nobody listens to.
 *
 * @internal
 */
export function toConsole({ text }: { text: string }): void {
  console.error('kazawallet:', text);
}

/** Who hears what each ledger tells by itself: the receivers that use it. */
const listeners = new Map<number, Set<(report: Report) => void>>();

/**
 * Listens to a ledger, by its number, until the function that is returned is called.
 *
 * @internal
 */
export function listen(ledger: number, heard: (report: Report) => void): () => void {
  const all = listeners.get(ledger) ?? new Set();
  listeners.set(ledger, all.add(heard));
  return () => {
    all.delete(heard);
    if (all.size === 0) {
      listeners.delete(ledger);
    }
  };
}

/**
 * Tells what a ledger tells by itself.
 *
 * @internal
 */
export function tellOf(ledger: number, report: NativeReport): void {
  tell(report, (told) => {
    for (const heard of listeners.get(ledger) ?? [toConsole]) {
      heard(told);
    }
  });
}
