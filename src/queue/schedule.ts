/**
 * When a job is tried again, when its sender hears of a delay, when it is given up. Called by due.ts, by the queue run
 * after a try, and by `explain`. Everything here is in SECONDS: points in time are Unix seconds, as in the lists
 * themselves; whoever has milliseconds divides first. Clocks may run backwards between two calls (R097, C38).
 */
import type { Job } from '../delivery-list/job.ts';
import { RETRY_INTERVALS, type RetryIntervals } from '../delivery-list/serialise.ts';

export interface Schedule {
  /** 2012: first span and ceiling of the spans that double after each failure */
  readonly retry: RetryIntervals;
  /** 2017: two fixed spans, the early one while the last try lies within `earlyPeriod` of submission */
  readonly earlyRetry: number;
  readonly earlyPeriod: number;
  readonly lateRetry: number;
  /** age at which the sender is told once that the mail is delayed */
  readonly noticeAfter: number;
  /** age above which a failed job is given up */
  readonly giveUpAfter: number;
}

const HOUR = 3600;

export const SCHEDULE: Schedule = {
  retry: RETRY_INTERVALS,
  earlyRetry: HOUR / 2,
  earlyPeriod: 4 * HOUR,
  lateRetry: 4 * HOUR,
  noticeAfter: 4 * HOUR,
  giveUpAfter: 120 * HOUR,
};

/** What the era's reader takes when the list does not say: 2012 the year 1970, 2017 now. */
function submitted(job: Job, now: number): number {
  return job.submitted ?? (job.dialect === '2012' ? 0 : now);
}

/** Age of a job; a submission that lies in the future (a clock was set back) is no age. */
export function ageOf(job: Job, now: number): number {
  return Math.max(0, now - submitted(job, now));
}

/** When the job was last tried, or null when its list tells of no try. */
export function lastAttempt(job: Job): number | null {
  if (job.attempted === 0) return null;
  // In 2012 the list holds the next try, and `retry` twice the span that leads to it.
  return job.dialect === '2017' ? job.attempted : job.attempted - job.retry / 2;
}

/** The first second at which the job may be tried; 0 when nothing holds it back. */
export function nextAttempt(job: Job, schedule: Schedule): number {
  if (job.attempted === 0 || job.dialect === '2012') return job.attempted;
  // A last try before submission means that the clock was set back: that is early, not "at every tick" (C38).
  const early = job.attempted - submitted(job, job.attempted) <= schedule.earlyPeriod;
  return job.attempted + (early ? schedule.earlyRetry : schedule.lateRetry) + 1;
}

/**
 * Whether a job that failed at `now` is over. One whose list does not say when it was submitted never is: the C module
 * takes it for one of 1970, and would give it up at its first greylisting.
 */
export function isExpired(job: Job, now: number, schedule: Schedule): boolean {
  return job.submitted !== null && ageOf(job, now) > schedule.giveUpAfter;
}

/**
 * Whether a job that failed at `now` is late enough for its sender to hear of it; that it is told once is the
 * reporter's knowledge. Nobody knows how late one is whose list does not say when it was submitted.
 */
export function isDelayed(job: Job, now: number, schedule: Schedule): boolean {
  return job.submitted !== null && ageOf(job, now) >= schedule.noticeAfter;
}
