/**
 * The behaviour of every disk, real or simulated. `make` creates a disk and an empty directory on it.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Disk } from '../../src/storage/disk.ts';

const OWNER = { mode: 0o640, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };

function put(disk: Disk, path: string, ...pieces: readonly string[]): void {
  const file = disk.create(path, OWNER);
  for (const piece of pieces) file.write(Buffer.from(piece, 'latin1'));
  file.close();
}

function text(disk: Disk, path: string): string {
  return disk.read(path, 1_000_000).bytes.toString('latin1');
}

function names(disk: Disk, directory: string): string[] {
  return disk
    .list(directory)
    .map(({ name, kind }) => `${name} ${kind}`)
    .sort();
}

type Case = (disk: Disk, root: string) => void | Promise<void>;

const CASES: Readonly<Record<string, Case>> = {
  'a new file has the bytes written to it, and its permissions'(disk, root) {
    put(disk, `${root}/a`, 'one ', '', 'two\0\xff');
    assert.equal(text(disk, `${root}/a`), 'one two\0\xff');
    const status = disk.status(`${root}/a`);
    assert.deepEqual([status?.kind, status?.size, status?.mode], ['file', 9, 0o640]);
  },
  'a taken name is not given again'(disk, root) {
    put(disk, `${root}/a`, 'first');
    put(disk, `${root}/b`, 'second');
    assert.throws(() => disk.create(`${root}/a`, OWNER), { code: 'EEXIST' });
    assert.throws(() => disk.link(`${root}/b`, `${root}/a`), { code: 'EEXIST' });
    assert.throws(() => disk.mkdir(`${root}/a`, OWNER), { code: 'EEXIST' });
    assert.equal(text(disk, `${root}/a`), 'first');
  },
  'rename replaces, link adds a name, unlink takes one'(disk, root) {
    put(disk, `${root}/a`, 'first');
    put(disk, `${root}/b`, 'second');
    disk.rename(`${root}/b`, `${root}/a`);
    disk.link(`${root}/a`, `${root}/c`);
    assert.equal(disk.status(`${root}/a`)?.ino, disk.status(`${root}/c`)?.ino);
    disk.unlink(`${root}/a`);
    assert.deepEqual(names(disk, root), ['c file']);
    assert.equal(text(disk, `${root}/c`), 'second');
  },
  async 'what is removed on another thread is gone when that resolves, and may have been gone before'(
    disk,
    root,
  ) {
    put(disk, `${root}/a`, 'first');
    await disk.remove(`${root}/a`);
    await disk.remove(`${root}/a`);
    assert.deepEqual(names(disk, root), []);
  },
  'folders are listed as such, and hold files'(disk, root) {
    disk.mkdir(`${root}/folder`, { ...OWNER, mode: 0o750 });
    put(disk, `${root}/folder/a`, 'x');
    assert.deepEqual(names(disk, root), ['folder directory']);
    assert.deepEqual([...disk.files(root)], []);
    assert.deepEqual([...disk.files(`${root}/folder`)], ['a']);
    assert.deepEqual(names(disk, `${root}/folder`), ['a file']);
    assert.equal(disk.read(`${root}/folder`, 10).status.kind, 'directory');
    assert.equal(disk.writable(`${root}/folder`), true);
    assert.equal(disk.writable(`${root}/none`), false);
    assert.equal(disk.status(`${root}/folder/.`)?.ino, disk.status(`${root}/folder`)?.ino);
  },
  'what is not there is said so'(disk, root) {
    const none = `${root}/none`;
    assert.equal(disk.status(none), null);
    for (const call of [
      () => disk.read(none, 10),
      () => disk.unlink(none),
      () => disk.rename(none, `${root}/x`),
      () => disk.link(none, `${root}/x`),
      () => disk.list(none),
      () => [...disk.files(none)],
      () => disk.create(`${none}/x`, OWNER),
    ]) {
      assert.throws(call, { code: 'ENOENT' });
    }
  },
  'reading stops at the limit'(disk, root) {
    put(disk, `${root}/a`, 'abcdef');
    for (const [limit, bytes] of [
      [1, 'a'],
      [5, 'abcde'],
      [6, 'abcdef'],
      [7, 'abcdef'],
    ] as const) {
      const read = disk.read(`${root}/a`, limit);
      assert.deepEqual([read.bytes.toString(), read.status.size], [bytes, 6]);
    }
  },
  async 'a stream gives everything, as often as asked, also when it is left early'(disk, root) {
    const long = 'x'.repeat(200_000);
    put(disk, `${root}/a`, long, 'end');
    for (let pass = 0; pass < 2; pass++) {
      const pieces: Buffer[] = [];
      for await (const piece of disk.stream(`${root}/a`)) pieces.push(piece);
      assert.equal(Buffer.concat(pieces).toString(), `${long}end`);
    }
    for await (const piece of disk.stream(`${root}/a`)) {
      assert.ok(piece.length > 0);
      break;
    }
  },
  'a rewritten file can be distinguished from the one before'(disk, root) {
    put(disk, `${root}/a`, 'same');
    put(disk, `${root}/b`, 'same');
    const before = disk.status(`${root}/a`);
    disk.rename(`${root}/b`, `${root}/a`);
    const after = disk.status(`${root}/a`);
    assert.notDeepEqual([after?.ino, after?.mtimeMs], [before?.ino, before?.mtimeMs]);
  },
  async 'syncs resolve'(disk, root) {
    const file = disk.create(`${root}/a`, OWNER);
    file.write(Buffer.from('x'));
    await file.sync();
    file.write(Buffer.from('y'));
    await file.sync();
    file.close();
    await disk.syncDirectory(root);
    assert.equal(text(disk, `${root}/a`), 'xy');
  },
};

export function diskSuite(
  name: string,
  make: (t: TestContext) => { readonly disk: Disk; readonly root: string },
): void {
  for (const [what, run] of Object.entries(CASES)) {
    test(`${name}: ${what}`, async (t) => {
      const { disk, root } = make(t);
      await run(disk, root);
    });
  }
}
