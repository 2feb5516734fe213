import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Job } from '../../src/delivery-list/job.ts';
import { unknown8bit } from '../../src/message/charset.ts';
import { type ExplanationContext, explanation } from '../../src/output/explanation.ts';
import { hintsFor } from '../../src/output/hints.ts';
import { textDecoder } from '../../src/output/text.ts';
import type { PayloadResult, QueuedJob } from '../../src/queue/queue.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { shellCommand } from '../../src/settings/shell-words.ts';
import { emptyJob } from '../support/jobs.ts';

const NOW = 1_400_000_000;

const MAIL: PayloadResult = {
  kind: 'found',
  message: { size: 0, bytes: Buffer.alloc(0), stream: async function* () {} },
};

function sentences(job: Job, seen: Partial<ExplanationContext> = {}): readonly string[] {
  const queued = { control: 2, job, warnings: [] };
  const facts = {
    commandText: (command: string, ...words: readonly string[]) =>
      shellCommand(command, ...words, '--spool', '/spool'),
    queued,
    lists: [queued],
    now: NOW,
    schedule: SCHEDULE,
    payload: MAIL,
    transcripts: [],
    slowed: null,
  };
  return explanation({ ...facts, ...seen }, textDecoder(unknown8bit)).sentences;
}

function waiting(dialect: Job['dialect'], submitted: number | null): Job {
  const recipients = [{ address: 'a@x.example', status: 4, text: 'later' }];
  return { ...emptyJob(dialect), msgid: 1, submitted, attempted: NOW - 10, recipients };
}

describe('what is said of the waits', () => {
  for (const [dialect, said] of [
    [
      '2012',
      'It is retried after 5 min, then at intervals that double up to 12 h; its sender gets a delay report after 4 h.',
    ],
    ['2017', 'It is retried every 30 min for 4 h, then every 4 h; its sender gets a delay report after 4 h.'],
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
    ['an old job', NOW - 10 * 86_400, /^It is older than retry\.giveup/],
    ['a job of unknown age', null, /^Its list does not say when it was queued, so it is never given up/],
  ] as const) {
    it(what, () => {
      assert.equal(sentences(waiting('2012', submitted)).filter((sentence) => said.test(sentence)).length, 1);
    });
  }
});

it('a list without a time of submission has no age, and nobody is told of a delay', () => {
  const said = sentences(waiting('2012', null));
  assert.match(said[0] ?? '', /^Job 2 carries message 1, queued at an unknown time for 1 recipient:/);
  assert.ok(
    said.includes('It is retried after 5 min, then at intervals that double up to 12 h.'),
    said.join('\n'),
  );
});

describe('what happened', () => {
  const transcripts = ['/spool/.spoolroom/transcripts/2-1-1.jsonl'];

  it('is in the latest transcript', () => {
    assert.ok(
      sentences(waiting('2012', NOW - 60), { transcripts }).includes(
        `Its dialogue: spoolroom replay ${transcripts[0]} --spool /spool`,
      ),
    );
  });

  it('is still to come where a transcript has been begun and no outcome is written', () => {
    const job = { ...waiting('2012', NOW - 60), attempted: 0 };
    assert.match(
      sentences(job, { transcripts }).join('\n'),
      /^An attempt is in progress, or was interrupted\. Its dialogue so far: spoolroom replay \S+ --spool \/spool$/m,
    );
  });

  it('cannot lie ahead: a clock was wrong', () => {
    const job = { ...waiting('2017', NOW - 60), attempted: NOW + 200 * 86_400 };
    assert.match(
      sentences(job).join('\n'),
      /in the future: a clock was wrong\. To try it now: spoolroom retry 2/,
    );
  });
});

it('a list that waits for the other one of its mail says which', () => {
  const list = (control: number, attempted: number) => ({
    ...{ control, warnings: [] },
    job: { ...waiting('2012', NOW - 60), attempted },
  });
  const lists = [list(2, 0), list(4, NOW + 600)];
  const said = sentences(waiting('2012', NOW - 60), { queued: lists[0] as QueuedJob, lists });
  assert.match(said.join('\n'), /^Job 4 has the same message\. It waits until /m);
});

it('a job that waits for its report says so', () => {
  const refused = { address: 'a@x.example', status: 5, text: '5.1.1 nobody' };
  const job: Job = { ...waiting('2012', NOW - 60), recipients: [refused] };
  assert.match(sentences(job).join('\n'), /The job stays until the report to its sender can be sent/);
  const done: Job = { ...job, recipients: [{ ...refused, status: 2 }] };
  assert.match(sentences(done).join('\n'), /The next run will finish the job\./);
  const odd: Job = {
    ...job,
    recipients: [
      { ...refused, status: 2 },
      { ...refused, status: 7 },
    ],
  };
  assert.equal(
    sentences(odd).at(-1),
    'A recipient has the unknown status 7: correct the control message, or remove the job.',
  );
});

describe('what would help', () => {
  for (const [text, advice] of [
    ['mx [192.0.2.1] TLS failed: self-signed certificate', /tls-ca/],
    ['mx [192.0.2.1] TLS failed: wrong version number', /smtps:\/\/ is wrong/],
    ['mx [192.0.2.1] TLS failed: handshake failure', /TLS version or cipher/],
    ['mx [192.0.2.1] offers no STARTTLS, and TLS is required for this host', /does not offer TLS there/],
    ['mx [192.0.2.1] offers no way to authenticate that we know', /does not accept a password there/],
    ['5.7.8 no (535, mx [192.0.2.1])', /user name and password/],
    ['4.7.1 Greylisted, come back later', /later attempt/],
    ['4.7.1 Too many from your address', /policy against this mail/],
    ['4.3.0 please read carefully (451, mx [192.0.2.1])', null],
    ['452 4.2.2 mailbox full', /make room in the mailbox/],
    [
      'mx [192.0.2.1] said nothing for 300 seconds while we were waiting for the answer to EHLO',
      /stops answering/,
    ],
    [
      'mx [192.0.2.1] said nothing for 300 seconds while we were waiting for the greeting',
      /cannot be reached/,
    ],
    ['mx [192.0.2.1] refuses connections', /No server listens there/],
    ['a word about carefully chosen authors', null],
  ] as const) {
    it(text, () => {
      if (advice === null) assert.equal(hintsFor(text), null);
      else assert.match(hintsFor(text) ?? '', advice);
    });
  }

  it('ends in a command that works as it stands', () => {
    const job = waiting('2012', NOW - 60);
    const recipients = [{ address: 'a@x.example', status: 4, text: 'mx [192.0.2.1] refuses connections' }];
    assert.match(
      sentences({ ...job, recipients }).at(-1) ?? '',
      /: spoolroom replay 2 --live --spool \/spool$/,
    );
    assert.deepEqual(
      sentences({ ...job, recipients }, { payload: { kind: 'missing', reason: 'it is gone' } }).at(-1),
      'Put the message back under its number, or remove the job.',
    );
  });
});
