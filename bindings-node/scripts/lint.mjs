// Everything CI is strict about in JavaScript and TypeScript: formatting, lints, types.

import { installTools, main, runTool } from './steps.mjs';

await main(async () => {
  await installTools();
  const plain = process.stdout.isTTY ? [] : ['--colors=off'];
  await runTool('biome', ['ci', ...plain, '.', '../benchmarks/node']);
  await runTool('tsc', ['--project', 'tsconfig.json', '--noEmit']);
  await runTool('tsc', ['--project', 'tsconfig.checked.json']);
});
