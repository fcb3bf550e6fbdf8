// `npx kazawallet`, where the package is installed.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { INSTALLED, runProgram } from './project.mjs';

const require = createRequire(import.meta.url);

/** @param {readonly string[]} given */
function npx(...given) {
  // `--no`: what is not installed is not fetched either.
  return runProgram(path.dirname(INSTALLED), 'npx', ['--no', '--', 'kazawallet', ...given]);
}

test('npx kazawallet --help says what there is', async () => {
  const { status, stdout } = await npx('--help');
  assert.equal(status, 0);
  assert.match(stdout, /^usage: npx kazawallet/);
  assert.match(stdout, /simulator/);
});

test('npx kazawallet --version is that of the package', async () => {
  const { status, stdout } = await npx('--version');
  assert.equal(status, 0);
  assert.equal(stdout.trim(), require('kazawallet/package.json').version);
});

test('the native part answers npx kazawallet simulator --help', async () => {
  const { status, stdout } = await npx('simulator', '--help');
  assert.equal(status, 0);
  assert.match(stdout, /--port/);
});

test('a command that is not known is status 2 and told of', async () => {
  const { status, stderr } = await npx('simulate');
  assert.equal(status, 2);
  assert.match(stderr, /simulate/);
});
