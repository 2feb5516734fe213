/**
 * The part of `check` that looks at the jobs of a spool: does somebody deliver them, which will not leave by themselves, and
 * what most of them wait after. Changes nothing.
 */
import { isPending, isSettled } from '../../delivery-list/job.ts';
import { type Finding, ok, problem, warning } from '../../output/check-report.ts';
import { hintsFor } from '../../output/hints.ts';
import { duration, plural } from '../../output/text.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { QueuedJob } from '../../queue/queue.ts';
import { isExpired, nextAttempt, type Schedule } from '../../queue/schedule.ts';
import { modifiedAt, unreadableMail } from '../../queue/spool/inspect.ts';
import type { SpoolContext } from './spool.ts';

/** Seconds a job may be due before somebody should ask why. */
const LATE = 900;

export function runnerFinding(jobs: readonly QueuedJob[], { view, now, schedule }: SpoolContext): Finding {
  const runner = view.runner();
  const who = runner === null ? 'nobody delivers at this moment' : `process ${runner} delivers`;
  const late = jobs
    .filter(({ job, request }) => request !== 'hold' && job.recipients.some(isPending))
    .map(({ job }) => now - Math.max(nextAttempt(job, schedule), job.submitted ?? now))
    .filter((seconds) => seconds > LATE);
  if (late.length === 0) return ok('runner', who);
  const longest = duration(late.reduce((most, seconds) => Math.max(most, seconds), 0) * 1000);
  return runner === null
    ? problem(
        'runner',
        `${who}, and ${plural(late.length, 'job')} should have been tried, up to ${longest} ago`,
        'Is the cron job or the service there, for this spool and as a user who may write to it?',
      )
    : warning(
        'runner',
        `${who}; ${plural(late.length, 'job')} should have been tried, up to ${longest} ago`,
        'Long runs, or many slow hosts: see its log.',
      );
}

/** Kinds of jobs that somebody should know of. */
const REMARKABLE: readonly {
  readonly check: string;
  readonly seen: string;
  readonly advice: string;
  readonly applies: (queued: QueuedJob, circumstances: SpoolContext) => boolean;
}[] = [
  {
    check: 'held',
    seen: 'held jobs',
    advice: 'They are not tried before `spoolroom release`.',
    applies: ({ request }) => request === 'hold',
  },
  {
    check: 'mail',
    seen: 'jobs whose mail is missing',
    advice: 'Put the mail back under its number, or remove the job.',
    applies: ({ job }, { spool, deps }) => modifiedAt(deps.disk, spool, job.msgid) === null,
  },
  {
    check: 'mail',
    seen: 'jobs whose mail cannot be read',
    advice: 'It should belong to the owner of the spool and be readable for that user.',
    applies: ({ job }, { spool, deps }) => unreadableMail(deps.disk, spool, job.msgid) !== null,
  },
  {
    check: 'status',
    seen: 'jobs that no run takes, because the status of a recipient means nothing',
    advice: 'Correct their lists, or remove the jobs.',
    applies: ({ job: { recipients } }) => !recipients.some(isPending) && !recipients.every(isSettled),
  },
  {
    check: 'clock',
    seen: 'jobs whose next try is further ahead than any wait',
    advice: 'A clock was wrong, or another program wrote that time. `spoolroom retry` tries them now.',
    applies: ({ job }, { now, schedule }) =>
      job.recipients.some(isPending) && nextAttempt(job, schedule) - now > longestWait(schedule),
  },
  {
    check: 'age',
    seen: 'jobs older than mail is kept',
    advice:
      'If their next try fails they are given up and their senders told. See the setting retry.giveup, and the clock.',
    applies: ({ job }, { now, schedule }) => job.recipients.some(isPending) && isExpired(job, now, schedule),
  },
];

export function jobFindings(jobs: readonly QueuedJob[], circumstances: SpoolContext): Finding[] {
  return REMARKABLE.flatMap(({ check, seen, advice, applies }) => {
    const numbers = jobs.filter((queued) => applies(queued, circumstances)).map(({ control }) => control);
    return numbers.length === 0 ? [] : [warning(check, `${seen}: ${numbered(numbers)}`, advice)];
  });
}

function longestWait({ retry, earlyRetry, lateRetry }: Schedule): number {
  return Math.max(retry.first, retry.ceiling, earlyRetry, lateRetry) + 1;
}

const MOST_ANSWERS = 3;

interface Answer {
  readonly jobs: Set<number>;
  /** as they stand in the lists */
  readonly texts: Set<ByteString>;
}

/** What most jobs wait after: one wrong password keeps thousands of them. */
export function answerFindings(
  jobs: readonly QueuedJob[],
  { readable, spool }: SpoolContext,
): readonly Finding[] {
  const answers = new Map<ByteString, Answer>();
  for (const { control, job } of jobs) {
    for (const recipient of job.recipients) {
      if (!isPending(recipient) || recipient.text === '') continue;
      const key = withoutHost(recipient.text);
      const answer = answers.get(key) ?? { jobs: new Set(), texts: new Set() };
      answers.set(key, answer);
      answer.jobs.add(control);
      answer.texts.add(recipient.text);
    }
  }
  const most = [...answers].sort(([, a], [, b]) => b.jobs.size - a.jobs.size).slice(0, MOST_ANSWERS);
  return most.map(([key, { jobs: numbers, texts }]) => {
    const [text = key, ...others] = texts;
    const waiting = `${plural(numbers.size, 'job')} (${numbered([...numbers])}) wait${numbers.size === 1 ? 's' : ''}`;
    return warning(
      'answers',
      `${waiting} after: ${readable(others.length === 0 ? text : key)}`,
      hintsFor(text) ?? `For each of them: spoolroom explain ${[...numbers][0]} --spool ${spool}`,
    );
  });
}

/** The same answer of several hosts is one: `(450, mx.example [192.0.2.1]:25)` becomes `(450)`. */
function withoutHost(text: ByteString): ByteString {
  return text.replace(/(?:, )?(?:[\w.-]+ )?\[[\w.:/-]+\](?::\d+)? ?/g, '');
}

const MOST_NUMBERS = 10;

export function numbered(numbers: readonly number[]): string {
  const rest = numbers.length - MOST_NUMBERS;
  return numbers.slice(0, MOST_NUMBERS).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
