// @ts-check
// TypeScript, for the tests of types and of documentation: the newest and a late 5.x. They are
// development dependencies of the source tree, and so is what the types need besides the package.

import { createRequire } from 'node:module';
import path from 'node:path';

import { variable } from './shared-data.mjs';

const MODULES = path.join(variable('KAZAWALLET_REPOSITORY'), 'bindings-node', 'node_modules');

/** Where `@types/node` is. */
export const TYPE_ROOTS = [path.join(MODULES, '@types')];

/** The compilers' programs, by their versions. */
export const COMPILERS = Object.fromEntries(
  ['typescript', 'typescript-5'].map((name) => {
    const folder = path.join(MODULES, name);
    const { version } = createRequire(import.meta.url)(path.join(folder, 'package.json'));
    return [version, path.join(folder, 'bin', 'tsc')];
  }),
);

/**
 * TypeScript's own functions. Version 7 has none that are stable.
 *
 * @type {any}
 */
export const typescript = createRequire(import.meta.url)(path.join(MODULES, 'typescript-5'));

/** As strict as a user may be. */
export const STRICT = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noImplicitReturns: true,
  noPropertyAccessFromIndexSignature: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  skipDefaultLibCheck: true, // TypeScript's own.
  target: 'es2022',
  types: ['node'],
  typeRoots: TYPE_ROOTS,
};

/** The folder of the installed package's declarations. */
export const DECLARATIONS = path.dirname(createRequire(import.meta.url).resolve('kazawallet'));
