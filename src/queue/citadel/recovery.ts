/**
 * What the ledger of an interrupted run says about what lies in the room. Called by the live room once, before anything
 * else. Changes the inventory only; the checkpoint that follows does on the server what is left to do.
 */

import { rewrittenText } from '../../delivery-list/apply.ts';
import type { Dialect, MessageNumber } from '../../delivery-list/job.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { JournalRecord } from '../journal.ts';
import { currentJob } from '../pending-job.ts';
import type { PendingLiveJob } from './item.ts';
import type { RoomIndex } from './room-index.ts';

/**
 * Records in the order in which they were written. A control message may have been replaced before the crash, and its
 * record stays until its deletion is seen: the outcomes up to the posting are in the successor then, and those behind it
 * are about the successor.
 */
export function replayJournal(
  records: readonly JournalRecord[],
  inventory: RoomIndex,
  dialect: Dialect,
): void {
  const successors = successorIndex(inventory, dialect);
  /** what stands for a control message that was replaced */
  const standing = new Map<MessageNumber, PendingLiveJob>();
  for (const record of records) {
    const item = standing.get(record.control) ?? inventory.items.get(record.control);
    if (item?.kind !== 'control' || item.base.msgid !== record.msgid) {
      // Its control message is gone already; its payload may not be.
      if (record.record === 'finish' && item === undefined) inventory.over.set(record.control, record.msgid);
      continue;
    }
    if (record.record === 'finish') {
      inventory.over.set(item.control, record.msgid);
      continue;
    }
    item.changes.push(...record.changes);
    item.now = record.now;
    const successor = successors(item);
    if (successor === null) continue;
    // Only the deletion is missing.
    inventory.discard(item.control);
    for (const number of [item.control, record.control]) standing.set(number, successor);
  }
}

/** Finds the control message that says what this one says with its outcomes: a later one, whatever times it names. */
function successorIndex(
  inventory: RoomIndex,
  dialect: Dialect,
): (held: PendingLiveJob) => PendingLiveJob | null {
  const index = new Map<ByteString, PendingLiveJob[]>();
  for (const held of inventory.jobs()) {
    const said = saying(held, dialect);
    if (said !== null) index.set(said, [...(index.get(said) ?? []), held]);
  }
  return (held) => {
    const said = saying(held, dialect);
    const later = said === null ? [] : (index.get(said) ?? []);
    return later.find(({ control }) => control > held.control) ?? null;
  };
}

/** The text without its times. The span doubles with each reading, and a run may write a list more than once. */
function saying(held: PendingLiveJob, dialect: Dialect): ByteString | null {
  const job = currentJob(held);
  // What a list without this line gets when it is written.
  const submitted = job.submitted ?? (dialect === '2017' ? held.now : 0);
  return rewrittenText({ ...job, submitted, retry: 1 }, dialect, 0, { first: 1, ceiling: 1 });
}
