/**
 * The contents of the spool directory, as far as it has been read. Reads as little as it can: from the newest number down,
 * because a control message is newer than the payload it names, which need not be opened then; and nothing again that has
 * not changed. Changes nothing on the disk.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { ParseOptions } from '../../delivery-list/parse.ts';
import { MAX_HEADER, storedControl } from '../../message/stored.ts';
import { describeError, errorCode, QueueError } from '../../platform/system-errors.ts';
import type { Disk, FileStatus } from '../../storage/disk.ts';
import { sameFile } from '../../storage/fingerprint.ts';
import { HIGHEST_NUMBER, isBeyondNumbers, messageNumber, type StateLayout } from '../../storage/layout.ts';
import { classifyContents, type MessageContents } from '../control-message.ts';
import { isDirty } from '../pending-job.ts';
import type { ActivePayloads } from '../queue.ts';
import { type SpoolJob, spoolJob } from './spool-job.ts';

/** What lies under a number. `status` is that of the file when it was read. */
export type IndexEntry =
  | SpoolJob
  | { readonly kind: 'payload' | 'unfinished'; readonly status: FileStatus }
  | { readonly kind: 'unreadable'; readonly status: FileStatus; readonly reason: string }
  /** the disk did not let us read it, which says nothing about the file's content */
  | { readonly kind: 'refused'; readonly status: null; readonly reason: string; reported: boolean };

/** A file that was opened. */
export type FileContents =
  | (MessageContents & { readonly status: FileStatus; readonly bytes: Buffer })
  | { readonly kind: 'gone' }
  | { readonly kind: 'refused'; readonly reason: string };

/** Bytes. A list of that size takes ten times as much memory. */
const LONGEST_LIST = 67_108_864;
/** A list without an end whose file changed less than this many milliseconds ago is still being written. */
const SETTLED = 10_000;

export interface SpoolIndexDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly options: ParseOptions;
  /** wall clock, milliseconds */
  readonly now: () => number;
  /** bytes */
  readonly longestList?: number;
}

/** Read the file, all of it only when it is a delivery list, and not one beyond the limit: it would keep the others waiting. */
function readAsNeeded(
  disk: Disk,
  path: string,
  limit: number,
): { readonly status: FileStatus; readonly bytes: Buffer; readonly isTooLong: boolean } {
  const head = disk.read(path, MAX_HEADER);
  const isLong = head.bytes.length === MAX_HEADER && storedControl(head.bytes) !== null;
  const isTooLong = isLong && head.status.size > limit;
  return { ...(isLong && !isTooLong ? disk.read(path, limit) : head), isTooLong };
}

export function readContents(
  { disk, layout, options, now, longestList = LONGEST_LIST }: SpoolIndexDeps,
  number: MessageNumber,
): FileContents {
  try {
    const { status, bytes, isTooLong } = readAsNeeded(disk, layout.message(number), longestList);
    if (status.kind !== 'file') return { kind: 'refused', reason: 'it is not a file' };
    if (isTooLong) {
      const reason = `its delivery list has ${status.size} bytes, more than limit.list (${longestList}); cut it into several, or raise the limit`;
      return { kind: 'unreadable', reason, status, bytes };
    }
    const settled = Math.abs(now() - status.mtimeMs) > SETTLED;
    return { ...classifyContents(bytes, settled, options), status, bytes };
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return errorCode(error) === 'ENOENT'
      ? { kind: 'gone' }
      : { kind: 'refused', reason: describeError(error) };
  }
}

export const NO_ACTIVE_PAYLOADS: ActivePayloads = new Set();

export class SpoolIndex {
  readonly #deps: SpoolIndexDeps;
  readonly #entries = new Map<MessageNumber, IndexEntry>();
  /** what the last listing showed */
  #listed: ReadonlySet<MessageNumber> = new Set();
  #highest = 0;
  /** names with a number beyond the highest, and whether they were reported */
  readonly #foreign = new Map<string, boolean>();
  #listings = 0;
  /** as of the last update */
  #active = NO_ACTIVE_PAYLOADS;

  constructor(deps: SpoolIndexDeps) {
    this.#deps = deps;
  }

  /** A number above all that were ever seen here; never returned twice. Throws a `QueueError` when none is left. */
  nextNumber(): MessageNumber {
    if (this.#listings === 0) this.list();
    if (this.#highest >= HIGHEST_NUMBER) {
      const { spool } = this.#deps.layout;
      throw new QueueError(
        `No number is left for a new message: ${spool} has used ${HIGHEST_NUMBER}, the highest one. Nothing new can be ` +
          'queued there; its messages are still delivered. Use another spool directory for new mail.',
      );
    }
    return ++this.#highest;
  }

  /**
   * Numbers up to this one are taken, whether their files still exist or not. One beyond the highest number, which a
   * delivery list may name, is not a message's.
   */
  reserveNumber(number: MessageNumber): void {
    if (number <= HIGHEST_NUMBER) this.#highest = Math.max(this.#highest, number);
  }

  /** Of all that were seen here. */
  get highestNumber(): MessageNumber {
    return this.#highest;
  }

  /** Names of files that were listed and have a number beyond the highest; each is returned once. */
  takeForeignNames(): readonly string[] {
    const names = [...this.#foreign].filter(([, reported]) => !reported).map(([name]) => name);
    for (const name of names) this.#foreign.set(name, true);
    return names;
  }

  get(number: MessageNumber): IndexEntry | undefined {
    return this.#entries.get(number);
  }

  pathOf(name: MessageNumber | string): string {
    return `${this.#deps.layout.spool}/${name}`;
  }

  put(number: MessageNumber, entry: IndexEntry): void {
    this.#entries.set(number, entry);
  }

  forget(number: MessageNumber): void {
    this.#entries.delete(number);
  }

  *jobs(): Generator<SpoolJob> {
    for (const entry of this.#entries.values()) if (entry.kind === 'control') yield entry;
  }

  /** Payloads that some control message names. */
  namedPayloads(): ReadonlySet<MessageNumber> {
    const named = new Set<MessageNumber>();
    for (const { base } of this.jobs()) named.add(base.msgid);
    return named;
  }

  /** The highest number that could not be read; -1: all were. It may be a list that names a payload with a lower number. */
  highestUnread(): MessageNumber {
    let highest = -1;
    for (const [number, { kind }] of this.#entries) {
      if ((kind === 'refused' || kind === 'unfinished') && number > highest) highest = number;
    }
    return highest;
  }

  /** What lies under this number now; null when nothing does. A read that fails does not make us forget a job. */
  refresh(number: MessageNumber): IndexEntry | null {
    const known = this.#entries.get(number);
    if (known !== undefined && this.#isCurrent(number, known)) return known;
    const entry = this.#read(number, known);
    if (entry?.kind === 'refused' && known?.kind === 'control') return entry;
    if (entry === null) this.#entries.delete(number);
    else this.#entries.set(number, entry);
    return entry;
  }

  /** Numbers of all messages, newest first. Folders, links and other names do not count. */
  list(): MessageNumber[] {
    const numbers: MessageNumber[] = [];
    for (const { name, kind } of this.#deps.disk.list(this.#deps.layout.spool)) {
      const number = kind === 'file' ? messageNumber(name) : null;
      if (number !== null) numbers.push(number);
      else if (kind === 'file' && isBeyondNumbers(name) && !this.#foreign.has(name))
        this.#foreign.set(name, false);
    }
    numbers.sort((a, b) => b - a);
    this.reserveNumber(numbers[0] ?? 0);
    this.#listings++;
    return numbers;
  }

  /** Read everything that may have changed; returns all numbers, newest first. */
  update(active: ActivePayloads): readonly MessageNumber[] {
    this.#active = active;
    return this.#visit(() => true);
  }

  /** Read only what came since the last listing. */
  updateNew(): void {
    const before = this.#listed;
    this.#visit((number) => !before.has(number));
  }

  #visit(wanted: (number: MessageNumber) => boolean): readonly MessageNumber[] {
    const numbers = this.list();
    const named = new Set<MessageNumber>();
    for (const number of numbers) {
      if (!wanted(number) || (named.has(number) && this.#entries.get(number)?.kind !== 'control')) continue;
      const entry = this.refresh(number);
      if (entry?.kind === 'control') named.add(entry.base.msgid);
    }
    this.#listed = new Set(numbers);
    for (const number of this.#entries.keys()) if (!this.#listed.has(number)) this.#entries.delete(number);
    return numbers;
  }

  /**
   * A control message that we rewrote is read again, as its next reader will read it: others may have added to it. Not
   * during its delivery: the next outcome is about the list as it was, and reading a 2012 list doubles its retry interval.
   */
  #isCurrent(number: MessageNumber, known: IndexEntry): boolean {
    if (known.status === null || known.kind === 'unfinished') return false;
    if (
      known.kind === 'control' &&
      (known.externallyModified || (known.written > 0 && !this.#isActive(known)))
    )
      return false;
    const status = this.#deps.disk.status(this.#deps.layout.message(number));
    return status !== null && sameFile(status, known.status);
  }

  #read(number: MessageNumber, before: IndexEntry | undefined): IndexEntry | null {
    const contents = readContents(this.#deps, number);
    switch (contents.kind) {
      case 'gone':
        return null;
      case 'refused':
        return before?.kind === 'refused' && before.reason === contents.reason
          ? before
          : { kind: 'refused', status: null, reason: contents.reason, reported: false };
      case 'payload':
      case 'unfinished':
        return { kind: contents.kind, status: contents.status };
      case 'unreadable':
        return { kind: 'unreadable', status: contents.status, reason: contents.reason };
      case 'control':
        return spoolJob(number, contents, this.#unfinishedOf(before, contents.job.msgid));
    }
  }

  #isActive({ base }: SpoolJob): boolean {
    return this.#active.has(base.msgid);
  }

  /** What was known under this number, if it is the same job and is being delivered or has unwritten outcomes. */
  #unfinishedOf(before: IndexEntry | undefined, msgid: MessageNumber): SpoolJob | null {
    if (before?.kind !== 'control' || before.base.msgid !== msgid) return null;
    return isDirty(before) || this.#isActive(before) ? before : null;
  }
}
