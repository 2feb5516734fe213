/** A few seconds of torture with every run of the tests; `npm run torture` runs more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { temporaryDirectory } from '../support/spool.ts';
import { deliverFromFullDisk, onSmallDisk } from './full-disk.ts';
import { torture } from './torture.ts';

test('killed ten times, the program loses nothing and repeats nothing that was durable', async (t) => {
  const seed = Math.floor(Math.random() * 1_000_000);
  t.diagnostic(`seed ${seed}`);
  const { violations, accepted } = await torture({ spool: temporaryDirectory(t), kills: 10, seed });
  assert.deepEqual(violations, [], `npm run torture -- --kills 10 --seed ${seed}`);
  assert.ok(accepted > 0);
});

test('a full disk loses no message, and one without free space sends none', async (t) => {
  const mounted = await onSmallDisk(temporaryDirectory(t), async (directory) => {
    const { steps, lost, left } = await deliverFromFullDisk(directory, [0, 8192]);
    assert.deepEqual([lost, left], [[], []]);
    assert.deepEqual(steps[0], { free: 0, code: 74, accepted: 0 });
    assert.equal(steps.at(-1)?.code, 0);
  });
  if (!mounted) t.diagnostic('no file system may be mounted here; test/simulation has disks that run full');
});
