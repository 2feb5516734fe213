/**
 * Applies the journal of an interrupted run to what lies in the spool. Changes the index in memory; on disk it removes only
 * the control messages of finished jobs. The next flush does the rest.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import { QueueError } from '../../platform/system-errors.ts';
import { removeIfExists } from '../../storage/atomic-file.ts';
import type { Disk } from '../../storage/disk.ts';
import { payloadFingerprint } from '../../storage/fingerprint.ts';
import type { StateLayout } from '../../storage/layout.ts';
import type { JournalRecord } from '../journal.ts';
import { currentJob, type FinishedJob, hasOtherPendingRecipients, type PendingJob } from '../pending-job.ts';
import type { IndexEntry } from './index/known-messages.ts';
import type { SpoolIndex } from './index/spool-index.ts';

export interface RecoveryDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly index: SpoolIndex;
  /** gets the finished jobs */
  readonly finished: Set<FinishedJob>;
}

export function replayJournal(records: readonly JournalRecord[], deps: RecoveryDeps): void {
  for (const record of records) apply(record, deps);
  for (const job of deps.index.known.jobs()) if (isWritten(job)) job.changes.length = 0;
}

function apply(record: JournalRecord, { disk, layout, index, finished }: RecoveryDeps): void {
  const { control, msgid, payload } = record;
  index.numbers.reserve(Math.max(control, msgid));
  const entry = index.known.refresh(control);
  if (entry?.kind === 'refused') {
    throw new QueueError(
      `The control message ${control} in ${layout.spool} cannot be read: ${entry.reason}. The journal of an interrupted run ` +
        'has outcomes for it, so nothing was sent. Make the file readable; the next run tries again.',
    );
  }
  const isMeant =
    entry?.kind === 'control' &&
    entry.base.msgid === msgid &&
    payloadFingerprint(disk, layout, msgid) === payload;
  switch (record.record) {
    case 'status':
      if (!isMeant) return;
      for (const change of record.changes) entry.changes.push(change);
      entry.now = record.now;
      return;
    case 'finish': {
      const isGone = entry === null || isAnother(entry, msgid);
      if (!isMeant && !isGone) return;
      // A recipient that was added after the job was finished is still pending.
      if (isMeant && hasOtherPendingRecipients(currentJob(entry), record.recipients)) return;
      if (isMeant) {
        removeIfExists(disk, layout.message(control));
        index.known.forget(control);
      }
      finished.add({ key: { control, msgid, payload }, removable: true });
    }
  }
}

/** Whether the number of this payload's control message was given to another message meanwhile. */
function isAnother(entry: IndexEntry, msgid: MessageNumber): boolean {
  return entry.kind === 'payload' || (entry.kind === 'control' && entry.base.msgid !== msgid);
}

/** Whether the outcomes of an interrupted run were in the file already when it ended. */
function isWritten(job: PendingJob): boolean {
  const after = currentJob(job).recipients;
  const same = job.base.recipients.every(({ status }, index) => after[index]?.status === status);
  return same && job.base.attempted >= job.now;
}
