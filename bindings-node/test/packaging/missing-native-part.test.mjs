// What a user is told whose installation lacks the native part, or has one that cannot be loaded.

import assert from 'node:assert/strict';
import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { APP_IMPORTS, APP_REQUIRES, makeProject, nativePackages, runNode } from './project.mjs';

const APPS = { 'app.mjs': APP_IMPORTS, 'app.cjs': APP_REQUIRES };

test('without its native part it says which, the usual reasons, and what to run', async (t) => {
  const folder = await makeProject(t, APPS);
  const natives = await nativePackages();
  for (const name of natives) {
    await rm(path.join(folder, 'node_modules', name), { recursive: true });
  }
  for (const app of Object.keys(APPS)) {
    const { status, stderr } = await runNode(folder, app);
    assert.equal(status, 1);
    for (const part of [
      ...natives,
      'lock file',
      'another platform',
      'node_modules was copied',
      '--omit=optional',
      'npm install',
    ]) {
      assert.ok(stderr.includes(part), `${part} is not in:\n${stderr}`);
    }
  }
});

test('a native part that cannot be loaded is not called missing', async (t) => {
  const folder = await makeProject(t, APPS);
  const [native = ''] = await nativePackages();
  const inside = path.join(folder, 'node_modules', native);
  const file = (await readdir(inside)).find((name) => name.endsWith('.node')) ?? '';
  await writeFile(path.join(inside, file), 'no library\n');
  const { status, stderr } = await runNode(folder, 'app.mjs');
  assert.equal(status, 1);
  assert.ok(stderr.includes('cannot be loaded'), stderr);
  assert.ok(stderr.includes(native) && stderr.includes(file), stderr);
});

test('the command line tells of itself without the native part', async (t) => {
  const folder = await makeProject(t, {});
  for (const name of await nativePackages()) {
    await rm(path.join(folder, 'node_modules', name), { recursive: true });
  }
  const program = path.join('node_modules', 'kazawallet', 'dist', 'cli.js');
  const { status, stdout, stderr } = await runNode(folder, program, '--help');
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.match(stdout, /simulator/);
});
