// Apps made into one file by esbuild.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import {
  APP_IMPORTS,
  APP_REQUIRES,
  esbuild,
  makeProject,
  removeMainPackage,
  runNode,
  VERIFIED,
} from './project.mjs';

/** What gives a bundled ES module the `require` by which the native part is found. */
const BANNER = `import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);`;

/**
 * Bundles the app of a project, and reads none of esbuild's own configuration.
 *
 * @param {string} folder
 * @param {import('esbuild').BuildOptions} options
 */
function bundle(folder, options) {
  return esbuild().build({
    absWorkingDir: folder,
    bundle: true,
    logLevel: 'silent',
    ...options,
  });
}

for (const [from, app] of [
  ['import', APP_IMPORTS],
  ['require', APP_REQUIRES],
]) {
  test(`an app that uses ${from}, bundled for Node.js, finds the native part`, async (t) => {
    const folder = await makeProject(t, { 'app.js': app ?? '' });
    for (const minify of [false, true]) {
      const outfile = `bundled-${minify}.cjs`;
      const { warnings } = await bundle(folder, {
        entryPoints: ['app.js'],
        outfile,
        platform: 'node',
        minify,
      });
      assert.deepEqual(
        warnings.map(({ text }) => text),
        [],
      );
    }
    // What is bundled is in the bundle; the native part alone is still needed.
    await removeMainPackage(folder);
    for (const outfile of ['bundled-false.cjs', 'bundled-true.cjs']) {
      assert.deepEqual(await runNode(folder, outfile), { status: 0, stdout: VERIFIED, stderr: '' });
    }
  });
}

test('bundled as an ES module it finds the native part with a `require` in the banner', async (t) => {
  const folder = await makeProject(t, { 'app.mjs': APP_IMPORTS });
  await bundle(folder, {
    entryPoints: ['app.mjs'],
    outfile: 'bundled.mjs',
    platform: 'node',
    format: 'esm',
    banner: { js: BANNER },
  });
  await removeMainPackage(folder);
  assert.deepEqual(await runNode(folder, 'bundled.mjs'), {
    status: 0,
    stdout: VERIFIED,
    stderr: '',
  });
});

test('an ES module bundled with the package left out of it needs nothing more', async (t) => {
  const folder = await makeProject(t, { 'app.mjs': APP_IMPORTS });
  await bundle(folder, {
    entryPoints: ['app.mjs'],
    outfile: 'bundled.mjs',
    platform: 'node',
    format: 'esm',
    external: ['kazawallet'],
  });
  assert.deepEqual(await runNode(folder, 'bundled.mjs'), {
    status: 0,
    stdout: VERIFIED,
    stderr: '',
  });
});

test('bundled as an ES module without either, it says what to do', async (t) => {
  const folder = await makeProject(t, { 'app.mjs': APP_IMPORTS });
  await bundle(folder, {
    entryPoints: ['app.mjs'],
    outfile: 'bundled.mjs',
    platform: 'node',
    format: 'esm',
  });
  const { status, stderr } = await runNode(folder, 'bundled.mjs');
  assert.equal(status, 1);
  assert.match(stderr, /Error: kazawallet was bundled as an ES module.*--external:kazawallet/);
});

/** @type {readonly [string, import('esbuild').BuildOptions][]} */
const CLIENT_SIDE = [
  ['the browser', { platform: 'browser' }],
  ['Cloudflare Workers', { platform: 'neutral', conditions: ['workerd', 'worker'] }],
  ['an edge runtime', { platform: 'neutral', conditions: ['edge-light'] }],
];

for (const [name, options] of CLIENT_SIDE) {
  test(`bundled for ${name} it fails with one sentence about keys`, async (t) => {
    for (const entry of [
      'kazawallet',
      'kazawallet/testing',
      'kazawallet/express',
      'kazawallet/web',
    ]) {
      const folder = await makeProject(t, {
        'app.js': `import * as sdk from '${entry}';\nconsole.log(Object.keys(sdk));\n`,
      });
      await bundle(folder, {
        entryPoints: ['app.js'],
        outfile: path.join('out', 'bundled.cjs'),
        format: 'cjs',
        ...options,
      });
      const { status, stdout, stderr } = await runNode(folder, 'out/bundled.cjs');
      assert.equal(status, 1);
      assert.equal(stdout, '');
      assert.match(
        stderr,
        /Error: kazawallet runs on a server.* API key does not belong into client-side/,
      );
    }
  });
}
