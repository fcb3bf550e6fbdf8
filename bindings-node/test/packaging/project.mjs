// Projects as users have them: a folder of their own with the installed package in it, and an app.

import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

const require = createRequire(import.meta.url);

/** The `node_modules` into which the tarballs were installed. */
export const INSTALLED = path.resolve(require.resolve('kazawallet/package.json'), '../..');

/** The repository's development dependencies. */
const requireTool = createRequire(
  path.join(process.env.KAZAWALLET_REPOSITORY ?? '', 'bindings-node', 'package.json'),
);

/** @returns {typeof import('esbuild')} */
export const esbuild = () => requireTool('esbuild');

/** @returns {typeof import('@vercel/nft')} */
export const nft = () => requireTool('@vercel/nft');

const APP = `
const webhook = new Webhook({ apiKey: 'sim_packaging_key', apiSecret: 'sim_packaging_secret' });
const secret = webhook.sign({ amount: '10.50', orderId: 'order-of-the-provider' });
const delivery = { order_id: 'order-of-the-provider', amount: '10.50', status: 'fulfilled', secret };
const event = webhook.verify(JSON.stringify(delivery));
console.log('verified', event instanceof PaymentEvent, event.amount, typeof Simulator);
`;

/** What an app prints whose native part was found, and works. */
export const VERIFIED = 'verified true 10.50 function\n';

/** An app that verifies an event, as an ES module. */
export const APP_IMPORTS = `
import { PaymentEvent, Webhook } from 'kazawallet';
import { Simulator } from 'kazawallet/testing';
${APP}`;

/** The same app in CommonJS. */
export const APP_REQUIRES = `
const { PaymentEvent, Webhook } = require('kazawallet');
const { Simulator } = require('kazawallet/testing');
${APP}`;

/**
 * Makes a project, which is gone after the test.
 *
 * @param {import('node:test').TestContext} t
 * @param {Readonly<Record<string, string>>} files
 */
export async function makeProject(t, files) {
  const folder = await makeFolder(t);
  for (const name of await packages()) {
    await cp(path.join(INSTALLED, name), path.join(folder, 'node_modules', name), {
      recursive: true,
    });
  }
  const all = { 'package.json': '{ "private": true }\n', ...files };
  for (const [name, content] of Object.entries(all)) {
    await writeFile(path.join(folder, name), content);
  }
  return folder;
}

/** @param {import('node:test').TestContext} t */
export async function makeFolder(t) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'kazawallet-project-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The names of the native parts that are installed. */
export async function nativePackages() {
  return (await packages()).filter((name) => name !== 'kazawallet');
}

/** @param {string} folder */
export async function removeMainPackage(folder) {
  await rm(path.join(folder, 'node_modules', 'kazawallet'), { recursive: true });
}

async function packages() {
  return (await readdir(INSTALLED)).filter((name) => /^kazawallet(-|$)/.test(name));
}

/**
 * Runs a program of the project with this Node.js.
 *
 * @param {string} folder
 * @param {readonly string[]} programArguments
 */
export function runNode(folder, ...programArguments) {
  return runProgram(folder, process.execPath, programArguments);
}

/**
 * @param {string} folder
 * @param {string} program
 * @param {readonly string[]} programArguments
 * @returns {Promise<{ status: number | string | null | undefined, stdout: string, stderr: string }>}
 */
export function runProgram(folder, program, programArguments) {
  // So that `#!/usr/bin/env node` is this Node.js, too.
  const searched = `${path.dirname(process.execPath)}${path.delimiter}${process.env.PATH}`;
  const env = { ...process.env, PATH: searched };
  return new Promise((resolve) => {
    execFile(
      program,
      [...programArguments],
      { cwd: folder, env, timeout: 60_000 },
      (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr }),
    );
  });
}
