/**
 * The highest number that was ever seen in the spool, in `.spoolroom/highest`. It is durable before the runner takes up the
 * messages it found, so before any of them can go: a number is not given again when the queue has run empty, and what logs
 * and transcripts say of an old job is never taken for a later one's.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import { type ReplaceDeps, replaceDurably } from '../../storage/atomic-file.ts';
import type { Disk, FileStatus } from '../../storage/disk.ts';
import { sameFile } from '../../storage/fingerprint.ts';
import { HIGHEST_NEW, messageNumber, type StateLayout } from '../../storage/layout.ts';

/** 0: none is recorded, or it cannot be read. */
export function readHighest(disk: Disk, { highest }: StateLayout): MessageNumber {
  try {
    const number = messageNumber(disk.read(highest, 64).bytes.toString('latin1').trim()) ?? 0;
    return number <= HIGHEST_NEW ? number : 0;
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return 0;
  }
}

/** Reads it again only when the file is another one. */
export function highestReader(disk: Disk, layout: StateLayout): () => MessageNumber {
  let known: { readonly status: FileStatus; readonly number: MessageNumber } | null = null;
  return () => {
    const status = disk.status(layout.highest);
    if (status === null) return 0;
    if (known === null || !sameFile(known.status, status))
      known = { status, number: readHighest(disk, layout) };
    return known.number;
  };
}

export interface HighestNumberDeps extends ReplaceDeps {
  readonly layout: StateLayout;
  /** gets a full sentence; the caller says the same one only once */
  readonly warn: (text: string) => void;
}

export class HighestNumber {
  readonly #deps: HighestNumberDeps;
  #recorded: MessageNumber;

  constructor(deps: HighestNumberDeps) {
    this.#deps = deps;
    this.#recorded = readHighest(deps.disk, deps.layout);
  }

  /** Resolves when the number is durable, or after a warning: no message waits for it. */
  async record(number: MessageNumber): Promise<void> {
    if (number <= this.#recorded) return;
    const { layout, warn } = this.#deps;
    try {
      await replaceDurably(this.#deps, layout.highest, Buffer.from(`${number}\n`));
      this.#recorded = number;
    } catch (error) {
      if (errorCode(error) === null) throw error;
      warn(
        `${layout.highest} could not be written: ${describeError(error)}. Mail is delivered nevertheless; a later job may get ` +
          'the number of one that is finished.',
      );
    }
  }
}
