/**
 * Applies the journal of an interrupted run to what lies in the room. Changes the index only; the next flush does on the
 * server what is left to do.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { JournalKey, JournalRecord } from '../journal.ts';
import { currentJob } from '../pending-job.ts';
import type { RoomDialect } from './room-dialect.ts';
import type { RoomIndex } from './room-index.ts';
import { type RoomJob, roomJobKey } from './room-message.ts';

/**
 * Records in the order in which they were written. A control message may have been replaced before the crash, and its
 * records stay until its deletion is seen: the outcomes up to the posting are in the successor then, and the later ones
 * belong to the successor.
 */
export function replayJournal(
  records: readonly JournalRecord[],
  index: RoomIndex,
  dialect: RoomDialect,
): void {
  const findSuccessor = successorIndex(index, dialect);
  const successors = new Map<MessageNumber, RoomJob>();
  const finish = (key: JournalKey): unknown => index.finished.add({ key, removable: true });
  for (const record of records) {
    const { control, msgid } = record;
    const entry = successors.get(control) ?? index.entries.get(control);
    if (entry?.kind !== 'control' || entry.base.msgid !== msgid) {
      // Its control message is gone already; its payload may not be.
      if (record.record === 'finish' && entry === undefined) finish({ control, msgid, payload: null });
      continue;
    }
    if (record.record === 'finish') {
      finish(roomJobKey(entry));
      continue;
    }
    entry.changes.push(...record.changes);
    entry.now = record.now;
    const successor = findSuccessor(entry);
    if (successor === null) continue;
    // Only the deletion is missing.
    index.discard(entry.control);
    for (const number of [entry.control, control]) successors.set(number, successor);
  }
}

/** Finds the control message that holds the same as this job with its outcomes: a later one, whatever its times. */
function successorIndex(index: RoomIndex, dialect: RoomDialect): (job: RoomJob) => RoomJob | null {
  const jobsByText = new Map<ByteString, RoomJob[]>();
  for (const job of index.jobs()) {
    const text = textWithoutTimes(job, dialect);
    if (text !== null) jobsByText.set(text, [...(jobsByText.get(text) ?? []), job]);
  }
  return (job) => {
    const text = textWithoutTimes(job, dialect);
    const equal = text === null ? [] : (jobsByText.get(text) ?? []);
    return equal.find(({ control }) => control > job.control) ?? null;
  };
}

/** The retry interval doubles with each reading, and a run may write a list more than once. */
function textWithoutTimes(job: RoomJob, dialect: RoomDialect): ByteString | null {
  const current = currentJob(job);
  // What a list without this line gets when it is written.
  const submitted = current.submitted ?? (dialect.value === '2017' ? job.now : 0);
  return dialect.write({ ...current, submitted, retry: 1 }, 0, { first: 1, ceiling: 1 });
}
