import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripHeader } from '../../src/delivery-list/header.ts';
import type { Dialect, Job } from '../../src/delivery-list/job.ts';
import { parseDeliveryList } from '../../src/delivery-list/parse.ts';
import { serialiseJob } from '../../src/delivery-list/serialise.ts';
import { isDue } from '../../src/queue/due.ts';
import { ageOf, isDelayed, isExpired, lastAttempt, SCHEDULE } from '../../src/queue/schedule.ts';
import { emptyJob } from '../support/jobs.ts';

const START = 1_500_000_000;
const HOUR = 3600;

function fresh(dialect: Dialect): Job {
  return {
    ...emptyJob(dialect),
    msgid: 1,
    submitted: START,
    recipients: [{ address: 'a@b', status: 4, text: '450 (later)' }],
  };
}

/** Only failures, with a run each minute, every list written and read back: seconds of the attempts, of the delay, of the end. */
function life(dialect: Dialect) {
  const tries: number[] = [];
  const late: number[] = [];
  let job = fresh(dialect);
  for (let now = START; ; now += 60) {
    if (!isDue(job, now, { schedule: SCHEDULE, force: false }).due) continue;
    tries.push(now - START);
    if (isDelayed(job, now, SCHEDULE)) late.push(now - START);
    if (isExpired(job, now, SCHEDULE)) return { tries, late, end: now - START };
    const text = serialiseJob(job, dialect, now, SCHEDULE.retry);
    const parsed = parseDeliveryList(stripHeader(text).instructions, {
      dialect: 'detect',
      fallback: dialect,
    });
    assert.ok(parsed.kind === 'list');
    job = parsed.job;
  }
}

test('2012: doubled from 300 s to 12 h, late after four hours, over after five days', () => {
  const { tries, late, end } = life('2012');
  assert.deepEqual(tries.slice(0, 9), [0, 300, 900, 2100, 4500, 9300, 18900, 38100, 76500]);
  assert.equal((tries[10] ?? 0) - (tries[9] ?? 0), 12 * HOUR);
  assert.equal(late[0], 18900);
  assert.equal(
    end,
    tries.find((each) => each > 120 * HOUR),
  );
});

test('2017: every half hour for four hours, then every four hours, late by then, over after five days', () => {
  const { tries, late, end } = life('2017');
  assert.deepEqual(tries.slice(0, 4), [0, 1860, 3720, 5580]);
  assert.ok(tries.slice(10).every((each, index) => each - (tries[index + 9] ?? 0) >= 4 * HOUR));
  assert.ok((late[0] ?? 0) >= 4 * HOUR && (late[0] ?? 0) < 5 * HOUR);
  assert.ok(end > 120 * HOUR && end < 125 * HOUR);
});

test('the last attempt according to the lists', () => {
  assert.equal(lastAttempt(fresh('2012')), null);
  assert.equal(lastAttempt({ ...fresh('2012'), retry: 1200, attempted: START + 600 }), START);
  assert.equal(lastAttempt({ ...fresh('2017'), attempted: START }), START);
});

test('a clock that is set back delays nothing and gives nobody up', () => {
  for (const dialect of ['2012', '2017'] as const) {
    const job = { ...fresh(dialect), attempted: START };
    assert.equal(ageOf(job, START - 1_000_000), 0);
    assert.equal(isExpired(job, START - 1_000_000, SCHEDULE), false);
    assert.equal(isDelayed(job, START - 1_000_000, SCHEDULE), false);
  }
});

test('a missing submission is 1970 in 2012 and now in 2017', () => {
  assert.equal(ageOf({ ...fresh('2012'), submitted: null }, START), START);
  assert.equal(ageOf({ ...fresh('2017'), submitted: null }, START), 0);
});

test('both ends of the intervals hold to the second', () => {
  const job = fresh('2012');
  assert.equal(isExpired(job, START + SCHEDULE.giveUpAfter, SCHEDULE), false);
  assert.equal(isExpired(job, START + SCHEDULE.giveUpAfter + 1, SCHEDULE), true);
  assert.equal(isDelayed(job, START + SCHEDULE.noticeAfter - 1, SCHEDULE), false);
  assert.equal(isDelayed(job, START + SCHEDULE.noticeAfter, SCHEDULE), true);
});

test('a job that does not say when it was submitted is neither late nor given up', () => {
  const job = { ...emptyJob('2012'), submitted: null };
  assert.equal(isDelayed(job, 1_800_000_000, SCHEDULE), false);
  assert.equal(isExpired(job, 1_800_000_000, SCHEDULE), false);
  assert.equal(isExpired({ ...job, submitted: 0 }, 1_800_000_000, SCHEDULE), true);
});
