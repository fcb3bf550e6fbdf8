// @ts-check
// What the READMEs, the guides and the declarations show is run, each program in a process of its own
// against a simulator that its environment names, and does what it says.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { kazawallet, testing } from './package.mjs';
import { checkClean, withProgram } from './programs.mjs';
import { test } from './runtimes.mjs';
import {
  driven,
  FILE,
  holdingItsResults,
  isServer,
  programsOfDeclarations,
  programsOfReadmes,
  readmeOfThePackage,
  routeOf,
  withoutTypes,
} from './shown-programs.mjs';

const { Ledger } = kazawallet;
const { Simulator } = testing;

const README_PROGRAMS = programsOfReadmes();
const EXAMPLES = programsOfDeclarations();
const EXCERPTS = README_PROGRAMS.filter(({ isExcerpt }) => isExcerpt);
/** They run until they are stopped: tests of their own drive them. */
const SHOPS = README_PROGRAMS.filter(({ text }) => text.includes('createServer'));
const SERVERS = README_PROGRAMS.filter(isServer);
const ROUTES = README_PROGRAMS.filter((program) => routeOf(program) !== undefined);
const RUN_TO_THEIR_END = [...README_PROGRAMS, ...EXAMPLES].filter(
  (program) => ![...EXCERPTS, ...SHOPS, ...SERVERS, ...ROUTES].includes(program),
);

test('each document that should shows JavaScript, and the package shows it in all its forms', () => {
  const shown = new Set(README_PROGRAMS.map(({ name, kind }) => `${name.split(',')[0]} ${kind}`));
  const guides = ['deploying', 'errors', 'going-live', 'ledger', 'migrating', 'payouts', 'testing'];
  const wanted = [
    'README.md module',
    'bindings-node/README.md module',
    'bindings-node/README.md commonjs',
    'bindings-node/README.md typescript',
    ...[...guides, 'webhooks'].map((guide) => `docs/${guide}.md module`),
  ];
  assert.deepEqual(
    wanted.filter((each) => !shown.has(each)),
    [],
  );
});

test('the README of the package names every error', () => {
  const readme = readmeOfThePackage();
  const errors = Object.entries(kazawallet)
    .filter(([, value]) => isErrorClass(value))
    .map(([name]) => name);
  assert.ok(errors.length > 15, `${errors}`);
  assert.deepEqual(
    errors.filter((name) => !readme.includes(`\`${name}\``)),
    [],
  );
});

/** @param {unknown} value */
function isErrorClass(value) {
  return typeof value === 'function' && value.prototype instanceof Error;
}

test('what matters has an example', () => {
  const names = EXAMPLES.map(({ name }) => name);
  for (const wanted of [
    'client.d.ts.Client',
    'client.d.ts.Client.request',
    'client.d.ts.PaymentLinks.create',
    'client.d.ts.Withdrawals.create',
    'client.d.ts.Wallets.list',
    'client.d.ts.Deposits.create',
    'ledger.d.ts.Ledger',
    'ledger.d.ts.Ledger.process',
    'ledger.d.ts.Ledger.withdraw',
    'testing.d.ts.Simulator',
    'webhook.d.ts.Webhook',
  ]) {
    assert.ok(names.includes(wanted), `${wanted} has none: ${names}`);
  }
});

for (const { name, kind, text } of RUN_TO_THEIR_END) {
  test(`it runs: ${name}`, async () => {
    const javascript = kind === 'typescript' ? withoutTypes(text) : text;
    const { checked, results } = holdingItsResults(javascript, kind);
    const isTest = text.includes("from 'node:test'");
    const sim = await Simulator.start();
    const folder = mkdtempSync(path.join(tmpdir(), 'kazawallet-shown-'));
    try {
      const environment = {
        KAZAWALLET_LEDGER: `sqlite://${folder}/kazawallet.db`,
        KAZAWALLET_PREVIOUS_API_KEY: 'sim_key_of_before',
        KAZAWALLET_PREVIOUS_API_SECRET: 'sim_secret_of_before',
      };
      /** @type {import('./programs.mjs').Settings} */
      const settings = isTest
        ? { provider: sim, environment, as: 'test' }
        : { provider: sim, environment, file: ranAs(kind) };
      const ended = await withProgram(checked, settings, (program) => program.end());
      if (isTest) {
        assert.equal(ended.status, 0, ended.stdout + ended.stderr);
        return;
      }
      checkClean(ended);
      const said = ended.stdout.split('\n').filter((line) => line.startsWith('holds: '));
      assert.deepEqual(
        said,
        results.map((shown) => `holds: ${shown}`),
      );
      if (text.includes('Send the customer to')) {
        assert.match(ended.stdout, /Send the customer to http:\/\/127\.0\.0\.1:\d+\/\S+/);
      }
    } finally {
      await sim.stop();
      rmSync(folder, { recursive: true });
    }
  });
}

/** @param {keyof typeof FILE} kind */
function ranAs(kind) {
  return kind === 'typescript' ? FILE.module : FILE[kind];
}

/** An order of the shop: its ledger, and its link. */
const ORDER = { ref: 'order-42', amount: '10.50', currency: 'USD' };

/**
 * @typedef {object} Shop
 * @property {import('kazawallet/testing').Simulator} sim
 * @property {import('kazawallet').Ledger} ledger The shop's, as the test sees it.
 * @property {import('./programs.mjs').Program} program
 */

/**
 * Does `work` while a program of a document runs, which reaches the simulator and the ledger by its
 * environment.
 *
 * @param {string} source
 * @param {(shop: Shop) => Promise<void>} work
 */
async function withShop(source, work) {
  const sim = await Simulator.start();
  const folder = mkdtempSync(path.join(tmpdir(), 'kazawallet-shown-'));
  const url = `sqlite://${folder}/kazawallet.db`;
  const ledger = await Ledger.open(url, { client: sim.client() });
  try {
    const environment = { CRON_SECRET: 'secret', KAZAWALLET_LEDGER: url, PORT: '0' };
    await withProgram(source, { provider: sim, environment }, async (program) => {
      await work({ sim, ledger, program });
    });
  } finally {
    await ledger.close();
    await sim.stop();
    rmSync(folder, { recursive: true });
  }
}

for (const program of SERVERS) {
  test(`it receives a payment: ${program.name}`, async () => {
    await withShop(driven(program), async ({ sim, ledger, program: shop }) => {
      sim.webhookUrl = `http://127.0.0.1:${await shop.line()}/webhooks/kazawallet`;
      const [delivery] = await sim.pay(await ledger.createPaymentLink(ORDER));
      assert.equal(delivery?.answered, 200);
      assert.equal(await shop.line(), 'order-42 is paid');
    });
  });
}

for (const program of ROUTES) {
  test(`its route answers: ${program.name}`, async () => {
    await withShop(driven(program), async ({ sim, ledger, program: shop }) => {
      const [delivery] = await sim.pay(await ledger.createPaymentLink(ORDER));
      const body = Buffer.from(delivery?.body ?? '').toString();
      if (routeOf(program) === 'GET') {
        await ledger.receive(body);
        shop.tell('{}');
        assert.equal(await shop.line(), '401');
        shop.tell(JSON.stringify({ headers: { authorization: 'Bearer secret' } }));
        assert.equal(await shop.line(), 'order-42 is paid');
        assert.equal(await shop.line(), '200');
        return;
      }
      shop.tell(JSON.stringify({ method: 'POST', body: body.replace('10.50', '1.50') }));
      assert.equal(await shop.line(), '401');
      shop.tell(JSON.stringify({ method: 'POST', body }));
      const hasHandler = program.text.includes('onPayment');
      const said = [await shop.line(), ...(hasHandler ? [await shop.line()] : [])];
      assert.deepEqual(said.sort(), hasHandler ? ['200', 'order-42 is paid'] : ['200']);
      const paid = await ledger.payment(delivery?.orderId ?? '');
      assert.equal(paid?.isPaid, true);
    });
  });
}

test('a README shows one shop', () => {
  assert.deepEqual(
    SHOPS.map(({ kind }) => kind),
    ['module'],
  );
});

test('the shop of the README sells, and is not taken in', async () => {
  const [shop] = SHOPS;
  assert.ok(shop !== undefined);
  const sim = await Simulator.start();
  try {
    const settings = { provider: sim, environment: { PORT: '0' } };
    await withProgram(shop.text, settings, async (program) => {
      await checkShop((await program.line()).replace('listening on ', ''), sim);
    });
  } finally {
    await sim.stop();
  }
});

/**
 * @param {string} shop
 * @param {import('kazawallet/testing').Simulator} sim
 */
async function checkShop(shop, sim) {
  const order = async () => await (await fetch(`${shop}/order`)).text();
  /** @param {string} body */
  const deliver = async (body) => {
    const { status } = await fetch(`${shop}/webhook`, { method: 'POST', body });
    return status;
  };
  const sold = await fetch(`${shop}/checkout`, { method: 'POST', redirect: 'manual' });
  await sold.arrayBuffer();
  const link = sold.headers.get('location') ?? '';
  assert.equal(sold.status, 303);
  assert.equal(await order(), 'open');

  const orderId = link.split('/').at(-1) ?? '';
  const genuine = {
    order_id: orderId,
    amount: '10.50',
    status: 'fulfilled',
    currency: 'USD',
    ref: 'order-42',
    secret: sim.webhook().sign({ amount: '10.50', orderId }),
  };
  assert.equal(await deliver(JSON.stringify({ ...genuine, amount: '1.50' })), 401);
  assert.equal(await deliver('what is this?'), 400);
  // Genuine, but not for this order: it is kept for a person.
  assert.equal(await deliver(JSON.stringify({ ...genuine, currency: 'SYP' })), 200);
  await sim.trigger({ url: `${shop}/webhook`, amount: '10.50', ref: 'order-42' });
  assert.equal(await order(), 'open');

  sim.webhookUrl = `${shop}/webhook`;
  // A link that timed out leaves the order open, and cannot be made a payment of.
  const again = await fetch(`${shop}/checkout`, { method: 'POST', redirect: 'manual' });
  await again.arrayBuffer();
  const [timedOut] = await sim.timeOut(again.headers.get('location') ?? '');
  const edited = Buffer.from(timedOut.body).toString().replace('timed_out', 'fulfilled');
  assert.equal(await deliver(edited), 200);
  assert.equal(await order(), 'open');

  const [delivery] = await sim.pay(link);
  assert.equal(delivery.orderId, orderId);
  assert.equal(delivery.answered, 200);
  assert.equal(await order(), 'fulfilled');
  assert.equal(await deliver(JSON.stringify({ ...genuine, status: 'timed_out' })), 200);
  assert.equal(await order(), 'fulfilled');
  const late = await fetch(`${shop}/checkout`, { method: 'POST', redirect: 'manual' });
  assert.equal(late.status, 409);
}
