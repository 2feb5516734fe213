/**
 * A job in hand: its control message as it was read, and what has happened to its recipients since. Called by the shelf,
 * which makes them, by directory.ts, which records outcomes in them, and by the live room, whose jobs in hand are told the
 * same way. Keeps facts, touches nothing.
 */

import { applyChanges } from '../delivery-list/apply.ts';
import type { MessageNumber, StatusChange } from '../delivery-list/job.ts';
import { isPending, type Job } from '../delivery-list/job.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { FileStatus } from '../storage/disk.ts';

/** What every job in hand has, wherever it lies. */
interface Outcomes {
  readonly base: Job;
  readonly changes: readonly StatusChange[];
  readonly written: number;
}

export interface PendingJob {
  readonly kind: 'control';
  readonly control: MessageNumber;
  /** the control message as it was read before its mail was taken in hand; changes mean its recipients by their index */
  readonly base: Job;
  readonly warnings: readonly string[];
  /** outcomes since then, oldest first */
  readonly changes: StatusChange[];
  /** Unix seconds of the last of them */
  now: number;
  /** the file as we last read or wrote it */
  status: FileStatus;
  /** how many of the changes are safely in the file */
  written: number;
  /** another program changed the file since: `base` is not all that it says */
  foreign: boolean;
}

interface ReadControl {
  readonly job: Job;
  readonly warnings: readonly string[];
  readonly status: FileStatus;
}

/** A job as just read. What is known of `before`, the same job as it was held until now, may not be in the file and stays. */
export function pendingJob(control: MessageNumber, read: ReadControl, before: PendingJob | null): PendingJob {
  return {
    kind: 'control',
    control,
    base: before === null ? read.job : { ...read.job, retry: before.base.retry },
    warnings: read.warnings,
    changes: before === null ? [] : [...before.changes],
    now: before?.now ?? 0,
    status: read.status,
    written: 0,
    foreign: false,
  };
}

/** Whether the control message lacks some of what we know. */
export function isDirty({ written, changes }: Outcomes): boolean {
  return written < changes.length;
}

/** The job as it stands. */
export function currentJob({ base, changes }: Outcomes): Job {
  return changes.length === 0 ? base : applyChanges(base, changes);
}

/** Nobody is left to be tried. Somebody may have been added since the mail was taken in hand. */
export function hasNoPendingRecipients(held: PendingJob): boolean {
  return !currentJob(held).recipients.some(isPending);
}

/** Whether somebody waits in a job besides these addresses. */
export function hasOtherPendingRecipients({ recipients }: Job, settled: readonly ByteString[]): boolean {
  const known = new Set(settled);
  return recipients.some((recipient) => isPending(recipient) && !known.has(recipient.address));
}
