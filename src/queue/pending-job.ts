/**
 * A job in memory: its control message as it was read, and the outcomes recorded since. The kinds of queue extend it with
 * what they know of the message itself.
 */
import { applyChanges } from '../delivery-list/apply.ts';
import type { MessageNumber, StatusChange } from '../delivery-list/job.ts';
import { isPending, type Job } from '../delivery-list/job.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { JournalKey } from './journal.ts';

export interface PendingJob {
  readonly kind: 'control';
  readonly control: MessageNumber;
  /** the control message as it was read before its delivery began; changes name its recipients by their index */
  readonly base: Job;
  readonly warnings: readonly string[];
  /** outcomes since then, oldest first */
  readonly changes: StatusChange[];
  /** Unix seconds of the last of them */
  now: number;
  /** how many of the changes the control message durably holds */
  written: number;
}

/** A job that needs no further attempt, and whose messages have not all been removed yet. */
export interface FinishedJob {
  readonly key: JournalKey;
  /** The next flush may remove what is left of it. */
  removable: boolean;
}

/** Whether the control message lacks some of the outcomes. */
export function isDirty({ written, changes }: PendingJob): boolean {
  return written < changes.length;
}

/** The job with its outcomes. */
export function currentJob({ base, changes }: PendingJob): Job {
  return changes.length === 0 ? base : applyChanges(base, changes);
}

/** Whether no recipient is left to be tried. Another program may have added one since the delivery began. */
export function hasNoPendingRecipients(job: PendingJob): boolean {
  return !currentJob(job).recipients.some(isPending);
}

/** Whether a job has pending recipients besides these addresses. */
export function hasOtherPendingRecipients({ recipients }: Job, settled: readonly ByteString[]): boolean {
  const known = new Set(settled);
  return recipients.some((recipient) => isPending(recipient) && !known.has(recipient.address));
}

export function controlsOf(finished: Iterable<FinishedJob>): ReadonlySet<MessageNumber> {
  return new Set(Array.from(finished, ({ key }) => key.control));
}
