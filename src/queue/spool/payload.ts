/**
 * Reads and removes payloads. A missing, empty or unreadable payload is a value with a sentence, never an empty message; a
 * delivery list is never handed out as mail.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import { inMemory, storedControl } from '../../message/stored.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import type { Disk } from '../../storage/disk.ts';
import type { StateLayout } from '../../storage/layout.ts';
import type { FinishedJob } from '../pending-job.ts';
import type { PayloadResult } from '../queue.ts';
import { payloadEntry } from './index/known-messages.ts';
import type { SpoolIndex } from './index/spool-index.ts';

/** Up to this many bytes a payload is handed out whole. */
const WHOLE = 262_144;

/** Payloads that are removed at the same time: two of Node's four threads are left for syncs and lookups. */
const AT_A_TIME = 2;

function unreadable(number: MessageNumber, why: string): PayloadResult {
  return { kind: 'unreadable', reason: `the message ${number} in the spool cannot be read: ${why}` };
}

export function readPayload(
  disk: Disk,
  layout: StateLayout,
  index: SpoolIndex,
  number: MessageNumber,
): PayloadResult {
  const path = layout.message(number);
  try {
    const { status, bytes } = disk.read(path, WHOLE + 1);
    if (status.kind !== 'file') return unreadable(number, 'it is not a file');
    if (bytes.length === 0) return { kind: 'empty', reason: `the message ${number} in the spool is empty` };
    if (storedControl(bytes) !== null) {
      index.known.refresh(number);
      return unreadable(number, 'it is a delivery list, not a message');
    }
    index.known.put(number, payloadEntry(status));
    if (bytes.length > WHOLE) {
      return { kind: 'found', message: { size: status.size, bytes: null, stream: () => disk.stream(path) } };
    }
    return { kind: 'found', message: inMemory(bytes) };
  } catch (error) {
    if (errorCode(error) === null) throw error;
    if (errorCode(error) !== 'ENOENT') return unreadable(number, describeError(error));
    return { kind: 'missing', reason: `the message ${number} is not in the spool any more` };
  }
}

export interface RemovePayloadDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly index: SpoolIndex;
  /** resolves when all names in the spool directory are durable */
  readonly syncSpool: () => Promise<void>;
}

/**
 * Remove the payloads of finished jobs whose control messages are gone, after making that durable. A payload that another
 * control message names stays for that one's job; one that an unread message may name stays for the next flush. Resolves,
 * when the removal is durable, to the jobs of which nothing is left.
 */
export async function removePayloads(
  { disk, layout, index, syncSpool }: RemovePayloadDeps,
  finished: readonly FinishedJob[],
): Promise<readonly FinishedJob[]> {
  if (finished.length === 0) return [];
  const { known } = index;
  await syncSpool();
  index.updateNew();
  const named = index.namedPayloads();
  const highestUnread = known.highestUnread();
  const done: FinishedJob[] = [];
  const jobs = finished.values();
  const remove = async (): Promise<void> => {
    for (const job of jobs) {
      const { msgid, payload } = job.key;
      if (msgid <= highestUnread) continue;
      const entry = payload === null || named.has(msgid) ? null : known.refresh(msgid);
      if (entry?.kind === 'refused') continue;
      if (entry?.kind === 'payload' && entry.fingerprint === payload) {
        await disk.remove(layout.message(msgid));
        known.forget(msgid);
      }
      done.push(job);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, remove));
  await syncSpool();
  return done;
}
