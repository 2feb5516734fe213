/**
 * Whether a job is to be tried now, and if not, why and until when. Called by the queue run and by all that tell of jobs.
 * Looks at the list and at what was asked for the job: whether it is in progress is the queue run's knowledge.
 */

import type { MessageNumber } from '../delivery-list/job.ts';
import { isPending, isSettled, type Job } from '../delivery-list/job.ts';
import type { QueuedJob } from './queue.ts';
import { nextAttempt, type Schedule } from './schedule.ts';

export interface DueOptions {
  readonly schedule: Schedule;
  /** try it whatever its time says, once (R037: a forced run must not stay forced) */
  readonly force: boolean;
}

export interface DueDecision {
  readonly due: boolean;
  /** Unix seconds from which on it is due; null when time alone will not make it so */
  readonly at: number | null;
  /** a sentence for people */
  readonly reason: string;
}

/** ISO 8601 without milliseconds; a number where no calendar reaches. */
function calendar(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `second ${seconds}` : date.toISOString().replace('.000Z', 'Z');
}

/** `now` is Unix seconds. */
export function isDue(job: Job, now: number, { schedule, force }: DueOptions): DueDecision {
  const never = (reason: string): DueDecision => ({ due: false, at: null, reason });
  // 2017 tries such a job; it then ends like any other whose payload is missing.
  if (job.msgid < 0 && job.dialect === '2012') return never('Its list names no payload message.');
  if (job.recipients.length === 0) return never('Its list names no recipient.');
  if (!job.recipients.some(isPending)) return never(whyNobodyWaits(job));
  const at = nextAttempt(job, schedule);
  if (at === 0) return { due: true, at: now, reason: 'It has not been tried yet.' };
  if (at <= now) return { due: true, at, reason: `Its waiting time ended at ${calendar(at)}.` };
  if (force) return { due: true, at: now, reason: `It would wait until ${calendar(at)}, but is forced.` };
  return { due: false, at, reason: `It waits until ${calendar(at)}.` };
}

function whyNobodyWaits({ recipients }: Job): string {
  const odd = recipients.find((recipient) => !isSettled(recipient));
  return odd === undefined
    ? 'All its recipients have a final status.'
    : `A recipient has the status ${odd.status}, which means nothing: correct the list, or remove the job.`;
}

/**
 * The same for a job among all lists that name its mail, of which somebody may have asked something. A mail is tried as a
 * whole: it waits while one of its lists says so, unless one in which somebody waits is to be tried once. A hold counts for
 * a forced run, too.
 */
export function isQueuedDue(
  queued: QueuedJob,
  lists: readonly QueuedJob[],
  now: number,
  options: DueOptions,
): DueDecision {
  const forced = { ...options, force: options.force || lists.some(isToBeTried) };
  const own = listDueness(queued, now, forced);
  if (!own.due) return own;
  const others = lists.filter((list) => list !== queued && (list.request !== undefined || isOpen(list)));
  const waiting = others
    .map((list) => ({ list, ...listDueness(list, now, forced) }))
    .filter(({ due }) => !due)
    .sort((a, b) => (b.at ?? Number.POSITIVE_INFINITY) - (a.at ?? Number.POSITIVE_INFINITY));
  const [last] = waiting;
  if (last === undefined) return own;
  return { due: false, at: last.at, reason: `Job ${last.list.control} names the same mail. ${last.reason}` };
}

/** Whether the mail of these lists is to be taken in hand: to be tried, or to be ended because nobody in it waits any more. */
export function isMessageDue(lists: readonly QueuedJob[], now: number, options: DueOptions): boolean {
  if (lists.some(({ request }) => request === 'hold' || request === 'remove')) return false;
  const open = lists.filter(isOpen);
  const [first] = open;
  // One is due when all of them are.
  if (first !== undefined) return isQueuedDue(first, open, now, options).due;
  return lists.every(({ job }) => job.recipients.length > 0 && job.recipients.every(isSettled));
}

function isOpen({ job }: QueuedJob): boolean {
  return job.recipients.some(isPending);
}

function isToBeTried(list: QueuedJob): boolean {
  return list.request === 'retry' && isOpen(list);
}

function listDueness({ control, job, request }: QueuedJob, now: number, options: DueOptions): DueDecision {
  switch (request ?? null) {
    case null:
    case 'retry':
      return isDue(job, now, options);
    case 'hold':
      return { due: false, at: null, reason: `It is held: \`spoolroom release ${control}\` lets it go on.` };
    case 'remove':
      return { due: false, at: null, reason: 'It is about to be removed from the spool.' };
  }
}

/** The lists of each mail, by its number. */
export function groupByPayload(jobs: readonly QueuedJob[]): ReadonlyMap<MessageNumber, ControlMessages> {
  const mails = new Map<MessageNumber, [QueuedJob, ...QueuedJob[]]>();
  for (const queued of jobs) {
    const lists = mails.get(queued.job.msgid);
    if (lists === undefined) mails.set(queued.job.msgid, [queued]);
    else lists.push(queued);
  }
  return mails;
}

/** All that name one mail: one, or more where a server crashed while it rewrote one. */
export type ControlMessages = readonly [QueuedJob, ...QueuedJob[]];
