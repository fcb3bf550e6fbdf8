// Measures the packed Node package beside what people would use instead, and prints ratios.
//
//     node benchmarks/node/run.mjs [--tarballs DIR] [--simulator-program FILE] [--json FILE] [--quick]
//
// Needs the tarballs that bindings-node/scripts/build.mjs packs. Installs them and the others into a
// folder in .tools/, starts the simulator in a process of its own, and runs bench.mjs. The exit
// status says whether it could measure; a goal that was missed is told in the tables and the file.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import {
  Failed,
  main,
  REPOSITORY,
  run,
  step,
  TARBALLS,
  TARGET,
} from '../../bindings-node/scripts/steps.mjs';

const HERE = import.meta.dirname;

const { values: options } = parseArgs({
  options: {
    tarballs: { type: 'string' }, // else those in target/npm
    'simulator-program': { type: 'string' }, // else a release build is made
    json: { type: 'string' }, // writes the figures there, too
    quick: { type: 'boolean' }, // a few rounds: enough to see that it runs, not for the figures
  },
});

await main(async () => {
  const tarballs = await findTarballs(path.resolve(options.tarballs ?? TARBALLS));
  const folder = await install(tarballs);
  const program = options['simulator-program'] ?? (await buildSimulator());
  const simulator = await startSimulator(path.resolve(program));
  try {
    step('the Node package beside what people would use instead');
    const benchmark = [path.join(folder, 'bench.mjs'), '--tarball', tarballs.main];
    benchmark.push('--simulator-pid', `${simulator.process.pid}`);
    if (options.json !== undefined) {
      benchmark.push('--json', path.resolve(options.json));
    }
    if (options.quick) {
      benchmark.push('--quick');
    }
    const environment = { ...process.env, ...simulator.settings };
    const child = spawn(process.execPath, benchmark, { stdio: 'inherit', env: environment });
    const [status] = await once(child, 'exit');
    process.exitCode = status ?? 1;
  } finally {
    await simulator.stop();
  }
});

/** The package, and this platform's native part. */
async function findTarballs(folder) {
  const found = await readdir(folder).catch(() => []);
  const all = found.filter((name) => name.endsWith('.tgz')).map((name) => path.join(folder, name));
  const isMain = (file) => /^kazawallet-\d/.test(path.basename(file));
  const isNative = (file) =>
    path.basename(file).startsWith(`kazawallet-${process.platform}-${process.arch}-`);
  const [main, native] = [all.filter(isMain), all.filter(isNative)];
  if (main.length !== 1 || native.length !== 1) {
    throw new Failed(
      `not one tarball of the package and one of its native part in ${folder}: ` +
        'node bindings-node/scripts/build.mjs makes them, or name the folder with --tarballs',
    );
  }
  return { main: main[0], native: native[0] };
}

/** A folder that holds the package, the others and the benchmark. */
async function install({ main, native }) {
  step(`${path.basename(main)}: installing it beside the others`);
  const folder = path.join(REPOSITORY, '.tools', `node-bench-${process.versions.node}`);
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(HERE)) {
    await cp(path.join(HERE, name), path.join(folder, name));
  }
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  await run('npm', ['ci', '--prefer-offline', ...quiet], { folder });
  await run('npm', ['install', '--offline', '--no-save', ...quiet, main, native], { folder });
  return folder;
}

async function buildSimulator() {
  step('building the simulator (the first time takes some minutes)');
  const build = ['build', '--quiet', '--release', '--locked', '--package', 'kazawallet-simulator'];
  await run('cargo', build);
  return path.join(TARGET, 'release', 'kazawallet-simulator');
}

/** A running simulator, and the settings that it prints for a client's environment. */
async function startSimulator(program) {
  const child = spawn(program, [], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const settings = {};
  const last = 'KAZAWALLET_MERCHANT_EMAIL';
  for await (const line of createInterface(child.stdout)) {
    const [, name, value] = line.match(/^\s*(KAZAWALLET_\w+)=(.*)$/) ?? [];
    if (name !== undefined) {
      settings[name] = value;
    }
    if (name === last) {
      break;
    }
  }
  if (settings[last] === undefined) {
    throw new Failed(`${program} did not start`);
  }
  child.stdout.resume(); // It says that it stopped: somebody has to listen.
  const stop = async () => {
    child.kill();
    await ended;
  };
  return { process: child, settings, stop };
}
