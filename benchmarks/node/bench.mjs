// The Node package beside what people would use instead, in one run, as ratios.
//
// `run.mjs` starts this with all that it needs: in a folder in which the package and the others are
// installed, and with a simulator in a process of its own, told through the package's environment
// variables. The exit status is 1 where a goal was missed.

import { strict as assert } from 'node:assert';
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Webhook } from 'kazawallet';
import { HandwrittenWebhook, QuickHandwrittenWebhook } from './handwritten-webhook.mjs';
import { CLIENTS } from './http-calls.mjs';
import { measure, median, ServerClock } from './measuring.mjs';
import { limit, report } from './report.mjs';

const HERE = import.meta.dirname;
const INSTALLED = path.join(HERE, 'node_modules');
const OTHERS = ['undici', 'axios'];

// How many rounds, how many seconds each contender has in one, and before the first.
const VERIFY = { rounds: 80, seconds: 0.03, warmUp: 0.5 };
const ALONE = { rounds: 40, seconds: 0.1, warmUp: 1 };
const A_FEW = { rounds: 8, seconds: 0.2, warmUp: 0.5 };
const AT_ONCE = { rounds: 30, seconds: 0.25, warmUp: 1 };
const STARTS = 60;
const STARTS_LOOKED_INTO = 15;

// How many times as fast as the other the package is to be, at least.
const BY_HAND = 'by hand';
const VERIFY_GOAL = 3;
const ALONE_GOALS = { 'undici.request': 1 };
const AT_ONCE_GOALS = { fetch: 8, 'undici.request': 1.8 };
// At most.
const REQUIRE_GOAL_MS = 10;
const MAIN_GOAL_KB = 100;
const NATIVE_GOAL_MB = 3;

/**
 * What is called, and as whom.
 *
 * @typedef {{ name: string, clock: ServerClock, merchant: import('./http-calls.mjs').Merchant }} Server
 */

async function main() {
  const { values: options } = parseArgs({
    options: {
      'simulator-pid': { type: 'string' }, // shows how busy the server is (Linux)
      tarball: { type: 'string' }, // the main package's, which is installed: for its size
      json: { type: 'string' }, // writes the figures there, too
    },
  });
  const pid = options['simulator-pid'];
  /** @type {Server} */
  const simulator = {
    name: 'the simulator',
    clock: new ServerClock(pid === undefined ? undefined : Number(pid)),
    merchant: {
      baseUrl: process.env.KAZAWALLET_BASE_URL,
      apiKey: process.env.KAZAWALLET_API_KEY,
      email: process.env.KAZAWALLET_MERCHANT_EMAIL,
    },
  };
  const versions = Object.fromEntries(OTHERS.map((name) => [name, versionOf(name)]));
  console.log(
    `kazawallet ${versionOf('kazawallet')}, Node.js ${process.versions.node}, ` +
      `${os.type()} ${os.arch()}, ${os.cpus().length} cores (${os.cpus()[0]?.model}), ` +
      `load average ${os.loadavg()[0].toFixed(1)} at the start\n` +
      `${OTHERS.map((name) => `${name} ${versions[name]}`).join(', ')}, ` +
      `fetch is Node's own (undici ${process.versions.undici})\n` +
      "Medians of rounds in turns. 'times' is how many times what kazawallet takes the other takes\n" +
      'in the same round, in brackets all rounds but the lowest and the highest tenth. CPU is that\n' +
      'of all threads, of this process and of the server.',
  );
  if (os.loadavg()[0] > os.cpus().length) {
    console.log(
      'THE MACHINE IS BUSY WITH OTHER WORK: neither met nor MISSED means much in this run.',
    );
  }

  const { axios: _, ...quick } = CLIENTS;
  const figures = [
    ...(await verifying()),
    ...(await calling(simulator, quick, 1, ALONE, ALONE_GOALS)),
    ...(await calling(simulator, CLIENTS, 8, A_FEW)),
    ...(await calling(simulator, quick, 64, AT_ONCE)),
    ...(await withReplayingServer(simulator, (server) =>
      calling(server, quick, 64, AT_ONCE, AT_ONCE_GOALS),
    )),
  ];
  console.log();
  const limits = [...requiring(), ...sizes(options.tarball)];
  if (options.json !== undefined) {
    const about = { node: process.version, platform: `${os.type()} ${os.release()} ${os.arch()}` };
    const all = { ...about, cores: os.cpus().length, others: versions, figures, limits };
    writeFileSync(options.json, `${JSON.stringify(all, undefined, 1)}\n`);
  }
  const missed = [...figures, ...limits].filter(({ met }) => met === false);
  if (missed.length > 0) {
    console.log(`\n${missed.length} of the goals MISSED`);
    process.exitCode = 1;
  }
}

/** From a delivery's body to its event, beside the same by hand. */
async function verifying() {
  const [apiKey, apiSecret] = ['81A107141716', '888B6B8877F8'];
  const said = { orderId: 'pl_8f2a61c1', amount: '10.50', status: 'fulfilled' };
  const also = { currency: 'USD', ref: 'order-42' };
  const webhooks = {
    'kazawallet.Webhook': new Webhook({ apiKey, apiSecret }),
    [BY_HAND]: new HandwrittenWebhook(apiKey, apiSecret),
  };
  if (QuickHandwrittenWebhook.isPossible) {
    webhooks['by hand, its quickest'] = new QuickHandwrittenWebhook(apiKey, apiSecret);
  }
  const { orderId, ...fields } = { ...said, ...also };
  const secret = webhooks['kazawallet.Webhook'].sign({ amount: said.amount, orderId });
  const text = JSON.stringify({ order_id: orderId, secret, ...fields });
  const body = Buffer.from(text);
  for (const webhook of Object.values(webhooks)) {
    const { orderId, amount, status, currency, ref } = webhook.verify(body);
    assert.deepEqual({ orderId, amount, status, currency, ref }, { ...said, ...also });
    assert.throws(() => webhook.verify(text.replace('10.50', '10.51')));
  }

  // Loops of their own, not one with a switch: the switch would be measured, too. What is read is
  // added up, so that the compiler leaves nothing out.
  const verify = (webhook) => (calls) => {
    for (let call = 0; call < calls; call++) {
      webhook.verify(body);
    }
  };
  const verifyAndReadThree = (webhook, delivered) => (calls) => {
    let length = 0;
    for (let call = 0; call < calls; call++) {
      const event = webhook.verify(delivered);
      length += event.orderId.length + event.amount.length + event.status.length;
    }
    assert.equal(length, calls * Object.values(said).join('').length);
  };
  const verifyAndReadFive = (webhook) => (calls) => {
    let length = 0;
    for (let call = 0; call < calls; call++) {
      const event = webhook.verify(body);
      length += event.orderId.length + event.amount.length + event.status.length;
      length += event.currency.length + event.ref.length;
    }
    assert.equal(length, calls * Object.values({ ...said, ...also }).join('').length);
  };

  const measured = async (section, loop, goals = {}) => {
    const contenders = mapValues(webhooks, (webhook) => ({ make: loop(webhook) }));
    const rounds = await measure(contenders, { ...VERIFY, server: new ServerClock() });
    return report(section, rounds, goals);
  };
  const read = 'order id, amount and status read from the event';
  return [
    ...(await measured(
      `Webhook.verify of a Buffer; ${read}`,
      (webhook) => verifyAndReadThree(webhook, body),
      { [BY_HAND]: VERIFY_GOAL },
    )),
    ...(await measured('Webhook.verify of a Buffer; nothing read from the event', verify)),
    ...(await measured(
      'Webhook.verify of a Buffer; its five fields read from the event',
      verifyAndReadFive,
    )),
    ...(await measured(`Webhook.verify of a string; ${read}`, (webhook) =>
      verifyAndReadThree(webhook, text),
    )),
  ];
}

/** Payment links over loopback. */
async function calling({ name: server, clock, merchant }, clients, inFlight, how, goals = {}) {
  const contenders = {};
  const opened = [];
  for (const [name, open] of Object.entries(clients)) {
    const { create, close } = await open(merchant);
    opened.push(close);
    const url = await create();
    assert.match(url, /\/pay\/\w+$/, `${name} made a payment link`);
    contenders[name] = { make: (calls) => keepInFlight(create, inFlight, calls), fewest: inFlight };
  }
  const measured = await measure(contenders, { ...how, server: clock });
  for (const close of opened) {
    await close();
  }
  const manner = inFlight === 1 ? 'one at a time' : `${inFlight} in flight`;
  return report(`paymentLinks.create, ${manner}, ${server}`, measured, goals);
}

/** A server that does less than the simulator for each call, so that it holds nobody up. */
async function withReplayingServer({ merchant }, work) {
  const child = fork(path.join(HERE, 'replaying-server.mjs'), [merchant.baseUrl]);
  const [{ port }] = await once(child, 'message');
  const { pathname } = new URL(merchant.baseUrl);
  const baseUrl = `http://127.0.0.1:${port}${pathname}`;
  try {
    return await work({
      name: "a server that replays the simulator's answer",
      clock: new ServerClock(child.pid),
      merchant: { ...merchant, baseUrl },
    });
  } finally {
    child.disconnect();
  }
}

async function keepInFlight(create, inFlight, calls) {
  let left = calls;
  const oneAfterAnother = async () => {
    while (left-- > 0) {
      await create();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, oneAfterAnother));
}

/** What `require` adds to a process that starts and ends, and how long it takes inside of it. */
function requiring() {
  const run = (...code) => execFileSync(process.execPath, code, { cwd: HERE, encoding: 'utf8' });
  const took = (code) => {
    const start = performance.now();
    run('-e', code);
    return performance.now() - start;
  };
  const [nothing, loading] = ['', "require('kazawallet')"];
  took(loading);
  const added = [];
  const empty = [];
  for (let round = 0; round < STARTS; round++) {
    const codes = round % 2 === 0 ? [nothing, loading] : [loading, nothing];
    const times = new Map(codes.map((code) => [code, took(code)]));
    added.push(times.get(loading) - times.get(nothing));
    empty.push(times.get(nothing));
  }
  const timed = `const start = performance.now(); ${loading}; performance.now() - start`;
  const inside = Array.from({ length: STARTS_LOOKED_INTO }, () => Number(run('-p', timed)));
  const start = `${median(empty).toFixed(1)} ms`;
  return [
    limit(`require('kazawallet'), over an empty process's ${start}`, 'ms', added, REQUIRE_GOAL_MS),
    limit('the same, by the clock inside the process', 'ms', inside),
  ];
}

/** @param {string} [tarball] */
function sizes(tarball) {
  const limits = [];
  if (tarball !== undefined) {
    const size = statSync(tarball).size / 1000;
    limits.push(limit('the main package, packed', 'KB', [size], MAIN_GOAL_KB));
  }
  const platforms = readdirSync(INSTALLED).filter((name) => name.startsWith('kazawallet-'));
  for (const platform of platforms) {
    const folder = path.join(INSTALLED, platform);
    const file = readdirSync(folder).find((name) => name.endsWith('.node'));
    const native = readFileSync(path.join(folder, file));
    const size = gzipSync(native, { level: 9 }).length / 1_000_000;
    const whole = `${(native.length / 1_000_000).toFixed(1)} MB`;
    limits.push(limit(`${file}, gzipped from ${whole}`, 'MB', [size], NATIVE_GOAL_MB));
  }
  return limits;
}

function versionOf(name) {
  return JSON.parse(readFileSync(path.join(INSTALLED, name, 'package.json'), 'utf8')).version;
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

await main();
