/** Which messages were active when the process ended, and how often; and what the queue run makes of that. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { type CrashLog, openCrashLog } from '../../src/queue/crash-log.ts';
import { temporaryNames } from '../../src/storage/atomic-file.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { bench, openQueue, spoolOf } from '../support/spool.ts';

async function harness(t: Parameters<typeof spoolOf>[0]) {
  const spool = spoolOf(t, {});
  const deps = bench();
  await (await openQueue(spool, deps)).close();
  const { disk, processes, random } = deps;
  const layout = layoutOf(spool);
  const temporaryName = temporaryNames(layout, processes, random);
  const owner = { mode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const open = (): CrashLog => openCrashLog({ disk, layout, temporaryName, owner });
  return { open, file: `${layout.state}/active` };
}

test('a message that was active when the process ended counts, one that was not does not', async (t) => {
  const { open } = await harness(t);
  const first = open();
  first.begin([1]);
  first.end(1);
  first.begin([2]);
  // No close: the process is gone.
  const second = open();
  assert.deepEqual([second.crashes(1), second.crashes(2)], [0, 1]);
  second.begin([3]);
  const third = open();
  assert.deepEqual([third.crashes(2), third.crashes(3)], [1, 1], 'what had not begun again keeps its count');
  third.begin([2]);
  const fourth = open();
  assert.deepEqual([fourth.crashes(2), fourth.crashes(3)], [2, 1]);
});

test('ends are written with the next beginning, or when there are 64 of them', async (t) => {
  const { open } = await harness(t);
  const numbers = Array.from({ length: 65 }, (_, at) => at + 1);
  const first = open();
  first.begin(numbers);
  for (const number of numbers.slice(0, 63)) first.end(number);
  assert.equal(open().crashes(1), 1);
  first.end(64);
  const second = open();
  assert.deepEqual([1, 64, 65].map(second.crashes), [0, 0, 1]);
});

test('a message that comes to its end is no suspect any more, and a run in order leaves nothing', async (t) => {
  const { open, file } = await harness(t);
  open().begin([7]);
  const next = open();
  next.begin([7]);
  next.end(7);
  next.close();
  assert.equal(open().crashes(7), 0);
  assert.throws(() => readFileSync(file), /ENOENT/);
});

test('a log that was cut off, or is none, tells of nobody', async (t) => {
  const { open, file } = await harness(t);
  writeFileSync(file, '+12\n-12\n+34 x\n99999999999999999999\nrubbish\n+5');
  const log = open();
  assert.deepEqual([12, 34, 5].map(log.crashes), [0, 0, 1]);
});
