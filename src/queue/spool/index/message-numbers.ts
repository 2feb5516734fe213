/** The numbers of a spool directory: which messages are there, and which number is next. */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import { QueueError } from '../../../platform/system-errors.ts';
import type { Disk } from '../../../storage/disk.ts';
import { HIGHEST_NEW, type StateLayout } from '../../../storage/layout.ts';
import { type Listing, listMessages } from '../parked/listing.ts';

export class MessageNumbers {
  readonly #disk: Disk;
  readonly #spool: string;
  #highest: MessageNumber = 0;
  #wasListed = false;
  /** names with a number beyond the highest, and whether they were reported */
  readonly #foreign = new Map<string, boolean>();

  constructor(disk: Disk, { spool }: StateLayout) {
    this.#disk = disk;
    this.#spool = spool;
  }

  /** Of all that were seen here. */
  get highest(): MessageNumber {
    return this.#highest;
  }

  /** A number above all that were ever seen here; never returned twice. Throws a `QueueError` when none is left. */
  next(): MessageNumber {
    if (!this.#wasListed) this.list();
    if (this.#highest >= HIGHEST_NEW)
      throw new QueueError(
        `No number is left for a new message: ${this.#spool} has used ${HIGHEST_NEW}, the highest one. Nothing new can be ` +
          'queued there; its messages are still delivered. Use another spool directory for new mail.',
      );
    return ++this.#highest;
  }

  /**
   * Numbers up to this one are taken, whether their files still exist or not. One beyond those of new messages, which a
   * file or a delivery list may have, changes nothing.
   */
  reserve(number: MessageNumber): void {
    if (number <= HIGHEST_NEW) this.#highest = Math.max(this.#highest, number);
  }

  /** Those of all messages that are there. */
  list(): Listing {
    const listing = listMessages(this.#disk, this.#spool, (name) => {
      if (!this.#foreign.has(name)) this.#foreign.set(name, false);
    });
    if (listing.length > 0) this.reserve(listing.at(listing.length - 1));
    this.#wasListed = true;
    return listing;
  }

  /** Names of files that were listed and have a number beyond the highest; each is returned once. */
  takeForeignNames(): readonly string[] {
    const names = [...this.#foreign].filter(([, reported]) => !reported).map(([name]) => name);
    for (const name of names) this.#foreign.set(name, true);
    return names;
  }
}
