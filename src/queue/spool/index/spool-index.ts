/**
 * The contents of the spool directory, as far as it has been read. Reads as little as it can: from the newest number down,
 * because a control message is newer than the payload it names, which need not be opened then; and nothing again that has
 * not changed. Of jobs that wait for their time it keeps a few numbers only. Changes nothing on the disk.
 */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import type { ActivePayloads } from '../../queue.ts';
import type { Schedule } from '../../schedule.ts';
import type { SpoolDeps } from '../open.ts';
import { Listing } from '../parked/listing.ts';
import { ParkedJobs, waitsForTime } from '../parked/parked-jobs.ts';
import { KnownMessages } from './known-messages.ts';
import { MessageNumbers } from './message-numbers.ts';
import { hasSettled, longestFile, type ReadDeps } from './read-message.ts';
import type { SpoolJob } from './spool-job.ts';

/** Which jobs are parked: those that only wait for their time. */
export interface Parking {
  readonly schedule: Schedule;
  /** requests for these jobs count, so they are always read */
  readonly requested: (control: MessageNumber) => boolean;
}

export interface SpoolIndexDeps extends ReadDeps, Pick<SpoolDeps, 'beforeMany'> {}

const NO_NUMBERS = new Float64Array(0);
/** Messages. */
const MANY = 500;

export class SpoolIndex {
  readonly numbers: MessageNumbers;
  /** parked jobs, and payloads that were not looked at, are not among them */
  readonly known: KnownMessages;
  readonly #deps: SpoolIndexDeps;
  #parked = new ParkedJobs();
  #newlyParked = 0;
  #restore: { readonly many: number; readonly read: () => ParkedJobs } | null = null;
  /** what the last listing showed */
  #listed = new Listing(NO_NUMBERS);

  constructor(deps: SpoolIndexDeps) {
    this.#deps = deps;
    this.numbers = new MessageNumbers(deps.disk, deps.layout);
    this.known = new KnownMessages(deps);
  }

  pathOf(name: MessageNumber | string): string {
    return `${this.#deps.layout.spool}/${name}`;
  }

  /** Those of which only a few numbers are known; their lists are not among the known ones. */
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

  /** Payloads that some control message names. */
  namedPayloads(): Pick<ReadonlySet<MessageNumber>, 'has'> {
    const named = this.#namedByKnown();
    return { has: (msgid) => named.has(msgid) || this.#parked.payloads.has(msgid) };
  }

  #namedByKnown(): ReadonlySet<MessageNumber> {
    const named = new Set<MessageNumber>();
    for (const { base } of this.known.jobs()) named.add(base.msgid);
    return named;
  }

  /** Read everything that may have changed. With `parking` null, no job is parked. */
  update(active: ActivePayloads, parking: Parking | null = null): void {
    this.known.active = active;
    const listing = this.numbers.list();
    if (listing.length >= MANY) this.#deps.beforeMany?.();
    this.#visit(listing, parking);
  }

  /** Read only what came since the last listing. */
  updateNew(): void {
    this.#visit(this.numbers.list(), null, this.#listed);
  }

  /** `before`: what was listed there already is not looked at. */
  #visit(listing: Listing, parking: Parking | null, before: Listing | null = null): void {
    const former = (parking === null ? null : this.#restored(listing)) ?? this.#parked;
    const parked = new ParkedJobs();
    const { numbers } = listing;
    const isNamed = new Uint8Array(numbers.length);
    let row = 0;
    let parkedNumber = former.number(row);
    const earlier = before?.numbers ?? NO_NUMBERS;
    let older = earlier.length - 1;
    try {
      for (let position = numbers.length - 1; position >= 0; position--) {
        const number = numbers[position] ?? -1;
        while (parkedNumber > number) parkedNumber = former.number(++row);
        while ((earlier[older] ?? -1) > number) older--;
        const isParked = parkedNumber === number;
        const isOld = earlier[older] === number;
        let msgid = -1;
        if (isParked && (isOld || this.#staysParked(former, row, parking))) {
          parked.copy(former, row);
          msgid = former.msgid(row);
        } else if (
          !isOld &&
          (isNamed[position] === 0 || isParked || this.known.get(number)?.kind === 'control')
        ) {
          msgid = this.#visitOne(number, parking, parked);
        }
        const named = msgid < 0 ? -1 : listing.indexOf(msgid, position - 1);
        if (named >= 0) isNamed[named] = 1;
      }
    } catch (error) {
      // Parked jobs are not forgotten, or their payloads would be orphans.
      for (; row < former.size; row++) parked.copy(former, row);
      this.#parked = parked;
      throw error;
    }
    this.#listed = listing;
    this.known.forgetOthers(listing);
    this.#parked = this.#unparkShared(parked);
  }

  #restored({ length }: Listing): ParkedJobs | null {
    const restore = this.#restore;
    this.#restore = null;
    return restore !== null && length >= restore.many && this.#parked.size === 0 ? restore.read() : null;
  }

  /** Returns the payload that it names; -1: none. */
  #visitOne(number: MessageNumber, parking: Parking | null, parked: ParkedJobs): MessageNumber {
    let entry = this.known.refresh(number);
    if (entry?.kind !== 'control') return -1;
    if (parking === null || !this.#mayPark(entry, parking)) return entry.base.msgid;
    if (!entry.settled && hasSettled(entry.status, this.#deps.now())) {
      this.known.forget(number);
      entry = this.known.refresh(number);
      if (entry?.kind !== 'control') return -1;
    }
    if (entry.settled && this.#mayPark(entry, parking)) {
      parked.add(entry);
      this.#newlyParked++;
      this.known.forget(number);
    }
    return entry.base.msgid;
  }

  /** A payload's jobs are parked all together or not at all. */
  #unparkShared(parked: ParkedJobs): ParkedJobs {
    if (parked.size === 0) return parked;
    const named = this.#namedByKnown();
    if (named.size === 0) return parked;
    const { payloads } = parked;
    if (![...named].some((msgid) => payloads.has(msgid))) return parked;
    const left = new ParkedJobs();
    for (let row = 0; row < parked.size; row++) {
      if (named.has(parked.msgid(row))) this.known.refresh(parked.number(row));
      else left.copy(parked, row);
    }
    // A list that was changed just now may name another payload.
    return this.#unparkShared(left);
  }

  #staysParked(parked: ParkedJobs, row: number, parking: Parking | null): boolean {
    const number = parked.number(row);
    if (parking === null || this.known.get(number) !== undefined) return false;
    const { disk, layout, options } = this.#deps;
    if (parking.requested(number) || this.known.active.has(parked.msgid(row))) return false;
    if (
      parked.nextAttempt(row, parking.schedule) <= this.#seconds() ||
      parked.bytes(row) > longestFile(options)
    )
      return false;
    const status = disk.status(layout.message(number));
    return status !== null && parked.isFile(row, status);
  }

  #mayPark(job: SpoolJob, { schedule, requested }: Parking): boolean {
    const isClean = job.changes.length === 0 && job.written === 0 && !job.externallyModified;
    return (
      isClean &&
      !this.known.isActive(job) &&
      !requested(job.control) &&
      waitsForTime(job, schedule, this.#seconds())
    );
  }

  #seconds(): number {
    return Math.floor(this.#deps.now() / 1000);
  }
}
