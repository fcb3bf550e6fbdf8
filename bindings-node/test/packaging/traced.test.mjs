// An app of which only the files that a tracer found are deployed, as Next.js's standalone output is.

import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import {
  APP_IMPORTS,
  APP_REQUIRES,
  makeFolder,
  makeProject,
  nft,
  runNode,
  VERIFIED,
} from './project.mjs';

for (const [app, text] of [
  ['app.mjs', APP_IMPORTS],
  ['app.cjs', APP_REQUIRES],
]) {
  test(`the files traced from ${app} are all that it needs`, async (t) => {
    const folder = await makeProject(t, { [app ?? '']: text ?? '' });
    const { fileList } = await nft().nodeFileTrace([path.join(folder, app ?? '')], {
      base: folder,
    });
    const deployed = await makeFolder(t);
    for (const file of fileList) {
      await cp(path.join(folder, file), path.join(deployed, file));
    }
    assert.ok(
      [...fileList].some((file) => file.endsWith('.node')),
      [...fileList].join('\n'),
    );
    assert.deepEqual(await runNode(deployed, app ?? ''), {
      status: 0,
      stdout: VERIFIED,
      stderr: '',
    });
  });
}
