// The package held against tests/surface.json, both ways: what is public and not listed fails, and
// so does what is listed and missing.
//
// Public is what the two entry points export, at run time and as types, and what is found in it.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { types as nativeTypes } from 'node:util';

import { typescript } from './compilers.mjs';
import { edited, delivery as signedDelivery } from './ledgers.mjs';
import { kazawallet, testing } from './package.mjs';
import { test } from './runtimes.mjs';
import { camelCase, holdKeys, NotUnderstood, readJson, readText, words } from './shared-data.mjs';

/**
 * @typedef {import('typescript-5').Symbol} TypeSymbol
 * @typedef {import('typescript-5').Type} Type
 * @typedef {import('typescript-5').Signature} Signature
 * @typedef {import('typescript-5').ParameterDeclaration} ParameterDeclaration
 */

/** @type {typeof import('typescript-5')} */
const ts = typescript;

// ---------------------------------------------------------------- what is looked at

// Before the first test: those that are defined after an `await` may be lost.
const simulator = await testing.Simulator.start({ balances: { USD: '250.00' } });
const client = simulator.client();
const folder = mkdtempSync(path.join(tmpdir(), 'kazawallet-surface-'));
const LEDGER_URL = `sqlite://${folder}/ledger.db`;
const ledger = await kazawallet.Ledger.open(LEDGER_URL, { client });
const worker = ledger.process(() => {});
await worker.stop();
after(async () => {
  await ledger.close();
  client.close();
  await simulator.stop();
  rmSync(folder, { recursive: true });
});
const link = await client.paymentLinks.create({
  amount: '10.50',
  currency: 'USD',
  ref: 'order-42',
});
const [delivery] = await simulator.pay(link);
const event = simulator.webhook().verify(delivery.body);
const method = kazawallet.PaymentMethod.custom({ id: '118', fields: {} });
const wallets = await client.wallets.list();
const orderLink = await ledger.createPaymentLink({ ref: 'order-1', amount: '1', currency: 'USD' });
const [paid] = await simulator.pay(orderLink.url);
const receipt = await ledger.receive(paid.body);
await ledger.receive(edited(paid.body, { status: 'timed_out' }));
const stranger = signedDelivery(simulator, { orderId: 'pl_stranger', ref: 'order-2' });
await ledger.receive(stranger);
await ledger.settle('pl_stranger', 'dismissed', { by: 'sara' });

/**
 * One of each type that has members.
 *
 * @type {Record<string, any>}
 */
const INSTANCES = {
  Client: client,
  PaymentLinks: client.paymentLinks,
  PaymentLink: link,
  Withdrawals: client.withdrawals,
  Withdrawal: await client.withdrawals.create({
    amount: '1',
    currency: 'USD',
    paymentMethod: method,
  }),
  Wallets: client.wallets,
  WalletList: wallets,
  Wallet: wallets.wallets[0],
  Deposits: client.deposits,
  Deposit: await client.deposits.create({
    amount: '1',
    currency: 'USD',
    userEmail: 'user@example.com',
    paymentMethod: method,
  }),
  PaymentMethod: method,
  Response: link.raw,
  Webhook: simulator.webhook(),
  PaymentEvent: event,
  Ledger: ledger,
  LedgerWorker: worker,
  OrderLink: orderLink,
  OrderRecord: await ledger.order('order-1'),
  Receipt: receipt,
  Payment: await ledger.payment(paid.orderId),
  Conflict: (await ledger.conflicts())[0],
  Payout: await ledger.withdraw({
    reference: 'payout-1',
    amount: '1',
    currency: 'USD',
    paymentMethod: method,
  }),
  PersonDecision: (await ledger.decisions())[0],
  Summary: await ledger.summary(),
  Simulator: simulator,
  Delivery: delivery,
  RecordedRequest: simulator.requests[0],
};
// ---------------------------------------------------------------- the list

/**
 * What the guides show as positional; all else is in one object.
 *
 * @type {Record<string, string[]>}
 */
const POSITIONAL = {
  'Client.request': ['method', 'path'],
  'Webhook.verify': ['body'],
  'Ledger.open': ['url'],
  'Ledger.order': ['ref'],
  'Ledger.receive': ['body'],
  'Ledger.payment': ['order_id'],
  'Ledger.settle': ['order_id', 'decision'],
  'Ledger.set_link_id_check': ['check'],
  'Ledger.process': ['handler'],
  'Ledger.mark_processed': ['order_id'],
  'Ledger.retry': ['order_id'],
  'Ledger.payout': ['reference'],
  'Ledger.resolve': ['reference', 'decision'],
  'Ledger.overdue': ['older_than'],
  'Ledger.forget': ['before'],
  'Simulator.pay': ['link'],
  'Simulator.time_out': ['link'],
  'Simulator.balance': ['currency'],
  'Simulator.fault': ['fault'],
};
/** An argument of this type stands for all options of another type's constructor. */
const OPTIONS = 'options of ';
/**
 * Known to TypeScript by name; at run time they are texts, plain objects and options. So are those
 * with `reached_through` and `arguments_of`.
 */
const TYPES_ALONE = words(
  'AmountLike CallMessage Report CallOptions ErrorAttributes ErrorCode HttpMethod Order Outcome Status ' +
    'Wallet Delivery Dialect Fault LinkLike RecordedRequest ' +
    'LedgerWorker OrderLink OrderRecord Receipt Payment Conflict Payout PersonDecision Summary ' +
    'OrderState Decision LinkIds Processing PayoutState Resolution Settlement ' +
    'PaymentHandler LedgerErrorCode',
);
/** What a resource of the client, and the simulator, waits for; all else is there at once. */
const AWAITED = words(
  'Client.request PaymentLinks.create Withdrawals.create Wallets.list Deposits.create ' +
    'Ledger.create_payment_link Ledger.order Ledger.receive Ledger.payment Ledger.settle ' +
    'Ledger.set_link_id_check Ledger.reverify Ledger.pending Ledger.mark_processed Ledger.retry Ledger.withdraw ' +
    'Ledger.payout Ledger.resolve Ledger.overdue Ledger.unsettled Ledger.parked ' +
    'Ledger.unresolved Ledger.conflicts Ledger.decisions Ledger.summary Ledger.forget ' +
    'Ledger.close LedgerWorker.stop ' +
    'Simulator.start Simulator.pay Simulator.time_out Simulator.trigger Simulator.stop',
);
/**
 * The members whose names are symbols.
 *
 * @type {Record<string, symbol[]>}
 */
const SYMBOLS = {
  WalletList: [Symbol.iterator],
  PaymentEvent: [Symbol.for('nodejs.util.inspect.custom')],
  Ledger: [Symbol.asyncDispose],
  Simulator: [Symbol.asyncDispose],
};

const TYPE_KEYS = 'only rust like reached_through iterable constructible arguments_of open note';
const MEMBER_KEYS = 'only async rust node type arguments returns value';
const ARGUMENT_KEYS = 'only optional default rust environment';
const KINDS = words('constructor method property value');
const LANGUAGES = words('rust python node');

/**
 * @typedef {{ name: string, type: string, optional: boolean }} Argument
 * @typedef {{
 *   listedAs: string,
 *   name: string,
 *   kind: string,
 *   type?: string,
 *   arguments: Argument[],
 *   value?: string,
 * }} Member
 * @typedef {{
 *   name: string,
 *   members: Member[],
 *   reachedThrough?: string,
 *   iterable?: string,
 *   argumentsOf?: string,
 *   constructible: boolean,
 *   open: boolean,
 * }} ListedType
 */

/** @param {any} entry */
function inNode(entry) {
  const only = entry.only ?? ['node'];
  if (only.length === 0 || only.some((/** @type {string} */ one) => !LANGUAGES.includes(one))) {
    throw new NotUnderstood(`${entry.name}: only ${only}?`);
  }
  return only.includes('node');
}

/**
 * @param {any} value
 * @returns {ListedType}
 */
function readType(value) {
  const listed = holdKeys('a type', value, 'name members', TYPE_KEYS);
  const where = `${listed.name}, a member`;
  /** @type {Member[]} */
  const members = [];
  for (const entry of listed.members) {
    holdKeys(where, entry, 'name kind', MEMBER_KEYS);
    if (!KINDS.includes(entry.kind)) {
      throw new NotUnderstood(`${where}: what is the kind ${entry.kind}?`);
    }
    const given = (entry.arguments ?? []).map((/** @type {any} */ argument) =>
      holdKeys(where, argument, 'name type', ARGUMENT_KEYS),
    );
    if (inNode(entry)) {
      members.push({
        ...entry,
        listedAs: entry.name,
        name: entry.node ?? camelCase(entry.name),
        arguments: given.filter(inNode).map((/** @type {any} */ argument) => ({
          name: argument.name,
          type: argument.type,
          optional: argument.optional === true || 'default' in argument,
        })),
      });
    }
  }
  if (inNode(listed) && 'like' in listed) {
    throw new NotUnderstood(`${listed.name}: no type of Node's is like another`);
  }
  return {
    name: listed.name,
    members,
    reachedThrough: listed.reached_through,
    iterable: listed.iterable,
    argumentsOf: listed.arguments_of,
    constructible: listed.constructible ?? true,
    open: 'open' in listed,
  };
}

/**
 * The types that Node has, by name.
 *
 * @param {any[]} values
 */
function readTypes(values) {
  const types = values.map((value) => ({ type: readType(value), ours: inNode(value) }));
  const ours = types.filter((each) => each.ours).map(({ type }) => type);
  return new Map(ours.map((type) => [type.name, type]));
}

/** @param {any} value */
function readError(value) {
  const optional = 'code codes outcome properties rust python_bases';
  const error = holdKeys('an error', value, 'name parent', optional);
  return { outcome: [], properties: [], ...error };
}

const LIST = holdKeys(
  'surface.json',
  readJson(readText('surface.json')),
  'description types errors ledger testing',
);
const TYPES = readTypes([...LIST.types, ...LIST.ledger]);
const TESTING = readTypes(LIST.testing);
const ALL_TYPES = new Map([...TYPES, ...TESTING]);
/** @type {Map<string, any>} */
const ERRORS = new Map(LIST.errors.map(readError).map((/** @type {any} */ one) => [one.name, one]));

for (const listed of ALL_TYPES.values()) {
  if (listed.argumentsOf !== undefined) {
    listed.members = memberCalled(listed.argumentsOf)
      .arguments.filter(({ name }) => !positional(listed.argumentsOf ?? '').includes(name))
      .map(({ name, type }) => ({
        listedAs: name,
        name: camelCase(name),
        kind: 'property',
        type,
        arguments: [],
      }));
  }
}

/**
 * A listed member, named as `Client.request`.
 *
 * @param {string} full
 */
function memberCalled(full) {
  const [typeName = '', name] = full.split('.');
  const member = ALL_TYPES.get(typeName)?.members.find((one) => one.listedAs === name);
  if (member === undefined) {
    throw new NotUnderstood(`what is ${full}?`);
  }
  return member;
}

/** @param {string} full */
function positional(full) {
  return POSITIONAL[full] ?? [];
}

/** @param {ListedType} listed */
function isTypeAlone(listed) {
  return (
    TYPES_ALONE.includes(listed.name) ||
    listed.reachedThrough !== undefined ||
    listed.argumentsOf !== undefined
  );
}

/** @param {Member} member */
const isTheClassItself = (member) => member.kind === 'constructor' && member.name === 'new';

const CLASSES = [...ALL_TYPES.values()].filter((listed) => !isTypeAlone(listed));

test('the list holds together', () => {
  for (const section of ['types', 'errors', 'ledger', 'testing']) {
    const names = LIST[section].map((/** @type {any} */ entry) => entry.name);
    assert.equal(new Set(names).size, names.length, `${section}: something is listed twice`);
  }
  for (const full of [...Object.keys(POSITIONAL), ...AWAITED]) {
    memberCalled(full);
  }
  for (const name of [...TYPES_ALONE, ...Object.keys(SYMBOLS)]) {
    assert.ok(ALL_TYPES.has(name), name);
  }
  for (const listed of ALL_TYPES.values()) {
    const names = listed.members.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length, `${listed.name}: a member is listed twice`);
    const constructed = listed.members.some(({ kind }) => kind === 'constructor');
    assert.ok(listed.constructible || !constructed, listed.name);
  }
});

// ---------------------------------------------------------------- the package at run time

/** @type {any} */
const PACKAGE = { ...kazawallet };
/** @type {any} */
const TESTING_PACKAGE = { ...testing };

/**
 * @param {string} name
 * @returns {any}
 */
const found = (name) => (TESTING.has(name) ? TESTING_PACKAGE : PACKAGE)[name];

/** @param {Iterable<string>} names */
const sorted = (names) => [...names].sort();

test('the package exports what is listed and no more', () => {
  const classes = CLASSES.filter(({ name }) => TYPES.has(name)).map(({ name }) => name);
  assert.deepEqual(sorted(Object.keys(PACKAGE)), sorted([...classes, ...ERRORS.keys()]));
});

test('its testing part exports what is listed and no more', () => {
  const classes = CLASSES.filter(({ name }) => TESTING.has(name)).map(({ name }) => name);
  assert.deepEqual(sorted(Object.keys(TESTING_PACKAGE)), sorted(classes));
});

test('there is no other way into the package', () => {
  const manifest = JSON.parse(readFileSync(path.join(installed(), 'package.json'), 'utf8'));
  // Those of the web frameworks have one function each.
  const frameworks = ['./express', './fastify', './web'];
  assert.deepEqual(Object.keys(manifest.exports), [
    '.',
    './testing',
    ...frameworks,
    './package.json',
  ]);
  for (const framework of frameworks) {
    const required = createRequire(import.meta.url)(framework.replace('.', 'kazawallet'));
    assert.deepEqual(Object.keys(required), ['webhookReceiver']);
  }
});

/** What every function, and every error class, has of its own. */
const OF_A_CLASS = words('length name prototype');
const OF_AN_ERROR = new Set(['name', 'message', 'stack', 'cause', 'constructor', 'toString']);

for (const listed of CLASSES) {
  const kind = found(listed.name);
  const isError = kind?.prototype instanceof Error;

  test(`${listed.name} has the static members that are listed and no more`, () => {
    assert.equal(typeof kind, 'function');
    assert.equal(kind.name, listed.name);
    const wanted = listed.members
      .filter((member) => member.kind === 'constructor' && !isTheClassItself(member))
      .map(({ name }) => name);
    const seen = Object.getOwnPropertyNames(kind).filter((name) => !OF_A_CLASS.includes(name));
    assert.deepEqual(sorted(seen), sorted(wanted));
    assert.deepEqual(Object.getOwnPropertySymbols(kind), []);
    for (const name of wanted) {
      assert.equal(typeof kind[name], 'function', name);
    }
  });

  test(`${listed.name} has the methods that are listed and no more`, () => {
    const wanted = listed.members.filter((member) => member.kind === 'method');
    const described = Object.entries(Object.getOwnPropertyDescriptors(kind.prototype));
    const seen = described.filter(([, { value }]) => typeof value === 'function');
    const names = seen.map(([name]) => name).filter((name) => name !== 'constructor');
    assert.deepEqual(sorted(names), sorted(wanted.map(({ name }) => name)));
    assert.deepEqual(Object.getOwnPropertySymbols(kind.prototype), SYMBOLS[listed.name] ?? []);
    // Errors are asked for their properties below.
    const getters = described.filter(([, { get }]) => get !== undefined).map(([name]) => name);
    const properties = listed.members.filter((member) => member.kind === 'property');
    for (const name of isError ? [] : getters) {
      assert.ok(
        properties.some((property) => property.name === name),
        `${name} is not listed`,
      );
    }
  });

  test(`${listed.name} is made as it is listed, and in no other way`, () => {
    if (isError || listed.members.some(isTheClassItself)) {
      return;
    }
    const ways = listed.constructible ? [[]] : [[], [{}], [Symbol('key'), {}], [null, null]];
    for (const given of ways) {
      assert.throws(() => new kind(...given), TypeError);
      assert.throws(() => Reflect.construct(kind, given, Object), TypeError);
    }
    assert.throws(() => kind(), TypeError);
  });
}

/** What is no instance of anything: an option, a text. */
const NO_INSTANCE = TYPES_ALONE.filter((name) => !(name in INSTANCES));

test('there is an instance of each type', () => {
  const named = [...ALL_TYPES.values()].filter(
    ({ name, argumentsOf }) =>
      argumentsOf === undefined && !NO_INSTANCE.includes(name) && name !== 'SimulatorError',
  );
  assert.deepEqual(sorted(Object.keys(INSTANCES)), sorted(named.map(({ name }) => name)));
});

/**
 * Whether a value is of a type that the list names.
 *
 * @type {Record<string, (value: any) => boolean>}
 */
const IS_A = {
  text: (value) => typeof value === 'string',
  amount: (value) => typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value),
  bytes: (value) => Buffer.isBuffer(value),
  count: (value) => Number.isSafeInteger(value),
  flag: (value) => typeof value === 'boolean',
  object: (value) => Object.getPrototypeOf(value) === Object.prototype,
  list: (value) => Array.isArray(value),
  time: (value) => value instanceof Date && !Number.isNaN(value.getTime()),
  'list of Wallet': (value) => Array.isArray(value) && value.length > 0,
  'list of text pairs': (value) => Array.isArray(value) && value.every((pair) => pair.length === 2),
  Status: (value) => typeof value === 'string',
};

/**
 * @param {string} type
 * @param {any} value
 */
function isA(type, value) {
  const [certain = '', none] = type.split(' or ');
  if (none !== undefined && value === undefined) {
    return true;
  }
  const check = IS_A[certain];
  if (check === undefined) {
    const listed = ALL_TYPES.get(certain);
    assert.ok(listed, `what is ${type}?`);
    const values = listed.members.filter(({ kind }) => kind === 'value');
    return values.length > 0
      ? values.some((one) => one.value === value)
      : value.constructor.name === certain;
  }
  return check(value);
}

for (const [name, instance] of Object.entries(INSTANCES)) {
  const listed = /** @type {ListedType} */ (ALL_TYPES.get(name));

  test(`an instance of ${name} has the properties that are listed and no more`, () => {
    const wanted = listed.members.filter((member) => member.kind === 'property');
    const prototype = Object.getPrototypeOf(instance);
    const onPrototype = Object.entries(Object.getOwnPropertyDescriptors(prototype))
      .filter(([, { get }]) => get !== undefined && prototype !== Object.prototype)
      .map(([property]) => property);
    const seen = [...Object.getOwnPropertyNames(instance), ...onPrototype];
    assert.deepEqual(sorted(seen), sorted(wanted.map((member) => member.name)));
    assert.deepEqual(Object.getOwnPropertySymbols(instance), []);
    for (const member of wanted) {
      assert.ok(member.type !== undefined, `${name}.${member.name} is listed without a type`);
      const value = instance[member.name];
      assert.ok(isA(member.type, value), `${name}.${member.name} is ${value}, no ${member.type}`);
    }
  });

  test(`an instance of ${name} has the methods that are listed and no more`, () => {
    const prototype = Object.getPrototypeOf(instance);
    if (prototype === Object.prototype) {
      return;
    }
    const wanted = listed.members.filter((member) => member.kind === 'method');
    const seen = Object.entries(Object.getOwnPropertyDescriptors(prototype))
      .filter(([, { value }]) => typeof value === 'function')
      .map(([property]) => property);
    assert.deepEqual(sorted(seen), sorted(['constructor', ...wanted.map((member) => member.name)]));
    for (const member of wanted) {
      const isAsync = nativeTypes.isAsyncFunction(instance[member.name]);
      assert.equal(isAsync, AWAITED.includes(`${name}.${member.listedAs}`), member.name);
    }
  });
}

test('a type is reached as listed', () => {
  for (const { name, reachedThrough } of ALL_TYPES.values()) {
    if (reachedThrough !== undefined) {
      const [start = '', property = ''] = reachedThrough.split('.');
      const reached = INSTANCES[start][camelCase(property)];
      assert.equal(reached, INSTANCES[name]);
      assert.equal(reached.constructor.name, name);
    }
  }
});

test('a loop gives what is listed', () => {
  const looped = [...ALL_TYPES.values()].filter(({ iterable }) => iterable !== undefined);
  assert.deepEqual(
    looped.map(({ name, iterable }) => [name, iterable]),
    [['WalletList', 'Wallet']],
  );
  assert.deepEqual([...INSTANCES['WalletList']], INSTANCES['WalletList'].wallets);
});

/**
 * The calls that take options, each with one that it does not know.
 *
 * @type {Record<string, (options: any) => unknown>}
 */
const TAKE_OPTIONS = {
  'Client.new': (options) => new kazawallet.Client(options),
  'Client.request': (options) => client.request('GET', '/x', options),
  'PaymentLinks.create': (options) => client.paymentLinks.create(options),
  'Withdrawals.create': (options) => client.withdrawals.create(options),
  'Wallets.list': (options) => client.wallets.list(options),
  'Deposits.create': (options) => client.deposits.create(options),
  'PaymentMethod.haram_under_3m': (options) => kazawallet.PaymentMethod.haramUnder3m(options),
  'PaymentMethod.haram_over_3m': (options) => kazawallet.PaymentMethod.haramOver3m(options),
  'PaymentMethod.sy_cash': (options) => kazawallet.PaymentMethod.syCash(options),
  'PaymentMethod.custom': (options) => kazawallet.PaymentMethod.custom(options),
  'Webhook.new': (options) => new kazawallet.Webhook(options),
  'Webhook.with_previous': (options) => simulator.webhook().withPrevious(options),
  'Webhook.sign': (options) => simulator.webhook().sign(options),
  'PaymentEvent.match_order': (options) => event.matchOrder(options),
  'Ledger.open': (options) => kazawallet.Ledger.open(LEDGER_URL, options),
  'Ledger.create_payment_link': (options) => ledger.createPaymentLink(options),
  'Ledger.settle': (options) => ledger.settle('pl_1', 'paid', options),
  'Ledger.set_link_id_check': (options) => ledger.setLinkIdCheck(true, options),
  'Ledger.process': (options) => ledger.process(() => {}, options),
  'Ledger.pending': (options) => ledger.pending(options),
  'Ledger.retry': (options) => ledger.retry('pl_1', options),
  'Ledger.withdraw': (options) => ledger.withdraw(options),
  'Ledger.resolve': (options) => ledger.resolve('payout-1', 'paid', options),
  'Ledger.overdue': (options) => ledger.overdue(0, options),
  'Ledger.unsettled': (options) => ledger.unsettled(options),
  'Ledger.parked': (options) => ledger.parked(options),
  'Ledger.unresolved': (options) => ledger.unresolved(options),
  'Ledger.conflicts': (options) => ledger.conflicts(options),
  'Ledger.decisions': (options) => ledger.decisions(options),
  'LedgerWorker.stop': (options) => worker.stop(options),
  'Simulator.start': (options) => testing.Simulator.start(options),
  'Simulator.trigger': (options) => simulator.trigger(options),
  'Simulator.fault': (options) => simulator.fault('html_answer', options),
};

test('every call that takes options is known', () => {
  const listed = [];
  for (const { name, members } of ALL_TYPES.values()) {
    for (const member of members) {
      const full = `${name}.${member.listedAs}`;
      const inObject = member.arguments.filter((one) => !positional(full).includes(one.name));
      if (inObject.length > 0 && !inObject.some(({ type }) => type.startsWith(OPTIONS))) {
        listed.push(full);
      }
    }
  }
  assert.deepEqual(sorted(Object.keys(TAKE_OPTIONS)), sorted(listed));
});

for (const [full, call] of Object.entries(TAKE_OPTIONS)) {
  test(`${full} takes the options that are listed and no more`, async () => {
    const wanted = memberCalled(full)
      .arguments.map(({ name }) => name)
      .filter((name) => !positional(full).includes(name))
      .map(camelCase);
    const error = await Promise.resolve()
      .then(() => call({ aWrongOption: 1 }))
      .then(
        () => assert.fail('an option that is not known was taken'),
        (problem) => problem,
      );
    assert.equal(error.constructor, TypeError);
    assert.match(error.message, /`aWrongOption`/);
    const [, told = ''] = /it has (.*)$/.exec(error.message) ?? [];
    assert.deepEqual(sorted(told.split(', ')), sorted(wanted), error.message);
  });
}

// ---------------------------------------------------------------- errors

/**
 * The nearest class above that the package exports, or `Error`.
 *
 * @param {any} kind
 */
function publicParent(kind) {
  const exported = new Set(Object.values(PACKAGE));
  let parent = Object.getPrototypeOf(kind);
  while (parent !== Error && !exported.has(parent)) {
    parent = Object.getPrototypeOf(parent);
  }
  return parent;
}

for (const error of ERRORS.values()) {
  const kind = PACKAGE[error.name];

  test(`${error.name} is what is listed`, () => {
    assert.equal(publicParent(kind), PACKAGE[error.parent] ?? Error);
    assert.equal(kind.name, error.name);
    const made = new kind('what was wrong');
    assert.equal(made.name, error.name);
    assert.equal(made.message, 'what was wrong');
    assert.equal(`${made}`, `${error.name}: what was wrong`);
    assert.ok(made.stack.startsWith(`${error.name}: what was wrong`), made.stack);
    if (error.code !== undefined) {
      assert.equal(made.code, error.code);
    }
    for (const code of Object.values(error.codes ?? {})) {
      assert.equal(new kind('x', { code }).code, code);
    }
    if (error.outcome.length > 0) {
      assert.ok(error.outcome.includes(made.outcome), made.outcome);
    } else {
      assert.equal(made.outcome, undefined);
    }
    assert.equal('cause' in made, false);
    const cause = new Error('the reason');
    assert.equal(new kind('x', { cause }).cause, cause);
    assert.equal('cause' in new kind('x', { cause: undefined }), true);
  });

  test(`${error.name} has the properties that are listed and no more`, () => {
    const wanted = new Set();
    for (let one = error; one !== undefined; one = ERRORS.get(one.parent)) {
      for (const property of one.properties) {
        wanted.add(camelCase(property));
      }
    }
    const made = new kind('what was wrong');
    const seen = new Set();
    for (let one = made; one !== Error.prototype; one = Object.getPrototypeOf(one)) {
      for (const name of Reflect.ownKeys(one)) {
        seen.add(name);
      }
    }
    // These are of every error; `message` is listed.
    for (const name of OF_AN_ERROR) {
      seen.delete(name);
    }
    seen.add('message');
    // Bun notes on every error where it was made.
    for (const name of ['line', 'column', 'sourceURL', 'originalLine', 'originalColumn']) {
      seen.delete(name);
    }
    assert.deepEqual(sorted(seen), sorted(wanted));
  });
}

test('the codes are all different, and the roots have none of them', () => {
  const codes = [...ERRORS.values()]
    .flatMap(({ code, codes }) => code ?? Object.values(codes ?? {}))
    .filter((code) => code !== undefined);
  assert.equal(new Set(codes).size, codes.length);
  for (const { name, code, codes: several } of ERRORS.values()) {
    if (code === undefined && several === undefined) {
      assert.ok(!codes.includes(new PACKAGE[name]('x').code), name);
    }
  }
});

/** Every code that an error of the package can have. */
const allCodes = () =>
  [...ERRORS.values()].flatMap(({ name, codes }) =>
    codes === undefined ? new PACKAGE[name]('x').code : Object.values(codes),
  );

test('every fault that is listed is one', () => {
  for (const { value } of ALL_TYPES.get('Fault')?.members ?? []) {
    simulator.fault(/** @type {any} */ (value));
  }
  simulator.clearFaults();
});

test('every outcome is a known one', () => {
  const outcomes = ALL_TYPES.get('Outcome')?.members.map(({ value }) => value) ?? [];
  for (const { name, outcome } of ERRORS.values()) {
    for (const one of outcome) {
      assert.ok(outcomes.includes(one), name);
    }
  }
});

// ---------------------------------------------------------------- the package as TypeScript sees it

/** The folder of the installed package. */
function installed() {
  return path.dirname(createRequire(import.meta.url).resolve('kazawallet/package.json'));
}

const ENTRIES = ['index', 'testing'].map((name) => path.join(installed(), 'dist', `${name}.d.ts`));
const program = ts.createProgram(ENTRIES, {
  strict: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.Node16,
  moduleResolution: ts.ModuleResolutionKind.Node16,
  lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts'],
  types: [],
  skipLibCheck: true,
});
const checker = program.getTypeChecker();

/**
 * What an entry point exports to TypeScript, by name.
 *
 * @param {string} file
 * @returns {Map<string, TypeSymbol>}
 */
function exportsOf(file) {
  const source = program.getSourceFile(file);
  const module = source && checker.getSymbolAtLocation(source);
  assert.ok(module, `${file} is no module`);
  return new Map(
    checker
      .getExportsOfModule(module)
      .map((symbol) => [
        symbol.name,
        symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
      ]),
  );
}

const [INDEX_TYPES = new Map(), TESTING_TYPES = new Map()] = ENTRIES.map(exportsOf);

/**
 * @param {string} name
 * @returns {Type}
 */
function declared(name) {
  const symbol = INDEX_TYPES.get(name) ?? TESTING_TYPES.get(name);
  assert.ok(symbol, `${name} is missing in the types`);
  return checker.getDeclaredTypeOfSymbol(symbol);
}

/**
 * @param {TypeSymbol} symbol
 * @returns {Type}
 */
function typeOf(symbol) {
  const at = symbol.valueDeclaration ?? symbol.declarations?.[0];
  assert.ok(at, symbol.name);
  return checker.getTypeOfSymbolAtLocation(symbol, at);
}

/** @param {TypeSymbol} symbol */
const isOptional = (symbol) => (symbol.flags & ts.SymbolFlags.Optional) !== 0;

/**
 * The names of a type's members that anyone can use.
 *
 * @param {Type} type
 */
function publicNames(type) {
  return checker
    .getPropertiesOfType(type)
    .filter(({ declarations = [] }) =>
      declarations.every(
        (one) =>
          (ts.getCombinedModifierFlags(one) &
            (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) ===
          0,
      ),
    )
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('__') && name !== '#private');
}

/**
 * The types that are another name for something.
 *
 * @type {Record<string, string>}
 */
const SPELLINGS = {
  AmountLike: 'string | number | bigint',
  LinkLike: 'string | { readonly url: string; }',
};

test('TypeScript sees the types that are listed and no more', () => {
  assert.deepEqual(sorted(INDEX_TYPES.keys()), sorted([...TYPES.keys(), ...ERRORS.keys()]));
  assert.deepEqual(sorted(TESTING_TYPES.keys()), sorted(TESTING.keys()));
});

for (const listed of ALL_TYPES.values()) {
  const values = listed.members.filter((member) => member.kind === 'value');

  test(`TypeScript sees of ${listed.name} what is listed and no more`, () => {
    const type = declared(listed.name);
    const spelling = SPELLINGS[listed.name];
    if (spelling !== undefined) {
      assert.equal(checker.typeToString(type, undefined, ts.TypeFormatFlags.InTypeAlias), spelling);
      return;
    }
    if (listed.name === 'ErrorCode' || listed.name === 'LedgerErrorCode') {
      assert.ok(type.isUnion());
      const seen = type.types.map((one) => (one.isStringLiteral() ? one.value : ''));
      const codes = listed.name === 'ErrorCode' ? allCodes() : ERRORS.get('LedgerError').codes;
      assert.deepEqual(sorted(seen), sorted(Object.values(codes)));
      return;
    }
    if (values.length > 0) {
      assert.ok(type.isUnion());
      const seen = type.types.filter((one) => one.isStringLiteral()).map((one) => one.value);
      assert.deepEqual(sorted(seen), sorted(values.map(({ value }) => value ?? '')));
      // Only one that is open takes another text.
      assert.equal(type.types.length > seen.length, listed.open);
      return;
    }
    const wanted = listed.members
      .filter((member) => member.kind !== 'constructor')
      .map(({ name }) => name);
    const builtin = found(listed.name)?.prototype instanceof Error ? OF_AN_ERROR : new Set();
    const seen = publicNames(type).filter((name) => !builtin.has(name));
    assert.deepEqual(sorted(seen), sorted(wanted));
  });

  for (const member of listed.members) {
    if (member.kind === 'constructor' || member.kind === 'method') {
      const full = `${listed.name}.${member.listedAs}`;
      test(`TypeScript sees the arguments of ${full} that are listed and no more`, () => {
        const signature = signatureOf(listed, member);
        const parameters = signature.getParameters();
        const inOrder = positional(full);
        assert.deepEqual(
          parameters.slice(0, inOrder.length).map(({ name }) => name),
          inOrder.map(camelCase),
        );
        const rest = parameters.slice(inOrder.length);
        const inObject = member.arguments.filter(({ name }) => !inOrder.includes(name));
        const [first] = inObject;
        assert.equal(rest.length, first === undefined ? 0 : 1);
        const [settings] = rest;
        if (first === undefined || settings === undefined) {
          return;
        }
        const type = checker.getNonNullableType(typeOf(settings));
        if (first.type.startsWith(OPTIONS)) {
          const of = `${first.type.slice(OPTIONS.length)}Options`;
          assert.equal(checker.typeToString(type), of);
          return;
        }
        const seen = checker
          .getPropertiesOfType(type)
          .map((symbol) => `${symbol.name}${isOptional(symbol) ? '?' : ''}`);
        const wanted = inObject.map(
          ({ name, optional }) => `${camelCase(name)}${optional ? '?' : ''}`,
        );
        assert.deepEqual(sorted(seen), sorted(wanted));
        // All of it may be left out where each of it may.
        const declaration = /** @type {ParameterDeclaration} */ (settings.valueDeclaration);
        assert.equal(
          declaration.questionToken !== undefined,
          inObject.every(({ optional }) => optional),
        );
      });
    }
  }
}

for (const listed of CLASSES) {
  if (!(found(listed.name).prototype instanceof Error) && !listed.members.some(isTheClassItself)) {
    test(`TypeScript sees no way to make a ${listed.name} of one's own`, () => {
      const symbol = INDEX_TYPES.get(listed.name) ?? TESTING_TYPES.get(listed.name);
      assert.ok(symbol);
      for (const signature of typeOf(symbol).getConstructSignatures()) {
        const flags = ts.getCombinedModifierFlags(signature.getDeclaration());
        assert.ok((flags & ts.ModifierFlags.Private) !== 0);
      }
    });
  }
}

/**
 * @param {ListedType} listed
 * @param {Member} member
 * @returns {Signature}
 */
function signatureOf(listed, member) {
  const symbol = INDEX_TYPES.get(listed.name) ?? TESTING_TYPES.get(listed.name);
  assert.ok(symbol);
  const ofClass = member.kind === 'constructor';
  if (ofClass && member.name === 'new') {
    const [signature, ...more] = typeOf(symbol).getConstructSignatures();
    assert.ok(signature !== undefined && more.length === 0);
    return signature;
  }
  const owner = ofClass ? typeOf(symbol) : declared(listed.name);
  const property = checker.getPropertyOfType(owner, member.name);
  assert.ok(property, `${member.name} is missing`);
  const [signature, ...more] = typeOf(property).getCallSignatures();
  assert.ok(signature !== undefined && more.length === 0);
  return signature;
}

for (const error of ERRORS.values()) {
  test(`TypeScript sees of ${error.name} what is listed and no more`, () => {
    const wanted = new Set();
    for (let one = error; one !== undefined; one = ERRORS.get(one.parent)) {
      for (const property of one.properties) {
        wanted.add(camelCase(property));
      }
    }
    const seen = publicNames(declared(error.name)).filter(
      (name) => name === 'message' || !OF_AN_ERROR.has(name),
    );
    assert.deepEqual(sorted(seen), sorted(wanted));
  });
}

// ---------------------------------------------------------------- the test itself

test('what is not understood is refused', () => {
  readType({ name: 'Box', members: [{ name: 'open_lid', kind: 'method' }] });
  for (const wrong of [
    { name: 'Box', members: [], colour: 'red' },
    { name: 'Box', members: [{ name: 'open', kind: 'door' }] },
    { name: 'Box', members: [{ name: 'open', kind: 'method', only: ['perl'] }] },
    { name: 'Box', members: [{ name: 'open', kind: 'method', arguments: [{ name: 'key' }] }] },
  ]) {
    assert.throws(() => readType(wrong), NotUnderstood);
  }
  assert.throws(() => memberCalled('Client.dance'), NotUnderstood);
});

test('a difference is seen', () => {
  const { members } = readType({
    name: 'Box',
    members: [
      {
        name: 'open_lid',
        kind: 'method',
        arguments: [{ name: 'a_key', type: 'text', only: ['rust'] }],
      },
      { name: 'to_json', kind: 'method', node: 'toJSON' },
      { name: 'lock', kind: 'method', only: ['python'] },
    ],
  });
  assert.deepEqual(
    members.map((member) => [member.name, member.arguments]),
    [
      ['openLid', []],
      ['toJSON', []],
    ],
  );
});
