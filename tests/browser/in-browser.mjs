// A run in the browser: on a page of its own, which is watched; and what is said of a failure.

import assert from 'node:assert/strict';
import { stripVTControlCharacters } from 'node:util';
import { GUARD } from './programs.mjs';

/**
 * @typedef {import('playwright-core').Browser} Browser
 * @typedef {import('playwright-core').BrowserContext} BrowserContext
 * @typedef {import('playwright-core').Page} Page
 */

/**
 * @template Subject
 * @typedef {object} Run Something that is done in the browser.
 * @property {string} name
 * @property {(page: Page, subject: Subject) => Promise<void>} work
 */

/** Nothing is to be asked of another machine; what tries, fails. */
export const ONLY_LOOPBACK = ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'];

/**
 * Does it, on a page of its own; returns what failed, told as a person wants to read it.
 *
 * @template {{ output: string }} Subject
 * @param {Browser} browser
 * @param {Subject} subject
 * @param {Run<Subject>} run
 * @returns {Promise<string | undefined>}
 */
export async function doInBrowser(browser, subject, { work }) {
  const context = await browser.newContext({ locale: 'en-US' });
  context.setDefaultTimeout(GUARD);
  const complaints = listenTo(context);
  const page = await context.newPage();
  try {
    await work(page, subject);
    assert.deepEqual(complaints, [], 'the browser complained');
    return undefined;
  } catch (error) {
    return [
      stripVTControlCharacters(`${error}`),
      ...complaints,
      await shownOn(page),
      subject.output,
    ].join('\n');
  } finally {
    await context.close();
  }
}

/**
 * What the pages do that no page should, as it happens.
 *
 * @param {BrowserContext} context
 */
function listenTo(context) {
  /** @type {string[]} */
  const complaints = [];
  context.on('request', (request) => {
    if (new URL(request.url()).hostname !== '127.0.0.1') {
      complaints.push(`a page asked another machine: ${request.url()}`);
    }
  });
  context.on('weberror', (error) => complaints.push(`${error.error()}`));
  context.on('console', (message) => {
    const { url } = message.location();
    // A browser asks for this one by itself, and a small shop has none.
    if (message.type() === 'error' && !url.endsWith('/favicon.ico')) {
      complaints.push(`${message.text()} (${url})`);
    }
  });
  return complaints;
}

/**
 * An error with the places in these files where it came about.
 *
 * @param {unknown} error
 */
export function toldOf(error) {
  const text = error instanceof Error ? (error.stack ?? error.message) : `${error}`;
  const lines = stripVTControlCharacters(text).split('\n');
  const isElsewhere = /** @param {string} line */ (line) =>
    /^ +at /.test(line) && !line.includes(import.meta.dirname);
  return lines.filter((line) => !isElsewhere(line)).join('\n');
}

/** @param {Page} page */
async function shownOn(page) {
  const shown = page.locator('body').ariaSnapshot({ timeout: 2_000 });
  const text = await shown.catch((error) => `${error}`);
  return `the browser was at ${page.url()}, which showed:\n${text.replace(/^/gm, '   ')}`;
}
