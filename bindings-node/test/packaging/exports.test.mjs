// Both ways of loading the package give the same things, in one process.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const require = createRequire(import.meta.url);

for (const entry of ['', '/testing', '/express', '/fastify', '/web'].map(
  (name) => `kazawallet${name}`,
)) {
  test(`import and require of ${entry} export the same`, async () => {
    const imported = await import(entry);
    const required = require(entry);
    assert.ok(Object.keys(required).length > 0);
    assert.deepEqual(Object.keys(imported).sort(), Object.keys(required).sort());
    for (const name of Object.keys(required)) {
      assert.equal(imported[name], required[name], name);
    }
  });
}

test('an error of one way is an instance of the class of the other', async () => {
  const { Webhook } = await import('kazawallet');
  const { SignatureVerificationError } = require('kazawallet');
  const webhook = new Webhook({ apiKey: 'sim_key', apiSecret: 'sim_secret' });
  const forged = { order_id: '1', amount: '10.50', status: 'fulfilled', secret: 'forged' };
  assert.throws(() => webhook.verify(JSON.stringify(forged)), SignatureVerificationError);
});

test('the version can be read, and what is private cannot be loaded', async () => {
  assert.match(require('kazawallet/package.json').version, /^\d+\.\d+\.\d+/);
  for (const inside of ['kazawallet/dist/native.js', 'kazawallet/dist/index.js']) {
    assert.throws(() => require(inside), inside);
    await assert.rejects(import(inside), inside);
  }
});
