// Kept connections that the server has closed meanwhile, as every server does sooner or later.
//
// The client notices by itself, and closes them, too. Retries are off, so that only a client that
// noticed before it sends can succeed.

import assert from 'node:assert/strict';

import { withServer } from './observing-server.mjs';
import { kazawallet } from './package.mjs';
import { checkClean, LOAD, withProgram } from './programs.mjs';
import { test } from './runtimes.mjs';

const { Client, PaymentMethod } = kazawallet;

const payout = {
  amount: '1',
  currency: 'USD',
  paymentMethod: PaymentMethod.custom({ id: '118', fields: {} }),
};

test('calls after the server has closed', () =>
  withServer(async (server) => {
    const client = new Client({ ...server.options, maxRetries: 0 });
    for (let turn = 1; turn <= 20; turn += 1) {
      await client.wallets.list();
      await client.paymentLinks.create({ amount: '1', currency: 'USD', ref: `order-${turn}` });
      await server.closeKept();
    }
    assert.equal(server.requests.length, 40);
    assert.ok(server.connections >= 20);
    client.close();
  }));

test('many kept connections that were closed together', () =>
  withServer(async (server) => {
    const client = new Client({ ...server.options, maxRetries: 0 });
    for (let turn = 0; turn < 5; turn += 1) {
      await Promise.all(Array.from({ length: 32 }, () => client.wallets.list()));
      await server.closeKept();
    }
    assert.equal(server.requests.length, 5 * 32);
    client.close();
  }));

test('a process that stood still meanwhile', () =>
  withServer(async (server) => {
    const program = `
      ${LOAD}
      import { readSync } from 'node:fs';
      const client = new Client({ maxRetries: 0 });
      for (let turn = 0; turn < 5; turn += 1) {
        console.log((await client.wallets.list()).wallets.length);
        // The thread that JavaScript runs on stands still until a line comes.
        readSync(0, Buffer.alloc(1));
      }
    `;
    await withProgram(program, { provider: server }, async (running) => {
      for (let turn = 0; turn < 5; turn += 1) {
        assert.equal(await running.line(), '1');
        await server.closeKept();
        running.tell();
      }
      checkClean(await running.end());
    });
    assert.equal(server.connections, 5);
  }));

test('a connection is kept where the server keeps it', () =>
  withServer(async (server) => {
    const client = new Client({ ...server.options, maxRetries: 0 });
    for (let turn = 0; turn < 10; turn += 1) {
      await client.wallets.list();
      await client.paymentLinks.create({ amount: '1', currency: 'USD', ref: `order-${turn}` });
    }
    assert.equal(server.connections, 1);
    // It goes with the client, and not only with the process.
    client.close();
    await server.clientClosed(1);
  }));

test('each payout opens a connection of its own', () =>
  withServer(async (server) => {
    const client = new Client({ ...server.options, maxRetries: 0 });
    for (let turn = 0; turn < 3; turn += 1) {
      await client.wallets.list();
      await client.withdrawals.create(payout);
      await client.deposits.create({ ...payout, userEmail: 'user@example.com' });
      await client.request('POST', '/wallet-cards/create', { json: {} });
    }
    assert.deepEqual([...server.connectionsOf('/get-merchant-wallets')], [1]);
    const payouts = server.requests.filter((seen) => seen.method === 'POST');
    const connections = new Set(payouts.map((seen) => seen.connection));
    assert.equal(payouts.length, 9);
    assert.equal(connections.size, 9);
    assert.ok(!connections.has(1));
    // None of them is kept.
    await server.clientClosed(9);
    client.close();
  }));

test('a link whose connection breaks is tried again', () =>
  withServer(async (server) => {
    const client = new Client(server.options);
    await client.wallets.list();
    server.hold('/createPaymentLink');
    const call = client.paymentLinks.create({ amount: '1', currency: 'USD', ref: 'order-1' });
    await server.requestsCame(2);
    server.breakHeld();
    server.release();
    assert.equal((await call).url, 'https://pay.example/l/order-1');
    assert.equal(server.connectionsOf('/createPaymentLink').size, 2);
    client.close();
  }));

test('a payout whose connection breaks is not', () =>
  withServer(async (server) => {
    const client = new Client(server.options);
    server.hold('/createWithdrawalRequest');
    const call = assert.rejects(client.withdrawals.create(payout), { code: 'outcome_unknown' });
    await server.requestsCame(1);
    server.breakHeld();
    server.release();
    await call;
    assert.equal(server.requests.length, 1);
    client.close();
  }));
