/** Settings of V8 in the version of Node that runs the tests. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { largeMessage } from '../../src/platform/tune-v8.ts';

const MODULE = fileURLToPath(new URL('../../src/platform/tune-v8.ts', import.meta.url));

test('V8 knows all flags, and says nothing: cron would mail it (R281)', () => {
  const script = `import(${JSON.stringify(MODULE)}).then(({ tuneV8, largeMessage }) => { tuneV8(); return largeMessage(); })`;
  const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', '-e', script], {
    encoding: 'utf8',
  });
  assert.deepEqual([status, stderr], [0, '']);
});

test('what nobody has any more of a large message is freed as it passes', async () => {
  const passed = await largeMessage();
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  for (let piece = 0; piece < 400; piece++) {
    passed(Buffer.alloc(262_144, 'x').length);
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  assert.ok(most < 2 * 1024 ** 2, `${most} bytes were held`);
});
