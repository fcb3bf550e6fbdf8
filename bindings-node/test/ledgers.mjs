// Ledgers for the tests: each in a SQLite file of its own, with a simulator for the provider.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { kazawallet, testing } from './package.mjs';
import { GUARD } from './runtimes.mjs';

/**
 * @typedef {import('kazawallet').Ledger} Ledger
 * @typedef {import('kazawallet').LedgerOptions} LedgerOptions
 * @typedef {import('kazawallet/testing').Simulator} Simulator
 * @typedef {{ ledger: Ledger, sim: Simulator, url: string, folder: string }} Shop
 */

/** Who is paid, in a form that must not be seen anywhere. */
export const PHONE = '0933123456';

/**
 * A payout, but for its reference.
 *
 * @param {string} [amount]
 */
export function terms(amount = '10') {
  const paymentMethod = kazawallet.PaymentMethod.syCash({ phone: PHONE });
  return { amount, currency: 'USD', paymentMethod };
}

/**
 * Does `work` with a fresh folder.
 *
 * @template T
 * @param {(folder: string) => Promise<T>} work
 */
export async function withFolder(work) {
  const folder = mkdtempSync(path.join(tmpdir(), 'kazawallet-ledger-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Does `work` with a ledger in a fresh file, and a simulator.
 *
 * @template T
 * @param {(shop: Shop) => Promise<T>} work
 * @param {LedgerOptions} [settings]
 */
export async function withLedger(work, settings = {}) {
  return await withFolder(async (folder) => {
    const sim = await testing.Simulator.start({ balances: { USD: '1000' } });
    const url = `sqlite://${folder}/ledger.db`;
    const ledger = await kazawallet.Ledger.open(url, { client: sim.client(), ...settings });
    try {
      return await work({ ledger, sim, url, folder });
    } finally {
      await ledger.close();
      await sim.stop();
    }
  });
}

/**
 * A delivery as the provider would sign it.
 *
 * @param {Simulator} sim
 * @param {{ orderId: string, amount?: string, status?: string, currency?: string, ref?: string }} fields
 */
export function delivery(sim, { orderId, amount = '10.50', ...unsigned }) {
  const secret = sim.webhook().sign({ amount, orderId });
  const usual = { status: 'fulfilled', currency: 'USD' };
  return JSON.stringify({ ...usual, ...unsigned, order_id: orderId, amount, secret });
}

/**
 * A delivery with what its signature does not cover changed.
 *
 * @param {Uint8Array} body
 * @param {Record<string, unknown>} changed
 */
export function edited(body, changed) {
  return JSON.stringify({ ...JSON.parse(`${Buffer.from(body)}`), ...changed });
}

/**
 * What a call is rejected with.
 *
 * @param {() => unknown} call
 * @returns {Promise<any>}
 */
export async function rejection(call) {
  /** @type {unknown} */
  let result;
  try {
    result = await call();
  } catch (problem) {
    return problem;
  }
  throw new Error('it was not rejected', { cause: result });
}

/**
 * Asks until there is something; fails where that takes so long that it counts as a hang.
 *
 * @template T
 * @param {() => Promise<T | undefined | false>} ask
 * @param {string} what
 * @returns {Promise<T>}
 */
export async function eventually(ask, what) {
  const end = performance.now() + GUARD;
  for (;;) {
    const there = await ask();
    if (there !== undefined && there !== false) {
      return there;
    }
    if (performance.now() > end) {
      throw new Error(`waited in vain for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * Waits until a moment is over.
 *
 * @param {Date | undefined} moment
 */
export async function passed(moment) {
  const left = Number(moment) - Date.now();
  await new Promise((resolve) => setTimeout(resolve, Math.max(left, 0) + 20));
}
