// The repository's language-neutral test data, read strictly; and an environment without the SDK's
// own variables, which a client would read.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** What the tests themselves are told by the environment. */
const OURS = [
  'KAZAWALLET_REPOSITORY',
  'KAZAWALLET_SCRIPTED_SIMULATOR',
  'KAZAWALLET_SERVE_POSTGRES',
  'KAZAWALLET_LOADED_BY',
];

for (const name of Object.keys(process.env)) {
  if (name.startsWith('KAZAWALLET_') && !OURS.includes(name)) {
    delete process.env[name];
  }
}

/**
 * A variable that the tests cannot do without.
 *
 * @param {string} name
 */
export function variable(name) {
  const value = process.env[name];
  if (value === undefined || value === '') {
    throw new Error(`the environment variable ${name} is not set`);
  }
  return value;
}

export const SHARED_TESTS = path.join(variable('KAZAWALLET_REPOSITORY'), 'tests');

/**
 * A file of the shared tests says something that no test here knows. Skipping it would be failing
 * unseen.
 */
export class NotUnderstood extends Error {}

/** @param {string[]} parts */
export function readText(...parts) {
  return readFileSync(path.join(SHARED_TESTS, ...parts), 'utf8');
}

/**
 * The names of the files in a folder, in order.
 *
 * @param {string} folder
 */
export function fileNames(folder) {
  return readdirSync(path.join(SHARED_TESTS, folder)).sort();
}

/**
 * Reads JSON; without a BOM, and a key that stands twice in an object is an error.
 *
 * @param {string} text
 * @returns {any}
 */
export function readJson(text) {
  /** @type {unknown} */
  const value = JSON.parse(text);
  const withoutStrings = text.replace(/"(?:[^"\\]|\\.)*"/g, '');
  if (withoutStrings.split(':').length - 1 !== keysIn(value)) {
    throw new NotUnderstood('a key stands twice in an object');
  }
  return value;
}

/**
 * As `readJson`, but a number that is no safe integer is its text, as the package has it.
 *
 * @param {string} text
 * @returns {any}
 */
export function readJsonExactly(text) {
  readJson(text);
  return JSON.parse(
    text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
      token.startsWith('"') || isPlainInteger(token) ? token : `"${token}"`,
    ),
  );
}

/** @param {string} text */
function isPlainInteger(text) {
  return /^(0|-?[1-9]\d*)$/.test(text) && Number.isSafeInteger(Number(text));
}

/**
 * @param {unknown} value
 * @returns {number}
 */
function keysIn(value) {
  if (typeof value !== 'object' || value === null) {
    return 0;
  }
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce((sum, inner) => sum + keysIn(inner), own);
}

/**
 * The object itself, where it has the required keys and none but those and the optional ones.
 *
 * @param {string} where
 * @param {any} value
 * @param {string} required
 * @param {string} [optional]
 * @returns {any}
 */
export function holdKeys(where, value, required, optional = '') {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new NotUnderstood(`${where}: an object was expected, not ${JSON.stringify(value)}`);
  }
  const [needed, allowed] = [words(required), words(optional)];
  const unknown = Object.keys(value).filter(
    (key) => !needed.includes(key) && !allowed.includes(key),
  );
  const missing = needed.filter((key) => !Object.hasOwn(value, key));
  if (unknown.length > 0) {
    throw new NotUnderstood(`${where}: what is ${unknown}?`);
  }
  if (missing.length > 0) {
    throw new NotUnderstood(`${where}: ${missing} is missing`);
  }
  return value;
}

/** @param {string} text */
export function words(text) {
  return text.split(' ').filter((word) => word !== '');
}

/**
 * A name of the shared data, as JavaScript writes it: `redirect_url` is `redirectUrl`.
 *
 * @param {string} name
 */
export function camelCase(name) {
  return name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
}

/**
 * A text for the name of a test: no longer than a line, and what cannot be seen in escapes.
 *
 * @param {unknown} value
 */
export function short(value) {
  const text = typeof value === 'string' ? JSON.stringify(value) : described(value);
  const ascii = text.replace(
    /[^ -~]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return ascii.length > 40 ? `${ascii.slice(0, 40)}...` : ascii;
}

/** @param {unknown} value */
function described(value) {
  try {
    return `${typeof value} ${String(value)}`;
  } catch {
    return `${typeof value} without a text`;
  }
}
