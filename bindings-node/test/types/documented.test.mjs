// @ts-check
// Everything that a user is told of is documented in the installed package's declarations, where
// editors look for it: classes, methods, options, fields, and what throws.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { DECLARATIONS, STRICT, typescript as ts } from '../compilers.mjs';

const ENTRIES = ['index', 'testing', 'express', 'fastify', 'web'].map((name) =>
  path.join(DECLARATIONS, `${name}.d.ts`),
);

const { options } = ts.convertCompilerOptionsFromJson(
  { ...STRICT, module: 'nodenext', lib: ['es2022', 'esnext.disposable'] },
  DECLARATIONS,
);
const program = ts.createProgram(ENTRIES, options);
const checker = program.getTypeChecker();

/**
 * @typedef {object} Documented Something that a user is told of.
 * @property {string} name
 * @property {any} symbol
 * @property {any} [declaration] Of what can be called: its signature, with the comment above it.
 * @property {boolean} [isError] It belongs to a class of errors.
 */

/** @returns {Documented[]} */
function everything() {
  return ENTRIES.flatMap((entry) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(entry));
    return checker.getExportsOfModule(module).flatMap(withMembers);
  });
}

/**
 * @param {any} exported
 * @returns {Documented[]}
 */
function withMembers(exported) {
  const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0;
  const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
  const own = checker.getDeclaredTypeOfSymbol(symbol);
  const isError = own.getProperty('stack') !== undefined;
  const isClass = (symbol.flags & ts.SymbolFlags.Class) !== 0;
  const isInterface = (symbol.flags & ts.SymbolFlags.Interface) !== 0;
  const members = isClass || isInterface ? own.getProperties() : [];
  const statics = isClass ? [...symbol.exports.values()] : [];
  const constructors = isClass ? [symbol.members?.get('__constructor')] : [];
  return [
    { name: symbol.name, symbol, isError },
    ...[...members, ...statics, ...constructors]
      .filter((member) => member !== undefined && member.name !== 'prototype')
      .filter((member) => member.declarations.some(isOurs) && !isPrivate(member))
      .flatMap((member) => {
        const name = `${symbol.name}.${shown(member)}`;
        return callablesOf(member, name, isError);
      }),
  ];
}

/** @param {any} symbol */
function shown(symbol) {
  return symbol.name === '__constructor'
    ? 'constructor'
    : symbol.declarations[0].name.getText().replace(/^\[(.*)\]$/, '$1');
}

/** @param {any} declaration */
function isOurs(declaration) {
  return declaration.getSourceFile().fileName.startsWith(ts.sys.resolvePath(DECLARATIONS));
}

/** @param {any} symbol */
function isPrivate(symbol) {
  return symbol.declarations.some(
    /** @param {any} declaration */
    (declaration) =>
      (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Private) !== 0 ||
      (declaration.name !== undefined && ts.isPrivateIdentifier(declaration.name)),
  );
}

/**
 * @param {any} symbol
 * @param {string} name
 * @param {boolean} isError
 * @returns {Documented[]}
 */
function callablesOf(symbol, name, isError) {
  const callable = symbol.declarations.find(
    /** @param {any} declaration */
    (declaration) =>
      ts.isMethodDeclaration(declaration) ||
      ts.isMethodSignature(declaration) ||
      ts.isConstructorDeclaration(declaration) ||
      ts.isSetAccessorDeclaration(declaration),
  );
  return [{ name, symbol, declaration: callable, isError }];
}

const ALL = everything();
const CALLABLE = ALL.filter(({ declaration }) => declaration !== undefined);

/** @param {Documented} documented */
function textOf({ symbol, declaration }) {
  const comment = ts.displayPartsToString(symbol.getDocumentationComment(checker));
  const tags = symbol.getJsDocTags(checker).map(
    /** @param {any} tag */
    (tag) => `@${tag.name} ${ts.displayPartsToString(tag.text)}`,
  );
  // The comment of a constructor belongs to its declaration.
  const above = declaration === undefined ? [] : ts.getJSDocCommentsAndTags(declaration);
  return [comment, ...tags, ...above.map(/** @param {any} node */ (node) => node.getText())].join(
    '\n',
  );
}

test('what is public is found', () => {
  const names = ALL.map(({ name }) => name);
  assert.ok(names.length > 150, `${names.length}`);
  for (const wanted of [
    'Client.constructor',
    'Client.paymentLinks',
    'Client.request',
    'CreatePaymentLinkOptions.redirectUrl',
    'CreatePaymentLinkOptions.signal',
    'Delivery.body',
    'OutcomeUnknownError.body',
    'PaymentEvent.amount',
    'PaymentMethod.custom',
    'Simulator.start',
    'Simulator.Symbol.asyncDispose',
    'WalletList.Symbol.iterator',
    'Webhook.verify',
  ]) {
    assert.ok(names.includes(wanted), wanted);
  }
});

test('everything public is documented', () => {
  const bare = ALL.filter(
    (each) => !(each.isError && each.name.endsWith('.constructor')) && textOf(each).trim() === '',
  );
  assert.deepEqual(
    bare.map(({ name }) => name),
    [],
  );
});

test('options that stand in a signature are explained with it', () => {
  const unexplained = CALLABLE.flatMap((each) =>
    each.declaration.parameters.flatMap(
      /** @param {any} parameter */ (parameter) => {
        const members = parameter.type?.members ?? [];
        return members
          .filter(/** @param {any} member */ (member) => !isNamed(member, textOf(each)))
          .map(/** @param {any} member */ (member) => `${each.name}: ${member.name.getText()}`);
      },
    ),
  );
  assert.deepEqual(unexplained, []);
});

/**
 * Whether an option has a comment, or the text names it: as it is, or in prose, `orderId` as
 * "order id".
 *
 * @param {any} member
 * @param {string} text
 */
function isNamed(member, text) {
  const name = member.name.getText();
  const prose = name.replace(/[A-Z]/g, (/** @type {string} */ capital) => ` ${capital}`);
  return (
    ts.getJSDocCommentsAndTags(member).length > 0 ||
    [name, prose].some((words) => new RegExp(`\\b${words}\\b`, 'i').test(text))
  );
}

/** What takes arguments or waits, and needs no word about errors. */
const THROWS_NOTHING_OF_ITS_OWN = {
  'Ledger.close': 'it takes nothing, and closing twice does nothing',
  'Ledger.Symbol.asyncDispose': 'it is `close`',
  'LedgerWorker.stop': 'it takes nothing, and stopping twice does nothing',
  'LedgerWorker.Symbol.asyncDispose': 'it is `stop`',
  'RunningReceiver.stop': 'it takes nothing, and stopping twice does nothing',
  'ExpressReceiver.stop': 'it is that of every receiver',
  'WebReceiver.stop': 'it is that of every receiver',
  'Simulator.stop': 'it takes nothing, and stopping twice does nothing',
  'Simulator.Symbol.asyncDispose': 'it is `stop`',
};

test('what throws says so', () => {
  const silent = CALLABLE.filter(({ name, declaration, isError }) => {
    const waits = declaration.type?.getText().startsWith('Promise<');
    const mayThrow = declaration.parameters.length > 0 || waits;
    // What is called so is a framework's.
    const isOurOwn = !/^\w+Like\./.test(name);
    return mayThrow && isOurOwn && !isError && !(name in THROWS_NOTHING_OF_ITS_OWN);
  }).filter((each) => !textOf(each).includes('@throws'));
  assert.deepEqual(
    silent.map(({ name }) => name),
    [],
  );
});

test('the errors that the documentation names exist', () => {
  const known = new Set(ALL.map(({ name }) => name));
  const builtin = ['Error', 'SyntaxError', 'TypeError'];
  const unknown = ALL.flatMap((each) =>
    [...textOf(each).matchAll(/\b(?:[A-Z]\w*)?Error\b/g)]
      .map(([name]) => name)
      .filter((name) => !known.has(name) && !builtin.includes(name))
      .map((name) => `${each.name} names ${name}`),
  );
  assert.deepEqual(unknown, []);
});

test('what the documentation names in backticks exists', () => {
  const platform = ['console.log', 'JSON.stringify'];
  const names = new Set([
    ...platform,
    ...ALL.flatMap(({ name }) => [name, name.split('.').at(-1)]),
  ]);
  const dangling = ALL.flatMap((each) =>
    [...textOf(each).matchAll(/`(?:client\.)?([A-Z]\w+\.[a-z]\w+|[a-z]+\.[a-z]\w+)`/g)]
      .map(([, name]) => name ?? '')
      .filter((name) => !names.has(name) && !names.has(name.split('.').at(-1)))
      .map((name) => `${each.name} names ${name}`),
  );
  assert.deepEqual(dangling, []);
});
