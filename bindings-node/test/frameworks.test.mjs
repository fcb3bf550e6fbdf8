// The webhook's route in the web frameworks, each on a real server: what tests/webhook-routes.json says
// that it answers, and when its worker runs.

import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';

import {
  FRAMEWORKS,
  forExpress,
  forFastify,
  forWeb,
  hangUp,
  send,
  withApplication,
} from './frameworks.mjs';
import { delivery, eventually, rejection, withLedger } from './ledgers.mjs';
import { kazawallet, testing } from './package.mjs';
import { Postgres } from './postgres.mjs';
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
 * @typedef {object} Telling
 * @property {string} level
 * @property {string} code
 * @property {string} [payment]
 *
 * @typedef {object} Case
 * @property {string} name
 * @property {'webhook' | 'ledger' | 'both'} source
 * @property {string} method
 * @property {any} body
 * @property {'gzip' | 'deflate' | 'raw deflate'} [compressed]
 * @property {string | null} [content_encoding]
 * @property {string | null} [content_type]
 * @property {boolean} [chunked]
 * @property {'closed' | 'half_closed'} [cut]
 * @property {'fails' | 'never_returns'} [handler]
 * @property {'closed'} [ledger]
 * @property {'stopped'} [receiver]
 * @property {'away'} [database]
 * @property {any} [quarantined]
 * @property {boolean} [body_read_before]
 * @property {boolean} [no_request]
 * @property {number} status
 * @property {unknown} answer
 * @property {string} [allow]
 * @property {Telling[]} told
 * @property {string | string[] | null} handled
 */

/**
 * What a key can be.
 *
 * @type {Record<string, readonly unknown[]>}
 */
const KNOWN = {
  source: ['webhook', 'ledger', 'both'],
  compressed: [undefined, 'gzip', 'deflate', 'raw deflate'],
  cut: [undefined, 'closed', 'half_closed'],
  handler: [undefined, 'fails', 'never_returns'],
  ledger: [undefined, 'closed'],
  receiver: [undefined, 'stopped'],
  database: [undefined, 'away'],
};

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
      'name source method body status answer told handled',
      'allow body_read_before chunked compressed content_encoding content_type cut database handler ' +
        'ledger no_request not_handed_on only_where_possible quarantined receiver',
    );
    holdKeys(one.name, one.body, '', 'signed encoding text hex spaces');
    for (const telling of one.told) {
      holdKeys(one.name, telling, 'level code', 'payment');
    }
    const strange = Object.entries(KNOWN).filter(([key, known]) => !known.includes(one[key]));
    if (strange.length > 0 || ![undefined, 'form', 'multipart'].includes(one.body.encoding)) {
      throw new NotUnderstood(`${one.name}: ${JSON.stringify(one)}`);
    }
  }
  // What Node.js hands on in chunks, it hands on.
  return table.cases.filter((/** @type {any} */ one) => !one.not_handed_on);
}

const CASES = readCases();
const BOUNDARY = '----a-boundary-of-the-table';

/**
 * What a delivery says.
 *
 * @param {any} signed
 * @param {import('kazawallet').Webhook} signer
 * @param {ReadonlyMap<string, string>} links The ids of the orders' links, by their refs.
 * @param {Dialect} dialect
 */
function fieldsOf(signed, signer, links, dialect) {
  const orderId = links.get(signed.ref) ?? signed.order_id;
  const secret = signer.sign({ amount: signed.amount, orderId });
  const { order_id: _, ...others } = signed;
  return { [dialect === 'plugin' ? 'id' : 'order_id']: orderId, ...others, secret };
}

/** @type {Record<string, (fields: Record<string, string>) => string>} */
const ENCODINGS = {
  json: (fields) => JSON.stringify(fields),
  form: (fields) => `${new URLSearchParams(fields)}`,
  multipart: (fields) => {
    const part = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="`;
    const parts = Object.entries(fields).map(
      ([name, value]) => `${part}${name}"\r\n\r\n${value}\r\n`,
    );
    return `${parts.join('')}--${BOUNDARY}--\r\n`;
  },
};

/** @type {Record<string, (body: Buffer) => Buffer>} */
const COMPRESSIONS = { gzip: gzipSync, deflate: deflateSync, 'raw deflate': deflateRawSync };

/**
 * A case's body, as it is sent.
 *
 * @param {Case} one
 * @param {import('kazawallet').Webhook} signer
 * @param {ReadonlyMap<string, string>} links
 * @param {Dialect} dialect
 */
function bytesOf({ body, compressed }, signer, links, dialect) {
  const { signed, encoding = 'json', text = '', hex = '', spaces = 0 } = body;
  const parts = [Buffer.alloc(spaces, ' '), Buffer.from(text), Buffer.from(hex, 'hex')];
  if (signed !== undefined) {
    parts.push(Buffer.from(`${ENCODINGS[encoding]?.(fieldsOf(signed, signer, links, dialect))}`));
  }
  const whole = Buffer.concat(parts);
  return compressed === undefined ? whole : (COMPRESSIONS[compressed]?.(whole) ?? whole);
}

/**
 * An application's handler, and what it and `onError` were given.
 */
class Received {
  /** @type {any[]} */
  handled = [];
  /** @type {any[]} */
  errors = [];
  /** @type {any[]} */
  reports = [];
  fails = false;
  /** @type {(() => void) | undefined} It never returns, and calls this first. */
  neverReturns;

  handler = async (/** @type {any} */ received) => {
    if (this.fails) {
      throw new Error('the handler failed');
    }
    if (this.neverReturns) {
      this.neverReturns();
      await new Promise(() => {});
    }
    this.handled.push(received);
  };

  settings = {
    onError: (/** @type {unknown} */ error, /** @type {any} */ _, /** @type {any} */ report) => {
      this.errors.push(error);
      this.reports.push(report);
    },
  };

  get refs() {
    return this.handled.map(({ ref }) => ref);
  }
}

/** What is told in this process. */
const told = /** @type {import('kazawallet').Report[]} */ ([]);
subscribe('kazawallet:report', (report) => {
  told.push(/** @type {import('kazawallet').Report} */ (report));
});

/** @param {{ level: string, code: string, orderId?: string | undefined }} one */
const shown = ({ level, code, orderId }) => `${level} ${code} ${orderId}`;

/**
 * What a receiver must tell of its cases.
 *
 * @param {Case[]} cases
 * @param {ReadonlyMap<string, string>} links
 */
function expectedOf(cases, links) {
  const once = new Set();
  return cases.flatMap(({ told: all, body }) =>
    all.flatMap(({ level, code, payment }) => {
      if (payment !== undefined) {
        return [shown({ level, code, orderId: links.get(payment) ?? body.signed.order_id })];
      }
      // What names no payment is told once a minute.
      return once.has(code) ? [] : [once.add(code) && shown({ level, code })];
    }),
  );
}

/**
 * Waits until all was told that must be, and holds it against the table. A handler that fails is tried
 * again, and told of again; and no more than what is a warning reaches `onError`.
 *
 * @param {Received} received
 * @param {string[]} expected
 */
async function checkTold(received, expected) {
  const seen = () => {
    // Express's receiver starts by itself: the server may be stopped before it has looked through its
    // quarantine.
    const all = told.map(shown).filter((one) => !one.includes('not_reverified'));
    return all.filter((one, at) => !one.includes('handler_failed') || all.indexOf(one) === at);
  };
  await until(() => expected.every((one) => seen().includes(one)), `${expected}`);
  assert.deepEqual(seen().sort(), [...expected].sort());
  const loud = told.filter(({ level }) => level !== 'info').map(shown);
  await until(() => received.reports.length >= loud.length, `${loud}`);
  assert.deepEqual(received.reports.map(shown), loud);
}

/**
 * Sends a case to its route, and holds the answer against the table.
 *
 * @param {string} url
 * @param {Case} one
 * @param {Buffer} body
 */
async function checkAnswer(url, one, body) {
  const { method, chunked = false, compressed, cut } = one;
  if (cut !== undefined) {
    const answer = await hangUp(url, body, cut === 'half_closed');
    if (answer !== undefined) {
      // Node.js answers it itself, beside the receiver.
      assert.match(answer, new RegExp(`^HTTP/1.1 ${one.status} `), one.name);
    }
    return;
  }
  const multipart = one.body.encoding === 'multipart';
  const usual = multipart ? `multipart/form-data; boundary=${BOUNDARY}` : undefined;
  const encoding = compressed?.replace('raw ', '');
  const answer = await send(url, {
    method,
    body,
    chunked,
    contentType: one.content_type === undefined ? usual : one.content_type,
    contentEncoding: one.content_encoding === undefined ? encoding : one.content_encoding,
  });
  assert.deepEqual([one.name, answer.status], [one.name, one.status]);
  assert.deepEqual(JSON.parse(answer.text), one.answer, one.name);
  assert.match(`${answer.headers['content-type']}`, /^application\/json\b/);
  assert.equal(answer.headers['allow'], one.allow, one.name);
}

/** @typedef {import('kazawallet/testing').Dialect} Dialect */

/** @type {(framework: string) => Dialect[]} */
const dialectsOf = (framework) =>
  framework === 'Express 5' ? ['documented', 'plugin'] : ['documented'];

/**
 * What of the table there is not in a framework: Fastify alone calls its plugin's route, and ends the plugin
 * with the application alone.
 *
 * @param {string} framework
 * @param {Case} one
 */
const isMissing = (framework, one) =>
  framework === 'Fastify' &&
  (one.no_request || one.receiver === 'stopped' || one.handler === 'never_returns');

const IN_THE_TABLE = Object.entries(FRAMEWORKS).flatMap(([framework, serve]) =>
  dialectsOf(framework).map((dialect) => {
    const cases = CASES.filter((one) => !isMissing(framework, one));
    return { name: `${framework}, ${dialect}`, serve, dialect, cases };
  }),
);

/** @param {Case[]} cases Those that need no application of their own share one. */
function inApplications(cases) {
  /** @type {Map<string, Case[]>} */
  const groups = new Map();
  for (const one of cases) {
    const { handler, ledger, receiver, database, quarantined, body_read_before, no_request } = one;
    const kind = JSON.stringify([
      ...[handler, ledger, receiver, database, quarantined, body_read_before, no_request],
    ]);
    groups.set(kind, [...(groups.get(kind) ?? []), one]);
  }
  return [...groups.values()];
}

/** @param {Case[]} cases */
const handledOf = (cases) => cases.flatMap(({ handled }) => handled ?? []);

for (const { name, serve, dialect, cases: all } of IN_THE_TABLE) {
  test(`${name}: what the table says, with a webhook`, async () => {
    const webhook = new Webhook({ apiKey: 'sim_key', apiSecret: 'sim_secret' });
    const cases = all.filter(({ source }) => source !== 'ledger');
    assert.ok(cases.length > 25);
    for (const group of inApplications(cases)) {
      const [first] = /** @type {[Case]} */ (group);
      const received = new Received();
      received.fails = first.handler === 'fails';
      told.length = 0;
      const application = {
        receiver: [webhook, received.handler, received.settings],
        bodyReadBefore: first.body_read_before ?? false,
        noRequest: first.no_request ?? false,
      };
      await withApplication(serve, application, async ({ url }) => {
        for (const one of group) {
          await checkAnswer(url, one, bytesOf(one, webhook, new Map(), dialect));
        }
        await checkTold(received, expectedOf(group, new Map()));
      });
      assert.deepEqual(received.refs, handledOf(group));
      assert.ok(received.handled.every((event) => event instanceof PaymentEvent));
    }
  });

  test(`${name}: what the table says, with a ledger`, () =>
    withLedger(async ({ ledger, sim, url: database, folder }) => {
      /** @type {Map<string, string>} */
      const links = new Map();
      for (let number = 1; number <= 24; number += 1) {
        const ref = `order-${number}`;
        const link = await ledger.createPaymentLink({ ref, amount: '10.50', currency: 'USD' });
        links.set(ref, `${link.id}`);
      }
      const cases = all.filter(({ source }) => source !== 'webhook');
      assert.ok(cases.length > 30);
      for (const group of inApplications(cases)) {
        const [first] = /** @type {[Case]} */ (group);
        const received = new Received();
        received.fails = first.handler === 'fails';
        if (first.quarantined !== undefined) {
          const other = new Webhook({ apiKey: 'another', apiSecret: 'another' });
          const forgetful = await Ledger.open(database, { webhook: other });
          const body = JSON.stringify(fieldsOf(first.quarantined, sim.webhook(), links, dialect));
          await rejection(() => forgetful.receive(body));
          await forgetful.close();
        }
        const server = first.database === 'away' ? await Postgres.start() : undefined;
        const spool = `${folder}/spool`;
        const open = async () =>
          server === undefined
            ? await Ledger.open(database, { client: sim.client() })
            : await Ledger.open(await server.newDatabase(), { client: sim.client(), spool });
        told.length = 0;
        const handler = server === undefined ? [received.handler] : [null];
        const settings = { ...received.settings, worker: server === undefined };
        const own = await open();
        const source = first.receiver === 'stopped' ? open : own;
        const application = {
          receiver: [source, ...handler, settings],
          bodyReadBefore: first.body_read_before ?? false,
          noRequest: first.no_request ?? false,
        };
        try {
          await withApplication(serve, application, async ({ url, stop }) => {
            const begun = new Promise((resolve) => {
              received.neverReturns =
                first.handler === 'never_returns' ? () => resolve(undefined) : undefined;
            });
            if (first.receiver === 'stopped') {
              await stop?.();
            }
            if (first.ledger === 'closed') {
              await own.close();
            }
            await server?.stop();
            for (const one of group) {
              await checkAnswer(url, one, bytesOf(one, sim.webhook(), links, dialect));
            }
            if (first.handler === 'never_returns') {
              await begun;
              assert.equal(await stop?.({ timeout: 1500 }), false);
            }
            const wanted = handledOf(group);
            await until(() => received.handled.length >= wanted.length, `${wanted}`);
            await checkTold(received, expectedOf(group, links));
            assert.deepEqual(received.refs.sort(), wanted.sort());
          });
        } finally {
          await own.close();
          await server?.remove();
        }
        if (server !== undefined) {
          assert.equal(readdirSync(spool).length, 1);
        } else if (first.receiver === 'stopped' || first.handler !== undefined) {
          // It waits, and is not for the next application.
          const orderId = `${links.get(first.body.signed.ref)}`;
          const { processing, tries } = (await ledger.payment(orderId)) ?? {};
          assert.equal(processing, 'waiting');
          assert.ok(first.receiver === 'stopped' ? tries === 0 : Number(tries) > 0);
          await ledger.markProcessed(orderId);
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
  Fastify: /register that hook in a plugin of its own/,
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
      assert.match(`${lines[1]}`, /^kazawallet: a delivery was refused: /);
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
    assert.match(
      first,
      /^kazawallet: the handler failed for the order id pl_1 \(fulfilled, 10\.50 USD\), which will not come again: RangeError \(thrown at .*frameworks\.test\.mjs:\d+:\d+\)\)$/,
    );
    assert.match(second, /\(fulfilled, 10\.50\), which will/);
    assert.ok(!lines.join().includes('attacker'), lines.join('\n'));
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

test('Express: a sender that has gone before the receiver is reached', async () => {
  const { default: express } = await import('express');
  const sim = await testing.Simulator.start();
  const received = new Received();
  const app = express();
  let reached = () => {};
  const gone = new Promise((resolve) => {
    reached = () => resolve(undefined);
  });
  // As a middleware that looks something up.
  app.use(async (/** @type {any} */ request, /** @type {any} */ _, /** @type {any} */ next) => {
    await new Promise((resolve) => request.once('close', resolve));
    next();
    reached();
  });
  app.use(forExpress.webhookReceiver(sim.webhook(), received.handler, received.settings));
  const server = createServer(app);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  told.length = 0;
  await hangUp(`http://127.0.0.1:${port}/`, Buffer.from(delivery(sim, { orderId: 'pl_1' })), false);
  await guarded(gone, () => 'the receiver');
  await until(() => told.length > 0, 'what is told');
  assert.deepEqual(told.map(shown), ['info body_broke_off undefined']);
  server.close();
  await sim.stop();
});

test('without a ledger a stop waits for the handler, and no longer than it is told', async () => {
  const sim = await testing.Simulator.start();
  let goOn = () => {};
  /** @type {import('kazawallet/web').WebReceiver['stop']} */
  let stop = async () => true;
  const begun = new Promise((resolve) => {
    const handler = () => {
      resolve(undefined);
      return new Promise((done) => {
        goOn = () => done(undefined);
      });
    };
    const receive = forWeb.webhookReceiver(sim.webhook(), handler);
    void receive(posted(delivery(sim, { orderId: 'pl_1' })));
    stop = receive.stop;
  });
  await begun;
  assert.equal(await stop({ timeout: 20 }), false);
  const stopping = stop();
  goOn();
  assert.equal(await stopping, true);
  await sim.stop();
});

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
    assert.match(`${lines[0]}`, /a delivery was refused/);
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
    /^kazawallet: the handler failed for the order id pl_1 \(fulfilled, 10\.50 USD\)/,
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
      /^kazawallet: the handler failed with RangeError for the payment \w+, try 1 of 10: it comes again$/,
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
    ['Sara', /: a string$/],
    [undefined, /: undefined$/],
    [{ name: 'Sara', message: 'Sara' }, /: an object$/],
    [Object.create(null), /: an object$/],
    [frames, /: Error \(thrown at /],
    [new TypeError('x', { cause: new Error('Sara') }), /: TypeError \(thrown at /],
    [Object.assign(new Error('x'), { stack: undefined }), /: Error$/],
    [
      Object.defineProperty(new Error('x'), 'stack', { get: () => assert.fail('a trap') }),
      /: what has no text$/,
    ],
    // Ours hold nobody's data.
    [new OrderMismatchError('the ref differs'), /: OrderMismatchError: the ref differs$/],
    [new Failure('the disk is full'), /: LedgerError: the disk is full$/],
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
    assert.match(line, /^kazawallet: the handler failed for the order id pl_1 \(fulfilled, /);
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
  withLedger(async ({ sim }) => {
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
        const receive = forWeb.webhookReceiver(sim.webhook(), () => {}, { onError });
        const request = new Request('http://127.0.0.1/', { method: 'POST', body: 'hello' });
        assert.equal((await receive(request)).status, 400);
        await receive.stop();
      });
      // What it was to be told is not lost with it.
      assert.deepEqual(
        lines.map((line) => line.replace(/(: (?:a delivery was refused|Error)).*/, '$1 …')),
        ['kazawallet: a delivery was refused …', 'kazawallet: onError failed: Error …'],
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
      [[ledger, function* () {}], /`handler` is a generator/],
      [[webhook, async function* () {}], /`handler` is a generator/],
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
