// The phones of tests/vectors/phones.json: what is sent of each, or how it is refused.

import assert from 'node:assert/strict';
import { after } from 'node:test';
import { inspect } from 'node:util';

import { kazawallet, testing } from './package.mjs';
import { test } from './runtimes.mjs';
import { holdKeys, NotUnderstood, readJson, readText, short } from './shared-data.mjs';

const { PaymentMethod, ValidationError } = kazawallet;

const HARAM = { name: 'سعيد محمد حمدان', governorate: 'دمشق' };
/**
 * For each `method` of the file: the amounts in SYP, each with the payment method that it is paid
 * through.
 *
 * @type {Record<string, Record<string, (phone: string) => import('kazawallet').PaymentMethod>>}
 */
const METHODS = {
  sy_cash: { 500000: (phone) => PaymentMethod.syCash({ phone }) },
  haram: {
    500000: (phone) => PaymentMethod.haramUnder3m({ phone, ...HARAM }),
    5000000: (phone) => PaymentMethod.haramOver3m({ phone, ...HARAM }),
  },
};

const simulator = await testing.Simulator.start({ balances: { SYP: '1000000000' } });
const client = simulator.client();
after(async () => {
  client.close();
  await simulator.stop();
});

const CASES = [];
const file = holdKeys('phones.json', readJson(readText('vectors', 'phones.json')), 'cases');
for (const [number, each] of file.cases.entries()) {
  const where = `phones.json, case ${number}`;
  holdKeys(where, each, 'method phone', 'sent error note');
  const methods = METHODS[each.method];
  if (methods === undefined || 'sent' in each === 'error' in each) {
    throw new NotUnderstood(`${where}: ${JSON.stringify(each)}`);
  }
  if ('error' in each) {
    holdKeys(where, each.error, 'code field');
  }
  for (const [amount, make] of Object.entries(methods)) {
    CASES.push({ number, each, amount, make });
  }
}

test('no phone is missing', () => {
  assert.ok(CASES.length >= 100);
});

for (const { number, each, amount, make } of CASES) {
  test(`phone ${number}: ${each.method} ${amount} ${short(each.phone)}`, async () => {
    const before = simulator.requests.length;
    const paymentMethod = make(each.phone);
    const call = client.withdrawals.create({ amount, currency: 'SYP', paymentMethod });
    if ('sent' in each) {
      await call;
      const sent = simulator.requests.slice(before);
      assert.equal(sent.length, 1);
      assert.equal(JSON.parse(sent[0]?.body ?? '').fields.phone, each.sent);
      return;
    }
    await assert.rejects(call, (/** @type {any} */ error) => {
      assert.equal(error.constructor, ValidationError);
      assert.deepEqual({ code: error.code, field: error.field }, each.error);
      assert.equal(error.outcome, 'not_sent');
      if (each.phone.replace(/\D/g, '').length >= 4) {
        const shown = `${error.stack} ${inspect(error)} ${JSON.stringify(error)}`;
        assert.ok(!shown.includes(each.phone), 'the phone is shown');
      }
      return true;
    });
    assert.equal(simulator.requests.length, before);
  });
}
