/**
 * The contents of the spool directory, as far as it has been read. Reads as little as it can: from the newest number down,
 * because a control message is newer than the payload it names, which need not be opened then; and nothing again that has
 * not changed. Of jobs that wait for their time it keeps a few numbers only. Changes nothing on the disk.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { ParseOptions } from '../../delivery-list/parse.ts';
import { MAX_HEADER, storedControl } from '../../message/stored.ts';
import { describeError, errorCode, QueueError } from '../../platform/system-errors.ts';
import type { Disk, FileStatus } from '../../storage/disk.ts';
import { sameFile } from '../../storage/fingerprint.ts';
import { HIGHEST_NEW, type StateLayout } from '../../storage/layout.ts';
import { classifyContents, LONGEST_LIST, type MessageContents } from '../control-message.ts';
import { isDirty } from '../pending-job.ts';
import type { ActivePayloads } from '../queue.ts';
import type { Schedule } from '../schedule.ts';
import { Listing, listMessages } from './parked/listing.ts';
import { ParkedJobs, waitsForTime } from './parked/parked-jobs.ts';
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

/** Bytes by which a list may grow when it is rewritten, the texts of its recipients apart. */
const GROWTH = 65_536;
/**
 * A list without an end whose file changed less than this many milliseconds ago is still being written. And what a file says
 * is not kept beyond its scan: the next change may come in the same tick of the file system's clock.
 */
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
    const { status, bytes, isTooLong } = readAsNeeded(disk, layout.message(number), longestList + GROWTH);
    if (status.kind !== 'file') return { kind: 'refused', reason: 'it is not a file' };
    if (isTooLong) {
      const reason = `its delivery list has ${status.size} bytes, more than limit.list (${longestList}); cut it into several, or raise the limit`;
      return { kind: 'unreadable', reason, status, bytes };
    }
    const settled = Math.abs(now() - status.mtimeMs) > SETTLED;
    return { ...classifyContents(bytes, settled, { ...options, longestList }), status, bytes };
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return errorCode(error) === 'ENOENT'
      ? { kind: 'gone' }
      : { kind: 'refused', reason: describeError(error) };
  }
}

/** Which jobs are parked: those that only wait for their time. */
export interface Parking {
  readonly schedule: Schedule;
  /** requests for these jobs count, so they are always read */
  readonly requested: (control: MessageNumber) => boolean;
}

export const NO_ACTIVE_PAYLOADS: ActivePayloads = new Set();

const NONE = new Float64Array(0);

export class SpoolIndex {
  readonly #deps: SpoolIndexDeps;
  readonly #entries = new Map<MessageNumber, IndexEntry>();
  #parked = new ParkedJobs();
  #newlyParked = 0;
  #restore: { readonly many: number; readonly read: () => ParkedJobs } | null = null;
  /** what the last listing showed */
  #listed = new Listing(NONE);
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
    if (this.#highest >= HIGHEST_NEW) {
      const { spool } = this.#deps.layout;
      throw new QueueError(
        `No number is left for a new message: ${spool} has used ${HIGHEST_NEW}, the highest one. Nothing new can be ` +
          'queued there; its messages are still delivered. Use another spool directory for new mail.',
      );
    }
    return ++this.#highest;
  }

  /**
   * Numbers up to this one are taken, whether their files still exist or not. One beyond those of new messages, which a
   * file or a delivery list may have, changes nothing.
   */
  reserveNumber(number: MessageNumber): void {
    if (number <= HIGHEST_NEW) this.#highest = Math.max(this.#highest, number);
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

  /** Those of which only a few numbers are known; their lists are not among `jobs`. */
  get parked(): ParkedJobs {
    return this.#parked;
  }

  /** How often a list was read and parked. */
  get newlyParked(): number {
    return this.#newlyParked;
  }

  /** `read` tells what an earlier process kept, and is asked once, where there are many files. It counts for those still the same. */
  restoreFrom(many: number, read: () => ParkedJobs): void {
    this.#restore = { many, read };
  }

  /** What is known, by number, ascending. Parked jobs, and payloads that were not looked at, are not. */
  entries(): readonly (readonly [MessageNumber, IndexEntry])[] {
    return [...this.#entries].sort(([a], [b]) => a - b);
  }

  /** Payloads that some control message names. */
  namedPayloads(): Pick<ReadonlySet<MessageNumber>, 'has'> {
    const named = new Set<MessageNumber>();
    for (const { base } of this.jobs()) named.add(base.msgid);
    return { has: (msgid) => named.has(msgid) || this.#parked.payloads.has(msgid) };
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

  /** The numbers of all messages. */
  list(): Listing {
    const { disk, layout } = this.#deps;
    const listing = listMessages(disk, layout.spool, (name) => {
      if (!this.#foreign.has(name)) this.#foreign.set(name, false);
    });
    if (listing.length > 0) this.reserveNumber(listing.at(listing.length - 1));
    this.#listings++;
    return listing;
  }

  /** Read everything that may have changed. With `parking` null, no job is parked. */
  update(active: ActivePayloads, parking: Parking | null = null): void {
    this.#active = active;
    this.#visit(this.list(), parking);
  }

  /** Read only what came since the last listing. */
  updateNew(): void {
    this.#visit(this.list(), null, this.#listed);
  }

  /** `before`: what was listed there already is not looked at. */
  #visit(listing: Listing, parking: Parking | null, before: Listing | null = null): void {
    const known = (parking === null ? null : this.#restored(listing)) ?? this.#parked;
    const parked = new ParkedJobs();
    const isNamed = new Uint8Array(listing.length);
    let row = 0;
    let parkedNumber = known.number(row);
    const earlier = before?.numbers ?? NONE;
    let older = earlier.length - 1;
    try {
      for (let position = listing.length - 1; position >= 0; position--) {
        const number = listing.at(position);
        while (parkedNumber > number) parkedNumber = known.number(++row);
        while ((earlier[older] ?? -1) > number) older--;
        const isParked = parkedNumber === number;
        const isOld = earlier[older] === number;
        let msgid = -1;
        if (isParked && (isOld || this.#staysParked(known, row, parking))) {
          parked.copy(known, row);
          msgid = known.msgid(row);
        } else if (!isOld && (isNamed[position] === 0 || isParked || this.get(number)?.kind === 'control')) {
          msgid = this.#visitOne(number, parking, parked);
        }
        const named = msgid < 0 ? -1 : listing.indexOf(msgid, position - 1);
        if (named >= 0) isNamed[named] = 1;
      }
    } catch (error) {
      // Parked jobs are not forgotten, or their payloads would be orphans.
      for (; row < known.size; row++) parked.copy(known, row);
      this.#parked = parked;
      throw error;
    }
    this.#listed = listing;
    for (const number of this.#entries.keys()) if (!listing.has(number)) this.#entries.delete(number);
    this.#parked = this.#unparkShared(parked);
  }

  #restored({ length }: Listing): ParkedJobs | null {
    const restore = this.#restore;
    this.#restore = null;
    return restore !== null && length >= restore.many && this.#parked.size === 0 ? restore.read() : null;
  }

  /** Returns the payload that it names; -1: none. */
  #visitOne(number: MessageNumber, parking: Parking | null, parked: ParkedJobs): MessageNumber {
    let entry = this.refresh(number);
    if (entry?.kind !== 'control') return -1;
    if (parking === null || !this.#mayPark(entry, parking)) return entry.base.msgid;
    if (!entry.settled && this.#isSettled(entry.status)) {
      this.#entries.delete(number);
      entry = this.refresh(number);
      if (entry?.kind !== 'control') return -1;
    }
    if (entry.settled && this.#mayPark(entry, parking)) {
      parked.add(entry);
      this.#newlyParked++;
      this.#entries.delete(number);
    }
    return entry.base.msgid;
  }

  /** A payload's jobs are parked all together or not at all. */
  #unparkShared(parked: ParkedJobs): ParkedJobs {
    if (parked.size === 0) return parked;
    const named = new Set<MessageNumber>();
    for (const { base } of this.jobs()) named.add(base.msgid);
    if (named.size === 0) return parked;
    const { payloads } = parked;
    if (![...named].some((msgid) => payloads.has(msgid))) return parked;
    const left = new ParkedJobs();
    for (let row = 0; row < parked.size; row++) {
      if (named.has(parked.msgid(row))) this.refresh(parked.number(row));
      else left.copy(parked, row);
    }
    // A list that was changed just now may name another payload.
    return this.#unparkShared(left);
  }

  #staysParked(parked: ParkedJobs, row: number, parking: Parking | null): boolean {
    const number = parked.number(row);
    if (parking === null || this.#entries.has(number)) return false;
    const { disk, layout, longestList = LONGEST_LIST } = this.#deps;
    if (parking.requested(number) || this.#active.has(parked.msgid(row))) return false;
    if (
      parked.nextAttempt(row, parking.schedule) <= this.#seconds() ||
      parked.bytes(row) > longestList + GROWTH
    )
      return false;
    const status = disk.status(layout.message(number));
    return status !== null && parked.isFile(row, status);
  }

  #mayPark(job: SpoolJob, { schedule, requested }: Parking): boolean {
    const isClean = job.changes.length === 0 && job.written === 0 && !job.externallyModified;
    return (
      isClean &&
      !this.#isActive(job) &&
      !requested(job.control) &&
      waitsForTime(job, schedule, this.#seconds())
    );
  }

  /** A change in the future, after the clock was set back, has not settled. */
  #isSettled({ ctimeMs, mtimeMs }: FileStatus): boolean {
    return this.#deps.now() - Math.max(ctimeMs, mtimeMs) > SETTLED;
  }

  #seconds(): number {
    return Math.floor(this.#deps.now() / 1000);
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
        return {
          ...spoolJob(number, contents, this.#unfinishedOf(before, contents.job.msgid)),
          settled: this.#isSettled(contents.status),
        };
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
