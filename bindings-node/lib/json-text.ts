// JSON without floats: a number that JavaScript cannot hold exactly is text in both directions.

import { types } from 'node:util';

import { halfACharacter, ValidationError } from './errors.js';

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** What cannot be in a JSON text whose numbers are all exact. */
const PERHAPS_INEXACT = /\d[.eE]|\d{16}|-0/;

/**
 * Reads JSON text. A number that is no safe integer becomes its own text: `10.50` is `'10.50'`.
 *
 * @throws SyntaxError where it is no JSON. What it is is not shown: it may hold personal data.
 */
export function read(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return PERHAPS_INEXACT.test(text) ? JSON.parse(text.replace(TOKEN, exactly)) : value;
  } catch {
    throw new SyntaxError('the text is not JSON');
  }
}

/** As `read`, but gives the text itself where it cannot be read. */
export function readLeniently(text: string): unknown {
  try {
    return read(text);
  } catch {
    return text;
  }
}

function exactly(token: string): string {
  if (token.startsWith('"')) {
    return token;
  }
  const number = Number(token);
  return Number.isSafeInteger(number) && String(number) === token ? token : `"${token}"`;
}

/**
 * Writes JSON text.
 *
 * @throws TypeError for a number that is no safe integer, and for what is no JSON.
 * @throws ValidationError for half a character.
 */
export function write(name: string, value: unknown): string {
  const text: string | undefined = JSON.stringify(value, (key, member: unknown) => {
    wholeCharacters(name, key);
    if (typeof member === 'string') {
      wholeCharacters(name, member);
    } else if (
      typeof member === 'number' ||
      typeof member === 'bigint' ||
      types.isNumberObject(member)
    ) {
      return exactNumber(name, Number(member));
    }
    return member;
  });
  if (text === undefined) {
    throw new TypeError(`\`${name}\` must be a value that JSON has, not a ${typeof value}`);
  }
  return text;
}

function wholeCharacters(name: string, text: string): void {
  if (!text.isWellFormed()) {
    throw halfACharacter(ValidationError, name);
  }
}

function exactNumber(name: string, number: number): number {
  if (!Number.isSafeInteger(number)) {
    throw new TypeError(
      `\`${name}\` holds a number that is not exact: write it as text, such as "10.50"`,
    );
  }
  return number;
}
