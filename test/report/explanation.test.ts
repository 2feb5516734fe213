import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Job } from '../../src/control/job.ts';
import { blankJob } from '../../src/control/parse.ts';
import { unknown8bit } from '../../src/message/charset.ts';
import { SCHEDULE } from '../../src/plan/schedule.ts';
import { explanation } from '../../src/report/explanation.ts';
import { forPeople } from '../../src/report/people.ts';

const NOW = 1_400_000_000;

function sentences(job: Job): readonly string[] {
  const queued = { control: 2, job, warnings: [] };
  const payload = { kind: 'missing', reason: 'it is not there' } as const;
  return explanation(
    { queued, now: NOW, schedule: SCHEDULE, payload, transcripts: [] },
    forPeople(unknown8bit),
  ).sentences;
}

function waiting(dialect: Job['dialect'], submitted: number | null): Job {
  const recipients = [{ address: 'a@x.example', status: 4, text: 'later' }];
  return { ...blankJob(dialect), msgid: 1, submitted, attempted: NOW - 10, recipients };
}

describe('what is said of the waits', () => {
  for (const [dialect, said] of [
    ['2012', 'Waits begin with 5 min and double up to 12 h; its sender is told of the delay after 4 h.'],
    ['2017', 'It is tried every 30 min for 4 h, then every 4 h; its sender is told of the delay after 4 h.'],
  ] as const) {
    it(`is the ladder of ${dialect}, as it is set`, () => {
      assert.ok(
        sentences(waiting(dialect, NOW - 60)).includes(said),
        sentences(waiting(dialect, NOW - 60)).join('\n'),
      );
    });
  }
});

describe('what is said of the end', () => {
  for (const [what, submitted, said] of [
    ['a young job', NOW - 60, /^If it keeps failing, it is given up in 4 d 23 h/],
    ['an old job', NOW - 10 * 86_400, /^It is older than mail is kept/],
    ['a job of unknown age', null, /^Its list does not say when it was handed in, so it is never given up/],
  ] as const) {
    it(what, () => {
      assert.equal(sentences(waiting('2012', submitted)).filter((sentence) => said.test(sentence)).length, 1);
    });
  }
});
