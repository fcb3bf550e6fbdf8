// The screenshots of the guides: what a customer and a developer see.

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { REPOSITORY, step } from '../../bindings-node/scripts/steps.mjs';
import { GUARD } from './programs.mjs';
import { checkoutOpens, payButton, payOut, placeOrder, showsAtLast } from './shop-runs.mjs';

/**
 * @typedef {import('playwright-core').Browser} Browser
 * @typedef {import('playwright-core').Page} Page
 * @typedef {import('./shop-runs.mjs').Shop} Shop
 */

const FOLDER = path.join(REPOSITORY, 'docs', 'images');
const PHONE = { viewport: { width: 390, height: 700 }, deviceScaleFactor: 1.5, isMobile: true };
const DESKTOP = { viewport: { width: 1000, height: 640 } };

/**
 * @param {Browser} browser
 * @param {Shop} shop
 */
export async function takeScreenshots(browser, shop) {
  await mkdir(FOLDER, { recursive: true });
  const customer = await opened(browser, { ...DESKTOP, locale: 'en-US' });
  const onAPhone = await opened(browser, { ...PHONE, locale: 'ar-SY' });

  const order = await placeOrder(customer, shop);
  await payButton(customer).click();
  const checkout = await checkoutOpens(customer, shop);
  await shot(customer, 'checkout-english');
  await onAPhone.goto(checkout);
  await shot(onAPhone, 'checkout-arabic-phone', { fullPage: true });

  await payButton(customer).click();
  await customer.waitForURL(`${order}/return`);
  await showsAtLast(customer, order, '#delivery', 'shipped');
  await customer.setViewportSize({ width: 480, height: 180 });
  await shot(customer, 'shop');

  // Something of everything, for the dashboard.
  await payOut(customer, shop, { reference: 'salary-1', amount: '25', phone: '0933123456' });
  await placeOrder(customer, shop);
  await payButton(customer).click();
  await checkoutOpens(customer, shop);
  await customer.setViewportSize({ width: 1000, height: 1060 });
  await customer.goto(shop.simulator.dashboard);
  await shot(customer, 'dashboard');
}

/**
 * @param {Browser} browser
 * @param {import('playwright-core').BrowserContextOptions} options
 */
async function opened(browser, options) {
  const context = await browser.newContext({ colorScheme: 'light', ...options });
  context.setDefaultTimeout(GUARD);
  return await context.newPage();
}

/**
 * @param {Page} page
 * @param {string} name
 * @param {{ fullPage?: boolean }} [options]
 */
async function shot(page, name, options = {}) {
  const file = path.join(FOLDER, `${name}.png`);
  await page.screenshot({ path: file, ...options });
  step(`wrote ${path.relative(REPOSITORY, file)}`);
}
