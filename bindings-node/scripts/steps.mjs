// What the scripts have in common: where things are, how a step is told and run.

import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
export const REPOSITORY = path.resolve(PACKAGE, '..');
export const TARGET = path.resolve(REPOSITORY, process.env.CARGO_TARGET_DIR ?? 'target');
/** The packed tarballs. */
export const TARBALLS = path.join(TARGET, 'npm');

/** A step that the following ones cannot do without. */
export class Failed extends Error {}

/** @param {string} text */
export function step(text) {
  console.log(`== ${text}`);
}

/**
 * Runs a command that must succeed.
 *
 * @param {string} command
 * @param {readonly string[]} commandArguments
 * @param {{ folder?: string }} [options]
 * @returns {Promise<void>}
 */
export function run(command, commandArguments, { folder = REPOSITORY } = {}) {
  return new Promise((resolve, reject) => {
    const shown = [command, ...commandArguments].join(' ');
    const child = spawn(command, commandArguments, {
      cwd: folder,
      // On Windows npm is a script, which only a shell runs.
      shell: process.platform === 'win32' && command === 'npm',
      // What npm prints belongs with the steps, not between them and an error.
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.once('error', (error) => reject(new Failed(`${shown}: ${error.message}`)));
    child.once('exit', (status, signal) =>
      status === 0
        ? resolve()
        : reject(new Failed(`${signal ?? `status ${status}`} from: ${shown}`)),
    );
  });
}

/** The programs of the development dependencies; two packages have a `tsc`. */
const PROGRAMS = {
  biome: '@biomejs/biome/bin/biome',
  napi: '@napi-rs/cli/dist/cli.js',
  tsc: 'typescript/bin/tsc',
};

/**
 * Runs a program of the development dependencies.
 *
 * @param {keyof typeof PROGRAMS} name
 * @param {readonly string[]} programArguments
 */
export function runTool(name, programArguments) {
  const program = path.join(PACKAGE, 'node_modules', PROGRAMS[name]);
  return run(process.execPath, [program, ...programArguments], { folder: PACKAGE });
}

/**
 * Installs what a folder's package.json names, unless it is what its lock file says already.
 *
 * @param {string} [folder]
 */
export async function installTools(folder = PACKAGE) {
  const installed = path.join(folder, 'node_modules', '.package-lock.json');
  const lock = path.join(folder, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) {
    return;
  }
  step(`installing the development dependencies of ${path.relative(REPOSITORY, folder)}`);
  await run('npm', ['ci', '--loglevel=error'], { folder });
}

/**
 * Runs a script's work: a failure is told in a line, a bug with its stack.
 *
 * @param {() => Promise<void>} work
 */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    console.error(error instanceof Failed ? `== FAILED: ${error.message}` : error);
    process.exitCode = 1;
  }
}
