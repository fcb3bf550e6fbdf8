// The package under test, loaded the way that KAZAWALLET_LOADED_BY says: by `import` or by `require`.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** @type {Readonly<Record<string, (name: string) => any>>} */
const WAYS = { import: (name) => import(name), require };

const way = process.env.KAZAWALLET_LOADED_BY ?? 'import';
const loadWay = WAYS[way];
if (loadWay === undefined) {
  throw new Error(`KAZAWALLET_LOADED_BY is "import" or "require", not "${way}"`);
}
/** Loads a module that way. */
export const load = loadWay;

/** @type {typeof import('kazawallet')} */
export const kazawallet = await load('kazawallet');

/** @type {typeof import('kazawallet/testing')} */
export const testing = await load('kazawallet/testing');
