/**
 * Whether a job is due now, and if not, why and until when. Considers its control message and the requests for it; whether
 * it is being delivered at the moment is known to the queue run only. Pure.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import { isPending, isSettled, type Job } from '../delivery-list/job.ts';
import { formatTime } from '../platform/clock.ts';
import type { QueuedJob } from './queue.ts';
import { nextAttempt, type Schedule } from './schedule.ts';

export interface DueOptions {
  readonly schedule: Schedule;
  /** try it once, before its time */
  readonly force: boolean;
}

export interface DueDecision {
  readonly due: boolean;
  /** Unix seconds from which on it is due; null when time alone will not make it so */
  readonly at: number | null;
  /** a full sentence for people */
  readonly reason: string;
  /** the job whose hold is in the way; absent: none */
  readonly heldBy?: MessageNumber;
}

/** `now` is Unix seconds. */
export function isDue(job: Job, now: number, { schedule, force }: DueOptions): DueDecision {
  const never = (reason: string): DueDecision => ({ due: false, at: null, reason });
  // The 2017 dialect tries such a job, which then fails like any other whose payload is missing.
  if (job.msgid < 0 && job.dialect === '2012') return never('Its control message names no payload.');
  if (job.recipients.length === 0) return never('Its control message names no recipient.');
  if (!job.recipients.some(isPending)) return never(whyNonePending(job));
  const at = nextAttempt(job, schedule);
  if (at === 0) return { due: true, at: now, reason: 'It has not been tried yet.' };
  if (at <= now) return { due: true, at, reason: `Its waiting time ended at ${formatTime(at)}.` };
  if (force) return { due: true, at: now, reason: `It would wait until ${formatTime(at)}, but is forced.` };
  return { due: false, at, reason: `It waits until ${formatTime(at)}.` };
}

function whyNonePending({ recipients }: Job): string {
  const invalid = recipients.find((recipient) => !isSettled(recipient));
  return invalid === undefined
    ? 'All its recipients have a final status.'
    : `A recipient has the unknown status ${invalid.status}: correct the control message, or remove the job.`;
}

/**
 * The same for a job among all jobs with its payload, and with their requests. A payload is delivered for all its jobs at
 * once: it waits while one of them has to, unless a retry is requested for one with pending recipients. A hold also holds in
 * a forced run.
 */
export function isQueuedDue(
  queued: QueuedJob,
  lists: readonly QueuedJob[],
  now: number,
  options: DueOptions,
): DueDecision {
  const isForced = !options.force && lists.some(isRetryRequested);
  const forced = isForced ? { ...options, force: true } : options;
  const own = listDueness(queued, now, forced);
  if (!own.due || lists.length === 1) return own;
  const others = lists.filter((list) => list !== queued && (list.request !== undefined || hasPending(list)));
  const waiting = others
    .map((list) => ({ list, ...listDueness(list, now, forced) }))
    .filter(({ due }) => !due)
    .sort((a, b) => (b.at ?? Number.POSITIVE_INFINITY) - (a.at ?? Number.POSITIVE_INFINITY));
  const [last] = waiting;
  if (last === undefined) return own;
  const { list, at, reason, heldBy } = last;
  return {
    due: false,
    at,
    reason: `Job ${list.control} has the same message. ${reason}`,
    ...(heldBy === undefined ? {} : { heldBy }),
  };
}

/** Whether to take up the payload of these jobs: to deliver it, or to finish it because no recipient is pending any more. */
export function isMessageDue(lists: readonly QueuedJob[], now: number, options: DueOptions): boolean {
  if (lists.some(({ request }) => request === 'hold' || request === 'remove')) return false;
  if (lists.some(({ request }) => request === 'give-up')) return true;
  const open = lists.filter(hasPending);
  const first = open[0];
  // One is due when all of them are.
  if (first !== undefined) return isQueuedDue(first, open, now, options).due;
  return lists.every(({ job }) => job.recipients.length > 0 && job.recipients.every(isSettled));
}

function hasPending({ job }: QueuedJob): boolean {
  return job.recipients.some(isPending);
}

function isRetryRequested(list: QueuedJob): boolean {
  return list.request === 'retry' && hasPending(list);
}

function listDueness({ control, job, request }: QueuedJob, now: number, options: DueOptions): DueDecision {
  switch (request ?? null) {
    case null:
    case 'retry':
      return isDue(job, now, options);
    case 'hold':
      return { due: false, at: null, reason: 'It is held.', heldBy: control };
    case 'give-up':
      return { due: true, at: now, reason: 'It is about to be given up, and its sender gets a report.' };
    case 'remove':
      return { due: false, at: null, reason: 'It is about to be removed from the spool.' };
  }
}

/** The control messages of each payload, by its number. */
export function groupByPayload(jobs: readonly QueuedJob[]): ReadonlyMap<MessageNumber, ControlMessages> {
  const payloads = new Map<MessageNumber, [QueuedJob, ...QueuedJob[]]>();
  for (const queued of jobs) {
    const lists = payloads.get(queued.job.msgid);
    if (lists === undefined) payloads.set(queued.job.msgid, [queued]);
    else lists.push(queued);
  }
  return payloads;
}

/** All that name one payload: one, or more when a server crashed while it rewrote one. */
export type ControlMessages = readonly [QueuedJob, ...QueuedJob[]];
