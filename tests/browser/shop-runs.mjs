// What is done with each example in the browser, as a customer and a merchant would.

import assert from 'node:assert/strict';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Failed } from '../../bindings-node/scripts/steps.mjs';
import { install } from './examples.mjs';
import { freePort, GUARD, Program, Simulator } from './programs.mjs';

/**
 * @typedef {import('playwright-core').Page} Page
 * @typedef {import('./examples.mjs').Example} Example
 * @typedef {import('./examples.mjs').Installed} Installed
 * @typedef {import('./examples.mjs').Packages} Packages
 * @typedef {import('./in-browser.mjs').Run<Shop>} Run
 * @typedef {import('./programs.mjs').Dialect} Dialect
 */

/** Milliseconds for which a payment stays with a worker that died. */
const LEASE = 60_000;

/** An example that runs, and the simulator that plays the provider's part for it. */
export class Shop {
  #environment;
  #installed;
  #name;
  #port;
  /** @type {Program | undefined} */
  #program;

  /**
   * @param {Example} example
   * @param {Installed} installed
   * @param {{ simulator: Simulator, port: number, folder: string }} around
   */
  constructor({ name }, installed, { simulator, port, folder }) {
    this.#name = name;
    this.#installed = installed;
    this.#port = port;
    this.simulator = simulator;
    this.url = `http://127.0.0.1:${port}`;
    /** Where a whole shop keeps what it has; it makes the folder by itself. */
    this.data = path.join(folder, name);
    this.#environment = { ...simulator.settings, SHOP_DATA: this.data, PORT: `${port}` };
  }

  /**
   * A shop that takes orders, and a simulator that tells it of payments.
   *
   * @param {Example} example
   * @param {Packages} packages
   * @param {{ simulatorProgram: string, folder: string, dialect?: Dialect }} settings
   */
  static async open(example, packages, { simulatorProgram, folder, dialect }) {
    const installed = await install(example, packages);
    const port = await freePort();
    const webhook = `http://127.0.0.1:${port}/webhooks/kazawallet`;
    const simulator = await Simulator.start(simulatorProgram, folder, webhook, dialect);
    const shop = new Shop(example, installed, { simulator, port, folder });
    await shop.start();
    return shop;
  }

  /** Waits until it says that it can be reached. */
  async start() {
    const { command, folder } = this.#installed;
    const environment = this.#environment;
    this.#program = new Program(this.#name, command, { folder, environment });
    await this.#program.line(new RegExp(`:${this.#port}\\b`)).catch((error) => {
      throw new Failed(`${error.message}; ${this.output}`);
    });
  }

  get program() {
    if (this.#program === undefined) {
      throw new Failed(`${this.#name} does not run`);
    }
    return this.#program;
  }

  get output() {
    return this.program.output;
  }

  async close() {
    await this.program.stop();
    await this.simulator.stop();
  }
}

// --- a whole shop --------------------------------------------------------------------------------

/** @type {readonly Run[]} */
export const WHOLE = [
  {
    name: 'an order is paid, and shipped',
    async work(page, shop) {
      const order = await placeOrder(page, shop);
      await shows(page, '#payment', 'none');
      await shows(page, '#delivery', 'waiting');

      await payButton(page).click();
      const checkout = await checkoutOpens(page, shop);
      await page.getByText('10.50 USD').first().waitFor();
      // Who comes back without having paid is not believed.
      await page.goto(`${order}/return`);
      await shows(page, '#payment', 'open');

      await page.goto(checkout);
      await payButton(page).click();
      await page.waitForURL(`${order}/return`);
      // The page comes again by itself.
      await shows(page, '#payment', 'paid');
      await showsAtLast(page, order, '#delivery', 'shipped');
      assert.equal(await payButton(page).count(), 0, 'a paid order can be paid again');
      const told = await shop.simulator.deliveries();
      assert.equal(told.at(-1)?.status, 200, 'what the shop answered to the webhook');
    },
  },
  {
    name: 'a link times out; another one is paid, in Arabic',
    async work(page, shop) {
      const order = await placeOrder(page, shop);
      await payButton(page).click();
      const first = await checkoutOpens(page, shop);
      await page.getByRole('button', { name: 'Let it time out', exact: true }).click();
      await page.waitForURL(`${order}/return`);
      await shows(page, '#payment', 'timed_out');

      await page.goto(order);
      await shows(page, '#delivery', 'waiting');
      await payButton(page).click();
      const second = await checkoutOpens(page, shop);
      assert.notEqual(second, first, 'the link that timed out was used again');
      await page.getByRole('link', { name: 'العربية' }).click();
      assert.equal(await page.locator('html').getAttribute('dir'), 'rtl');
      await page.getByRole('button', { name: /^ادفع/ }).click();
      await page.waitForURL(`${order}/return`);
      await shows(page, '#payment', 'paid');
      await showsAtLast(page, order, '#delivery', 'shipped');
    },
  },
  {
    name: 'payouts: paid once, unknown and not repeated, refused',
    async work(page, shop) {
      const before = await withdrawals(shop);
      await payOut(page, shop, { reference: 'salary-1', amount: '25', phone: '0933123456' });
      await shows(page, '#payout', 'paid');
      await payOut(page, shop, { reference: 'salary-1', amount: '25', phone: '0933123456' });
      await shows(page, '#payout', 'paid');
      assert.equal(await withdrawals(shop), before + 1, 'so many payouts were sent');

      // It is paid out, and no answer comes.
      await shop.simulator.fault('close_after_acting');
      await payOut(page, shop, { reference: 'salary-2', amount: '30', phone: '0933123456' });
      await shows(page, '#payout', 'unknown');
      await payOut(page, shop, { reference: 'salary-2', amount: '30', phone: '0933123456' });
      await shows(page, '#payout', 'unknown');
      assert.equal(await withdrawals(shop), before + 2, 'so many payouts were sent');

      await payOut(page, shop, { reference: 'salary-3', amount: '25', phone: '12' });
      await shows(page, '#payout', 'refused');
      assert.equal(await withdrawals(shop), before + 2, 'so many payouts were sent');
    },
  },
  {
    name: 'killed between delivery and processing, it ships after its restart',
    async work(page, shop) {
      // The handler fails while what it writes to cannot be written to.
      const shipped = path.join(shop.data, 'shipped');
      const aside = path.join(shop.data, 'shipped-before');
      await mkdir(shipped, { recursive: true });
      await rename(shipped, aside);
      await writeFile(shipped, '');

      const order = await placeOrder(page, shop);
      await payButton(page).click();
      await checkoutOpens(page, shop);
      await payButton(page).click();
      await page.waitForURL(`${order}/return`);
      await shows(page, '#payment', 'paid');
      await page.goto(order);
      await shows(page, '#delivery', 'waiting');
      await shop.program.kill();

      await rm(shipped);
      await rename(aside, shipped);
      await shop.start();
      // Killed in the midst of a try, it gets that payment again only when its lease is over.
      await showsAtLast(page, order, '#delivery', 'shipped', LEASE + GUARD);
      await shows(page, '#payment', 'paid');
      const name = path.basename(new URL(order).pathname);
      const files = await readdir(shipped);
      assert.ok(files.includes(name), `${name} is not among ${files}`);
    },
  },
];

/**
 * Orders what the shop sells; returns the address of the order's page, which is shown.
 *
 * @param {Page} page
 * @param {Shop} shop
 */
export async function placeOrder(page, shop) {
  await page.goto(shop.url);
  await page.getByRole('button', { name: 'Order', exact: true }).click();
  await page.waitForURL(/\/orders\/order-[0-9a-f]+$/);
  return page.url();
}

/**
 * The shop's button, or the checkout's: both are called the same.
 *
 * @param {Page} page
 */
export function payButton(page) {
  return page.getByRole('button', { name: 'Pay', exact: true });
}

/**
 * Waits for the simulator's page of a link; returns its address.
 *
 * @param {Page} page
 * @param {Shop} shop
 */
export async function checkoutOpens(page, shop) {
  await page.waitForURL(new URL('/pay/**', shop.simulator.dashboard).href);
  return page.url();
}

/**
 * Waits until a page that changes by itself shows a state.
 *
 * @param {Page} page
 * @param {string} selector
 * @param {string} text
 */
async function shows(page, selector, text) {
  const exactly = new RegExp(`^${text}$`);
  await page.locator(selector, { hasText: exactly }).waitFor();
}

/**
 * Waits until a page shows a state, as somebody does who loads it again and again.
 *
 * @param {Page} page
 * @param {string} url
 * @param {string} selector
 * @param {string} text
 * @param {number} [within] Milliseconds.
 */
export async function showsAtLast(page, url, selector, text, within = GUARD) {
  const end = performance.now() + within;
  /** @type {string | null} */
  let shown = null;
  while (performance.now() < end) {
    await page.goto(url);
    shown = await page.locator(selector).textContent();
    if (shown === text) {
      return;
    }
    await pause(200);
  }
  throw new Failed(`${selector} is still ${shown} after ${within / 1000} s, and not ${text}`);
}

/**
 * @param {Page} page
 * @param {Shop} shop
 * @param {{ reference: string, amount: string, phone: string }} payout
 */
export async function payOut(page, shop, payout) {
  await page.goto(`${shop.url}/payouts`);
  for (const [name, value] of Object.entries(payout)) {
    await page.locator(`input[name=${name}]`).fill(value);
  }
  await page.getByRole('button', { name: 'Pay out', exact: true }).click();
}

/**
 * How many payouts have reached the provider.
 *
 * @param {Shop} shop
 */
async function withdrawals(shop) {
  /** @type {{ path: string }[]} */
  const requests = await shop.simulator.list('requests');
  return requests.filter((request) => /withdrawal/i.test(request.path)).length;
}

// --- the shortest program that receives a payment ------------------------------------------------

/** @type {readonly Run[]} */
export const SHORT = [
  {
    name: 'it hears of the payment',
    async work(page, shop) {
      await page.goto(shop.url);
      await checkoutOpens(page, shop);
      await payButton(page).click();
      await page.getByRole('status').waitFor();
      await shop.program.line(/^order-\w+ is paid$/);
      const told = await shop.simulator.deliveries();
      assert.equal(told.at(-1)?.status, 200, 'what the shop answered to the webhook');
    },
  },
];
