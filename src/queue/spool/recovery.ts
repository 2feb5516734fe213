/**
 * What the journal of an interrupted run says about what lies in the spool. Called by the room once, before anything else;
 * the checkpoint that follows does what is left to do. Removes only the control message of a job that was over.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import { QueueError } from '../../platform/system-errors.ts';
import { removeIfExists } from '../../storage/atomic-file.ts';
import type { Disk } from '../../storage/disk.ts';
import type { StateLayout } from '../../storage/layout.ts';
import type { JournalRecord } from '../journal.ts';
import { currentJob, hasOtherPendingRecipients, type PendingJob } from '../pending-job.ts';
import { payloadFingerprint } from './fingerprint.ts';
import type { FinishedJob } from './flush.ts';
import type { IndexEntry, SpoolIndex } from './spool-index.ts';

export interface RecoveryDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly shelf: SpoolIndex;
  /** gets the jobs that are over */
  readonly over: Set<FinishedJob>;
}

export function replayJournal(records: readonly JournalRecord[], deps: RecoveryDeps): void {
  for (const record of records) apply(record, deps);
  for (const held of deps.shelf.jobs()) if (isWritten(held)) held.changes.length = 0;
}

function apply(record: JournalRecord, { disk, layout, shelf, over }: RecoveryDeps): void {
  const { control, msgid, payload } = record;
  shelf.reserveNumber(Math.max(control, msgid));
  const held = shelf.refresh(control);
  if (held?.kind === 'refused') {
    throw new QueueError(
      `The control message ${control} in ${layout.spool} cannot be read: ${held.reason}. ` +
        'The journal of an interrupted run knows more of it, so nothing was sent; the next run tries again.',
    );
  }
  const isMeant =
    held?.kind === 'control' &&
    held.base.msgid === msgid &&
    payloadFingerprint(disk, layout, msgid) === payload;
  switch (record.record) {
    case 'status':
      if (!isMeant) return;
      for (const change of record.changes) held.changes.push(change);
      held.now = record.now;
      return;
    case 'finish': {
      const isGone = held === null || isAnother(held, msgid);
      if (!isMeant && !isGone) return;
      // Somebody waits in it who was added after it ended.
      if (isMeant && hasOtherPendingRecipients(currentJob(held), record.recipients)) return;
      if (isMeant) {
        removeIfExists(disk, layout.message(control));
        shelf.forget(control);
      }
      over.add({ key: { control, msgid, payload }, controlGone: true });
    }
  }
}

/** Whether the number of this mail's control message was given to another message meanwhile. */
function isAnother(item: IndexEntry, msgid: MessageNumber): boolean {
  return item.kind === 'payload' || (item.kind === 'control' && item.base.msgid !== msgid);
}

/** Whether the changes of an interrupted run were in the file already when it ended. */
function isWritten(held: PendingJob): boolean {
  const after = currentJob(held).recipients;
  const same = held.base.recipients.every(({ status }, index) => after[index]?.status === status);
  return same && held.base.attempted >= held.now;
}
