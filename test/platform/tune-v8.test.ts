/** Settings of V8 in the version of Node that runs the tests. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MODULE = fileURLToPath(new URL('../../src/platform/tune-v8.ts', import.meta.url));

test('V8 knows all flags, and says nothing: cron would mail it (R281)', () => {
  const script = `import(${JSON.stringify(MODULE)}).then(({ tuneV8 }) => tuneV8())`;
  const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', '-e', script], {
    encoding: 'utf8',
  });
  assert.deepEqual([status, stderr], [0, '']);
});
