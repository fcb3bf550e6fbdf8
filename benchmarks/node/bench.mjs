// The Node package beside what people would use instead, in one run, as ratios.
//
// `run.mjs` starts this with all that it needs: in a folder in which the package and the others are
// installed, and with a simulator in a process of its own, told through the package's environment
// variables. A goal that was missed is told; the exit status says only whether it could measure.

import { strict as assert } from 'node:assert';
import { execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Webhook } from 'kazawallet';
import { HandwrittenWebhook, QuickHandwrittenWebhook } from './handwritten-webhook.mjs';
import { CLIENTS, KEYS, merchantInEnvironment } from './http-calls.mjs';
import { inTurn, measure, ServerClock } from './measuring.mjs';
import { alone, beside, print, tableOfCalls, writeResults } from './results.mjs';

const HERE = import.meta.dirname;
const INSTALLED = path.join(HERE, 'node_modules');
const OTHERS = ['undici', 'axios'];

const { values: options } = parseArgs({
  options: {
    'simulator-pid': { type: 'string' }, // shows how busy the server is (Linux)
    tarball: { type: 'string' }, // the main package's, which is installed: for its size
    json: { type: 'string' }, // writes the figures there, too
    quick: { type: 'boolean' }, // a few rounds: enough to see that it runs, not for the figures
  },
});

// How many rounds, how many seconds each contender has in one, and before the first.
const QUICK = { rounds: 3, seconds: 0.02, warmUp: 0.02 };
const VERIFY = options.quick ? QUICK : { rounds: 80, seconds: 0.03, warmUp: 0.5 };
const CALLS = options.quick
  ? { 1: QUICK, 8: QUICK, 64: QUICK, 256: QUICK }
  : {
      1: { rounds: 30, seconds: 0.25, warmUp: 1 },
      8: { rounds: 20, seconds: 0.2, warmUp: 0.5 },
      64: { rounds: 30, seconds: 0.25, warmUp: 1 },
      256: { rounds: 20, seconds: 0.25, warmUp: 1 },
    };
const LOADS = options.quick ? 3 : 60;
const FIRST_ANSWERS = options.quick ? 2 : 25;
const MEMORY_ROUNDS = options.quick ? 1 : 3;
const MEMORY_CALLS = options.quick ? 100 : 10_000;

// How many times as fast as the other the package is to be, at least.
const VERIFY_GOALS = { handwritten: 3 };
const CALL_GOALS = { 1: { undici: 1 }, 64: { fetch: 8, undici: 1.8 } };
// At most.
const REQUIRE_GOAL_MS = 10;
const MAIN_GOAL_KB = 100;
const NATIVE_GOAL_MB = 4.5;

const OURS = 'kazawallet.Client';

/**
 * What is called, and as whom.
 *
 * @typedef {{ name: string, clock: ServerClock, merchant: import('./http-calls.mjs').Merchant }} Server
 */

async function main() {
  const pid = options['simulator-pid'];
  /** @type {Server} */
  const simulator = {
    name: 'the simulator',
    clock: new ServerClock(pid === undefined ? undefined : Number(pid)),
    merchant: merchantInEnvironment(),
  };
  const versions = {
    'kazawallet (npm)': versionOf('kazawallet'),
    'Node.js': process.versions.node,
    "undici (Node's own, for fetch)": process.versions.undici,
    ...Object.fromEntries(OTHERS.map((name) => [name, versionOf(name)])),
  };
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

  // Where the package undici is loaded before Node's own fetch was used, that would run on its agent
  // from then on.
  await fetch('data:,');
  const results = [
    ...(await verifying()),
    ...(await calling(simulator, 1)),
    ...(await calling(simulator, 8)),
    // With many calls in flight the simulator would be what is measured.
    ...(await withReplayingServer(simulator, async (server) => [
      ...(await calling(server, 64)),
      ...(await calling(server, 256)),
    ])),
  ];
  console.log('\n== processes and sizes');
  for (const result of [
    ...loading(),
    ...(await firstAnswers()),
    ...(await memory()),
    ...sizes(options.tarball),
  ]) {
    print(result);
    results.push(result);
  }
  if (options.json !== undefined) {
    writeResults(options.json, versions, results);
  }
  const missed = results.filter(({ met }) => met === false);
  if (missed.length > 0) {
    console.log(`\n${missed.length} of the goals MISSED`);
  }
}

const USUAL = 'node:crypto, usual';
const FASTEST = 'node:crypto, fastest';

/** From a delivery's body to its event, beside the same by hand. */
async function verifying() {
  const [apiKey, apiSecret] = ['81A107141716', '888B6B8877F8'];
  const said = { orderId: 'pl_8f2a61c1', amount: '10.50', status: 'fulfilled' };
  const also = { currency: 'USD', ref: 'order-42' };
  const webhooks = {
    'kazawallet.Webhook': new Webhook({ apiKey, apiSecret }),
    [USUAL]: new HandwrittenWebhook(apiKey, apiSecret),
  };
  if (QuickHandwrittenWebhook.isPossible) {
    webhooks[FASTEST] = new QuickHandwrittenWebhook(apiKey, apiSecret);
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

  const measured = async (name, title, loop, goals) => {
    const contenders = mapValues(webhooks, (webhook) => ({ make: loop(webhook) }));
    const rounds = await measure(contenders, { ...VERIFY, server: new ServerClock() });
    const keys = { [USUAL]: 'handwritten', [FASTEST]: 'handwritten_fast' };
    return tableOfCalls(title, rounds, name, keys, goals);
  };
  console.log(
    `\n'${USUAL}' is JSON.parse, crypto.createHash and crypto.createHmac with the secret's text;\n` +
      `'${FASTEST}' is crypto.hash, and crypto.createHmac with a KeyObject that was made once.`,
  );
  const read = 'order id, amount and status read from the event';
  return [
    ...(await measured(
      'node.verify',
      `Webhook.verify of a Buffer; ${read}`,
      (webhook) => verifyAndReadThree(webhook, body),
      VERIFY_GOALS,
    )),
    ...(await measured(
      'node.event_fields',
      'Webhook.verify of a Buffer; its five fields read from the event',
      verifyAndReadFive,
    )),
    ...(await measured(
      'node.verify_unread',
      'Webhook.verify of a Buffer; nothing read from the event',
      verify,
    )),
    ...(await measured('node.verify_text', `Webhook.verify of a string; ${read}`, (webhook) =>
      verifyAndReadThree(webhook, text),
    )),
  ];
}

/**
 * Payment links over loopback.
 *
 * @param {Server} server
 * @param {1 | 8 | 64 | 256} inFlight
 */
async function calling({ name: server, clock, merchant }, inFlight) {
  const contenders = {};
  const opened = [];
  for (const [name, open] of Object.entries(CLIENTS)) {
    const { create, close } = await open(merchant);
    opened.push(close);
    const url = await create();
    assert.match(url, /\/pay\/\w+$/, `${name} made a payment link`);
    contenders[name] = { make: (calls) => keepInFlight(create, inFlight, calls), fewest: inFlight };
  }
  const measured = await measure(contenders, { ...CALLS[inFlight], server: clock });
  for (const close of opened) {
    await close();
  }
  const manner = inFlight === 1 ? 'one at a time' : `${inFlight} in flight`;
  const title = `create a payment link, ${manner}, against ${server}`;
  return tableOfCalls(title, measured, `node.create_link.${inFlight}`, KEYS, CALL_GOALS[inFlight]);
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

/** What loading the package adds to a process that starts and ends. */
function loading() {
  const took = (code) => {
    const start = performance.now();
    execFileSync(process.execPath, code, { cwd: HERE });
    return performance.now() - start;
  };
  const added = (nothing, load) => {
    took(load); // The first reads the files from the disk.
    return Array.from({ length: LOADS }, (_, round) => {
      const codes = round % 2 === 0 ? [nothing, load] : [load, nothing];
      const times = new Map(codes.map((code) => [code, took(code)]));
      return times.get(load) - times.get(nothing);
    });
  };
  const module = '--input-type=module';
  const required = added(['-e', ''], ['-e', "require('kazawallet')"]);
  const imported = added([module, '-e', ''], [module, '-e', "import 'kazawallet'"]);
  const over = 'over an empty process';
  return [
    alone(
      {
        name: 'node.load_ms',
        title: `require('kazawallet'), ${over}`,
        unit: 'ms',
        goal: REQUIRE_GOAL_MS,
      },
      required,
    ),
    alone(
      { name: 'node.load_ms.import', title: `import 'kazawallet', ${over}`, unit: 'ms' },
      imported,
    ),
  ];
}

/** The clients of which a program of its own is started: both of undici's are the same there. */
const IN_PROGRAMS = Object.keys(CLIENTS).filter((name) => name !== 'undici.Pool.request');

/** How long it takes from the start of a process until it has made a payment link. */
async function firstAnswers() {
  const took = mapValues(CLIENTS, () => ({ wall: [], cpu: [] }));
  for (let round = -1; round < FIRST_ANSWERS; round++) {
    for (const client of inTurn(IN_PROGRAMS, round + 1)) {
      const start = performance.now();
      const { answered, ended } = startProgram([client, 'first-answer']);
      await answered;
      const wall = performance.now() - start;
      const { user, system } = await ended;
      // The first reads the files from the disk.
      if (round >= 0) {
        took[client].wall.push(wall);
        took[client].cpu.push((user + system) / 1000);
      }
    }
  }
  return besideEachOther('node.first_answer_ms', 'process start to first answer', 'ms', took);
}

/** What of a process is in memory, before and after many calls, one at a time. */
async function memory() {
  const fresh = mapValues(CLIENTS, () => ({ wall: [] }));
  const used = mapValues(CLIENTS, () => ({ wall: [] }));
  for (let round = 0; round < MEMORY_ROUNDS; round++) {
    for (const client of inTurn(IN_PROGRAMS, round)) {
      const said = await startProgram([client, 'memory', `${MEMORY_CALLS}`]).ended;
      fresh[client].wall.push(said.fresh / 1e6);
      used[client].wall.push(said.used / 1e6);
    }
  }
  const name = 'node.memory_mb';
  const after = `resident memory of a process after ${MEMORY_CALLS.toLocaleString('en')} calls`;
  return [
    ...besideEachOther(
      `${name}.fresh_client`,
      'resident memory of a process with a fresh client',
      'MB',
      fresh,
    ),
    ...besideEachOther(`${name}.after_10000_calls`, after, 'MB', used),
  ];
}

/** When it first says something, and its last line, once it has come to its end. */
function startProgram(programArguments) {
  const command = [path.join(HERE, 'program.mjs'), ...programArguments];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
  const answered = once(child.stdout, 'data');
  let said = '';
  child.stdout.on('data', (bytes) => {
    said += bytes;
  });
  const ended = once(child, 'close').then(([status]) => {
    assert.equal(status, 0, `program.mjs ${programArguments.join(' ')} came to its end`);
    return JSON.parse(said.trim().split('\n').at(-1));
  });
  // One that fails before it says anything would be waited for in vain.
  return { answered: Promise.race([answered, ended]), ended };
}

/**
 * @param {string} name
 * @param {string} title
 * @param {string} unit
 * @param {Record<string, import('./results.mjs').Series>} took
 */
function besideEachOther(name, title, unit, took) {
  const others = IN_PROGRAMS.filter((client) => client !== OURS);
  return others.map((other) =>
    beside({ name: `${name}.${KEYS[other]}`, title, unit }, took[OURS], other, took[other]),
  );
}

/** @param {string} [tarball] */
function sizes(tarball) {
  const results = [];
  if (tarball !== undefined) {
    const main = { name: 'node.main_package_kb', title: 'the main package, packed' };
    const size = statSync(tarball).size / 1000;
    results.push(alone({ ...main, unit: 'KB', goal: MAIN_GOAL_KB }, [size]));
  }
  const packages = readdirSync(INSTALLED).filter((name) => /^kazawallet(-|$)/.test(name));
  const installed = packages.map((name) => bytesIn(path.join(INSTALLED, name)));
  const title = `installed: ${packages.join(' and ')}`;
  const whole = installed.reduce((total, bytes) => total + bytes, 0) / 1e6;
  results.push(alone({ name: 'node.installed_size_mb', title, unit: 'MB' }, [whole]));

  const [native, ...more] = packages.filter((name) => name !== 'kazawallet');
  assert.ok(native && more.length === 0, `one native part is installed, of ${packages}`);
  const folder = path.join(INSTALLED, native);
  const file = readdirSync(folder).find((name) => name.endsWith('.node'));
  const addon = readFileSync(path.join(folder, file));
  const gzipped = gzipSync(addon, { level: 9 }).length / 1e6;
  const from = `${file}, gzipped from ${(addon.length / 1e6).toFixed(1)} MB`;
  const gzip = { name: 'node.native_gzip_mb', title: from, unit: 'MB' };
  results.push(alone({ ...gzip, goal: NATIVE_GOAL_MB }, [gzipped]));
  return results;
}

/** What a folder's files come to. */
function bytesIn(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(path.join(entry.parentPath ?? entry.path, entry.name)).size)
    .reduce((total, bytes) => total + bytes, 0);
}

function versionOf(name) {
  return JSON.parse(readFileSync(path.join(INSTALLED, name, 'package.json'), 'utf8')).version;
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

await main();
