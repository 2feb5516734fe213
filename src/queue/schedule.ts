/**
 * When a job is tried again, when its sender is notified of a delay, when it expires. All times are Unix seconds and all
 * intervals seconds, as in the control messages. The clock may run backwards between two calls. Pure.
 */
import type { Job } from '../delivery-list/job.ts';
import { RETRY_INTERVALS, type RetryIntervals } from '../delivery-list/serialise.ts';

export interface Schedule {
  /** 2012: first interval and maximum of the intervals that double after each failure */
  readonly retry: RetryIntervals;
  /** 2017: two fixed intervals, the early one while the last attempt is within `earlyPeriod` of submission */
  readonly earlyRetry: number;
  readonly earlyPeriod: number;
  readonly lateRetry: number;
  /** age at which the sender is notified once of the delay */
  readonly noticeAfter: number;
  /** age above which a failed job expires */
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

/** When the control message has no time of submission, 2012 assumes the year 1970 and 2017 assumes now. */
function submitted(job: Pick<Job, 'submitted' | 'dialect'>, now: number): number {
  return job.submitted ?? (job.dialect === '2012' ? 0 : now);
}

/** Seconds since submission; 0 when that lies in the future because the clock was set back. */
export function ageOf(job: Job, now: number): number {
  return Math.max(0, now - submitted(job, now));
}

/** When the job was last tried; null when it was not. */
export function lastAttempt(job: Job): number | null {
  if (job.attempted === 0) return null;
  // A 2012 list holds the time of the next attempt, and twice the interval before it as `retry`.
  return job.dialect === '2017' ? job.attempted : job.attempted - job.retry / 2;
}

/** The first second at which the job may be tried; 0: at once. */
export function nextAttempt(
  job: Pick<Job, 'attempted' | 'submitted' | 'dialect'>,
  schedule: Schedule,
): number {
  if (job.attempted === 0 || job.dialect === '2012') return job.attempted;
  // An attempt before submission means that the clock was set back: that counts as early.
  const early = job.attempted - submitted(job, job.attempted) <= schedule.earlyPeriod;
  return job.attempted + (early ? schedule.earlyRetry : schedule.lateRetry) + 1;
}

/**
 * Whether a job that failed at `now` is given up. `firstAttempt` is when it was first tried, if that is known: a message
 * that was submitted long before it could be tried (the machine was off, or its clock was wrong) has its full time from
 * then on. A job whose list does not say when it was submitted never expires: the C module takes it for one of 1970, and
 * would give it up at its first greylisting.
 */
export function isExpired(
  job: Job,
  now: number,
  schedule: Schedule,
  firstAttempt: number | null = null,
): boolean {
  if (job.submitted === null || ageOf(job, now) <= schedule.giveUpAfter) return false;
  return firstAttempt === null || now - firstAttempt > schedule.giveUpAfter;
}

/**
 * Whether a job that failed at `now` is late enough for a notification; whether one was sent is not known here. Never
 * without a time of submission.
 */
export function isDelayed(job: Job, now: number, schedule: Schedule): boolean {
  return job.submitted !== null && ageOf(job, now) >= schedule.noticeAfter;
}
