/** What is loaded before it is needed costs every run of cron; TLS alone costs more than an empty queue run. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const SCRIPT = `
  import '#net-stream-utils';
  import './src/platform/dns/resolver.ts';
  process.stdout.write(process.moduleLoadList.join());
`;

test('neither TLS nor the DNS client is loaded with the code that may use it', async () => {
  const args = ['--import', 'tsx', '--input-type=module', '--eval', SCRIPT];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  const loaded = new Set(stdout.split(','));
  assert.ok(loaded.has('NativeModule net'));
  assert.ok(!loaded.has('NativeModule tls'));
  assert.ok(!loaded.has('NativeModule dns'));
});
