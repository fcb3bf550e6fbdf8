// Arguments as JavaScript gives them. What has the wrong type is a `TypeError` that shows what to
// write; everything else is for the core to judge.

import { ConfigurationError, halfACharacter, ValidationError } from './errors.js';

/** Exact money, on the way in: text such as `'10.50'`, a `bigint`, or a safe integer. */
export type AmountLike = string | bigint | number;

/** How one call is made. */
export interface CallOptions {
  /** Milliseconds for this call, all tries included, in place of the client's. */
  timeout?: number | null | undefined;
  /**
   * Ends the waiting. The request is dropped, and the promise is rejected with the signal's reason.
   *
   * A payout that may have left is not stopped half-way: the promise is rejected with an
   * `OutcomeUnknownError`, and the payout runs to its end.
   */
  signal?: AbortSignal | null | undefined;
}

/** The options of a call, by their names. */
export type Given = Readonly<Record<string, unknown>>;

/** Holds an object of options to the names that are known. */
export function options(
  owner: string,
  given: unknown,
  known: readonly string[],
  surplus: readonly unknown[] = [],
): Given {
  if (surplus.length > 0) {
    // Other packages take them there. Overlooked, a payout would go out without its limits.
    throw new TypeError(
      `${owner} takes one object of options, with ${known.includes('signal') ? '`timeout` and `signal`' : 'all of them'} in it, and nothing behind it`,
    );
  }
  if (given === undefined) {
    return Object.create(null);
  }
  if (!isObject(given)) {
    throw new TypeError(
      `${owner} takes one object of options (${known.join(', ')}), not ${typeName(given)}`,
    );
  }
  const unknown = Object.keys(given).filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    const named = unknown
      .slice(0, 5)
      .map((name) => `\`${name.slice(0, 40)}\``)
      .join(', ');
    throw new TypeError(`${owner} has no option ${named}: it has ${known.join(', ')}`);
  }
  const inherited = known.filter(
    (name) => name in given && !Object.hasOwn(given, name) && !(name in Object.prototype),
  );
  if (inherited.length > 0) {
    throw new TypeError(
      `${owner}: \`${inherited[0]}\` is inherited, and options are an object's own properties`,
    );
  }
  // Its own alone, read once: what somebody else left on `Object.prototype` is no option.
  return Object.assign(Object.create(null), given);
}

/** An object of options or fields: no array, no Map, no Promise that somebody forgot to await. */
export function isObject(value: unknown): value is Given {
  const tag = Object.prototype.toString.call(value);
  return tag === '[object Object]' || tag === '[object Module]';
}

/** A call's argument that is text. */
export function text(name: string, value: unknown): string {
  return wellFormed(name, value, ValidationError);
}

export function optionalText(name: string, value: unknown): string | undefined {
  return isAbsent(value) ? undefined : text(name, value);
}

/** An option of a client or a webhook that is text. */
export function optionText(name: string, value: unknown): string {
  return wellFormed(name, value, ConfigurationError);
}

export function optionalOptionText(name: string, value: unknown): string | undefined {
  return isAbsent(value) ? undefined : optionText(name, value);
}

function wellFormed(
  name: string,
  value: unknown,
  Refusal: typeof ValidationError | typeof ConfigurationError,
): string {
  if (typeof value !== 'string') {
    throw wrongType(name, 'a string', value);
  }
  if (!value.isWellFormed()) {
    throw halfACharacter(Refusal, name);
  }
  return value;
}

/** The text of an amount, which the core has yet to judge. */
export function amountText(name: string, value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value;
    case 'bigint':
      return value.toString();
    case 'number':
      if (Number.isSafeInteger(value)) {
        return value.toString();
      }
      throw wrongAmount(
        name,
        `the number ${value}`,
        /^\d+\.\d+$/.test(`${value}`) ? value : '10.50',
      );
    default:
      throw wrongAmount(name, typeName(value), '10.50');
  }
}

function wrongAmount(name: string, given: string, shown: number | string): TypeError {
  return new TypeError(
    `\`${name}\` must be exact: text such as "${shown}", a bigint or a safe integer, not ${given}`,
  );
}

/** Milliseconds. What is not longer than zero is zero, which the core refuses. */
export function milliseconds(name: string, value: unknown): number | undefined {
  if (isAbsent(value)) {
    return undefined;
  }
  if (typeof value !== 'number' || Number.isNaN(value)) {
    throw wrongType(name, 'a number of milliseconds', value);
  }
  return Math.max(value, 0);
}

/** Milliseconds that may be none: a pause, an age. */
export function pause(
  name: string,
  value: unknown,
  Refusal: typeof ValidationError | typeof ConfigurationError = ValidationError,
): number | undefined {
  if (typeof value === 'number' && value < 0) {
    throw tooSmall(Refusal, name, 0);
  }
  return milliseconds(name, value);
}

/** A whole number, of this at least. */
export function count(
  name: string,
  value: unknown,
  Refusal: typeof ValidationError | typeof ConfigurationError = ConfigurationError,
  least: 0 | 1 = 0,
): number | undefined {
  if (isAbsent(value)) {
    return undefined;
  }
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw wrongType(name, 'a whole number', value);
  }
  if (value < least) {
    throw tooSmall(Refusal, name, least);
  }
  return Math.min(value, 0xffff_ffff);
}

function tooSmall(
  Refusal: typeof ValidationError | typeof ConfigurationError,
  name: string,
  least: 0 | 1,
): Error {
  const problem = least === 0 ? 'must not be negative' : 'must be at least 1';
  return new Refusal(`\`${name}\` ${problem}`, { field: name });
}

export function signalOf(value: unknown): AbortSignal | undefined {
  if (isAbsent(value)) {
    return undefined;
  }
  // Not `instanceof`: test runners give each test file globals of its own.
  const signal = value as Partial<AbortSignal>;
  if (
    typeof signal.aborted !== 'boolean' ||
    typeof signal.addEventListener !== 'function' ||
    typeof signal.removeEventListener !== 'function'
  ) {
    throw wrongType('signal', 'an AbortSignal', value);
  }
  return signal as AbortSignal;
}

export function optionalFlag(name: string, value: unknown): boolean | undefined {
  if (!isAbsent(value) && typeof value !== 'boolean') {
    throw wrongType(name, 'a boolean', value);
  }
  return value ?? undefined;
}

export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

export function wrongType(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(`\`${name}\` must be ${expected}, not ${typeName(value)}`);
}

/** What a value is, without showing it. */
export function typeName(value: unknown): string {
  if (value === null || value === undefined) {
    return `${value}`;
  }
  if (typeof value !== 'object') {
    return `a ${typeof value}`;
  }
  const { name } = (value.constructor ?? {}) as { name?: unknown };
  return typeof name === 'string' && name !== 'Object' && name !== '' ? name : 'an object';
}

const GENERATORS = ['GeneratorFunction', 'AsyncGeneratorFunction'];

/** Refuses what is called with payments, and does nothing then. */
export function refuseHandler(handler: unknown): void {
  if (typeof handler !== 'function') {
    throw wrongType('handler', 'a function', handler);
  }
  if (GENERATORS.includes(handler.constructor?.name)) {
    throw new TypeError('`handler` is a generator, which nothing would run: it must not `yield`');
  }
}

/** The time-out of something that is stopped. */
export function stopTimeout(owner: string, settings: unknown): number | undefined {
  return pause('timeout', options(owner, settings, ['timeout'])['timeout']);
}
