import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { test } from 'node:test';
import { nodeDisk } from '../../src/storage/disk.ts';
import { diskSuite } from '../support/disk-suite.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { quickDirectory, temporaryDirectory } from '../support/spool.ts';

diskSuite('the real disk', (t) => ({ disk: nodeDisk, root: temporaryDirectory(t) }));
diskSuite('the disk in memory', () => {
  const disk = new MemoryDisk();
  disk.mkdir('/spool', { mode: 0o700, uid: 0, gid: 0 });
  return { disk, root: '/spool' };
});

test('a large folder has the files that are listed', (t) => {
  const root = quickDirectory(t);
  for (let n = 0; n < 4000; n++) fs.writeFileSync(`${root}/${n}`, '');
  fs.symlinkSync('0', `${root}/link`);
  fs.mkdirSync(`${root}/folder`);
  const listed = nodeDisk.list(root).flatMap(({ name, kind }) => (kind === 'file' ? [name] : []));
  assert.deepEqual([...nodeDisk.files(root)].sort(), listed.sort());
});

test('symbolic links are refused, and a named pipe keeps nobody waiting', (t) => {
  const root = temporaryDirectory(t);
  fs.writeFileSync(`${root}/file`, 'x');
  fs.symlinkSync('file', `${root}/link`);
  assert.throws(() => nodeDisk.read(`${root}/link`, 10), { code: 'ELOOP' });
  assert.equal(nodeDisk.status(`${root}/link`)?.kind, 'other');
  if (spawnSync('mkfifo', [`${root}/pipe`]).status === 0) {
    assert.equal(nodeDisk.read(`${root}/pipe`, 10).status.kind, 'other');
  }
});

test('what was not synced may be lost in a power failure, and what was is there', async () => {
  const owner = { mode: 0o600, uid: 0, gid: 0 };
  const disk = new MemoryDisk();
  disk.mkdir('/spool', owner);
  const file = disk.create('/spool/a', owner);
  file.write(Buffer.from('kept '));
  await file.sync();
  file.write(Buffer.from('lost'));
  await disk.syncDirectory('/spool');
  disk.link('/spool/a', '/spool/b');
  disk.powerFailure(() => 0);
  assert.deepEqual(disk.list('/spool'), [{ name: 'a', kind: 'file' }]);
  assert.equal(disk.read('/spool/a', 100).bytes.toString(), 'kept ');
});
