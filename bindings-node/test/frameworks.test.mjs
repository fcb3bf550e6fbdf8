// The webhook's route in the web frameworks, each on a real server: what tests/webhook-routes.json says
// that it answers, and when its worker runs.

import assert from 'node:assert/strict';
import { connect } from 'node:net';

import {
  FRAMEWORKS,
  forExpress,
  forFastify,
  forWeb,
  send,
  withApplication,
} from './frameworks.mjs';
import { delivery, eventually, rejection, withLedger } from './ledgers.mjs';
import { kazawallet, testing } from './package.mjs';
import { checkClean, withProgram } from './programs.mjs';
import { guarded, test, until } from './runtimes.mjs';
import { holdKeys, NotUnderstood, readJson, readText } from './shared-data.mjs';

const { Ledger, LedgerError, PaymentEvent, Webhook } = kazawallet;

/**
 * @typedef {import('./frameworks.mjs').Serve} Serve
 * @typedef {import('./frameworks.mjs').Served} Served
 * @typedef {import('./ledgers.mjs').Shop} Shop
 */

// ---------------------------------------------------------------- the table

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {'webhook' | 'ledger' | 'both'} source
 * @property {string} method
 * @property {any} body
 * @property {boolean} [chunked]
 * @property {string | null} [content_type]
 * @property {'fails'} [handler]
 * @property {'closed'} [ledger]
 * @property {boolean} [body_read_before]
 * @property {number} status
 * @property {unknown} answer
 * @property {string} [allow]
 * @property {string | null} handled
 */

/** @returns {Case[]} */
function readCases() {
  const table = holdKeys(
    'the table',
    readJson(readText('webhook-routes.json')),
    'description cases',
  );
  for (const one of table.cases) {
    holdKeys(
      one.name,
      one,
      'name source method body status answer handled',
      'chunked content_type handler ledger body_read_before only_where_possible allow',
    );
    holdKeys(one.name, one.body, '', 'signed encoding text hex spaces');
    if (
      !['webhook', 'ledger', 'both'].includes(one.source) ||
      ![undefined, 'fails'].includes(one.handler) ||
      ![undefined, 'closed'].includes(one.ledger) ||
      ![undefined, 'form'].includes(one.body.encoding)
    ) {
      throw new NotUnderstood(`${one.name}: ${JSON.stringify(one)}`);
    }
  }
  return table.cases;
}

const CASES = readCases();

/**
 * A case's body.
 *
 * @param {Case['body']} body
 * @param {import('kazawallet').Webhook} signer
 * @param {ReadonlyMap<string, string>} links The ids of the orders' links, by their refs.
 * @param {Dialect} dialect
 */
function bytesOf({ signed, encoding, text = '', hex = '', spaces = 0 }, signer, links, dialect) {
  const parts = [Buffer.alloc(spaces, ' '), Buffer.from(text), Buffer.from(hex, 'hex')];
  if (signed !== undefined) {
    const orderId = links.get(signed.ref) ?? signed.order_id;
    const secret = signer.sign({ amount: signed.amount, orderId });
    const { order_id: _, ...others } = signed;
    const fields = { [dialect === 'plugin' ? 'id' : 'order_id']: orderId, ...others, secret };
    parts.push(
      Buffer.from(encoding === 'form' ? `${new URLSearchParams(fields)}` : JSON.stringify(fields)),
    );
  }
  return Buffer.concat(parts);
}

/**
 * An application's handler, and what it and `onError` were given.
 */
class Received {
  /** @type {any[]} */
  handled = [];
  /** @type {any[]} */
  errors = [];
  fails = false;

  handler = async (/** @type {any} */ received) => {
    if (this.fails) {
      throw new Error('the handler failed');
    }
    this.handled.push(received);
  };

  settings = {
    onError: (/** @type {unknown} */ error) => {
      this.errors.push(error);
    },
  };

  get refs() {
    return this.handled.map(({ ref }) => ref);
  }
}

/**
 * Sends a case to its route, and holds the answer against the table.
 *
 * @param {string} url
 * @param {Case} one
 * @param {Buffer} body
 */
async function checkAnswer(url, one, body) {
  const { method, chunked = false, content_type: contentType } = one;
  const answer = await send(url, { method, body, chunked, contentType });
  assert.deepEqual([one.name, answer.status], [one.name, one.status]);
  assert.deepEqual(JSON.parse(answer.text), one.answer, one.name);
  assert.match(`${answer.headers['content-type']}`, /^application\/json\b/);
  assert.equal(answer.headers['allow'], one.allow, one.name);
}

/** @typedef {import('kazawallet/testing').Dialect} Dialect */

/** @type {(framework: string) => Dialect[]} */
const dialectsOf = (framework) =>
  framework === 'Express 5' ? ['documented', 'plugin'] : ['documented'];

const IN_THE_TABLE = Object.entries(FRAMEWORKS).flatMap(([framework, serve]) =>
  dialectsOf(framework).map((dialect) => ({ name: `${framework}, ${dialect}`, serve, dialect })),
);

for (const { name, serve, dialect } of IN_THE_TABLE) {
  test(`${name}: what the table says, with a webhook`, async () => {
    const credentials = { apiKey: 'sim_key', apiSecret: 'sim_secret' };
    const webhook = new Webhook(credentials);
    const cases = CASES.filter(({ source }) => source !== 'ledger');
    assert.ok(cases.length > 15);
    for (const readBefore of [false, true]) {
      const received = new Received();
      const receiver = [webhook, received.handler, received.settings];
      await withApplication(serve, { receiver, bodyReadBefore: readBefore }, async ({ url }) => {
        for (const one of cases) {
          if ((one.body_read_before ?? false) === readBefore) {
            received.handled = [];
            received.errors = [];
            received.fails = one.handler === 'fails';
            await checkAnswer(url, one, bytesOf(one.body, webhook, new Map(), dialect));
            assert.deepEqual(received.refs, one.handled === null ? [] : [one.handled], one.name);
            assert.ok(received.handled.every((event) => event instanceof PaymentEvent));
            const logged = one.status >= 400 && one.status !== 405 ? 1 : 0;
            assert.equal(received.errors.length, logged, one.name);
          }
        }
      });
    }
  });

  test(`${name}: what the table says, with a ledger`, () =>
    withLedger(async ({ ledger, sim, url: database }) => {
      /** @type {Map<string, string>} */
      const links = new Map();
      for (let number = 1; number <= 13; number += 1) {
        const ref = `order-${number}`;
        const link = await ledger.createPaymentLink({ ref, amount: '10.50', currency: 'USD' });
        links.set(ref, `${link.id}`);
      }
      const cases = CASES.filter(({ source }) => source !== 'webhook');
      assert.ok(cases.length > 15);
      const apart = (/** @type {Case} */ one) =>
        JSON.stringify([one.handler, one.ledger, one.body_read_before]);
      // Those that need no application of their own share one.
      for (const kind of new Set(cases.map(apart))) {
        const [first, ...more] = cases.filter((one) => apart(one) === kind);
        assert.ok(first !== undefined);
        const received = new Received();
        received.fails = first.handler === 'fails';
        const own = await Ledger.open(database, { client: sim.client() });
        const application = {
          receiver: [own, received.handler, received.settings],
          bodyReadBefore: first.body_read_before ?? false,
        };
        await withApplication(serve, application, async ({ url }) => {
          if (first.ledger === 'closed') {
            await own.close();
          }
          for (const one of [first, ...more]) {
            await checkAnswer(url, one, bytesOf(one.body, sim.webhook(), links, dialect));
          }
          const wanted = [first, ...more]
            .map(({ handled }) => handled)
            .filter((ref) => ref !== null);
          await until(() => received.handled.length >= wanted.length, `${kind}: ${wanted}`);
          if (received.fails) {
            // It is called again, perhaps soon.
            await until(() => received.errors.length > 0, 'what the handler threw');
            assert.ok(received.errors.every(({ message }) => message === 'the handler failed'));
          }
          assert.deepEqual(received.refs.sort(), wanted.sort());
        });
        await own.close();
        if (received.fails) {
          // It is not for the next application.
          await ledger.markProcessed(`${links.get(first.body.signed.ref)}`);
        }
      }
    }));
}

// ---------------------------------------------------------------- what goes wrong

/** @param {any} body */
const posted = (body) => new Request('http://127.0.0.1/', { method: 'POST', body });

/** @param {Shop} shop */
async function lastErrors({ ledger, sim }) {
  const orderIds = sim.deliveries.map(({ orderId }) => orderId);
  const payments = await Promise.all(orderIds.map((orderId) => ledger.payment(orderId)));
  return payments.flatMap((payment) => payment?.lastError ?? []);
}

/** @param {import('kazawallet/testing').Simulator} sim */
const credentialsOf = ({ apiKey, apiSecret }) => ({ apiKey, apiSecret });

/**
 * What is logged while `work` goes on, by what stands in for the console.
 *
 * @param {() => Promise<void>} work
 */
async function logged(work) {
  const { error } = console;
  /** @type {string[]} */
  const lines = [];
  console.error = (/** @type {unknown[]} */ ...told) => {
    lines.push(told.map((one) => (one instanceof Error ? `${one.stack}` : `${one}`)).join(' '));
  };
  try {
    await work();
  } finally {
    console.error = error;
  }
  return lines;
}

const WAY_OUT = {
  'Express 5': /above `app\.use\(express\.json\(\)\)`/,
  'Express 4': /above `app\.use\(express\.json\(\)\)`/,
  Fastify: /Register that hook in a plugin of its own/,
  web: /request\.clone\(\)/,
};

for (const [framework, serve] of Object.entries(FRAMEWORKS)) {
  test(`${framework}: what goes wrong is logged for the developer, and nobody else learns of it`, () =>
    withLedger(async ({ ledger, sim }) => {
      const genuine = delivery(sim, { orderId: 'pl_1', ref: 'order-of-a-person' });
      const lines = await logged(async () => {
        const receiver = [ledger, () => {}];
        await withApplication(serve, { receiver, bodyReadBefore: true }, async ({ url }) => {
          assert.equal((await send(url, { body: genuine })).text, '{"error":"not_processed"}');
        });
        await withApplication(serve, { receiver }, async ({ url }) => {
          const forged = genuine.replace('10.50', '99.50');
          const answer = await send(url, { body: forged });
          assert.equal(answer.text, '{"error":"signature_verification"}');
        });
      });
      assert.equal(lines.length, 2, lines.join('\n'));
      assert.match(`${lines[0]}`, WAY_OUT[/** @type {keyof typeof WAY_OUT} */ (framework)]);
      assert.match(`${lines[1]}`, /^kazawallet: SignatureVerificationError: /);
      for (const line of lines) {
        for (const secret of [sim.apiKey, sim.apiSecret, 'order-of-a-person', 'pl_1']) {
          assert.ok(!line.includes(secret), line);
        }
      }
    }));

  test(`${framework}: without a ledger the log says which payment a handler failed for`, async () => {
    const webhook = new Webhook({ apiKey: 'sim_key', apiSecret: 'sim_secret' });
    const lines = await logged(async () => {
      const handler = () => {
        throw new RangeError('no such address: Aleppo');
      };
      await withApplication(serve, { receiver: [webhook, handler] }, async ({ url }) => {
        const secret = webhook.sign({ amount: '10.50', orderId: 'pl_1' });
        const payment = { order_id: 'pl_1', amount: '10.50', status: 'fulfilled', secret };
        for (const unsigned of [
          { ref: 'order-42', currency: 'USD' },
          { ref: 'order-43\nof an attacker' }, // The ref is not signed.
        ]) {
          const answer = await send(url, { body: JSON.stringify({ ...payment, ...unsigned }) });
          assert.equal(answer.text, '{"error":"not_processed"}');
        }
      });
    });
    const [first = '', second = '', ...more] = lines;
    assert.deepEqual(more, []);
    const [named, ...frames] = first.split('\n');
    assert.equal(
      named,
      'kazawallet: the handler failed for the order id pl_1 (ref order-42, fulfilled, 10.50 USD), ' +
        'which will not come again: RangeError (its message is not shown)',
    );
    assert.match(`${frames[0]}`, /^ {4}at .*frameworks\.test\.mjs:\d+/);
    assert.match(
      second,
      /\(ref order-43 of an attacker, fulfilled, 10\.50 undefined\), which will/,
    );
    assert.ok(!lines.join().includes('Aleppo'), lines.join('\n'));
  });

  test(`${framework}: a ledger that cannot be opened is asked for again`, () =>
    withLedger(async ({ sim, url: database }) => {
      const body = delivery(sim, { orderId: 'pl_1', ref: 'order-42' });
      let broken = true;
      /** @type {import('kazawallet').Ledger[]} */
      const opened = [];
      const open = async () => {
        if (broken) {
          throw new LedgerError('the disk is not there yet');
        }
        const ledger = await Ledger.open(database, { client: sim.client() });
        opened.push(ledger);
        return ledger;
      };
      const received = new Received();
      const receiver = [open, received.handler, received.settings];
      if (framework === 'Fastify') {
        // There the application does not start.
        assert.match((await rejection(() => serve({ receiver }))).message, /not there yet/);
        return;
      }
      await withApplication(serve, { receiver }, async ({ url }) => {
        assert.equal((await send(url, { body })).text, '{"error":"not_processed"}');
        broken = false;
        const answers = await Promise.all([1, 2, 3].map(() => send(url, { body })));
        assert.deepEqual(
          answers.map(({ status }) => status),
          [200, 200, 200],
        );
        assert.equal(opened.length, 1);
        // The payment has no order, which is told once, however often it is delivered.
        const told = received.errors.filter((error) => typeof error === 'string');
        assert.equal(told.length, 1, told.join('\n'));
        const failures = received.errors.filter((error) => typeof error !== 'string');
        assert.ok(failures.length > 0);
        assert.ok(failures.every(({ message }) => /not there yet/.test(message)));
      });
      assert.equal((await rejection(() => opened[0]?.summary())).code, 'ledger_unavailable');
    }));

  test(`${framework}: a sender that goes away in the middle`, async () => {
    const sim = await testing.Simulator.start();
    const received = new Received();
    const receiver = [new Webhook(credentialsOf(sim)), received.handler, received.settings];
    await withApplication(serve, { receiver }, async ({ url }) => {
      const { port, host, pathname } = new URL(url);
      const socket = connect(Number(port), '127.0.0.1');
      socket.on('error', () => {});
      const head = `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\n`;
      await new Promise((resolve) => socket.write(`${head}{"order_id":`, resolve));
      // It has arrived when a later request is answered.
      assert.equal((await send(new URL('/', url).href, { method: 'GET' })).text, 'a page');
      socket.destroy();
      const body = delivery(sim, { orderId: 'pl_1', ref: 'order-42' });
      assert.equal((await send(url, { body })).status, 200);
      assert.deepEqual(received.refs, ['order-42']);
      await until(() => received.errors.length > 0, 'what became of the first');
      assert.equal(received.errors[0].name, 'WebhookPayloadError');
    });
    await sim.stop();
  });
}

for (const framework of /** @type {const} */ (['Express 5', 'Express 4'])) {
  test(`${framework}: raw bytes that a parser kept are taken`, async () => {
    const { default: express } = await import(framework === 'Express 5' ? 'express' : 'express-4');
    const { createServer } = await import('node:http');
    const sim = await testing.Simulator.start();
    const received = new Received();
    const receiver = () =>
      forExpress.webhookReceiver(sim.webhook(), received.handler, received.settings);
    const app = express();
    app.use('/raw', express.raw({ type: () => true }), receiver());
    app.use('/text', express.text({ type: () => true }), receiver());
    // As NestJS and some platforms keep it.
    const verify = (
      /** @type {any} */ request,
      /** @type {any} */ _,
      /** @type {Buffer} */ bytes,
    ) => {
      request.rawBody = bytes;
    };
    app.use('/kept', express.json({ verify }), receiver());
    const server = createServer(app);
    server.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    const paths = ['raw', 'text', 'kept'];
    const long = JSON.stringify({ note: 'x'.repeat(65_537) });
    for (const path of paths) {
      const body = delivery(sim, { orderId: `pl_${path}`, ref: path });
      const answer = await send(`http://127.0.0.1:${port}/${path}`, { body });
      assert.equal(answer.text, '{"received":true}', path);
      const refused = await send(`http://127.0.0.1:${port}/${path}`, { body: long });
      assert.equal(refused.status, 413, path);
    }
    assert.deepEqual(received.refs, paths);
    server.close();
    await sim.stop();
  });
}

test('web: a body that somebody else reads is told of', () =>
  withLedger(async ({ ledger, sim }) => {
    const lines = await logged(async () => {
      const receive = forWeb.webhookReceiver(ledger, () => {});
      const request = posted(delivery(sim, { orderId: 'pl_1', ref: 'order-42' }));
      request.body?.getReader();
      assert.equal((await receive(request)).status, 500);
      await receive.stop();
    });
    assert.equal(lines.length, 1);
    assert.match(`${lines[0]}`, WAY_OUT.web);
  }));

test('Fastify: what goes wrong goes to the logger of the application', () =>
  withLedger(async ({ ledger }) => {
    const { default: fastify } = await import('fastify');
    /** @type {string[]} */
    const lines = [];
    const stream = { write: (/** @type {string} */ line) => lines.push(line) };
    const app = fastify({ logger: { level: 'error', stream } });
    app.register(
      forFastify.webhookReceiver(ledger, () => {}),
      { path: '/webhook' },
    );
    const answer = await app.inject({ method: 'POST', url: '/webhook', payload: 'hello' });
    assert.equal(answer.body, '{"error":"webhook_payload"}');
    await app.close();
    assert.equal(lines.length, 1);
    assert.match(`${lines[0]}`, /WebhookPayloadError/);
  }));

test('Fastify: a payment that is lost is named by the logger of the application', async () => {
  const { default: fastify } = await import('fastify');
  const sim = await testing.Simulator.start();
  /** @type {string[]} */
  const lines = [];
  const stream = { write: (/** @type {string} */ line) => lines.push(line) };
  const app = fastify({ logger: { level: 'error', stream } });
  const handler = async () => {
    throw new Error('no such address: Aleppo');
  };
  app.register(forFastify.webhookReceiver(sim.webhook(), handler), { path: '/webhook' });
  const payload = delivery(sim, { orderId: 'pl_1', ref: 'order-42' });
  assert.equal((await app.inject({ method: 'POST', url: '/webhook', payload })).statusCode, 500);
  await app.close();
  await sim.stop();
  assert.equal(lines.length, 1);
  assert.match(
    JSON.parse(`${lines[0]}`).msg,
    /^kazawallet: the handler failed for the order id pl_1 \(ref order-42, fulfilled, 10\.50 USD\)/,
  );
  assert.ok(!`${lines[0]}`.includes('Aleppo'), lines[0]);
});

test('with a ledger the log says which payment a handler failed for', () =>
  withLedger(async (shop) => {
    const body = await paid(shop, 'order-1');
    const lines = await logged(async () => {
      const receive = forWeb.webhookReceiver(shop.ledger, () => {
        throw new RangeError('no such address: Aleppo');
      });
      assert.equal((await receive(posted(body))).status, 200);
      await eventually(async () => (await lastErrors(shop)).length > 0, 'a failure');
      await receive.stop();
    });
    assert.match(
      `${lines[0]}`,
      /^kazawallet: the handler failed for \w+: RangeError \(its message is not shown\)\n {4}at /,
    );
    assert.ok(!lines.join().includes('Aleppo'), lines.join('\n'));
    // There it is kept.
    assert.deepEqual(await lastErrors(shop), ['RangeError: no such address: Aleppo']);
  }));

test('`onError` is given what the handler threw, and the payment', () =>
  withLedger(async (shop) => {
    const body = await paid(shop, 'order-1');
    const problem = new RangeError('no such address: Aleppo');
    const handler = () => {
      throw problem;
    };
    for (const source of [shop.sim.webhook(), shop.ledger]) {
      /** @type {any[][]} */
      const told = [];
      const onError = (/** @type {unknown[]} */ ...given) => told.push(given);
      const lines = await logged(async () => {
        const receive = forWeb.webhookReceiver(/** @type {any} */ (source), handler, { onError });
        await receive(posted('hello'));
        await receive(posted(body));
        await until(() => told.length > 1, 'what the handler threw');
        await receive.stop();
      });
      assert.deepEqual(lines, []);
      const [[refused, nothing] = [], [thrown, payment] = []] = told;
      assert.deepEqual([refused.name, nothing], ['WebhookPayloadError', undefined]);
      assert.equal(thrown, problem);
      const { ref, status, amount, currency } = payment;
      assert.deepEqual([ref, status, amount, currency], ['order-1', 'fulfilled', '10.50', 'USD']);
    }
  }));

test('whatever a handler throws, the payment is named and no message is shown', async () => {
  const sim = await testing.Simulator.start();
  const frames = new Error('Sara\n    at Aleppo (Sara.js:1:1)');
  const { OrderMismatchError, LedgerError: Failure } = kazawallet;
  for (const [thrown, shown] of /** @type {[unknown, RegExp][]} */ ([
    ['Sara', /: a string \(its message is not shown\)$/],
    [undefined, /: undefined \(its message is not shown\)$/],
    [{ name: 'Sara', message: 'Sara' }, /: an object \(its message is not shown\)$/],
    [Object.create(null), /: an object \(its message is not shown\)$/],
    [frames, /: Error \(its message is not shown\)\n {4}at /],
    [
      new TypeError('x', { cause: new Error('Sara') }),
      /: TypeError \(its message is not shown\)\n {4}at /,
    ],
    [Object.assign(new Error('x'), { stack: undefined }), /: Error \(its message is not shown\)$/],
    [
      Object.defineProperty(new Error('x'), 'stack', { get: () => assert.fail('a trap') }),
      /: what has no text$/,
    ],
    // Ours hold nobody's data.
    [new OrderMismatchError('the ref differs'), /: OrderMismatchError: the ref differs$/],
    [new Failure('the disk is full'), /: LedgerError: the disk is full\n {4}at /],
  ])) {
    const handler = () => {
      throw thrown;
    };
    const [line = '', ...more] = await logged(async () => {
      const receive = forWeb.webhookReceiver(sim.webhook(), handler);
      const body = delivery(sim, { orderId: 'pl_1', ref: 'order-42' });
      assert.equal((await receive(posted(body))).status, 500);
    });
    assert.deepEqual(more, []);
    assert.match(line, /^kazawallet: the handler failed for the order id pl_1 \(ref order-42, /);
    assert.match(line, shown);
    assert.ok(!/Sara|Aleppo/.test(line), line);
  }
  await sim.stop();
});

test('a content type that is none does no harm', () =>
  withLedger(async ({ ledger, sim }) => {
    for (const [framework, serve] of Object.entries(FRAMEWORKS)) {
      await withApplication(serve, { receiver: [ledger, () => {}] }, async ({ url }) => {
        const body = delivery(sim, { orderId: `pl_${framework}` });
        assert.equal((await send(url, { body, contentType: 'what is this?' })).status, 200);
      });
    }
  }));

test('an `onError` that fails does no harm', () =>
  withLedger(async ({ ledger }) => {
    const failures = [
      () => {
        throw new Error('a bug in onError');
      },
      async () => {
        throw new Error('a bug in onError');
      },
    ];
    for (const onError of failures) {
      const lines = await logged(async () => {
        const receive = forWeb.webhookReceiver(ledger, () => {}, { onError });
        const request = new Request('http://127.0.0.1/', { method: 'POST', body: 'hello' });
        assert.equal((await receive(request)).status, 400);
        await receive.stop();
      });
      // What it was to be told is not lost with it.
      assert.deepEqual(
        lines.map((line) => line.split('\n')[0]?.replace(/(PayloadError: ).*/, '$1…')),
        [
          'kazawallet: WebhookPayloadError: …',
          'kazawallet: telling of it failed: Error (its message is not shown)',
        ],
      );
    }
  }));

test('what a receiver cannot be made with is a TypeError that says what can', () =>
  withLedger(async ({ ledger, sim }) => {
    const webhook = sim.webhook();
    const handler = () => {};
    const wrong = [
      [[], /`source`/],
      [['sqlite:///kazawallet.db', handler], /`source`/],
      [[sim.client(), handler], /`source`/],
      [[ledger], /`handler`/],
      [[ledger, 5], /`handler`/],
      [[ledger, null, {}], /`handler`/],
      [[ledger, { worker: true }], /`handler`/],
      [[webhook], /`handler`/],
      [[webhook, { worker: false }], /`handler`/],
      [[ledger, handler, { worker: 'no' }], /`worker`/],
      [[ledger, handler, { onError: 'log' }], /`onError`/],
      [[ledger, handler, { maxTries: 5 }], /`maxTries`/],
      [[ledger, handler, 5], /options/],
    ];
    for (const { webhookReceiver } of [forExpress, forFastify, forWeb]) {
      for (const [given, message] of wrong) {
        assert.throws(
          () => webhookReceiver(.../** @type {[any, any]} */ (given)),
          { name: 'TypeError', message },
          `${given}`,
        );
      }
    }
    const { default: fastify } = await import('fastify');
    const app = fastify();
    const plugin = forFastify.webhookReceiver(ledger, handler);
    app.register(/** @type {any} */ (plugin), {});
    assert.match((await rejection(async () => app.ready())).message, /`path`/);
  }));

test('what opens the ledger must open one', async () => {
  const received = new Received();
  const open = /** @type {any} */ (() => 'sqlite:///kazawallet.db');
  const receive = forWeb.webhookReceiver(open, received.handler, received.settings);
  assert.match((await rejection(() => receive.start())).message, /must give a Ledger/);
});

test('without a secret no receiver starts, and no delivery is lost', () =>
  withLedger(async (shop) => {
    const body = await paid(shop, 'order-1');
    const received = new Received();
    const without = await Ledger.open(shop.url);
    const started = forWeb.webhookReceiver(without, received.handler, received.settings);
    const { name, message } = await rejection(() => started.start());
    assert.deepEqual([name, /nothing to verify/.test(message)], ['ConfigurationError', true]);
    const url = 'http://127.0.0.1/webhooks/kazawallet';
    const answer = await started(new Request(url, { method: 'POST', body }));
    assert.equal(answer.status, 500);
    await started.stop();
    await without.close();
    assert.equal((await shop.ledger.summary()).quarantined, 1);
    const mended = forWeb.webhookReceiver(shop.ledger, { worker: false });
    await mended.start();
    assert.equal((await shop.ledger.order('order-1'))?.state, 'paid');
    await mended.stop();
  }));

// ---------------------------------------------------------------- when it runs

/**
 * A ledger's opener that counts.
 *
 * @param {Shop} shop
 */
function counting({ sim, url }) {
  /** @type {import('kazawallet').Ledger[]} */
  const opened = [];
  const open = async () => {
    const ledger = await Ledger.open(url, { client: sim.client() });
    opened.push(ledger);
    return ledger;
  };
  return { open, opened };
}

/**
 * The delivery of an order that was paid.
 *
 * @param {Shop} shop
 * @param {string} ref
 */
async function paid({ ledger, sim }, ref) {
  const link = await ledger.createPaymentLink({ ref, amount: '10.50', currency: 'USD' });
  const [{ body }] = await sim.pay(link.url);
  return body;
}

/** @param {import('kazawallet').Ledger | undefined} ledger */
async function isClosed(ledger) {
  return (await rejection(async () => ledger?.summary())).code === 'ledger_unavailable';
}

for (const [framework, serve] of Object.entries(FRAMEWORKS)) {
  test(`${framework}: after a restart what came before is handled`, () =>
    withLedger(async (shop) => {
      const body = await paid(shop, 'order-1');
      const { open, opened } = counting(shop);
      await withApplication(serve, { receiver: [open, { worker: false }] }, async ({ url }) => {
        assert.equal((await send(url, { body })).status, 200);
      });
      assert.equal((await shop.ledger.summary()).processing.waiting, 1);

      const received = new Received();
      await withApplication(serve, { receiver: [open, received.handler] }, async ({ url }) => {
        await until(() => received.handled.length > 0, 'the payment of before');
        // And what comes later.
        assert.equal((await send(url, { body: await paid(shop, 'order-2') })).status, 200);
        await until(() => received.handled.length > 1, 'the payment that came later');
      });
      assert.deepEqual(received.refs, ['order-1', 'order-2']);
      assert.equal(opened.length, 2);
      assert.deepEqual(await Promise.all(opened.map(isClosed)), [true, true]);
      assert.equal((await shop.ledger.summary()).processing.done, 2);
    }));

  test(`${framework}: a ledger that was handed over stays open, and its worker ends`, () =>
    withLedger(async (shop) => {
      const { ledger } = shop;
      const received = new Received();
      await withApplication(serve, { receiver: [ledger, received.handler] }, async ({ url }) => {
        assert.equal((await send(url, { body: await paid(shop, 'order-1') })).status, 200);
        await until(() => received.handled.length > 0, 'the payment');
      });
      await ledger.receive(await paid(shop, 'order-2'));
      // Nobody has it: a worker would have taken it at once.
      assert.deepEqual(
        (await ledger.pending()).map(({ ref }) => ref),
        ['order-2'],
      );
      assert.deepEqual(received.refs, ['order-1']);
    }));

  test(`${framework}: the end waits for the handler that runs`, () =>
    withLedger(async (shop) => {
      const { open } = counting(shop);
      /** @type {string[]} */
      const said = [];
      /** @type {(value?: unknown) => void} */
      let goOn = () => {};
      const handler = async () => {
        said.push('begun');
        await new Promise((resolve) => {
          goOn = resolve;
        });
        said.push('done');
      };
      const { url, close } = await serve({ receiver: [open, handler] });
      assert.equal((await send(url, { body: await paid(shop, 'order-1') })).status, 200);
      await until(() => said.length > 0, 'the handler');
      const closing = close().then(() => said.push('closed'));
      goOn();
      await guarded(closing, () => 'the end');
      assert.deepEqual(said, ['begun', 'done', 'closed']);
      assert.equal((await shop.ledger.summary()).processing.done, 1);
    }));

  test(`${framework}: without a worker nothing is handled`, () =>
    withLedger(async (shop) => {
      const { ledger } = shop;
      const received = new Received();
      /** @type {any[][]} */
      const ways = [
        [ledger, { worker: false }],
        [ledger, null, { worker: false }],
        [ledger, received.handler, { worker: false }],
        [Promise.resolve(ledger), { worker: false }], // The last one: it is closed at the end.
      ];
      for (const [index, receiver] of ways.entries()) {
        const body = await paid(shop, `order-${index}`);
        await withApplication(serve, { receiver }, async ({ url }) => {
          assert.equal((await send(url, { body })).status, 200);
          const [payment, ...more] = await ledger.pending();
          assert.deepEqual([payment?.ref, more], [`order-${index}`, []]);
          await ledger.markProcessed(`${payment?.orderId}`);
        });
      }
      assert.deepEqual(received.handled, []);
      assert.ok(await isClosed(ledger));
    }));
}

test('web: nothing happens before the first delivery', () =>
  withLedger(async (shop) => {
    const { open, opened } = counting(shop);
    const received = new Received();
    await shop.ledger.receive(await paid(shop, 'order-1'));
    const receive = forWeb.webhookReceiver(open, received.handler);
    await receive.stop(); // There is nothing to stop.
    const get = await receive(new Request('http://127.0.0.1/'));
    assert.equal(get.status, 405);
    assert.equal(opened.length, 0);
    const request = new Request('http://127.0.0.1/', { method: 'POST', body: 'hello' });
    assert.equal((await receive(request)).status, 400);
    await until(() => received.handled.length > 0, 'the payment of before');
    assert.equal(opened.length, 1);

    // It can be stopped, and started again.
    await Promise.all([receive.stop(), receive.stop()]);
    assert.ok(await isClosed(opened[0]));
    await Promise.all([receive.start(), receive.start()]);
    assert.equal(opened.length, 2);
    assert.ok(!(await isClosed(opened[1]).catch(() => false)));
    await receive.stop();
    assert.ok(await isClosed(opened[1]));
  }));

test('web: a promise that is never used is no unhandled rejection', async () => {
  const failed = Promise.reject(new LedgerError('the disk is gone'));
  const receive = forWeb.webhookReceiver(failed, () => {});
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.match((await rejection(() => receive.start())).message, /the disk is gone/);
});

/** What serves, by the framework: without `stop`, the way a program is that knows of nothing. */
const SERVING = {
  Express: `
    import { createServer } from 'node:http';
    import express from 'express';
    const { webhookReceiver } = await load('kazawallet/express');
    const app = express();
    app.use('/webhooks/kazawallet', webhookReceiver(open, onPayment));
    const server = createServer(app);
    process.once('SIGTERM', () => server.close());
    server.listen(0, '127.0.0.1', () => {
      console.log(\`http://127.0.0.1:\${server.address().port}\`);
    });
  `,
  Fastify: `
    import fastify from 'fastify';
    const { webhookReceiver } = await load('kazawallet/fastify');
    const app = fastify();
    app.register(webhookReceiver(open, onPayment), { path: '/webhooks/kazawallet' });
    process.once('SIGTERM', () => app.close());
    console.log(await app.listen({ host: '127.0.0.1', port: 0 }));
  `,
  web: `
    import { createServer } from 'node:http';
    const { webhookReceiver } = await load('kazawallet/web');
    const receive = webhookReceiver(open, onPayment);
    await receive.start();
    const server = createServer(async (incoming, outgoing) => {
      const pieces = [];
      for await (const piece of incoming) {
        pieces.push(piece);
      }
      const request = new Request('http://127.0.0.1/', { method: 'POST', body: Buffer.concat(pieces) });
      const response = await receive(request);
      outgoing.writeHead(response.status).end(await response.text());
    });
    process.once('SIGTERM', () => server.close());
    server.listen(0, '127.0.0.1', () => {
      console.log(\`http://127.0.0.1:\${server.address().port}\`);
    });
  `,
};

for (const [framework, serving] of Object.entries(SERVING)) {
  for (const deliveries of [0, 1]) {
    test(`${framework}: a process ends with its server, after ${deliveries} deliveries`, () =>
      withLedger(async (shop) => {
        const program = `
          import { kazawallet, load } from '../package.mjs';
          const open = () => kazawallet.Ledger.open({ client: new kazawallet.Client() });
          const onPayment = (payment) => console.log(payment.ref);
          ${serving}
        `;
        const environment = { KAZAWALLET_LEDGER: shop.url };
        await withProgram(program, { provider: shop.sim, environment }, async (running) => {
          const url = await running.line();
          for (let number = 0; number < deliveries; number += 1) {
            const body = await paid(shop, `order-${number}`);
            assert.equal((await send(`${url}/webhooks/kazawallet`, { body })).status, 200);
            assert.equal(await running.line(), `order-${number}`);
          }
          running.send('SIGTERM');
          checkClean(await running.end());
        });
      }));
  }
}
