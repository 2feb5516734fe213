/** A code cache is used only if it belongs to this script and nobody else can have written it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../bin', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'spoolroom-cache-'));
after(() => rmSync(folder, { recursive: true }));

const bundle = path.join(folder, 'bin/spoolroom.cjs');
cpSync(BIN, path.join(folder, 'bin'), { recursive: true, filter: (name) => !name.endsWith('.cache') });

function said(): string {
  const { stderr } = spawnSync(
    process.execPath,
    [path.join(folder, 'bin/spoolroom'), 'run', '--spool', '/nowhere'],
    {
      encoding: 'utf8',
    },
  );
  return stderr;
}

function caches(): readonly string[] {
  return readdirSync(path.join(folder, 'bin')).filter((name) => name.endsWith('.cache'));
}

test('the first start creates a cache for this version of Node that nobody else can write', () => {
  assert.match(said(), /does not exist/);
  assert.deepEqual(caches(), [`spoolroom.${process.version}-${process.arch}.cache`]);
  assert.equal(statSync(path.join(folder, 'bin', caches()[0] ?? '')).mode & 0o022, 0);
});

test('a script that was changed to the same length runs as it is now', () => {
  writeFileSync(
    bundle,
    readFileSync(bundle, 'latin1').replace('does not exist.', 'DOES NOT EXIST.'),
    'latin1',
  );
  assert.match(said(), /DOES NOT EXIST/);
  assert.match(said(), /DOES NOT EXIST/);
});

test('a cache that others can write is not used, whatever it contains', () => {
  const cache = path.join(folder, 'bin', caches()[0] ?? '');
  const made = readFileSync(cache);
  writeFileSync(cache, Buffer.concat([readFileSync(bundle), Buffer.from('no cache of V8')]));
  assert.match(said(), /DOES NOT EXIST/, 'V8 refuses what is not its own');
  writeFileSync(cache, made);
  chmodSync(cache, 0o666);
  assert.match(said(), /DOES NOT EXIST/);
  assert.equal(statSync(cache).mode & 0o022, 0, 'it was made anew');
});
