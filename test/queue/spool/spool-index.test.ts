import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpoolIndex } from '../../../src/queue/spool/index/spool-index.ts';
import { layoutOf } from '../../../src/storage/layout.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';

test('who opens a spool is told before many messages are read', () => {
  const owner = { mode: 0o600, uid: 0, gid: 0 };
  const disk = new MemoryDisk();
  disk.mkdir('/spool', owner);
  const told: number[] = [];
  const index = new SpoolIndex({
    ...{ disk, layout: layoutOf('/spool'), now: () => 0 },
    options: { dialect: 'detect', fallback: '2012' },
    beforeMany: () => told.push(index.known.all().length),
  });
  for (let number = 1; number < 500; number++) disk.create(`/spool/${number}`, owner);
  index.update(new Set());
  assert.deepEqual(told, []);
  disk.create('/spool/500', owner);
  index.update(new Set());
  assert.deepEqual(told, [499], 'before the last one is read');
});
