/** What was read of each message. A file is read again only when it has changed. */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import type { FileStatus } from '../../../storage/disk.ts';
import { fingerprintOf, sameFile } from '../../../storage/fingerprint.ts';
import { isDirty } from '../../pending-job.ts';
import type { ActivePayloads } from '../../queue.ts';
import type { Listing } from '../parked/listing.ts';
import { hasSettled, type ReadDeps, readMessage } from './read-message.ts';
import { type SpoolJob, spoolJob } from './spool-job.ts';

/** What lies under a number. `status` is that of the file when it was read. */
export type IndexEntry =
  | SpoolJob
  | { readonly kind: 'payload'; readonly status: FileStatus; readonly fingerprint: string }
  | { readonly kind: 'unfinished'; readonly status: FileStatus }
  | { readonly kind: 'unreadable'; readonly status: FileStatus; readonly reason: string }
  /** the disk did not let us read it, which says nothing about the file's content */
  | { readonly kind: 'refused'; readonly status: null; readonly reason: string; reported: boolean };

export function payloadEntry(status: FileStatus): IndexEntry {
  return { kind: 'payload', status, fingerprint: fingerprintOf(status) };
}

export const NO_ACTIVE_PAYLOADS: ActivePayloads = new Set();

export class KnownMessages {
  /** as of the last update */
  active = NO_ACTIVE_PAYLOADS;
  readonly #deps: ReadDeps;
  readonly #entries = new Map<MessageNumber, IndexEntry>();
  /** numbers whose file could not be read, or not to its end */
  readonly #unread = new Set<MessageNumber>();

  constructor(deps: ReadDeps) {
    this.#deps = deps;
  }

  get(number: MessageNumber): IndexEntry | undefined {
    return this.#entries.get(number);
  }

  put(number: MessageNumber, entry: IndexEntry): void {
    this.#entries.set(number, entry);
    if (entry.kind === 'refused' || entry.kind === 'unfinished') this.#unread.add(number);
    else this.#unread.delete(number);
  }

  forget(number: MessageNumber): void {
    this.#entries.delete(number);
    this.#unread.delete(number);
  }

  /** All but those that are listed; mostly there are no others. */
  forgetOthers(listing: Listing): void {
    const { numbers } = listing;
    let listed = 0;
    for (let at = 0; at < numbers.length; at++) if (this.#entries.has(numbers[at] ?? -1)) listed++;
    if (listed === this.#entries.size) return;
    for (const number of this.#entries.keys()) if (!listing.has(number)) this.forget(number);
  }

  *jobs(): Generator<SpoolJob> {
    for (const entry of this.#entries.values()) if (entry.kind === 'control') yield entry;
  }

  /** By number, ascending. */
  all(): readonly (readonly [MessageNumber, IndexEntry])[] {
    return [...this.#entries].sort((a, b) => a[0] - b[0]);
  }

  /** The highest number that could not be read; -1: all were. It may be a list that names a payload with a lower number. */
  highestUnread(): MessageNumber {
    let highest = -1;
    for (const number of this.#unread) highest = Math.max(highest, number);
    return highest;
  }

  isActive({ base }: SpoolJob): boolean {
    return this.active.has(base.msgid);
  }

  /** What lies under this number now; null when nothing does. A read that fails does not make us forget a job. */
  refresh(number: MessageNumber): IndexEntry | null {
    const known = this.#entries.get(number);
    if (known !== undefined && this.#isCurrent(number, known)) return known;
    const entry = this.#read(number, known);
    if (entry?.kind === 'refused' && known?.kind === 'control') return entry;
    if (entry === null) this.forget(number);
    else this.put(number, entry);
    return entry;
  }

  /**
   * A control message that we rewrote is read again, as its next reader will read it: others may have added to it. Not
   * during its delivery: the next outcome is about the list as it was, and reading a 2012 list doubles its retry interval.
   */
  #isCurrent(number: MessageNumber, known: IndexEntry): boolean {
    if (known.status === null || known.kind === 'unfinished') return false;
    if (
      known.kind === 'control' &&
      (known.externallyModified || (known.written > 0 && !this.isActive(known)))
    )
      return false;
    const status = this.#deps.disk.status(this.#deps.layout.message(number));
    return status !== null && sameFile(status, known.status);
  }

  #read(number: MessageNumber, before: IndexEntry | undefined): IndexEntry | null {
    const read = readMessage(this.#deps, number);
    if (read.kind === 'gone') return null;
    if (read.kind === 'refused')
      return before?.kind === 'refused' && before.reason === read.reason
        ? before
        : { kind: 'refused', status: null, reason: read.reason, reported: false };
    const { contents, status } = read;
    switch (contents.kind) {
      case 'payload':
        return payloadEntry(status);
      case 'unfinished':
        return { kind: 'unfinished', status };
      case 'unreadable':
        return { kind: 'unreadable', status, reason: contents.reason };
      case 'control': {
        const job = spoolJob(number, contents, status, this.#unfinishedOf(before, contents.job.msgid));
        job.settled = hasSettled(status, this.#deps.now());
        return job;
      }
    }
  }

  /** What was known under this number, if it is the same job and is being delivered or has unwritten outcomes. */
  #unfinishedOf(before: IndexEntry | undefined, msgid: MessageNumber): SpoolJob | null {
    if (before?.kind !== 'control' || before.base.msgid !== msgid) return null;
    return isDirty(before) || this.isActive(before) ? before : null;
  }
}
