// Everything CI is strict about in JavaScript and TypeScript: formatting, lints, types.

import path from 'node:path';

import { installTools, main, REPOSITORY, runTool } from './steps.mjs';

const BROWSER = path.join(REPOSITORY, 'tests', 'browser');
const OTHERS = ['benchmarks/node', 'examples', 'tests/browser'];

await main(async () => {
  await installTools();
  await installTools(BROWSER);
  const plain = process.stdout.isTTY ? [] : ['--colors=off'];
  await runTool('biome', [
    'ci',
    ...plain,
    '.',
    ...OTHERS.map((folder) => path.join(REPOSITORY, folder)),
  ]);
  await runTool('tsc', ['--project', 'tsconfig.json', '--noEmit']);
  await runTool('tsc', ['--project', 'tsconfig.checked.json']);
  await runTool('tsc', ['--project', path.join(BROWSER, 'tsconfig.json')]);
});
