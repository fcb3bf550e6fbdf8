// What the programs of `programs.mjs` import.

import { once } from 'node:events';

/** Waits for a line on standard input. Otherwise that keeps no process alive. */
export async function told() {
  process.stdin.resume();
  await once(process.stdin, 'data');
  process.stdin.pause();
}
