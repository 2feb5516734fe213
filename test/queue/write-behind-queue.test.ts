/** When the control messages are written: outcomes of a job together, and a long list not again for each of its recipients. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StatusChange } from '../../src/delivery-list/job.ts';
import type { Journal } from '../../src/queue/journal.ts';
import type { MessageStore } from '../../src/queue/message-store.ts';
import type { PendingJob } from '../../src/queue/pending-job.ts';
import { WriteBehindQueue } from '../../src/queue/write-behind-queue.ts';
import type { Claim } from '../../src/storage/lock.ts';
import { emptyJob } from '../support/jobs.ts';
import { HandClock } from '../support/spool.ts';

const NOTHING = async (): Promise<void> => {};

/** A queue with one job, whose list takes `cost` milliseconds to be written. */
async function queueWith(cost: number) {
  const clock = new HandClock();
  const job: PendingJob = {
    ...{ kind: 'control', control: 2, warnings: [], changes: [], now: 0, written: 0 },
    base: { ...emptyJob('2012'), msgid: 1 },
  };
  /** how many outcomes each writing of the list held */
  const writes: number[] = [];
  const store: Partial<MessageStore<PendingJob>> = {
    name: 'the double',
    finished: new Set(),
    jobs: () => [job],
    find: () => job,
    journalKey: () => ({ control: 2, msgid: 1, payload: null }),
    needsRecords: () => false,
    recover: NOTHING,
    scan: async () => ({ jobs: [], orphans: [], quarantined: [] }),
    refresh: NOTHING,
    rewrite: async (jobs) => {
      for (const each of jobs) {
        clock.advance(cost);
        writes.push(each.changes.length);
        each.written = each.changes.length;
      }
      return [];
    },
    remove: async () => [],
    recorded: () => {},
    close: NOTHING,
  };
  const journal: Journal = { append: NOTHING, secure: NOTHING, retain: NOTHING, close: () => {} };
  const claim: Partial<Claim> = { held: () => true, release: () => {} };
  const queue = new WriteBehindQueue({
    store: store as MessageStore<PendingJob>,
    journal,
    ...{ records: [], clock, claim: claim as Claim, directory: '/spool' },
    warn: (text) => assert.fail(text),
  });
  await queue.scan();
  const record = (...indices: number[]): Promise<unknown> => {
    const changes = indices.map(
      (index): StatusChange => ({ index, address: `u${index}@x.example`, status: 2, text: 'ok' }),
    );
    return queue.record(2, changes, 1_400_000_000);
  };
  const pass = async (milliseconds: number): Promise<void> => {
    clock.advance(milliseconds);
    await new Promise(setImmediate);
  };
  return { queue, clock, writes, record, pass };
}

test('outcomes that come together are written together, a second after the last of them', async () => {
  const { writes, record, pass } = await queueWith(0);
  await record(...Array.from({ length: 2000 }, (_, index) => index));
  await record(2000);
  assert.deepEqual(writes, []);
  await pass(1000);
  assert.deepEqual(writes, [2001]);
  await pass(10_000);
  assert.deepEqual(writes, [2001]);
});

test('a long list is not written again for each of its recipients: writing takes a tenth of the time at most (R267)', async () => {
  const cost = 300;
  const { clock, writes, record, pass } = await queueWith(cost);
  const begun = clock.monotonic();
  for (let index = 0; index < 1200; index++) {
    await record(index);
    await pass(50);
  }
  const passed = clock.monotonic() - begun;
  assert.ok(writes.length > 2, 'it is written now and then');
  assert.ok(writes.length * cost <= passed / 10 + cost, `${writes.length} times in ${passed} ms`);
  // A second after the last outcome, all of them are there.
  await pass(1000);
  assert.equal(writes.at(-1), 1200);
});
