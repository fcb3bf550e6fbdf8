// One message a call on the diagnostics channel `kazawallet:call`, with nobody's data in it.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { inspect } from 'node:util';

import { withServer } from './observing-server.mjs';
import { kazawallet, testing } from './package.mjs';
import { checkClean, LOAD, PAYOUT, run } from './programs.mjs';
import { portThatRefuses } from './receiver.mjs';
import { test } from './runtimes.mjs';

const { Client, OutcomeUnknownError, PaymentMethod } = kazawallet;
const { Simulator } = testing;

const CHANNEL = 'kazawallet:call';
const payout = {
  amount: '1',
  currency: 'USD',
  paymentMethod: PaymentMethod.custom({ id: '118', fields: {} }),
};

/**
 * Does `work`, and gives the messages of that time.
 *
 * @param {(messages: any[]) => Promise<void>} work
 */
async function listening(work) {
  /** @type {any[]} */
  const messages = [];
  /** @param {unknown} message */
  const keep = (message) => messages.push(message);
  subscribe(CHANNEL, keep);
  try {
    await work(messages);
  } finally {
    unsubscribe(CHANNEL, keep);
  }
  return messages;
}

/** @param {any} message */
function seen({ endpoint, status, attempts, outcome }) {
  return [endpoint, status, attempts, outcome];
}

/**
 * @param {(sim: import('kazawallet/testing').Simulator) => Promise<void>} work
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

test('a call that goes well', () =>
  withSimulator(async (sim) => {
    const client = sim.client();
    const messages = await listening(async () => {
      await client.wallets.list();
      await client.paymentLinks.create({ amount: '1', currency: 'USD', ref: 'order-42' });
    });
    assert.deepEqual(messages.map(seen), [
      ['/get-merchant-wallets', 200, 1, 'ok'],
      ['/createPaymentLink', 200, 1, 'ok'],
    ]);
    for (const message of messages) {
      assert.deepEqual(Object.keys(message).sort(), [
        'attempts',
        'duration',
        'endpoint',
        'outcome',
        'status',
      ]);
      assert.equal(typeof message.duration, 'number');
      assert.ok(message.duration > 0 && message.duration < 60_000, message.duration);
    }
  }));

test('the duration is in milliseconds', () =>
  withSimulator(async (sim) => {
    sim.fault('answer_late:400');
    const [message] = await listening(async () => {
      await sim.client().wallets.list();
    });
    assert.ok(message.duration >= 390 && message.duration < 60_000, message.duration);
  }));

test('the message is there when the call has ended', () =>
  withSimulator(async (sim) => {
    const client = sim.client();
    await listening(async (messages) => {
      await client.wallets.list();
      assert.equal(messages.length, 1);
      await client.request('GET', '/nothing/there').catch(() => {});
      assert.equal(messages.length, 2);
    });
  }));

test('a call that the provider refuses', () =>
  withSimulator(async (sim) => {
    const client = sim.client({ apiKey: 'sim_of_another' });
    const messages = await listening(async () => {
      await assert.rejects(client.wallets.list(), kazawallet.AuthenticationError);
    });
    assert.deepEqual(messages.map(seen), [['/get-merchant-wallets', 401, 1, 'rejected']]);
  }));

test('a payout of unknown outcome', () =>
  withSimulator(async (sim) => {
    sim.fault('close_after_acting');
    const messages = await listening(async () => {
      await assert.rejects(sim.client().withdrawals.create(payout), OutcomeUnknownError);
    });
    assert.deepEqual(messages.map(seen), [['/createWithdrawalRequest', undefined, 1, 'unknown']]);
  }));

test('a call that never left', async () => {
  const client = new Client({
    apiKey: 'sim_key',
    baseUrl: `http://127.0.0.1:${await portThatRefuses()}`,
    maxRetries: 0,
  });
  const messages = await listening(async () => {
    await assert.rejects(client.request('GET', '/anything'), kazawallet.APIConnectionError);
  });
  assert.deepEqual(messages.map(seen), [['/anything', undefined, 1, 'not_sent']]);
});

test('tries are counted and make one message', () =>
  withSimulator(async (sim) => {
    const client = sim.client();
    const messages = await listening(async () => {
      sim.fault('answer_status:503');
      await client.wallets.list();
      sim.fault('answer_status:503', { times: Number.POSITIVE_INFINITY });
      await assert.rejects(client.wallets.list(), kazawallet.ServerError);
    });
    assert.deepEqual(messages.map(seen), [
      ['/get-merchant-wallets', 200, 2, 'ok'],
      ['/get-merchant-wallets', 503, 3, 'unknown'],
    ]);
  }));

test('what is refused before it is sent makes no message', () =>
  withSimulator(async (sim) => {
    const client = sim.client();
    const messages = await listening(async () => {
      const { ValidationError } = kazawallet;
      const link = { amount: '1', currency: 'USD' };
      await assert.rejects(client.paymentLinks.create({ ...link, amount: '0' }), ValidationError);
      await assert.rejects(client.paymentLinks.create({ ...link, amount: 1.5 }), TypeError);
      await assert.rejects(client.request('GET', '//elsewhere'), ValidationError);
      await assert.rejects(client.wallets.list({ signal: AbortSignal.abort() }));
      client.close();
      await assert.rejects(client.wallets.list(), /the client is closed/);
    });
    assert.deepEqual(messages, []);
  }));

test('a call that is aborted', () =>
  withServer(async (server) => {
    const client = new Client(server.options);
    const abort = new AbortController();
    server.hold();
    const messages = await listening(async () => {
      const call = assert.rejects(client.wallets.list({ signal: abort.signal }));
      await server.requestsCame(1);
      abort.abort();
      await call;
      await server.clientClosed(1);
    });
    assert.deepEqual(messages.map(seen), [['/get-merchant-wallets', undefined, 1, 'cancelled']]);
    client.close();
  }));

test('a payout that is abandoned makes one message', () =>
  withServer(async (server) => {
    const client = new Client(server.options);
    const abort = new AbortController();
    server.hold('/createWithdrawalRequest');
    const messages = await listening(async () => {
      const call = client.withdrawals.create({ ...payout, signal: abort.signal });
      const rejected = assert.rejects(call, OutcomeUnknownError);
      await server.requestsCame(1);
      abort.abort();
      await rejected;
      server.release();
      await server.answersWritten(1);
      // Its end has been read by the time that another call has come to its own.
      await client.request('GET', '/after');
    });
    const [message, after] = messages.map(seen);
    assert.equal(messages.length, 2);
    assert.deepEqual(message, ['/createWithdrawalRequest', undefined, 1, 'unknown']);
    assert.deepEqual(after, ['/after', 200, 1, 'ok']);
    client.close();
  }));

test('no payout that was sent goes without a message, however early it is aborted', () =>
  withSimulator(
    async (sim) => {
      const client = sim.client();
      const messages = await listening(async () => {
        for (let number = 0; number < 100; number += 1) {
          const abort = new AbortController();
          const call = client.withdrawals.create({ ...payout, signal: abort.signal });
          const ended = call.catch(() => {});
          for (let turn = 0; turn < number % 5; turn += 1) {
            await new Promise((resolve) => setImmediate(resolve));
          }
          abort.abort();
          await ended;
        }
        // What still goes on is done before the last is answered.
        await client.wallets.list();
      });
      const sent = sim.requests.filter(({ path }) => path.endsWith('/createWithdrawalRequest'));
      const told = messages.filter(({ endpoint }) => endpoint === '/createWithdrawalRequest');
      assert.ok(told.length >= sent.length, `${told.length} messages, ${sent.length} requests`);
      assert.ok(told.length <= 100);
    },
    { balances: { USD: '1000' } },
  ));

test("a subscriber runs in the caller's context", () =>
  withSimulator(async (sim) => {
    const client = sim.client();
    /** @type {AsyncLocalStorage<string>} */
    const requestId = new AsyncLocalStorage();
    /** @type {(string | undefined)[]} */
    const ids = [];
    const keep = () => ids.push(requestId.getStore());
    const names = Array.from({ length: 5 }, (_, number) => `request-${number}`);
    subscribe(CHANNEL, keep);
    try {
      await Promise.all(names.map((name) => requestId.run(name, () => client.wallets.list())));
      await client.wallets.list();
    } finally {
      unsubscribe(CHANNEL, keep);
    }
    assert.deepEqual([...ids].sort(), [...names, undefined]);
  }));

test('a subscriber that throws takes no result away', () =>
  withSimulator(
    async (provider) => {
      // The money has moved: what the caller gets must be the payout, and not a full disk's error.
      const program = `
        ${LOAD}
        ${PAYOUT}
        import { subscribe } from 'node:diagnostics_channel';
        const problems = [];
        process.on('uncaughtException', (error) => problems.push(error.message));
        const endpoints = [];
        subscribe('kazawallet:call', () => {
          throw new Error('no space left');
        });
        subscribe('kazawallet:call', ({ endpoint }) => endpoints.push(endpoint));
        const client = new Client();
        const withdrawal = await client.withdrawals.create(payout);
        await new Promise((resolve) => setTimeout(resolve));
        // It is not hushed up, either.
        console.log(withdrawal.status, problems.join(), endpoints.join());
      `;
      const ended = await run(program, { provider });
      checkClean(ended);
      assert.equal(ended.stdout, 'approved no space left /createWithdrawalRequest');
      assert.equal(provider.balance('USD'), '90.00');
    },
    { balances: { USD: '100.00' } },
  ));

test('a subscriber that comes and goes', () =>
  withSimulator(async (sim) => {
    const client = sim.client();
    await client.wallets.list();
    assert.equal((await listening(async () => void (await client.wallets.list()))).length, 1);
    await client.wallets.list();
    assert.equal((await listening(async () => {})).length, 0);
    assert.equal((await listening(async () => void (await client.wallets.list()))).length, 1);
  }));

test('starting, paying at and stopping a simulator are no calls', async () => {
  const messages = await listening(async () => {
    const sim = await Simulator.start();
    const link = await sim.client().paymentLinks.create({ amount: '1', currency: 'USD' });
    await sim.pay(link);
    await sim.stop();
  });
  assert.deepEqual(
    messages.map(({ endpoint }) => endpoint),
    ['/createPaymentLink'],
  );
});

test('nothing personal and no key is in a message', () =>
  withSimulator(
    async (sim) => {
      const personal = {
        name: 'سعيد محمد حمدان',
        phone: '0933123456',
        governorate: 'دمشق',
        note: 'salary of May',
        userEmail: 'user@customer.example',
        ref: 'order-of-mrs-haddad',
        redirectUrl: 'https://shop.example/thanks?visitor=visitor-haddad',
        field: 'T-some-crypto-address',
        card: 'card-holder-haddad',
      };
      const { name, phone, governorate, note, userEmail, ref, redirectUrl, field, card } = personal;
      const everything = [
        ...Object.values(personal),
        sim.apiKey,
        sim.apiSecret,
        sim.merchantEmail,
        'visitor-haddad',
      ];
      const haram = PaymentMethod.haramUnder3m({ name, phone, governorate });
      const custom = PaymentMethod.custom({ id: '118', fields: { address: field } });
      const salary = { amount: '500000', currency: 'SYP', paymentMethod: haram, note };
      const client = sim.client({ maxRetries: 0 });
      const messages = await listening(async () => {
        await client.paymentLinks.create({ amount: '1', currency: 'USD', ref, redirectUrl });
        await client.wallets.list();
        await client.withdrawals.create(salary);
        await client.deposits.create({ ...payout, userEmail, paymentMethod: custom, note });
        for (const path of [`/cards/${card}`, `/cards?holder=${card}`]) {
          await assert.rejects(client.request('GET', path));
        }
        for (const fault of /** @type {const} */ ([
          'answer_status:400',
          'answer_status:503',
          'error_inside_200',
          'half_body',
        ])) {
          sim.fault(fault);
          await assert.rejects(client.withdrawals.create(salary));
        }
      });
      assert.equal(messages.length, 4 + 2 + 4);
      for (const message of messages) {
        const text = `${inspect(message, { depth: null })}${JSON.stringify(message)}`;
        assert.deepEqual(
          everything.filter((value) => text.includes(value)),
          [],
          text,
        );
      }
    },
    { balances: { SYP: '9000000', USD: '100' } },
  ));
