/** A code cache is used only if it belongs to this script and nobody else can have written it; whoever runs it has one. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../bin', import.meta.url));
const VERSION = `${process.version}-${process.arch}`;
const CACHE = `spoolroom.${VERSION}.cache`;
const DELIVERY_CACHE = `spoolroom.delivery.${VERSION}.cache`;
/** One for each part of the bundle. */
const CACHES = [DELIVERY_CACHE, `spoolroom.rest.${VERSION}.cache`, CACHE];
const NOBODY = 65_534;

const folder = mkdtempSync(path.join(tmpdir(), 'spoolroom-cache-'));
after(() => rmSync(folder, { recursive: true }));
chmodSync(folder, 0o755);

const bin = path.join(folder, 'bin');
const elsewhere = path.join(folder, 'elsewhere');
const spool = path.join(folder, 'spool');

beforeEach(() => {
  for (const made of [bin, elsewhere, spool]) rmSync(made, { recursive: true, force: true });
  cpSync(BIN, bin, { recursive: true, filter: (name) => !name.endsWith('.cache') });
  mkdirSync(elsewhere);
  mkdirSync(spool);
});

interface Start {
  readonly words?: readonly string[];
  readonly options?: readonly string[];
  readonly user?: number;
}

/** What it printed to standard error. */
function start({ words = ['run', '--spool', spool], options = [], user }: Start = {}): string {
  const all = [...options, path.join(bin, 'spoolroom'), ...words, '--hostname', 'mail.example'];
  const { stderr } = spawnSync(process.execPath, all, {
    encoding: 'utf8',
    env: { CACHE_DIRECTORY: elsewhere, SPOOLROOM_CONFIG: '' },
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  return stderr;
}

function caches(place: string): readonly string[] {
  return readdirSync(place)
    .filter((name) => name.includes('.cache'))
    .sort();
}

/** Long ago, so that a cache that is made anew can be told from one that stays. */
function age(cache: string): void {
  utimesSync(cache, 1, 1);
}

function isOld(cache: string): boolean {
  return statSync(cache).mtimeMs === 1000;
}

test('the first run creates a cache for this version of Node that nobody else can write, and the next one uses it', () => {
  assert.equal(start(), '');
  assert.deepEqual([caches(bin), caches(elsewhere)], [CACHES, []]);
  const cache = path.join(bin, CACHE);
  assert.equal(statSync(cache).mode & 0o022, 0);
  age(cache);
  assert.equal(start(), '');
  assert.ok(isOld(cache), 'V8 takes it');
});

test('a run that finds nothing reads the first part of the bundle alone', () => {
  start();
  for (const part of ['delivery', 'rest']) rmSync(path.join(bin, `spoolroom.${part}.cjs`));
  assert.equal(start(), '');
});

test('a command that compiles little of what a run needs leaves no cache, and neither does a run that fails (R252)', () => {
  start({ words: ['queue', '--spool', spool] });
  start({ words: ['run', '--spool', path.join(folder, 'nowhere')] });
  assert.deepEqual([caches(bin), caches(elsewhere)], [[], []]);
});

test('node make-cache.js makes the cache anew and removes those of other versions', () => {
  writeFileSync(path.join(bin, 'spoolroom.v18.0.0-x64.cache'), '');
  spawnSync(process.execPath, [path.join(bin, 'make-cache.js')], { stdio: 'inherit' });
  assert.deepEqual(caches(bin), CACHES);
  const made = path.join(bin, CACHE);
  const delivery = path.join(bin, DELIVERY_CACHE);
  const { size } = statSync(delivery);
  age(made);
  start();
  assert.ok(isOld(made), 'V8 takes it');
  for (const name of CACHES) rmSync(path.join(bin, name));
  start();
  assert.ok(
    size > statSync(delivery).size + 300_000,
    'it has what delivers, which a run without a message has not',
  );
});

test('a script that was changed to the same length runs as it is now', () => {
  start();
  const bundle = path.join(bin, 'spoolroom.cjs');
  const changed = readFileSync(bundle, 'latin1').replace('does not exist.', 'DOES NOT EXIST.');
  writeFileSync(bundle, changed, 'latin1');
  const words = ['run', '--spool', path.join(folder, 'nowhere')];
  assert.match(start({ words }), /DOES NOT EXIST/);
  start();
  assert.match(start({ words }), /DOES NOT EXIST/);
  assert.ok(readFileSync(path.join(bin, CACHE)).includes('DOES NOT EXIST'), 'it was made anew');
});

test('a cache that others can write is not used, whatever it contains', () => {
  start();
  const cache = path.join(bin, CACHE);
  for (const spoil of [() => chmodSync(cache, 0o666), () => chmodSync(bin, 0o777)]) {
    spoil();
    age(cache);
    assert.equal(start(), '');
    if (statSync(bin).mode & 0o022) {
      assert.deepEqual([isOld(cache), caches(elsewhere)], [true, CACHES], 'nobody writes there, either');
    } else {
      assert.equal(statSync(cache).mode & 0o022, 0, 'it was made anew');
    }
  }
});

test('what is no cache of V8, or was made with other flags, is refused', () => {
  start();
  const cache = path.join(bin, CACHE);
  const made = readFileSync(cache);
  writeFileSync(
    cache,
    Buffer.concat([readFileSync(path.join(bin, 'spoolroom.cjs')), Buffer.from('nothing')]),
  );
  assert.equal(start(), '');
  assert.ok(statSync(cache).size > made.length / 2);
  age(cache);
  assert.equal(start({ options: ['--stack-size=900'] }), '');
  assert.ok(isOld(cache), 'a start with flags of its own leaves the cache of the others alone');
});

test('a cache whose end was never written, as after a power failure, is made anew (R317)', () => {
  start();
  const cache = path.join(bin, CACHE);
  const made = readFileSync(cache);
  writeFileSync(cache, made.fill(0, made.length - 4096));
  age(cache);
  start();
  assert.ok(!isOld(cache), 'it was not used: V8 breaks off without a word');
});

test('who may not write beside the bundle keeps a cache elsewhere, and nobody else uses it (R252)', {
  skip: process.geteuid?.() !== 0 && 'only root can become another user',
}, () => {
  for (const made of [elsewhere, spool]) chownSync(made, NOBODY, NOBODY);
  assert.equal(start({ user: NOBODY }), '');
  assert.deepEqual([caches(bin), caches(elsewhere)], [[], CACHES]);
  const cache = path.join(elsewhere, CACHE);
  assert.equal(statSync(cache).uid, NOBODY);
  age(cache);
  assert.equal(start({ user: NOBODY }), '');
  assert.ok(isOld(cache), 'V8 takes it');
  renameSync(cache, path.join(bin, CACHE));
  chownSync(spool, 0, 0);
  assert.equal(start(), '');
  assert.equal(statSync(path.join(bin, CACHE)).uid, 0, 'root has not used what another user made');
});

test('a pipe, a device and a link in the place of the cache are left alone, and no start waits for them (R291)', () => {
  start();
  const cache = path.join(bin, CACHE);
  const kept = path.join(folder, 'kept');
  renameSync(cache, kept);
  for (const put of [
    () => execFileSync('mkfifo', [cache]),
    () => symlinkSync('/dev/zero', cache),
    () => symlinkSync(kept, cache),
    () => mkdirSync(cache),
  ]) {
    put();
    const words = [path.join(bin, 'spoolroom'), 'queue', '--spool', spool];
    const { status, stdout } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 10_000 });
    assert.deepEqual([status, stdout], [0, 'The spool is empty.\n']);
    rmSync(cache, { recursive: true });
  }
});
