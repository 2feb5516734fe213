/**
 * The journal: outcomes for recipients that are not in their control messages yet. Append-only, one sync for all records that
 * arrive meanwhile. A line is the CRC-32 of its JSON, a space, and the JSON, whose strings are bytes (latin1); the first line
 * binds the file to one queue and one version. An incomplete last line does not count. After a failed write the old file is
 * not trusted any more: the next write makes a new one.
 */
import type { MessageNumber, StatusChange } from '../delivery-list/job.ts';
import type { ByteString } from '../platform/bytes.ts';
import { describeError, errorCode, isPermissionDenied, QueueError } from '../platform/system-errors.ts';
import { removeIfExists, type TemporaryName } from '../storage/atomic-file.ts';
import { crc32 } from '../storage/crc32.ts';
import type { Disk, OpenFile, Ownership } from '../storage/disk.ts';
import { groupCommit } from '../storage/group-commit.ts';
import type { StateLayout } from '../storage/layout.ts';

/** Identifies the job of a record. Numbers are used again, so the fingerprint of the payload is part of it. */
export interface JournalKey {
  readonly control: MessageNumber;
  readonly msgid: MessageNumber;
  /** fingerprint of the payload file; null when there was none */
  readonly payload: string | null;
}

/** Kinds of records are told apart by `record`; a reader refuses a journal with a kind it does not know. */
export type JournalRecord =
  | (JournalKey & {
      readonly record: 'status';
      readonly now: number;
      readonly changes: readonly StatusChange[];
    })
  /** `recipients`: all that were settled then; a pending one besides them was added afterwards */
  | (JournalKey & { readonly record: 'finish'; readonly recipients: readonly ByteString[] });

const TAGS: ReadonlySet<unknown> = new Set<JournalRecord['record']>(['status', 'finish']);

const VERSION = 1;

interface Header {
  readonly journal: 'spoolroom';
  readonly version: number;
  readonly spool: string;
}

export type JournalRead =
  | {
      readonly kind: 'read';
      readonly records: readonly JournalRecord[];
      /** lines that do not match their checksum: the cut-off end after a crash, or a damaged disk */
      readonly damaged: number;
    }
  /** not a journal, or of another version or queue, or not readable; a sentence says which and what to do */
  | {
      readonly kind: 'refused';
      /** `denied`: it may be valid, but this user may not read it */
      readonly why: 'foreign' | 'denied';
      readonly text: string;
    };

function encodeLine(value: Header | JournalRecord): ByteString {
  const json = JSON.stringify(value);
  return `${checksum(json)} ${json}\n`;
}

function checksum(json: ByteString): string {
  return crc32(json).toString(16).padStart(8, '0');
}

/** The JSON behind a matching checksum; null for a damaged line. */
function decodeLine(line: ByteString): unknown {
  const json = line.slice(9);
  if (line.slice(0, 9) !== `${checksum(json)} `) return null;
  try {
    return JSON.parse(json);
  } catch {
    // Damage with a matching checksum is still damage.
    return null;
  }
}

/** The complete lines; what follows the last line end was cut off. */
function* linesOf(bytes: Buffer): Generator<ByteString> {
  for (let from = 0; ; ) {
    const end = bytes.indexOf(0x0a, from);
    if (end < 0) return;
    yield bytes.toString('latin1', from, end);
    from = end + 1;
  }
}

type Refusal = Extract<JournalRead, { kind: 'refused' }>;

const ADVICE: { readonly [why in Refusal['why']]: string } = {
  foreign:
    'Move this file away to continue without it; messages that were being delivered when it was written may then be sent a second time.',
  denied:
    'Run spoolroom as the owner of the spool, or give the file to that user. Do not move it away: without it messages may be sent a second time.',
};

function isHeader(value: unknown): value is Header {
  return typeof value === 'object' && value !== null && 'journal' in value && value.journal === 'spoolroom';
}

/** Why the records after this header may not be applied; null when they may. An empty journal may be of any queue. */
function headerProblem(first: unknown, spool: string, isEmpty: boolean): string | null {
  if (!isHeader(first)) return 'is not a journal of this program';
  if (first.version !== VERSION)
    return `has version ${first.version}, and this program knows version ${VERSION} only`;
  return isEmpty || first.spool === spool ? null : 'belongs to another queue';
}

function isKnown(value: unknown): value is JournalRecord {
  return typeof value === 'object' && value !== null && 'record' in value && TAGS.has(value.record);
}

function refusal(path: string, problem: string, why: Refusal['why'] = 'foreign'): Refusal {
  const text = `The journal ${path} ${problem}. Nothing was sent and no message was changed. ${ADVICE[why]}`;
  return { kind: 'refused', why, text };
}

/** `path` is for messages only. */
export function decodeJournal(bytes: Buffer, path: string, spool: string): JournalRead {
  const [first, ...rest] = [...linesOf(bytes)].map(decodeLine);
  const torn = bytes.at(-1) === 0x0a ? 0 : 1;
  const problem = headerProblem(first, spool, rest.length + torn === 0);
  if (problem !== null) return refusal(path, problem);
  const intact = rest.filter((value) => value !== null);
  const records = intact.filter(isKnown);
  if (records.length < intact.length)
    return refusal(path, 'holds records this version of the program does not know');
  return { kind: 'read', records, damaged: rest.length - intact.length + torn };
}

/** Bytes; more than any queue writes within the second before its control messages follow. */
const LONGEST = 1 << 30;

/** The journal of this queue; a missing file counts as an empty one. */
export function readJournal(disk: Disk, layout: StateLayout, spool: string): JournalRead {
  try {
    return decodeJournal(disk.read(layout.journal, LONGEST).bytes, layout.journal, spool);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { kind: 'read', records: [], damaged: 0 };
    if (errorCode(error) === null) throw error;
    const why = isPermissionDenied(error) ? 'denied' : 'foreign';
    return refusal(layout.journal, `cannot be read: ${describeError(error)}`, why);
  }
}

export interface Journal {
  /** resolves when the record is durable, together with all others that arrived meanwhile */
  append(record: JournalRecord): Promise<void>;
  /** Resolves when all records are durable, also those that a run before this one wrote and did not sync. */
  secure(): Promise<void>;
  /** Drop the records for which `keep` is false; resolves when the file without them is durable. */
  retain(keep: (record: JournalRecord) => boolean): Promise<void>;
  close(): void;
}

export interface JournalDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly temporaryName: TemporaryName;
  readonly owner: Ownership;
  /** the spool's id */
  readonly spool: string;
  /** whether its directory is still the one that was opened */
  readonly held: () => boolean;
}

/** Open the journal of this queue with what an interrupted run left in it. */
export function resumeJournal(
  deps: JournalDeps,
  warn: (text: string) => void,
):
  | { readonly kind: 'resumed'; readonly journal: Journal; readonly records: readonly JournalRecord[] }
  | Refusal {
  const { disk, layout, spool } = deps;
  const read = readJournal(disk, layout, spool);
  if (read.kind === 'refused') return read;
  if (read.damaged > 0)
    warn(
      `Damaged lines in ${layout.journal} were ignored: ${read.damaged}. An interrupted run leaves one at the end. ` +
        'Messages that were being delivered then may be sent a second time.',
    );
  return { kind: 'resumed', journal: openJournal(deps, read.records), records: read.records };
}

/** Go on with these records, which the file holds. It is not touched before something is appended or dropped. */
export function openJournal(deps: JournalDeps, records: readonly JournalRecord[]): Journal {
  const { disk, layout, temporaryName, owner, spool, held } = deps;
  let kept: JournalRecord[] = [...records];
  /** how many of `kept` the open file holds */
  let written = 0;
  /** null: no file is open, or nothing in it can be trusted */
  let file: OpenFile | null = null;
  /** lines were dropped: the file says more than it should */
  let stale = false;

  function abandon(): void {
    file?.close();
    file = null;
  }

  /** A new file with all records in place of the old one. */
  async function replace(): Promise<void> {
    if (!held()) throw new QueueError(`the directory of ${layout.journal} was moved or replaced`);
    const path = temporaryName();
    const fresh = disk.create(path, owner);
    try {
      const header = encodeLine({ journal: 'spoolroom', version: VERSION, spool });
      fresh.write(Buffer.from(header + takeLines(0), 'latin1'));
      await fresh.sync();
      disk.rename(path, layout.journal);
      abandon();
      stale = false;
      await disk.syncDirectory(layout.state);
      file = fresh;
    } catch (error) {
      fresh.close();
      removeIfExists(disk, path);
      throw error;
    }
  }

  /** The lines of all records from this one on; they count as written. A failure abandons the file, and with it this count. */
  function takeLines(from: number): ByteString {
    written = kept.length;
    return kept.slice(from).map(encodeLine).join('');
  }

  async function extend(open: OpenFile): Promise<void> {
    try {
      open.write(Buffer.from(takeLines(written), 'latin1'));
      await open.sync('meanwhile');
    } catch (error) {
      abandon();
      throw error;
    }
  }

  /** A file that says too much can be written to when its directory was moved away, and a new one cannot be made. */
  const turn = groupCommit(() => (file === null || (stale && held()) ? replace() : extend(file)));

  return {
    append(record) {
      kept.push(record);
      return turn();
    },
    secure: turn,
    async retain(keep) {
      let neededInFile = 0;
      const needed = kept.filter((record, at) => {
        const isNeeded = keep(record);
        if (isNeeded && at < written) neededInFile++;
        return isNeeded;
      });
      if (needed.length === kept.length) return;
      written = neededInFile;
      kept = needed;
      stale = true;
      await turn();
    },
    close: abandon,
  };
}
