// `Simulator`, as a test of somebody's shop uses it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { inspect } from 'node:util';

import { kazawallet, testing } from './package.mjs';
import { portThatRefuses, withShop } from './receiver.mjs';
import { test, until } from './runtimes.mjs';

const { APIError, Client, PaymentMethod } = kazawallet;
const { Simulator, SimulatorError } = testing;

/** @typedef {import('kazawallet/testing').Simulator} AnySimulator */

const paymentMethod = PaymentMethod.syCash({ phone: '0933123456' });

/**
 * @param {(sim: AnySimulator) => Promise<void>} work
 * @param {import('kazawallet/testing').SimulatorOptions} [settings]
 */
async function withSimulator(work, settings) {
  const sim = await Simulator.start(settings);
  try {
    await work(sim);
  } finally {
    await sim.stop();
  }
}

/**
 * A link that can be paid.
 *
 * @param {AnySimulator} sim
 */
async function payable(sim) {
  const client = sim.client();
  try {
    return await client.paymentLinks.create({ amount: '10.50', currency: 'USD', ref: 'order-42' });
  } finally {
    client.close();
  }
}

test('a paid link is delivered to a shop in the same process', () =>
  withShop((shop) =>
    withSimulator(
      async (sim) => {
        const link = await payable(sim);
        const [delivery, ...more] = await sim.pay(link);
        assert.deepEqual(more, []);
        // It waits for the answer, so that the shop has it now.
        assert.deepEqual(shop.bodies, [delivery.body]);
        assert.deepEqual(shop.contentTypes, ['application/json']);
        assert.ok(Buffer.isBuffer(delivery.body));
        const event = sim.webhook().verify(delivery.body);
        assert.equal(event.orderId, link.id);
        const order = { amount: '10.5', currency: 'usd', ref: 'order-42', orderId: link.id };
        assert.equal(event.matchOrder(order).isFulfilled, true);
        assert.deepEqual(
          { ...delivery, body: undefined },
          {
            orderId: link.id,
            url: shop.url,
            contentType: 'application/json',
            body: undefined,
            fault: undefined,
            outcome: 'answered 200',
            answered: 200,
          },
        );
        assert.deepEqual(sim.deliveries, [delivery]);
      },
      { webhookUrl: shop.url },
    ),
  ));

test('many are paid at once, to a shop in the same process', () =>
  withShop((shop) =>
    withSimulator(
      async (sim) => {
        const links = await Promise.all(Array.from({ length: 8 }, () => payable(sim)));
        const deliveries = await Promise.all(links.map((link) => sim.pay(link)));
        assert.deepEqual(
          deliveries.map(([delivery]) => delivery.orderId),
          links.map((link) => link.id),
        );
        assert.equal(shop.bodies.length, 8);
      },
      { webhookUrl: shop.url },
    ),
  ));

test('without a webhook URL the delivery can be looked at', () =>
  withSimulator(async (sim) => {
    const [delivery] = await sim.pay(await payable(sim));
    assert.equal(sim.webhookUrl, undefined);
    assert.deepEqual([delivery.url, delivery.answered], [undefined, undefined]);
    assert.match(delivery.outcome, /^not sent/);
    assert.equal(sim.webhook().verify(delivery.body).isFulfilled, true);
    assert.deepEqual(sim.deliveries, [delivery]);
  }));

test('the webhook URL can be set and taken away', () =>
  withShop(
    (shop) =>
      withSimulator(async (sim) => {
        sim.webhookUrl = shop.url;
        assert.equal(sim.webhookUrl, shop.url);
        const [delivery] = await sim.pay(await payable(sim));
        assert.deepEqual([delivery.answered, shop.bodies.length], [500, 1]);
        for (const none of [undefined, null]) {
          sim.webhookUrl = none;
          assert.equal(sim.webhookUrl, undefined);
          await sim.pay(await payable(sim));
          assert.equal(shop.bodies.length, 1);
        }
        assert.throws(() => {
          sim.webhookUrl = 'ftp://127.0.0.1/';
        }, SimulatorError);
      }),
    500,
  ));

test('a shop that is not there is no error of the payment', async () => {
  const webhookUrl = `http://127.0.0.1:${await portThatRefuses()}/`;
  await withSimulator(
    async (sim) => {
      const [delivery] = await sim.pay(await payable(sim));
      assert.equal(delivery.answered, undefined);
      assert.match(delivery.outcome, /^failed/);
    },
    { webhookUrl },
  );
});

test('a link can be named by its object, its URL or its id', () =>
  withSimulator(async (sim) => {
    const links = [await payable(sim), await payable(sim), await payable(sim)];
    const [one, other, last] = links;
    assert.ok(one && other && last?.id);
    const paid = [];
    for (const name of [one, other.url, last.id]) {
      const [delivery] = await sim.pay(name);
      paid.push(delivery.orderId);
    }
    assert.deepEqual(
      paid,
      links.map((link) => link.id),
    );
  }));

test('a link can time out', () =>
  withSimulator(async (sim) => {
    const link = await payable(sim);
    const [delivery] = await sim.timeOut(link);
    const event = sim.webhook().verify(delivery.body);
    assert.equal(event.status, 'timed_out');
    assert.equal(event.isFulfilled, false);
    await assert.rejects(sim.pay(link), SimulatorError);
  }));

test('a link is paid once', () =>
  withSimulator(async (sim) => {
    const link = await payable(sim);
    await sim.pay(link);
    await assert.rejects(sim.pay(link), SimulatorError);
    await assert.rejects(sim.timeOut(link), SimulatorError);
    assert.equal(sim.deliveries.length, 1);
  }));

test('an unknown link is an error', () =>
  withSimulator(async (sim) => {
    for (const link of ['pl_unknown', 'http://127.0.0.1:1/pay/pl_unknown', '']) {
      await assert.rejects(sim.pay(link), SimulatorError);
      await assert.rejects(sim.timeOut(link), SimulatorError);
    }
    for (const link of [undefined, null, 7, {}, { url: 7 }]) {
      await assert.rejects(sim.pay(/** @type {any} */ (link)), TypeError);
    }
  }));

test('balances are kept to the cent', () =>
  withSimulator(
    async (sim) => {
      assert.equal(sim.balance('USD'), '250.00');
      assert.equal(Number(sim.balance('GBP')), 0);
      const client = sim.client();
      await client.withdrawals.create({ amount: '0.5', currency: 'SYP', paymentMethod });
      assert.equal(Number(sim.balance('SYP')), 3_000_000);
      await sim.pay(await payable(sim));
      assert.equal(sim.balance('USD'), '260.50');
      const listed = new Map();
      for (const { currency, amount } of await client.wallets.list()) {
        listed.set(currency, amount);
      }
      assert.equal(listed.get('USD'), '260.50');
      assert.equal(Number(listed.get('EUR')), 10);
      assert.equal(Number(listed.get('TRY')), 7);
      client.close();
    },
    { balances: { USD: '250.00', EUR: 10, TRY: 7n, SYP: '3000000.5' } },
  ));

test('too small a balance is told of', () =>
  withSimulator(
    async (sim) => {
      const call = sim.client().withdrawals.create({ amount: '6', currency: 'SYP', paymentMethod });
      await assert.rejects(call, { outcome: 'rejected' });
      assert.equal(Number(sim.balance('SYP')), 5);
    },
    { balances: { SYP: 5 } },
  ));

test('faults for requests are played in order', () =>
  withSimulator(async (sim) => {
    const client = sim.client({ maxRetries: 0 });
    sim.fault('answer_status:503');
    sim.fault('close_before_acting', { times: 2 });
    const codes = [];
    for (let turn = 0; turn < 4; turn += 1) {
      codes.push(
        await client.wallets.list().then(
          () => 'ok',
          (error) => error.code,
        ),
      );
    }
    assert.deepEqual(codes, ['server', 'connection', 'connection', 'ok']);
    assert.deepEqual(
      sim.requests.map(({ fault }) => fault?.split(':')[0]),
      ['answer_status', 'close_before_acting', 'close_before_acting', undefined],
    );
  }));

test('a fault without an end lasts until it is cleared', () =>
  withSimulator(async (sim) => {
    const client = sim.client({ maxRetries: 0 });
    sim.fault('answer_status:500', { times: Number.POSITIVE_INFINITY });
    for (let turn = 0; turn < 3; turn += 1) {
      await assert.rejects(client.wallets.list(), APIError);
    }
    sim.clearFaults();
    await client.wallets.list();
  }));

test('money that moved though nobody heard of it', () =>
  withSimulator(
    async (sim) => {
      sim.fault('close_after_acting');
      await assert.rejects(
        sim.client().withdrawals.create({ amount: '60', currency: 'SYP', paymentMethod }),
        { code: 'outcome_unknown' },
      );
      assert.equal(Number(sim.balance('SYP')), 40);
    },
    { balances: { SYP: 100 } },
  ));

test('faults for deliveries', () =>
  withShop((shop) =>
    withSimulator(
      async (sim) => {
        /** @param {import('kazawallet/testing').Fault} fault */
        const delivered = async (fault) => {
          sim.fault(fault);
          return await sim.pay(await payable(sim));
        };
        assert.equal((await delivered('delivered_twice')).length, 2);
        assert.equal(shop.bodies.length, 2);
        assert.deepEqual(shop.bodies[0], shop.bodies[1]);
        // A fault of a delivery says on the delivery which one it was.
        const [form] = await delivered('form_encoded');
        assert.equal(form.fault, 'form_encoded');
        assert.equal(form.contentType, 'application/x-www-form-urlencoded');
        assert.equal(sim.webhook().verify(form.body).ref, 'order-42');
        const [number] = await delivered('amount_as_number');
        assert.equal(sim.webhook().verify(number.body).amount, '10.5');
        const [edited] = await delivered('currency_changed');
        const event = sim.webhook().verify(edited.body);
        const order = { amount: '10.50', currency: 'USD', ref: 'order-42' };
        assert.throws(() => event.matchOrder(order), { field: 'currency', expected: 'USD' });
        const [changed] = await delivered('status_changed');
        assert.equal(sim.webhook().verify(changed.body).isFulfilled, false);
        const before = shop.bodies.length;
        const [never] = await delivered('never_delivered');
        assert.equal(never?.answered, undefined);
        assert.equal(shop.bodies.length, before);
      },
      { webhookUrl: shop.url },
    ),
  ));

test('a link that is answered with an order_id', () =>
  withSimulator(async (sim) => {
    sim.fault('order_id_answer');
    for (const name of ['order_id', 'id']) {
      const link = await payable(sim);
      assert.deepEqual(link.raw.json(), { success: true, [name]: link.id, url: link.url });
      const [delivery] = await sim.pay(link);
      assert.equal(delivery.orderId, link.id);
    }
  }));

for (const [dialect, names] of /** @type {const} */ ([
  ['documented', ['order_id']],
  ['plugin', ['id']],
  ['both', ['order_id', 'id']],
])) {
  test(`the dialect ${dialect} names the id in its own way`, () =>
    withShop((shop) =>
      withSimulator(
        async (sim) => {
          assert.equal(sim.dialect, dialect);
          const link = await payable(sim);
          assert.deepEqual(link.raw.json(), { success: true, id: link.id, url: link.url });
          const [delivery] = await sim.pay(link);
          const { url } = shop;
          const triggered = await sim.trigger({ url, amount: 1, orderId: 'pl_of_mine' });
          assert.deepEqual(shop.bodies, [delivery.body, triggered.body]);
          for (const { body, orderId } of [delivery, triggered]) {
            const fields = Object.entries(JSON.parse(body.toString()));
            assert.deepEqual(
              fields.filter(([name]) => name.includes('id')),
              names.map((name) => [name, orderId]),
            );
            assert.equal(sim.webhook().verify(body).orderId, orderId);
          }
        },
        { dialect, webhookUrl: shop.url },
      ),
    ));
}

test('the dialect can be changed', () =>
  withSimulator(async (sim) => {
    assert.equal(sim.dialect, 'documented');
    sim.dialect = 'plugin';
    assert.equal(sim.dialect, 'plugin');
    const [delivery] = await sim.pay(await payable(sim));
    assert.equal(JSON.parse(delivery.body.toString()).id, delivery.orderId);
    assert.throws(
      () => {
        sim.dialect = /** @type {any} */ ('php');
      },
      { name: 'SimulatorError', message: /documented, plugin, both/ },
    );
    assert.equal(sim.dialect, 'plugin');
    assert.throws(() => {
      sim.dialect = /** @type {any} */ (7);
    }, TypeError);
    const php = Simulator.start({ dialect: /** @type {any} */ ('php') });
    await assert.rejects(php, { name: 'SimulatorError', message: /documented, plugin, both/ });
  }));

test('a fault that is not known is an error', () =>
  withSimulator(async (sim) => {
    for (const fault of ['no_such_fault', 'answer_status:999', 'answer_late:soon', '']) {
      assert.throws(() => sim.fault(/** @type {any} */ (fault)), SimulatorError, fault);
    }
    for (const times of [0, -1, 1.5, Number.NaN, Number.NEGATIVE_INFINITY]) {
      assert.throws(() => sim.fault('half_body', { times }), SimulatorError, `${times}`);
    }
    assert.throws(() => sim.fault(/** @type {any} */ (7)), TypeError);
    assert.throws(() => sim.fault('half_body', /** @type {any} */ ({ often: 2 })), {
      name: 'TypeError',
      message: /`often`/,
    });
    // Nothing of it is played.
    await sim.client({ maxRetries: 0 }).wallets.list();
  }));

test('a delivery can be triggered without a link', () =>
  withShop((shop) =>
    withSimulator(async (sim) => {
      const { url } = shop;
      const delivery = await sim.trigger({
        url,
        amount: '7.50',
        currency: 'EUR',
        ref: 'order-7',
        orderId: 'pl_of_mine',
      });
      assert.deepEqual(shop.bodies, [delivery.body]);
      assert.deepEqual([delivery.answered, delivery.orderId], [200, 'pl_of_mine']);
      const event = sim.webhook().verify(delivery.body);
      assert.deepEqual(
        [event.orderId, event.ref, event.currency, event.amount, event.isFulfilled],
        ['pl_of_mine', 'order-7', 'EUR', '7.50', true],
      );
      const other = await sim.trigger({ url, amount: 1n, status: 'held' });
      const held = sim.webhook().verify(other.body);
      assert.deepEqual([held.status, held.ref, held.currency], ['held', undefined, 'USD']);
      assert.equal(held.orderId, other.orderId);
      assert.notEqual(held.orderId, '');
    }),
  ));

test('a delivery that cannot be made is an error', () =>
  withSimulator(async (sim) => {
    const url = 'http://127.0.0.1:1/webhook';
    await assert.rejects(sim.trigger({ url: 'ftp://127.0.0.1/', amount: 1 }), SimulatorError);
    await assert.rejects(sim.trigger({ url, amount: 'many' }), { code: 'validation' });
    await assert.rejects(sim.trigger({ url, amount: 1.5 }), TypeError);
    await assert.rejects(sim.trigger(/** @type {any} */ ({ amount: 1 })), TypeError);
    await assert.rejects(sim.trigger(/** @type {any} */ ({ url, amount: 1, color: 'red' })), {
      name: 'TypeError',
      message: /`color`/,
    });
  }));

test('a time-out of zero can be triggered', () =>
  withShop((shop) =>
    withSimulator(async (sim) => {
      const { url } = shop;
      for (const amount of ['0', '0.00', 0, 0n]) {
        const delivery = await sim.trigger({ url, amount, status: 'timed_out' });
        const event = sim.webhook().verify(delivery.body);
        assert.deepEqual([event.amount, event.status], [`${amount}`, 'timed_out']);
      }
      assert.equal(shop.bodies.length, 4);
      await assert.rejects(sim.trigger({ url, amount: '-1' }), { code: 'validation' });
    }),
  ));

test('with tls it is called by https', () =>
  withSimulator(
    async (sim) => {
      assert.match(sim.url, /^https:\/\/127\.0\.0\.1:/);
      const link = await payable(sim);
      assert.match(link.url, /^https:\/\/127\.0\.0\.1:/);
      const [delivery] = await sim.pay(link);
      assert.equal(sim.webhook().verify(delivery.body).orderId, link.id);
      const { url: baseUrl, apiKey, apiSecret, merchantEmail, rootCertificate } = sim;
      const settings = { baseUrl, apiKey, apiSecret, merchantEmail, maxRetries: 0 };
      const trusting = new Client({ ...settings, rootCertificates: rootCertificate });
      await trusting.wallets.list();
      await assert.rejects(new Client(settings).wallets.list(), { code: 'connection' });
      await withSimulator(async (plain) => assert.equal(plain.rootCertificate, undefined));
      await assert.rejects(Simulator.start({ tls: /** @type {any} */ ('yes') }), TypeError);
    },
    { tls: true },
  ));

test('requests are recorded without secrets', () =>
  withSimulator(async (sim) => {
    const client = sim.client();
    await client.wallets.list();
    await client.paymentLinks.create({ amount: '10.50', currency: 'USD', ref: 'order-42' });
    const [first, second] = sim.requests;
    assert.ok(first && second);
    assert.deepEqual([first.method, second.method], ['GET', 'POST']);
    assert.ok(first.path.endsWith('/get-merchant-wallets'));
    assert.deepEqual([first.status, second.status], [200, 200]);
    assert.deepEqual([first.fault, first.body], [undefined, '']);
    assert.equal(JSON.parse(second.body).ref, 'order-42');
    assert.equal(new Map(second.headers).get('x-api-key'), '***');
    const shown = JSON.stringify(sim.requests) + inspect(sim.requests, { depth: null });
    assert.ok(!shown.includes(sim.apiKey));
    assert.ok(!shown.includes(sim.apiSecret));
  }));

test('each simulator is one of its own', async () => {
  const sims = await Promise.all(Array.from({ length: 5 }, () => Simulator.start()));
  assert.equal(new Set(sims.map((sim) => sim.url)).size, 5);
  assert.equal(new Set(sims.map((sim) => sim.apiKey)).size, 5);
  const [one, other] = sims;
  assert.ok(one && other);
  assert.ok(one.apiKey.startsWith('sim_') && one.apiSecret.startsWith('sim_'));
  await assert.rejects(one.client({ apiKey: other.apiKey }).wallets.list(), {
    code: 'authentication',
  });
  assert.deepEqual(other.requests, []);
  await Promise.all(sims.map((sim) => sim.stop()));
});

test("settings of one's own", () =>
  withSimulator(
    async (sim) => {
      assert.deepEqual(
        [sim.apiKey, sim.apiSecret, sim.merchantEmail],
        ['sim_mine', 'sim_mine_too', 'shop@example.com'],
      );
      assert.match(sim.dashboardUrl, /^http:\/\/127\.0\.0\.1:/);
      const client = sim.client();
      await client.wallets.list();
      client.close();
    },
    { merchantEmail: 'shop@example.com', apiKey: 'sim_mine', apiSecret: 'sim_mine_too' },
  ));

test("a port of one's own", async () => {
  const port = await portThatRefuses();
  await withSimulator(
    async (sim) => {
      assert.equal(new URL(sim.url).port, `${port}`);
      await sim.client().wallets.list();
    },
    { port },
  );
});

test('settings that are left out, or given as nothing', () =>
  withSimulator(
    async (sim) => {
      assert.equal(sim.merchantEmail, 'merchant@example.com');
      assert.equal(sim.balance('USD'), '1000.00');
      assert.equal(sim.webhookUrl, undefined);
    },
    {
      webhookUrl: undefined,
      balances: null,
      merchantEmail: null,
      apiKey: undefined,
      apiSecret: null,
      dialect: null,
      tls: undefined,
      port: undefined,
    },
  ));

test('a setting that cannot be used is an error', async () => {
  for (const settings of [
    { apiKey: 'a_real_key' },
    { apiSecret: 'a_real_secret' },
    { webhookUrl: 'ftp://127.0.0.1/' },
    { webhookUrl: 'no url' },
    { balances: { USD: 'many' } },
    { merchantEmail: '' },
    { port: -1 },
    { port: 65_536 },
    { port: 1.5 },
  ]) {
    const error = await Simulator.start(settings).then(
      () => assert.fail(JSON.stringify(settings)),
      (problem) => problem,
    );
    assert.ok(error instanceof SimulatorError || error.code === 'validation', inspect(error));
    assert.ok(error.name === 'SimulatorError' || error.name === 'ValidationError');
    assert.ok(!error.message.includes('a_real_'), error.message);
  }
});

test('a setting of the wrong type is a TypeError', async () => {
  for (const settings of /** @type {any[]} */ ([
    { balances: { USD: 1.5 } },
    { balances: { USD: true } },
    { balances: ['USD'] },
    { port: '8000' },
    { color: 'red' },
    { apiKey: 7 },
    'http://127.0.0.1/',
  ])) {
    await assert.rejects(Simulator.start(settings), TypeError, JSON.stringify(settings));
  }
  assert.throws(() => new /** @type {any} */ (Simulator)(), TypeError);
});

test('a port that is taken is an error', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  await assert.rejects(Simulator.start({ port }), SimulatorError);
  server.close();
});

test('a client with options of its own', () =>
  withSimulator(async (sim) => {
    const client = sim.client({ timeout: 500, maxRetries: 0, appName: 'shop/1' });
    assert.ok(client instanceof Client);
    sim.fault('answer_late:20000');
    await assert.rejects(client.wallets.list(), { code: 'timeout' });
    const agent = new Map(sim.requests[0]?.headers).get('user-agent');
    assert.match(`${agent}`, /shop\/1/);
    assert.throws(() => sim.client(/** @type {any} */ ({ color: 'red' })), TypeError);
  }));

test('stopping twice does nothing', async () => {
  const sim = await Simulator.start();
  const client = sim.client({ maxRetries: 0 });
  await client.wallets.list();
  await sim.stop();
  await sim.stop();
  await assert.rejects(client.wallets.list(), kazawallet.APIConnectionError);
  client.close();
});

test('it stops while a call waits for its answer', async () => {
  const sim = await Simulator.start();
  const client = sim.client({ maxRetries: 0 });
  sim.fault('answer_late:20000');
  const call = assert.rejects(client.wallets.list());
  await until(() => sim.requests.length > 0, 'a request');
  await Promise.all([sim.stop(), sim.stop()]);
  await call;
  client.close();
});

test('what was seen can be looked at after the end', async () => {
  const sim = await Simulator.start();
  const link = await payable(sim);
  await sim.pay(link);
  const other = await payable(sim);
  await sim.stop();
  assert.equal(sim.deliveries.length, 1);
  assert.equal(sim.requests.length, 2);
  assert.equal(sim.balance('USD'), '1010.50');
  await assert.rejects(sim.pay(other), SimulatorError);
});

test('Symbol.asyncDispose stops it', async () => {
  const sim = await Simulator.start();
  assert.equal(typeof Symbol.asyncDispose, 'symbol');
  const client = sim.client({ maxRetries: 0 });
  await client.wallets.list();
  await sim[Symbol.asyncDispose]();
  await assert.rejects(client.wallets.list(), kazawallet.APIConnectionError);
  await sim.stop();
});

test('a shop that never answers holds up the payment, and not the process', () =>
  withSimulator(async (sim) => {
    const server = createServer((socket) => socket.on('error', () => {}));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    sim.webhookUrl = `http://127.0.0.1:${port}/webhook`;
    const connection = once(server, 'connection');
    const paid = sim.pay(await payable(sim));
    const [socket] = await connection;
    // Other calls go on meanwhile.
    assert.ok((await sim.client().wallets.list()).wallets.length > 0);
    assert.equal(sim.deliveries[0]?.outcome, 'on its way');
    socket.destroy();
    const [delivery] = await paid;
    assert.match(delivery.outcome, /^failed/);
    server.close();
  }));
