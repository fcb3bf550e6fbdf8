// The examples: how each is installed and started, as its README says.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Failed, REPOSITORY, run, step, TARGET } from '../../bindings-node/scripts/steps.mjs';
import { Program } from './programs.mjs';

const EXAMPLES = path.join(REPOSITORY, 'examples');
/** What an example leaves behind where somebody has started it. */
const NOT_COPIED = new Set(['node_modules', '.next', '.venv', '__pycache__', 'data']);

/**
 * @typedef {'python' | 'node' | 'rust'} Language
 *
 * @typedef {import('./programs.mjs').Dialect} Dialect
 *
 * @typedef {object} Example
 * @property {string} name Its folder's.
 * @property {Language} language
 * @property {'whole' | 'short'} shop A whole shop, or the shortest program that receives a payment.
 * @property {readonly Dialect[]} [dialects] The simulator's, one after the other; `documented` alone unless given.
 *
 * @typedef {{ wheel: string, tarballs: { main: string, native: string } }} Packages
 * @typedef {{ command: readonly string[], folder: string }} Installed
 */

/**
 * The one that the screenshots show.
 *
 * @type {Example}
 */
export const SHOWN = { name: 'fastapi', language: 'python', shop: 'whole' };

/**
 * What takes longest comes first, so that nothing else waits for it at the end.
 *
 * @type {readonly Example[]}
 */
export const ALL = [
  { name: 'nextjs', language: 'node', shop: 'short' },
  { name: 'axum', language: 'rust', shop: 'whole' },
  SHOWN,
  // One shop is enough to try the other dialect: what reads a webhook is the same in all of them.
  { name: 'express', language: 'node', shop: 'whole', dialects: ['documented', 'plugin'] },
  { name: 'django', language: 'python', shop: 'short' },
  { name: 'flask', language: 'python', shop: 'short' },
  { name: 'fastify', language: 'node', shop: 'short' },
  { name: 'hono', language: 'node', shop: 'short' },
];

/**
 * Makes an example ready to be started: with what it depends on, and with the package under test.
 *
 * @param {Example} example
 * @param {Packages} packages
 * @returns {Promise<Installed>}
 */
export async function install(example, packages) {
  await isAsDescribed(example);
  switch (example.language) {
    case 'python':
      return await installPython(example, packages);
    case 'node':
      return await installNode(example, packages);
    case 'rust':
      return await buildRust(example);
  }
}

/**
 * Its README says how it is started: by what is done here.
 *
 * @param {Example} example
 */
async function isAsDescribed({ name, language, shop }) {
  const readme = path.join(EXAMPLES, name, 'README.md');
  const text = await readFile(readme, 'utf8').catch(() => '');
  const ofAShort = language === 'python' ? 'python shop.py' : 'npm start';
  const command = shop === 'whole' ? `make shop-${name}` : ofAShort;
  if (!text.includes(command)) {
    throw new Failed(`${readme} is to say \`${command}\``);
  }
}

/**
 * @param {Example} example
 * @param {Packages} packages
 */
async function installPython({ name }, { wheel }) {
  const quiet = ['--quiet', '--disable-pip-version-check', '--no-input'];
  const pip = ['-m', 'pip', 'install', ...quiet];
  const kept = { made: '.venv', lock: 'requirements.txt', runtime: await pythonVersion() };
  const folder = await prepared(name, kept, async (folder) => {
    await does(['python3', '-m', 'venv', '.venv'], folder);
    await does([pythonOf(folder), ...pip, '--requirement', 'requirements.txt'], folder);
  });
  const ofTheWheel = ['--force-reinstall', '--no-deps', '--no-index', wheel];
  await does([pythonOf(folder), ...pip, ...ofTheWheel], folder);
  return { command: [pythonOf(folder), 'shop.py'], folder };
}

/**
 * @param {Example} example
 * @param {Packages} packages
 */
async function installNode({ name }, { tarballs: { main, native } }) {
  const npm = ['npm', '--ignore-scripts', '--no-audit', '--no-fund'];
  const kept = { made: 'node_modules', lock: 'package-lock.json', runtime: process.version };
  const folder = await prepared(name, kept, async (folder) => {
    await does([...npm, 'ci'], folder);
  });
  await does([...npm, 'install', '--offline', '--no-save', main, native], folder);
  const { scripts } = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));
  if (scripts.build !== undefined) {
    await does(withoutNpm(scripts.build, folder), folder);
  }
  return { command: withoutNpm(scripts.start, folder), folder };
}

/** @param {string} folder */
function pythonOf(folder) {
  return path.join(folder, '.venv', 'bin', 'python');
}

/**
 * What `npm run` would run, without npm: it would be a process in between, and take the signals.
 *
 * @param {string} script
 * @param {string} folder
 */
function withoutNpm(script, folder) {
  const [program = '', ...itsArguments] = script.split(' ');
  const file =
    program === 'node' ? process.execPath : path.join(folder, 'node_modules', '.bin', program);
  return [file, ...itsArguments];
}

/** @param {Example} example */
async function buildRust({ name }) {
  const crate = `kazawallet-example-${name}`;
  // As the workspace's tests are built, of which one comes along for that: nearly all is there already.
  const alike = ['--workspace', '--all-features', '--test', 'surface'];
  await run('cargo', ['build', '--quiet', '--locked', ...alike, '--bin', crate]);
  return { command: [path.join(TARGET, 'debug', crate)], folder: path.join(EXAMPLES, name) };
}

/**
 * A folder in `.tools` that holds an example as it stands now, and what it depends on: that is
 * installed once, and kept for as long as the lock file and the runtime are the same.
 *
 * @param {string} name
 * @param {{ made: string, lock: string, runtime: string }} kept
 * @param {(folder: string) => Promise<void>} installDependencies
 */
async function prepared(name, { made, lock, runtime }, installDependencies) {
  const source = path.join(EXAMPLES, name);
  const locked = await readFile(path.join(source, lock)).catch(() => {
    throw new Failed(`the example ${name} has no ${lock}`);
  });
  const hash = createHash('sha256').update(locked).update(runtime).digest('hex');
  const folder = path.join(REPOSITORY, '.tools', 'examples', name);
  const whole = path.join(folder, `.${hash}`);
  const keeps = existsSync(whole) ? [path.basename(whole), made] : [];
  await mkdir(folder, { recursive: true });
  for (const old of await readdir(folder)) {
    if (!keeps.includes(old)) {
      await rm(path.join(folder, old), { recursive: true });
    }
  }
  const isOfTheExample = /** @param {string} file */ (file) => !NOT_COPIED.has(path.basename(file));
  await cp(source, folder, { recursive: true, filter: isOfTheExample });
  if (keeps.length === 0) {
    step(`${name}: installing what it depends on into .tools`);
    await installDependencies(folder);
    // Written last: an installation may be broken off.
    await writeFile(whole, '');
  }
  return folder;
}

async function pythonVersion() {
  const python = new Program('python3', ['python3', '--version'], { folder: REPOSITORY });
  await python.done();
  return python.lines.join();
}

/**
 * Runs a command that must succeed. What it says is shown where it fails.
 *
 * @param {readonly string[]} command
 * @param {string} folder
 */
async function does(command, folder) {
  await new Program(command.join(' '), command, { folder }).done();
}
