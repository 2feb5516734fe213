/**
 * What lies in the spool directory, as far as it has been looked at. Called by all that scans, rewrites and removes.
 * Reads as little as it can: from the newest number down, because a control message is newer than the payload it names
 * and saves the look into that; and never again what has not changed. Changes nothing on the disk.
 */

import type { MessageNumber } from '../../delivery-list/job.ts';
import type { ParseOptions } from '../../delivery-list/parse.ts';
import { storedControl } from '../../message/stored.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import type { Disk, FileStatus } from '../../storage/disk.ts';
import { messageNumber, type StateLayout } from '../../storage/layout.ts';
import { classifyContents, type MessageContents } from '../control-message.ts';
import { isDirty, type PendingJob, pendingJob } from '../pending-job.ts';
import type { ActivePayloads } from '../queue.ts';

/** What a number turned out to be. `status` is that of the file looked at. */
export type IndexEntry =
  | PendingJob
  | { readonly kind: 'payload' | 'unfinished'; readonly status: FileStatus }
  | { readonly kind: 'unreadable'; readonly status: FileStatus; readonly reason: string }
  /** the disk did not let us look; says nothing about the file's content */
  | { readonly kind: 'refused'; readonly status: null; readonly reason: string; told: boolean };

/** A file that was looked into. */
export type FileContents =
  | (MessageContents & { readonly status: FileStatus; readonly bytes: Buffer })
  | { readonly kind: 'gone' }
  | { readonly kind: 'refused'; readonly reason: string };

/** A header is shorter than this, so this much of a payload tells that it is one. */
const HEAD = 65_536;
/** Some million recipients. */
const LONGEST_LIST = 268_435_456;
/** A list without an end whose file changed less than this many milliseconds ago is still being written. */
const SETTLED = 10_000;

/** Same file, unchanged. */
export function sameFile(a: FileStatus, b: FileStatus): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs;
}

export interface SpoolIndexDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly options: ParseOptions;
  /** wall clock, milliseconds */
  readonly now: () => number;
}

/** Read the file, all of it only when it is a delivery list. */
function readAsNeeded(disk: Disk, path: string): { readonly status: FileStatus; readonly bytes: Buffer } {
  const head = disk.read(path, HEAD);
  const longList = head.bytes.length === HEAD && storedControl(head.bytes) !== null;
  return longList ? disk.read(path, LONGEST_LIST) : head;
}

export function readContents(
  { disk, layout, options, now }: SpoolIndexDeps,
  number: MessageNumber,
): FileContents {
  try {
    const { status, bytes } = readAsNeeded(disk, layout.message(number));
    if (status.kind !== 'file') return { kind: 'refused', reason: 'it is not a file' };
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
  readonly #items = new Map<MessageNumber, IndexEntry>();
  /** what the last listing showed */
  #listed: ReadonlySet<MessageNumber> = new Set();
  #highest = 0;
  #listings = 0;
  /** as of the last update */
  #inHand = NO_ACTIVE_PAYLOADS;

  constructor(deps: SpoolIndexDeps) {
    this.#deps = deps;
  }

  /** A number above all that were ever seen here; not given twice. */
  nextNumber(): MessageNumber {
    if (this.#listings === 0) this.list();
    return ++this.#highest;
  }

  /** Numbers up to this one are taken, whether their files still exist or not. */
  reserveNumber(number: MessageNumber): void {
    this.#highest = Math.max(this.#highest, number);
  }

  get(number: MessageNumber): IndexEntry | undefined {
    return this.#items.get(number);
  }

  pathOf(number: MessageNumber): string {
    return this.#deps.layout.message(number);
  }

  put(number: MessageNumber, item: IndexEntry): void {
    this.#items.set(number, item);
  }

  forget(number: MessageNumber): void {
    this.#items.delete(number);
  }

  *jobs(): Generator<PendingJob> {
    for (const item of this.#items.values()) if (item.kind === 'control') yield item;
  }

  /** Payloads that some control message names. */
  named(): ReadonlySet<MessageNumber> {
    const named = new Set<MessageNumber>();
    for (const held of this.jobs()) named.add(held.base.msgid);
    return named;
  }

  /** The highest number that nobody could look into: it may be a list that names a payload below it. */
  highestUnreadable(): MessageNumber {
    let highest = -1;
    for (const [number, { kind }] of this.#items) {
      if ((kind === 'refused' || kind === 'unfinished') && number > highest) highest = number;
    }
    return highest;
  }

  /** What lies under this number now; null when nothing does. What we know of a job outlives a look that fails. */
  refresh(number: MessageNumber): IndexEntry | null {
    const known = this.#items.get(number);
    if (known !== undefined && this.#isCurrent(number, known)) return known;
    const item = this.#look(number, known);
    if (item?.kind === 'refused' && known?.kind === 'control') return item;
    if (item === null) this.#items.delete(number);
    else this.#items.set(number, item);
    return item;
  }

  /** Numbers of all messages, newest first. Folders, links and other names do not count. */
  list(): MessageNumber[] {
    const numbers: MessageNumber[] = [];
    for (const { name, kind } of this.#deps.disk.list(this.#deps.layout.spool)) {
      const number = kind === 'file' ? messageNumber(name) : null;
      if (number !== null) numbers.push(number);
    }
    numbers.sort((a, b) => b - a);
    this.reserveNumber(numbers[0] ?? 0);
    this.#listings++;
    return numbers;
  }

  /** Look at everything that may have changed; gives all numbers, newest first. */
  update(inHand: ActivePayloads): readonly MessageNumber[] {
    this.#inHand = inHand;
    return this.#visit(() => true);
  }

  /** Look only at what came since the last listing. */
  updateNew(): void {
    const before = this.#listed;
    this.#visit((number) => !before.has(number));
  }

  #visit(wanted: (number: MessageNumber) => boolean): readonly MessageNumber[] {
    const numbers = this.list();
    const named = new Set<MessageNumber>();
    for (const number of numbers) {
      if (!wanted(number) || (named.has(number) && this.#items.get(number)?.kind !== 'control')) continue;
      const item = this.refresh(number);
      if (item?.kind === 'control') named.add(item.base.msgid);
    }
    this.#listed = new Set(numbers);
    for (const number of this.#items.keys()) if (!this.#listed.has(number)) this.#items.delete(number);
    return numbers;
  }

  /**
   * A job whose control message we rewrote has to be read as its next reader will: others may have added to it before.
   * Not while its mail is in hand: its next outcome means the list as it was taken, and a 2012 reader doubles the wait.
   */
  #isCurrent(number: MessageNumber, known: IndexEntry): boolean {
    if (known.status === null || known.kind === 'unfinished') return false;
    if (known.kind === 'control' && (known.foreign || (known.written > 0 && !this.#isInHand(known))))
      return false;
    const status = this.#deps.disk.status(this.#deps.layout.message(number));
    return status !== null && sameFile(status, known.status);
  }

  #look(number: MessageNumber, before: IndexEntry | undefined): IndexEntry | null {
    const look = readContents(this.#deps, number);
    switch (look.kind) {
      case 'gone':
        return null;
      case 'refused':
        return before?.kind === 'refused' && before.reason === look.reason
          ? before
          : { kind: 'refused', status: null, reason: look.reason, told: false };
      case 'payload':
      case 'unfinished':
        return { kind: look.kind, status: look.status };
      case 'unreadable':
        return { kind: 'unreadable', status: look.status, reason: look.reason };
      case 'control':
        return pendingJob(number, look, this.#unfinishedOf(before, look.job.msgid));
    }
  }

  #isInHand({ base }: PendingJob): boolean {
    return this.#inHand.has(base.msgid);
  }

  /** What was held under this number, if it is the same job and more is to come of it, or its file lacks some. */
  #unfinishedOf(before: IndexEntry | undefined, msgid: MessageNumber): PendingJob | null {
    if (before?.kind !== 'control' || before.base.msgid !== msgid) return null;
    return isDirty(before) || this.#isInHand(before) ? before : null;
  }
}
