/** One job in sentences: why it is still queued, what happened last, when the next attempt is, and what would help. Pure. */
import { isPending, isSettled, type Job } from '../delivery-list/job.ts';
import { formatTime } from '../platform/clock.ts';
import { isQueuedDue } from '../queue/due.ts';
import type { PayloadResult, QueuedJob } from '../queue/queue.ts';
import type { Schedule } from '../queue/schedule.ts';
import { ageOf, lastAttempt } from '../queue/schedule.ts';
import type { CommandText } from '../settings/shell-words.ts';
import { hintsFor } from './hints.ts';
import type { JobFacts } from './queue-facts.ts';
import { factsOf, unwrittenText } from './queue-facts.ts';
import type { DecodeText } from './text.ts';
import { duration, escapeControl, plural, wholeDuration } from './text.ts';
import { NO_WAITS, type ThrottleWaits } from './throttling.ts';

export interface Explained extends JobFacts {
  readonly sentences: readonly string[];
  /** paths, the latest first */
  readonly transcripts: readonly string[];
}

export interface ExplanationContext {
  readonly commandText: CommandText;
  readonly queued: QueuedJob;
  /** all jobs with the same message */
  readonly lists: readonly QueuedJob[];
  /** Unix seconds */
  readonly now: number;
  readonly schedule: Schedule;
  readonly payload: PayloadResult;
  readonly transcripts: readonly string[];
  /** absent: no hosts asked us to send less */
  readonly waits?: ThrottleWaits;
  /** what silent hosts took from others lately, as sentences; null: nothing */
  readonly slowed: string | null;
}

export function explanation(context: ExplanationContext, readable: DecodeText): Explained {
  const { queued, lists, now, schedule, transcripts, waits = NO_WAITS } = context;
  const facts = factsOf(queued, lists, now, schedule, readable, waits);
  const sentences = [
    ...identity(facts),
    ...whyQueued(context, readable),
    ...lastAttemptOf(context),
    ...nextAttemptOf(context, facts),
    ...hints(context),
  ];
  return { ...facts, sentences, transcripts };
}

function identity({ job, mail, age, pending, delivered, refused, unwritten }: JobFacts): readonly string[] {
  const count = pending + delivered + refused;
  return [
    `Job ${job} carries message ${mail}, queued ${age === null ? 'at an unknown time' : `${wholeDuration(age)} ago`} for ${plural(count, 'recipient')}: ` +
      `${delivered} delivered, ${refused} refused, ${pending} pending.`,
    ...(unwritten === 0 ? [] : [unwrittenText(unwritten)]),
  ];
}

const MOST_RECIPIENTS = 10;

function whyQueued({ queued, payload }: ExplanationContext, readable: DecodeText): readonly string[] {
  const missing =
    payload.kind === 'found' ? [] : [`The message cannot be sent: ${readable(payload.reason)}.`];
  const pending = queued.job.recipients.filter(isPending);
  const shown = pending.slice(0, MOST_RECIPIENTS).map(({ address, status, text }) => {
    if (status === 0) return `Not tried yet: ${readable(address)}`;
    return `Not yet delivered to ${readable(address)}: ${readable(text) || 'the list does not say why'}`;
  });
  const rest = pending.length - shown.length;
  return [...missing, ...shown, ...(rest > 0 ? [`${plural(rest, 'more recipient')} pending.`] : [])];
}

function lastAttemptOf({
  queued: { control, job },
  now,
  transcripts,
  commandText,
}: ExplanationContext): readonly string[] {
  const last = lastAttempt(job);
  const [transcript] = transcripts;
  const replay = transcript === undefined ? '' : commandText('replay', transcript);
  if (last === null) {
    return transcript === undefined
      ? []
      : [`An attempt is in progress, or was interrupted. Its dialogue so far: ${replay}`];
  }
  return [
    last > now
      ? `According to its list, the last attempt was at ${formatTime(last)}, which is in the future: a clock was wrong. ` +
        `To try it now: ${commandText('retry', String(control))}`
      : `The last attempt was at ${formatTime(last)}.`,
    ...(transcript === undefined ? [] : [`Its dialogue: ${replay}`]),
  ];
}

function nextAttemptOf(
  { queued, lists, now, schedule, waits, slowed, commandText }: ExplanationContext,
  { due, next, why, recipients, refused, request, throttled }: JobFacts,
): readonly string[] {
  if (recipients.length > 0 && recipients.every(isSettled)) {
    const ending =
      refused === 0
        ? 'The next run will finish the job.'
        : `The job stays until the report to its sender can be sent. The log says what prevents that, and so does the part "reports" of: ${commandText('check')}`;
    return [why, ending];
  }
  const outlook = [retries(queued.job, schedule), expiry(queued.job, now, schedule)];
  if (due)
    return [
      'It is due; the next run will try it.',
      ...(slowed === null ? [] : [escapeControl(slowed)]),
      ...(request === null ? [] : [why]),
      ...outlook,
    ];
  if (throttled !== null) return [...(waits?.(lists)?.sentences ?? []), ...outlook];
  if (next === null) {
    const { heldBy } = isQueuedDue(queued, lists, now, { schedule, force: false });
    const release = heldBy === undefined ? '' : ` To release it: ${commandText('release', String(heldBy))}`;
    return [`${why}${release}`];
  }
  return [lists.length > 1 ? why : `The next attempt is at ${next}.`, ...outlook];
}

/** The retry intervals of its dialect. */
function retries(
  { dialect, submitted }: Job,
  { retry, earlyRetry, earlyPeriod, lateRetry, noticeAfter }: Schedule,
): string {
  const shown = (seconds: number): string => duration(seconds * 1000);
  const waits =
    dialect === '2012'
      ? `It is retried after ${shown(retry.first)}, then at intervals that double up to ${shown(retry.ceiling)}`
      : `It is retried every ${shown(earlyRetry)} for ${shown(earlyPeriod)}, then every ${shown(lateRetry)}`;
  return submitted === null
    ? `${waits}.`
    : `${waits}; its sender gets a delay report after ${shown(noticeAfter)}.`;
}

function expiry(job: Job, now: number, { giveUpAfter }: Schedule): string {
  if (job.submitted === null) return 'Its list does not say when it was queued, so it is never given up.';
  const left = giveUpAfter - ageOf(job, now);
  return left > 0
    ? `If it keeps failing, it is given up in ${duration(left * 1000)}, and its sender gets a report.`
    : 'It is older than retry.giveup: if the next attempt fails, it is given up, and its sender gets a report.';
}

const MOST_HINTS = 2;

function hints({ commandText, queued: { control, job }, payload }: ExplanationContext): readonly string[] {
  const pending = job.recipients.filter(isPending);
  if (pending.length === 0) return [];
  if (payload.kind === 'missing') return ['Put the message back under its number, or remove the job.'];
  if (payload.kind !== 'found') return ['Make the message readable, or remove the job.'];
  const known = new Set(pending.map(({ text }) => hintsFor(text)).filter((hint) => hint !== null));
  if (known.size === 0) return [];
  const live = commandText('replay', String(control), '--live');
  return [
    ...[...known].slice(0, MOST_HINTS),
    `To test the server now without sending a message, with the settings of the run: ${live}`,
  ];
}
