import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Job } from '../../src/delivery-list/job.ts';
import { isDue, isMessageDue } from '../../src/queue/due.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { emptyJob } from '../support/jobs.ts';

const SUBMITTED = 1_500_000_000;

const job = (change: Partial<Job>): Job => ({
  ...emptyJob('2012'),
  msgid: 5,
  submitted: SUBMITTED,
  recipients: [{ address: 'a@b', status: 4, text: '' }],
  ...change,
});

function due(change: Partial<Job>, now: number, force = false) {
  return isDue(job(change), now, { schedule: SCHEDULE, force });
}

test('2012: not before the time in the list, on both sides of it (R049)', () => {
  const attempted = SUBMITTED + 300;
  assert.deepEqual(due({ attempted }, attempted - 1), {
    due: false,
    at: attempted,
    reason: 'It waits until 2017-07-14T02:45:00Z.',
  });
  assert.equal(due({ attempted }, attempted).due, true);
});

test('2017: more than 30 minutes behind a try of the first four hours, more than four hours behind a later one', () => {
  for (const [age, span] of [
    [0, 1800],
    [14_400, 1800],
    [14_401, 14_400],
  ] as const) {
    const attempted = SUBMITTED + age;
    const change: Partial<Job> = { dialect: '2017', attempted };
    assert.equal(due(change, attempted + span).due, false);
    assert.equal(due(change, attempted + span).at, attempted + span + 1);
    assert.equal(due(change, attempted + span + 1).due, true);
  }
});

test('2017: a last try before submission is no reason to try at every tick (C38)', () => {
  const attempted = SUBMITTED - 5;
  assert.equal(due({ dialect: '2017', attempted }, attempted + 60).due, false);
  assert.equal(due({ dialect: '2017', attempted }, attempted + 1801).due, true);
});

test('a forced run takes what waits, and nothing that is finished', () => {
  assert.equal(due({ attempted: SUBMITTED + 9 }, SUBMITTED, true).due, true);
  assert.equal(due({ recipients: [] }, SUBMITTED, true).due, false);
  assert.equal(due({ recipients: [{ address: 'a@b', status: 2, text: '' }] }, SUBMITTED, true).due, false);
});

test('a job is ended when all have a final status, and left alone when a status is unknown', () => {
  const lists = (...statuses: readonly number[]) => {
    const recipients = statuses.map((status) => ({ address: 'a@b', status, text: '' }));
    return [{ control: 2, job: job({ recipients }), warnings: [] }];
  };
  const options = { schedule: SCHEDULE, force: false };
  assert.equal(isMessageDue(lists(2, 5), SUBMITTED, options), true);
  assert.equal(isMessageDue(lists(2, 7), SUBMITTED, options), false);
  assert.equal(isMessageDue(lists(), SUBMITTED, options), false);
  assert.match(
    due({ recipients: [{ address: 'a@b', status: 7, text: '' }] }, SUBMITTED).reason,
    /^A recipient has the unknown status 7: correct the control message/,
  );
});

test('the reason why a job is not due', () => {
  assert.match(due({ msgid: -1 }, SUBMITTED).reason, /names no payload/);
  assert.match(due({ recipients: [] }, SUBMITTED).reason, /no recipient/);
  assert.match(
    due({ attempted: Number.MAX_SAFE_INTEGER }, SUBMITTED).reason,
    /waits until second 9007199254740991/,
  );
  assert.match(due({}, SUBMITTED).reason, /not been tried/);
});
