/**
 * What the journal says and the control messages do not yet: outcomes of a run that was killed, or of one that is at work. For
 * those who only read.
 */
import { applyChanges, rewrittenText } from '../../delivery-list/apply.ts';
import { stripHeader } from '../../delivery-list/header.ts';
import { isPending, type Job, type MessageNumber, type StatusChange } from '../../delivery-list/job.ts';
import { parseDeliveryList } from '../../delivery-list/parse.ts';
import type { Disk } from '../../storage/disk.ts';
import { payloadFingerprint } from '../../storage/fingerprint.ts';
import type { StateLayout } from '../../storage/layout.ts';
import { readQueueId } from '../../storage/queue-id.ts';
import type { ControlSettings } from '../control-message.ts';
import { type JournalRecord, readJournal } from '../journal.ts';
import type { QueuedJob } from '../queue.ts';
import type { SortedScan } from './scan.ts';

/** Read before the control messages: what is written meanwhile is in both. A journal that cannot be used is told. */
export function unwrittenRecords(
  disk: Disk,
  layout: StateLayout,
  warn: (text: string) => void,
): readonly JournalRecord[] {
  if (disk.status(layout.journal) === null) return [];
  const read = readJournal(disk, layout, readQueueId(disk, layout) ?? '');
  if (read.kind === 'read') return read.records;
  warn(`Outcomes that are only in the journal are not shown. ${read.text}`);
  return [];
}

/** The jobs as their control messages will be, and no message of a job that has ended. */
export function withRecords(
  scan: SortedScan,
  records: readonly JournalRecord[],
  disk: Disk,
  layout: StateLayout,
  settings: ControlSettings,
): Pick<SortedScan, 'jobs' | 'orphans'> {
  if (records.length === 0) return scan;
  const fingerprints = new Map<MessageNumber, string | null>();
  const ended = new Set<MessageNumber>();
  const byControl = new Map<MessageNumber, JournalRecord[]>();
  for (const each of records) {
    const { control, msgid, payload } = each;
    if (!fingerprints.has(msgid)) fingerprints.set(msgid, payloadFingerprint(disk, layout, msgid));
    if (fingerprints.get(msgid) !== payload) continue;
    if (each.record === 'finish') ended.add(msgid);
    const ofJob = byControl.get(control) ?? [];
    byControl.set(control, ofJob);
    ofJob.push(each);
  }
  return {
    jobs: scan.jobs.map((queued) => withOutcomes(queued, byControl.get(queued.control) ?? [], settings)),
    orphans: scan.orphans.filter((number) => !ended.has(number)),
  };
}

function withOutcomes(
  queued: QueuedJob,
  records: readonly JournalRecord[],
  { dialect, spans }: ControlSettings,
): QueuedJob {
  const before = queued.job;
  const changes: StatusChange[] = [];
  let now = 0;
  for (const record of records) {
    if (record.record !== 'status' || record.msgid !== before.msgid) continue;
    changes.push(...record.changes);
    now = record.now;
  }
  const after = applyChanges(before, changes);
  const unwritten = after.recipients.filter(({ status, text }, at) => {
    const known = before.recipients[at];
    return status !== known?.status || text !== known.text;
  }).length;
  const isWritten =
    before.attempted >= now &&
    after.recipients.every(({ status }, at) => status === before.recipients[at]?.status);
  if (unwritten === 0 || isWritten) return queued;
  return { ...queued, job: { ...after, ...nextAttemptAfter(after, now, dialect, spans) }, unwritten };
}

/** What a reader of the control message will find there of the time of the next attempt. */
function nextAttemptAfter(
  job: Job,
  now: number,
  dialect: ControlSettings['dialect'],
  spans: ControlSettings['spans'],
): Pick<Job, 'dialect' | 'attempted' | 'retry'> {
  const text = job.recipients.some(isPending) ? rewrittenText(job, dialect, now, spans) : null;
  if (text === null) return job;
  const read = parseDeliveryList(stripHeader(text).instructions, { dialect: 'detect', fallback: dialect });
  if (read.kind === 'unreadable') return job;
  const { attempted, retry } = read.job;
  return { dialect: read.job.dialect, attempted, retry };
}
