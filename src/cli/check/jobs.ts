/**
 * The part of `check` that looks at the jobs of a spool: whether they are being delivered, which need attention, and which
 * replies most of them are waiting because of. Changes nothing.
 */
import { isPending, isSettled } from '../../delivery-list/job.ts';
import { type Finding, ok, problem, warning } from '../../output/check-report.ts';
import { hintsFor } from '../../output/hints.ts';
import { duration, plural } from '../../output/text.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { QueuedJob } from '../../queue/queue.ts';
import { isExpired, nextAttempt, type Schedule } from '../../queue/schedule.ts';
import { modifiedAt, unreadableMail } from '../../queue/spool/inspect.ts';
import type { CommandText } from '../../settings/shell-words.ts';
import type { SpoolReading } from '../setup/read-spool.ts';

/** Seconds a job may be due before that is reported. */
const LATE = 900;

export function runnerFinding(jobs: readonly QueuedJob[], { view, now, schedule }: SpoolReading): Finding {
  const runner = view.runner();
  const who = runner === null ? 'no process is delivering' : `process ${runner} is delivering`;
  const late = jobs
    .filter(({ job, request }) => request !== 'hold' && job.recipients.some(isPending))
    .map(({ job }) => now - Math.max(nextAttempt(job, schedule), job.submitted ?? now))
    .filter((seconds) => seconds > LATE);
  if (late.length === 0) return ok('runner', who);
  const longest = duration(late.reduce((most, seconds) => Math.max(most, seconds), 0) * 1000);
  return runner === null
    ? problem(
        'runner',
        `${who}, and ${plural(late.length, 'job')} ${late.length === 1 ? 'is' : 'are'} overdue, by up to ${longest}`,
        'Check that the cron job or the service runs, for this spool and as a user who may write to it.',
      )
    : warning(
        'runner',
        `${who}; ${plural(late.length, 'job')} ${late.length === 1 ? 'is' : 'are'} overdue, by up to ${longest}`,
        'Runs take long, or many hosts are slow: see its log.',
      );
}

type JobContext = SpoolReading & { readonly commandText: CommandText };

/** Jobs that need attention. */
const CONDITIONS: readonly {
  readonly check: string;
  readonly seen: string;
  readonly advice: string;
  /** the command that does something about it, behind the advice */
  readonly command?: string;
  readonly applies: (queued: QueuedJob, context: SpoolReading) => boolean;
}[] = [
  {
    check: 'held',
    seen: 'held jobs',
    advice: 'They are not tried until they are released:',
    command: 'release',
    applies: ({ request }) => request === 'hold',
  },
  {
    check: 'mail',
    seen: 'jobs whose message is missing',
    advice: 'Put the message back under its number, or remove the job.',
    applies: ({ job }, { spool, deps }) => modifiedAt(deps.disk, spool, job.msgid) === null,
  },
  {
    check: 'mail',
    seen: 'jobs whose message cannot be read',
    advice: 'The message file should belong to the owner of the spool and be readable for that user.',
    applies: ({ job }, { spool, deps }) => unreadableMail(deps.disk, spool, job.msgid) !== null,
  },
  {
    check: 'status',
    seen: 'jobs that are never tried, because a recipient has an unknown status',
    advice: 'Correct their lists, or remove the jobs.',
    applies: ({ job: { recipients } }) => !recipients.some(isPending) && !recipients.every(isSettled),
  },
  {
    check: 'clock',
    seen: 'jobs whose next attempt is further ahead than the longest retry interval',
    advice: 'A clock was wrong, or another program wrote that time. To try them now:',
    command: 'retry',
    applies: ({ job }, { now, schedule }) =>
      job.recipients.some(isPending) && nextAttempt(job, schedule) - now > longestWait(schedule),
  },
  {
    check: 'age',
    seen: 'jobs older than retry.giveup',
    advice:
      'If the next attempt fails, they are given up and their senders get a report. Check the setting retry.giveup, and the clock.',
    applies: ({ job }, { now, schedule }) => job.recipients.some(isPending) && isExpired(job, now, schedule),
  },
];

export function jobFindings(jobs: readonly QueuedJob[], context: JobContext): Finding[] {
  return CONDITIONS.flatMap(({ check, seen, advice, command, applies }) => {
    const numbers = jobs.filter((queued) => applies(queued, context)).map(({ control }) => control);
    if (numbers.length === 0) return [];
    const words = numbers.slice(0, MOST_NUMBERS).map(String);
    const then = command === undefined ? '' : ` ${context.commandText(command, ...words)}`;
    return [warning(check, `${seen}: ${numbered(numbers)}`, `${advice}${then}`)];
  });
}

function longestWait({ retry, earlyRetry, lateRetry }: Schedule): number {
  return Math.max(retry.first, retry.ceiling, earlyRetry, lateRetry) + 1;
}

const MOST_REPLIES = 3;

interface ReplyGroup {
  readonly jobs: Set<number>;
  /** as written in the lists */
  readonly texts: Set<ByteString>;
}

/** The replies most jobs are waiting because of: one wrong password can hold up thousands of jobs. */
export function replyFindings(
  jobs: readonly QueuedJob[],
  { readable, commandText }: JobContext,
): readonly Finding[] {
  const groups = new Map<ByteString, ReplyGroup>();
  for (const { control, job } of jobs) {
    for (const recipient of job.recipients) {
      if (!isPending(recipient) || recipient.text === '') continue;
      const key = withoutHost(recipient.text);
      const group = groups.get(key) ?? { jobs: new Set(), texts: new Set() };
      groups.set(key, group);
      group.jobs.add(control);
      group.texts.add(recipient.text);
    }
  }
  const most = [...groups].sort(([, a], [, b]) => b.jobs.size - a.jobs.size).slice(0, MOST_REPLIES);
  return most.map(([key, { jobs: numbers, texts }]) => {
    const [text = key, ...others] = texts;
    const waiting = `${plural(numbers.size, 'job')} (${numbered([...numbers])}) ${numbers.size === 1 ? 'is' : 'are'} waiting`;
    return warning(
      'answers',
      `${waiting} because of this reply: ${readable(others.length === 0 ? text : key)}`,
      hintsFor(text) ?? `For details: ${commandText('explain', String([...numbers][0]))}`,
    );
  });
}

/** The same reply from several hosts counts as one: `(450, mx.example [192.0.2.1]:25)` becomes `(450)`. */
function withoutHost(text: ByteString): ByteString {
  return text.replace(/(?:, )?(?:[\w.-]+ )?\[[\w.:/-]+\](?::\d+)? ?/g, '');
}

const MOST_NUMBERS = 10;

export function numbered(numbers: readonly number[]): string {
  const rest = numbers.length - MOST_NUMBERS;
  return numbers.slice(0, MOST_NUMBERS).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
