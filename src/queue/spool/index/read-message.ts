/** Reads one message of the spool, all of it only when it is a delivery list, and says what it is. Changes nothing. */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import type { ParseOptions } from '../../../delivery-list/parse.ts';
import { MAX_HEADER, storedControl } from '../../../message/stored.ts';
import { describeError, errorCode } from '../../../platform/system-errors.ts';
import type { Disk, FileStatus } from '../../../storage/disk.ts';
import type { StateLayout } from '../../../storage/layout.ts';
import { classifyContents, LONGEST_LIST, type MessageContents } from '../../control-message.ts';

export type MessageRead =
  | {
      readonly kind: 'read';
      readonly status: FileStatus;
      readonly bytes: Buffer;
      readonly contents: MessageContents;
    }
  | { readonly kind: 'gone' }
  /** the disk did not let us read it, which says nothing about the file's content */
  | { readonly kind: 'refused'; readonly reason: string };

export interface ReadDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly options: ParseOptions;
  /** wall clock, milliseconds */
  readonly now: () => number;
}

/** Bytes by which a list may grow when it is rewritten, the texts of its recipients apart. */
const GROWTH = 65_536;
/**
 * A list without an end whose file changed less than this many milliseconds ago is still being written. And what a file says
 * is not kept beyond its scan: the next change may come in the same tick of the file system's clock.
 */
const SETTLED = 10_000;

/** A change in the future, after the clock was set back, has not settled. */
export function hasSettled({ ctimeMs, mtimeMs }: FileStatus, now: number): boolean {
  return now - Math.max(ctimeMs, mtimeMs) > SETTLED;
}

/** Bytes of the longest file that is read as a list. */
export function longestFile({ longestList = LONGEST_LIST }: ParseOptions): number {
  return longestList + GROWTH;
}

export function readMessage({ disk, layout, options, now }: ReadDeps, number: MessageNumber): MessageRead {
  try {
    const path = layout.message(number);
    let { status, bytes } = disk.read(path, MAX_HEADER);
    if (status.kind !== 'file') return { kind: 'refused', reason: 'it is not a file' };
    if (bytes.length === MAX_HEADER && storedControl(bytes) !== null) {
      // A list beyond the limit would keep the others waiting.
      const longest = longestFile(options);
      if (status.size > longest) {
        const { longestList = LONGEST_LIST } = options;
        const reason = `its delivery list has ${status.size} bytes, more than limit.list (${longestList}); cut it into several, or raise the limit`;
        return { kind: 'read', status, bytes, contents: { kind: 'unreadable', reason } };
      }
      ({ status, bytes } = disk.read(path, longest));
    }
    const isStill = Math.abs(now() - status.mtimeMs) > SETTLED;
    return { kind: 'read', status, bytes, contents: classifyContents(bytes, isStill, options) };
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return errorCode(error) === 'ENOENT'
      ? { kind: 'gone' }
      : { kind: 'refused', reason: describeError(error) };
  }
}
