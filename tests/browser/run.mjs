// Runs the examples end to end: each is installed as its README says, with the built packages, beside
// the simulator, and used in a headless Chromium as a customer and a merchant would.
//
//     node tests/browser/run.mjs [--example NAME]... [--wheel PATH] [--tarballs DIR]
//                                [--simulator-program FILE] [--screenshots]
//
// It takes the wheel from target/wheels and the tarballs from target/npm where they are, and builds
// them where they are not. Needs Rust, Python, Node.js with npm, and a Chromium: Debian's, or the one
// that the variable CHROMIUM names. What else it takes is installed into `.tools`, and stays there.
// With --screenshots it writes those of the guides into docs/images, too.

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  Failed,
  installTools,
  main,
  run,
  step,
  TARBALLS,
  TARGET,
} from '../../bindings-node/scripts/steps.mjs';
import { ON_THE_DASHBOARD, Watched } from './dashboard-runs.mjs';
import { ALL, SHOWN } from './examples.mjs';
import { doInBrowser, ONLY_LOOPBACK, toldOf } from './in-browser.mjs';
import { killAll } from './programs.mjs';
import { takeScreenshots } from './screenshots.mjs';
import { SHORT, Shop, WHOLE } from './shop-runs.mjs';

/**
 * @typedef {import('playwright-core').Browser} Browser
 * @typedef {import('./examples.mjs').Packages} Packages
 */

const HERE = import.meta.dirname;
/** What is tried beside the examples. */
const DASHBOARD = 'dashboard';
// One is installed or starts while the other is in the browser.
const AT_ONCE = 2;

const { values: options } = parseArgs({
  options: {
    example: { type: 'string', multiple: true },
    wheel: { type: 'string' },
    tarballs: { type: 'string' },
    'simulator-program': { type: 'string' }, // else a debug build is made
    screenshots: { type: 'boolean', default: false },
  },
});

async function runAll() {
  const started = performance.now();
  const names = [...ALL.map(({ name }) => name), DASHBOARD];
  const unknown = options.example?.filter((name) => !names.includes(name));
  if (unknown?.length) {
    throw new Failed(`no example ${unknown}: there is ${names}`);
  }
  const isWanted = /** @param {string} name */ (name) => options.example?.includes(name) ?? true;
  const executablePath = findChromium();
  await installTools(HERE);
  const packages = await findPackages();
  const simulatorProgram = path.resolve(options['simulator-program'] ?? (await buildSimulator()));

  const { chromium } = await import('playwright-core');
  const folder = await mkdtemp(path.join(os.tmpdir(), 'kazawallet-browser-'));
  const browser = await chromium.launch({ executablePath, args: ONLY_LOOPBACK });
  /** @type {string[]} */
  const failures = [];
  try {
    step(`the examples in Chromium ${browser.version()}`);
    const settings = { simulatorProgram, folder };
    const works = ALL.filter(({ name }) => isWanted(name)).map((example) => async () => {
      const runs = example.shop === 'whole' ? WHOLE : SHORT;
      for (const dialect of example.dialects ?? ['documented']) {
        // Each has a shop that begins with nothing.
        const fresh = await mkdtemp(path.join(folder, `${dialect}-`));
        const open = () => Shop.open(example, packages, { ...settings, folder: fresh, dialect });
        const name = dialect === 'documented' ? example.name : `${example.name}, ${dialect}`;
        failures.push(...(await tryOut(browser, name, open, runs)));
      }
    });
    if (isWanted(DASHBOARD)) {
      works.push(async () => {
        const open = async () => Watched.open(await loadPackage(packages, folder), settings);
        failures.push(...(await tryOut(browser, DASHBOARD, open, ON_THE_DASHBOARD)));
      });
    }
    await doAll(AT_ONCE, works);
    if (options.screenshots) {
      const fresh = await mkdtemp(path.join(folder, 'shown-'));
      const shop = await Shop.open(SHOWN, packages, { simulatorProgram, folder: fresh });
      await takeScreenshots(browser, shop);
      await shop.close();
    }
  } finally {
    await killAll();
    await browser.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
  const took = `${seconds(started)} s`;
  if (failures.length > 0) {
    const told = failures.map((line) => `\n   ${line}`).join('');
    throw new Failed(`the examples in the browser, after ${took}:${told}`);
  }
  step(`the examples in the browser passed, in ${took}`);
}

/** @param {number} started */
function seconds(started) {
  return Math.round((performance.now() - started) / 1000);
}

/**
 * Opens something, does everything with it, closes it; returns what failed.
 *
 * @template {{ output: string, close: () => Promise<void> }} Subject
 * @param {Browser} browser
 * @param {string} name
 * @param {() => Promise<Subject>} open
 * @param {readonly import('./in-browser.mjs').Run<Subject>[]} runs
 * @returns {Promise<string[]>}
 */
async function tryOut(browser, name, open, runs) {
  const started = performance.now();
  /** @type {string[]} */
  const failures = [];
  let passed = 0;
  const failed = /** @param {string} what @param {string} told */ (what, told) => {
    failures.push(`${name}: ${what}`);
    // In one piece: another example is used at the same time.
    console.log(`\n${name}: FAILED: ${what}\n${told}\n`);
  };
  try {
    const subject = await open();
    for (const run of runs) {
      const problem = await doInBrowser(browser, subject, run);
      if (problem === undefined) {
        passed += 1;
      } else {
        failed(run.name, problem);
      }
    }
    await subject.close();
  } catch (error) {
    failed('it does not start, or does not stop', toldOf(error));
  }
  const word = failures.length > 0 ? `FAILED: ${failures.length} failed, ` : '';
  step(`${name}: ${word}${passed} passed, in ${seconds(started)} s`);
  return failures;
}

/**
 * @param {number} atOnce
 * @param {readonly (() => Promise<void>)[]} works
 */
async function doAll(atOnce, works) {
  const waiting = works.values();
  const worker = async () => {
    for (const work of waiting) {
      await work();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

// --- what has to be there ------------------------------------------------------------------------

/** The Chromium of this machine; there must be one. */
function findChromium() {
  const named = process.env['CHROMIUM'];
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  const places = named
    ? [named]
    : [
        ...['chromium', 'chromium-browser', 'google-chrome'].flatMap((name) =>
          folders.map((folder) => path.join(folder, name)),
        ),
        '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
      ];
  const found = places.find((file) => existsSync(file));
  if (found === undefined) {
    throw new Failed(
      `no Chromium at ${named ?? 'any usual place'}. On Debian and Ubuntu: apt-get install ` +
        '--yes --no-install-recommends chromium fonts-noto-core; elsewhere name one by the ' +
        'variable CHROMIUM',
    );
  }
  return found;
}

/**
 * The packages under test, as they were built before; else they are built.
 *
 * @returns {Promise<Packages>}
 */
async function findPackages() {
  const wheels = path.join(TARGET, 'wheels');
  if (options.wheel === undefined && (await listed(wheels, /-abi3-.*\.whl$/)).length === 0) {
    await run('python3', ['bindings-python/run_tests.py', '--build-only']);
  }
  if (options.tarballs === undefined && (await listed(TARBALLS, /\.tgz$/)).length === 0) {
    await run(process.execPath, ['bindings-node/run-tests.mjs', '--build-only']);
  }
  const tarballs = options.tarballs ?? TARBALLS;
  return {
    wheel: path.resolve(options.wheel ?? (await only(wheels, /^kazawallet-.*-abi3-.*\.whl$/))),
    tarballs: {
      main: await only(tarballs, /^kazawallet-\d.*\.tgz$/),
      native: await only(tarballs, /^kazawallet-[a-z].*\.tgz$/),
    },
  };
}

/**
 * @param {string} folder
 * @param {RegExp} pattern
 */
async function listed(folder, pattern) {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => pattern.test(name)).map((name) => path.resolve(folder, name));
}

/**
 * @param {string} folder
 * @param {RegExp} pattern
 */
async function only(folder, pattern) {
  const [found, ...others] = await listed(folder, pattern);
  if (found === undefined || others.length > 0) {
    throw new Failed(`not one file ${pattern} in ${folder}`);
  }
  return found;
}

async function buildSimulator() {
  step('building the simulator');
  // As the workspace's tests are built, of which one comes along for that: nearly all is there already.
  const alike = ['--workspace', '--all-features', '--test', 'surface'];
  await run('cargo', ['build', '--quiet', '--locked', ...alike, '--bin', 'kazawallet-simulator']);
  return path.join(TARGET, 'debug', 'kazawallet-simulator');
}

/**
 * The Node package, installed into a clean folder: with it this process makes links of its own.
 *
 * @param {Packages} packages
 * @param {string} folder
 * @returns {Promise<typeof import('kazawallet')>}
 */
async function loadPackage({ tarballs: { main, native } }, folder) {
  const home = path.join(folder, 'kazawallet');
  await mkdir(home);
  await writeFile(path.join(home, 'package.json'), '{ "private": true }\n');
  const quiet = ['--no-package-lock', '--no-audit', '--no-fund', '--silent'];
  await run('npm', ['install', '--offline', ...quiet, main, native], { folder: home });
  return createRequire(path.join(home, 'package.json'))('kazawallet');
}

await main(runAll);
