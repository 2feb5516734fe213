/**
 * One job in sentences: why it is still here, what happened last, when the next try is, what would change it. Pure;
 * called by `explain`. The facts are those of `queue`.
 */
import { isPending, isSettled, type Job } from '../delivery-list/job.ts';
import type { PayloadResult, QueuedJob } from '../queue/queue.ts';
import type { Schedule } from '../queue/schedule.ts';
import { ageOf, lastAttempt } from '../queue/schedule.ts';
import { hintsFor } from './hints.ts';
import type { JobFacts } from './queue-table.ts';
import { factsOf } from './queue-table.ts';
import type { DecodeText } from './text.ts';
import { duration, formatTime, wholeDuration } from './text.ts';

export interface Explained extends JobFacts {
  readonly sentences: readonly string[];
  /** paths, the latest first */
  readonly transcripts: readonly string[];
}

export interface ExplanationContext {
  readonly spool: string;
  readonly queued: QueuedJob;
  /** all that name its mail */
  readonly lists: readonly QueuedJob[];
  /** Unix seconds */
  readonly now: number;
  readonly schedule: Schedule;
  readonly payload: PayloadResult;
  readonly transcripts: readonly string[];
}

export function explanation(circumstances: ExplanationContext, readable: DecodeText): Explained {
  const { queued, lists, now, schedule, transcripts } = circumstances;
  const facts = factsOf(queued, lists, now, schedule, readable);
  const sentences = [
    ...whatItIs(facts),
    ...whyHere(circumstances, readable),
    ...whatHappened(circumstances),
    ...whatNext(circumstances, facts),
    ...whatWouldHelp(circumstances),
  ];
  return { ...facts, sentences, transcripts };
}

function whatItIs({ job, mail, age, pending, delivered, refused }: JobFacts): readonly string[] {
  const count = pending + delivered + refused;
  return [
    `Job ${job} carries mail ${mail}, handed in ${age === null ? 'nobody knows when' : `${wholeDuration(age)} ago`} for ${count} recipient${count === 1 ? '' : 's'}: ` +
      `${delivered} delivered, ${refused} refused for good, ${pending} waiting.`,
  ];
}

/** More lines than this say nothing that the list itself does not. */
const MOST_LINES = 10;

function whyHere({ queued, payload }: ExplanationContext, readable: DecodeText): readonly string[] {
  const missing =
    payload.kind === 'found' ? [] : [`The mail itself cannot be sent: ${readable(payload.reason)}.`];
  const pending = queued.job.recipients.filter(isPending);
  const shown = pending.slice(0, MOST_LINES).map(({ address, status, text }) => {
    if (status === 0) return `${readable(address)} has not been tried yet.`;
    return `${readable(address)} could not be delivered so far: ${readable(text) || 'the list does not say why'}`;
  });
  const rest = pending.length - shown.length;
  return [...missing, ...shown, ...(rest > 0 ? [`${rest} more recipients are waiting.`] : [])];
}

function whatHappened({ queued: { control, job }, now, transcripts }: ExplanationContext): readonly string[] {
  const last = lastAttempt(job);
  const [transcript] = transcripts;
  const replay = `spoolroom replay ${transcript}`;
  if (last === null) {
    return transcript === undefined
      ? []
      : [`A try is under way, or was cut off; what was said so far: ${replay}`];
  }
  return [
    last > now
      ? `Its list says that the last try was at ${formatTime(last)}, which is still to come: a clock was wrong. ` +
        `\`spoolroom retry ${control}\` tries it now.`
      : `The last try was at ${formatTime(last)}.`,
    ...(transcript === undefined ? [] : [`What was said last: ${replay}`]),
  ];
}

function whatNext(
  { queued, lists, now, schedule }: ExplanationContext,
  { due, next, why, recipients, refused }: JobFacts,
): readonly string[] {
  if (recipients.length > 0 && recipients.every(isSettled)) {
    const ending =
      refused === 0
        ? 'The next run ends the job.'
        : 'The job stays until its sender can be told; the log says what is in the way, and `spoolroom check` (reports) looks at it.';
    return [why, ending];
  }
  const outlook = [ladder(queued.job, schedule), end(queued.job, now, schedule)];
  if (due) return [`It is due: the next run tries it. ${why}`, ...outlook];
  if (next === null) return [why];
  return [lists.length > 1 ? why : `The next try is at ${next}.`, ...outlook];
}

/** The waits of its era, as they are set. */
function ladder(
  { dialect, submitted }: Job,
  { retry, earlyRetry, earlyPeriod, lateRetry, noticeAfter }: Schedule,
): string {
  const shown = (seconds: number): string => duration(seconds * 1000);
  const waits =
    dialect === '2012'
      ? `Waits begin with ${shown(retry.first)} and double up to ${shown(retry.ceiling)}`
      : `It is tried every ${shown(earlyRetry)} for ${shown(earlyPeriod)}, then every ${shown(lateRetry)}`;
  return submitted === null
    ? `${waits}.`
    : `${waits}; its sender is told of the delay after ${shown(noticeAfter)}.`;
}

function end(job: Job, now: number, { giveUpAfter }: Schedule): string {
  if (job.submitted === null) return 'Its list does not say when it was handed in, so it is never given up.';
  const left = giveUpAfter - ageOf(job, now);
  return left > 0
    ? `If it keeps failing, it is given up in ${duration(left * 1000)} and its sender is told.`
    : 'It is older than mail is kept: if the next try fails, it is given up and its sender is told.';
}

const MOST_ADVICE = 2;

function whatWouldHelp({ spool, queued: { control, job }, payload }: ExplanationContext): readonly string[] {
  const pending = job.recipients.filter(isPending);
  if (pending.length === 0) return [];
  if (payload.kind === 'missing') return ['Put the mail back under its number, or remove the job.'];
  if (payload.kind !== 'found') return ['See to it that the mail can be read, or remove the job.'];
  const known = new Set(pending.map(({ text }) => hintsFor(text)).filter((advice) => advice !== null));
  if (known.size === 0) return [];
  const live = `spoolroom replay ${control} --spool ${spool} --live`;
  return [
    ...[...known].slice(0, MOST_ADVICE),
    `To try the server now without sending anything, with the settings of the run: ${live}`,
  ];
}
