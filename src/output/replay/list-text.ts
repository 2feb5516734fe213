/** Delivery lists as they were before a run and as they are after it. Pure. */
import { applyChanges, rewrittenText } from '../../delivery-list/apply.ts';
import { type Dialect, isSettled, type Job } from '../../delivery-list/job.ts';
import type { RetryIntervals } from '../../delivery-list/serialise.ts';
import { RETRY_INTERVALS, serialiseJob } from '../../delivery-list/serialise.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { JobAfter } from '../../replay/copied-queue.ts';
import type { Timeline } from '../../replay/timeline.ts';
import { statusDigit, statusText } from '../../smtp/status-text.ts';

/** The list a job was read from, as far as the job remembers it: a 2012 reader doubles the span while it reads. */
export function deliveryListText(job: Job): ByteString {
  if (job.dialect === '2017') return serialiseJob(job, '2017', job.attempted);
  const retry = job.attempted === 0 ? RETRY_INTERVALS.first : job.retry / 2;
  const spans = { first: retry, ceiling: Number.POSITIVE_INFINITY };
  return serialiseJob({ ...job, retry }, '2012', job.attempted - retry, spans);
}

/** How lists are written. */
export interface Writing {
  readonly dialect: Dialect;
  readonly spans: RetryIntervals;
}

/** Null: the job ends. A list without a change, or one that the dialect cannot express, stays as it is. */
export function textAfterRun(
  { job, now, finished }: JobAfter,
  before: ByteString,
  { dialect, spans }: Writing,
): ByteString | null {
  if (finished) return null;
  return now === null ? before : (rewrittenText(job, dialect, now, spans) ?? before);
}

/**
 * After the one delivery of a timeline; without an outcome nothing is written. Null: every recipient has a final status and the job ends. `began`: milliseconds since
 * the epoch.
 */
export function textAfter(
  job: Job,
  timeline: Timeline,
  began: number,
  { dialect, spans }: Writing,
): ByteString | null {
  const changes = timeline.outcomes.map(({ index, address, outcome }) => ({
    index,
    address,
    status: statusDigit(outcome),
    text: statusText(outcome, job.dialect),
  }));
  if (changes.length === 0) return deliveryListText(job);
  const after = applyChanges(job, changes);
  if (after.recipients.every(isSettled)) return null;
  const last = timeline.events.findLast(({ what }) => what === 'outcome') ?? timeline.events.at(-1);
  const now = Math.floor((began + (last?.at ?? 0)) / 1000);
  return rewrittenText(after, dialect, now, spans);
}
