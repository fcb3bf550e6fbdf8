// Builds the package and packs it, from a fresh clone too: needs Rust, Node.js and npm.
//
//     node bindings-node/scripts/build.mjs [--check] [--target TRIPLE [--zig]] [--native-only] [--out DIR]
//     node bindings-node/scripts/build.mjs --native FILE
//
// It leaves the compiled package in bindings-node/dist, and in target/npm two tarballs: the package
// itself, and this platform's native part. `lib/native-module.d.ts`, which says what the native part
// offers, is written anew; with --check it must be up to date already. With --native nothing of Rust is
// built: this native file is taken, one of a debug build perhaps. --target builds the native part for
// another platform, --zig with Zig as its linker and C compiler (which must be found, and cargo-zigbuild
// too: packaging/build.py sees to that). The package itself needs a native part that runs here to be
// compiled: with --native-only it is left out. --out says where the tarballs go.

import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import {
  Failed,
  installTools,
  main,
  PACKAGE,
  REPOSITORY,
  run,
  runTool,
  step,
  TARBALLS,
} from './steps.mjs';

const DIST = path.join(PACKAGE, 'dist');
const DECLARATIONS = path.join(PACKAGE, 'lib', 'native-module.d.ts');
const LICENCES = ['LICENSE-APACHE', 'LICENSE-MIT'];
/** What is packed is laid out here, one folder a package. */
const STAGING = path.join(PACKAGE, 'npm');
const MAIN = path.join(STAGING, 'main');

/** The declarations that tsc makes of lib/. */
const DECLARED = path.join(STAGING, 'declared');
/** The file that is loaded first, and holds what the others share. */
const LOADED = 'loaded.js';
/** Each is a bundle; what is not needed at once is in one that is loaded when it is asked for. */
const FILES = [
  LOADED,
  ...['ledger-calls.js', 'testing.js', 'browser.js', 'cli.js', 'webhook-receiving.js'],
  ...['express.js', 'fastify.js', 'web.js'],
];
/** What is loaded by name. */
const ENTRIES = ['index', 'testing', 'express', 'fastify', 'web'];

/**
 * @typedef {object} Options
 * @property {boolean} check
 * @property {string | undefined} [native] A native file that was built before.
 * @property {string | undefined} [target] What Rust calls the platform, if not this one; `.2.17` behind it
 *   is the glibc that Zig links for.
 * @property {boolean} [zig]
 * @property {boolean} [nativeOnly]
 * @property {string | undefined} [out] The folder of the tarballs; what else is there stays.
 */

/** @param {Options} options */
export async function build({ native: builtBefore, nativeOnly = false, out, ...options }) {
  await installTools();
  await rm(STAGING, { recursive: true, force: true });
  await mkdir(STAGING, { recursive: true });
  const tarballs = path.resolve(out ?? TARBALLS);
  if (out === undefined) {
    await rm(tarballs, { recursive: true, force: true });
  }
  await mkdir(tarballs, { recursive: true });
  const native = await stageNative(builtBefore ?? (await buildNative(options)));
  if (!nativeOnly) {
    await compile();
    linkForDevelopment(native);
    await writeModules();
    await stageMain();
  }
  step('packing');
  for (const folder of nativeOnly ? [native] : [MAIN, native]) {
    await run('npm', ['pack', '--silent', '--pack-destination', tarballs], { folder });
  }
}

/**
 * Builds the native part; returns its file.
 *
 * @param {Pick<Options, 'check' | 'target' | 'zig'>} options
 */
async function buildNative({ check, target, zig = false }) {
  step(`building the native part${target ? ` for ${target}` : ''} (a few minutes the first time)`);
  const built = path.join(STAGING, 'built');
  await runTool('napi', [
    ...['build', '--platform', '--release', '--no-js'],
    ...(target === undefined ? [] : ['--target', target]),
    ...(zig ? ['--cross-compile'] : []),
    ...['--output-dir', built, '--dts', 'native-module.d.ts'],
    ...['--', '--locked'],
  ]);
  const file = (await readdir(built)).find((name) => name.endsWith('.node'));
  if (file === undefined) {
    throw new Failed(`napi build left no native file in ${built}`);
  }
  await keepDeclarations(path.join(built, 'native-module.d.ts'), check);
  return path.join(built, file);
}

/**
 * Stages the package of a native file; returns the folder.
 *
 * @param {string} native
 */
async function stageNative(native) {
  // One folder for each platform there is. The file is named after this one's.
  await runTool('napi', ['create-npm-dirs', '--npm-dir', path.join('npm', 'platforms')]);
  const file = path.basename(native);
  const platform = file.split('.').at(-2) ?? '';
  const folder = path.join(STAGING, 'platforms', platform);
  await cp(native, path.join(folder, file));
  const about = await readManifest(folder);
  await writeManifest(folder, {
    ...about,
    type: 'commonjs',
    description: `The native part of the package kazawallet for ${platform}.`,
    files: [file, ...LICENCES],
  });
  await writeFile(
    path.join(folder, 'README.md'),
    `# ${about.name}\n\nThe native part of the package \`kazawallet\` for ${platform}. ` +
      'npm installs it with that package; there is no reason to install it by itself.\n',
  );
  await copyLicences(folder);
  return folder;
}

/**
 * @param {string} generated
 * @param {boolean} check
 */
async function keepDeclarations(generated, check) {
  const wanted = await readFile(generated, 'utf8');
  const there = existsSync(DECLARATIONS) ? await readFile(DECLARATIONS, 'utf8') : '';
  if (there === wanted) {
    return;
  }
  if (check) {
    throw new Failed(
      'lib/native-module.d.ts is out of date: run node bindings-node/scripts/build.mjs, and commit it',
    );
  }
  await writeFile(DECLARATIONS, wanted);
  step('lib/native-module.d.ts is written anew');
}

async function compile() {
  step('compiling the TypeScript face');
  await rm(DIST, { recursive: true, force: true });
  await mkdir(DIST);
  await runTool('tsc', ['--project', 'tsconfig.json', '--emitDeclarationOnly']);
  for (const name of await readdir(DECLARED)) {
    await cp(path.join(DECLARED, name), path.join(DIST, name));
  }
  // Only now is it sure to be installed.
  const esbuild = await import('esbuild');
  for (const file of FILES) {
    await esbuild.build({
      entryPoints: [file.replace(/js$/, 'ts')],
      absWorkingDir: path.join(PACKAGE, 'lib'),
      outfile: path.join(DIST, file),
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node20',
      keepNames: true,
      external: ['kazawallet-*', '../package.json', ...FILES.map((other) => `./${other}`)],
    });
  }
}

/**
 * Lets the package be loaded from the source tree, as a dependency would be.
 *
 * @param {string} native
 */
function linkForDevelopment(native) {
  const { name } = JSON.parse(readFileSync(path.join(native, 'package.json'), 'utf8'));
  const link = path.join(PACKAGE, 'node_modules', name);
  if (!existsSync(link)) {
    symlinkSync(path.relative(path.dirname(link), native), link, 'dir');
  }
}

/**
 * Writes what is loaded by name: by `require`, and by `import`. They only name what another file
 * holds, so that all ways of loading the package share its classes.
 */
async function writeModules() {
  const require = createRequire(import.meta.url);
  const { main } = require(path.join(DIST, LOADED));
  const reexports = Object.keys(main).map((name) => `exports.${name} = main.${name};\n`);
  await writeFile(
    path.join(DIST, 'index.js'),
    `'use strict';\nconst { main } = require('./${LOADED}');\n${reexports.sort().join('')}`,
  );
  for (const entry of ENTRIES) {
    const held = require(path.join(DIST, `${entry}.js`));
    const names = Object.keys(held).sort();
    const written = {
      mjs: `export {\n${names.map((name) => `  ${name},\n`).join('')}} from './${entry}.js';\n`,
      'd.mts': `export * from './${entry}.js';\n`,
    };
    for (const [extension, text] of Object.entries(written)) {
      await writeFile(path.join(DIST, `${entry}.${extension}`), text);
    }
    // What `import` can name is found by reading the file, not by running it.
    const found = await import(pathToFileURL(path.join(DIST, `${entry}.mjs`)).href);
    if (names.length === 0 || names.some((name) => found[name] !== held[name])) {
      throw new Failed(`import does not find what dist/${entry}.js exports`);
    }
  }
}

/** Lays out what the tarball of the package itself holds. */
async function stageMain() {
  const { devDependencies, napi, private: _, scripts, ...manifest } = await readManifest(PACKAGE);
  await mkdir(MAIN, { recursive: true });
  // They are named here and not in the source tree's package.json: there `npm ci` would ask the
  // registry for packages that come out of this very build.
  const natives = await Promise.all(
    (await readdir(path.join(STAGING, 'platforms'))).map(async (platform) => {
      const { name } = await readManifest(path.join(STAGING, 'platforms', platform));
      return [name, manifest.version];
    }),
  );
  await writeManifest(MAIN, {
    ...manifest,
    optionalDependencies: Object.fromEntries(natives.sort()),
  });
  await cp(DIST, path.join(MAIN, 'dist'), { recursive: true });
  // tsc leaves out what is a declaration already, and other declarations name it.
  await cp(DECLARATIONS, path.join(MAIN, 'dist', path.basename(DECLARATIONS)));
  await cp(path.join(PACKAGE, 'README.md'), path.join(MAIN, 'README.md'));
  await copyLicences(MAIN);
}

/** @param {string} folder */
async function copyLicences(folder) {
  for (const name of LICENCES) {
    await cp(path.join(REPOSITORY, name), path.join(folder, name));
  }
}

/**
 * @param {string} folder
 * @returns {Promise<Record<string, any>>}
 */
async function readManifest(folder) {
  return JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));
}

/**
 * @param {string} folder
 * @param {Record<string, unknown>} manifest
 */
async function writeManifest(folder, manifest) {
  await writeFile(path.join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: {
      check: { type: 'boolean', default: false },
      native: { type: 'string' },
      target: { type: 'string' },
      zig: { type: 'boolean', default: false },
      'native-only': { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  await main(() => build({ ...values, nativeOnly: values['native-only'] }));
}
