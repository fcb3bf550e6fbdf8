// Which runtime the tests run on, and the list of what a runtime cannot do.

import { test as define } from 'node:test';

/** @type {'node' | 'bun' | 'deno'} */
export const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node';

/**
 * Tests that a runtime cannot run, by their names, each with the reason. Nothing else is left out.
 *
 * @type {Readonly<Record<typeof runtime, Readonly<Record<string, string>>>>}
 */
const LEFT_OUT = {
  node: {},
  bun: {},
  deno: {
    'workers come and go':
      'Deno leaves two files open for each worker that loaded any native module, and drops nothing ' +
      'of what such a worker held',
  },
};

/** Milliseconds after which a wait counts as a hang. Hardly anything here takes nearly that long. */
export const GUARD = 30_000;

/**
 * A test, unless it is on the list.
 *
 * @param {string} name
 * @param {() => void | Promise<void>} run
 */
export function test(name, run) {
  if (!(name in LEFT_OUT[runtime])) {
    define(name, async () => run());
  }
}

/**
 * What a promise is fulfilled with; fails where that takes so long that it counts as a hang.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {() => string} what
 * @param {number} [within]
 * @returns {Promise<T>}
 */
export async function guarded(promise, what, within = GUARD) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const hang = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what()}`)), within);
  });
  try {
    return /** @type {T} */ (await Promise.race([promise, hang]));
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for what only asking can tell.
 *
 * @param {() => boolean} happened
 * @param {string} what
 */
export async function until(happened, what) {
  const end = performance.now() + GUARD;
  while (!happened()) {
    if (performance.now() > end) {
      throw new Error(`waited in vain for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
