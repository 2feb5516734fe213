/**
 * Tells a file from another one that had its name before. Message numbers are used again once their messages are gone;
 * size and modification time together are not.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import type { Disk, FileStatus } from './disk.ts';
import type { StateLayout } from './layout.ts';

/** The same file, unchanged. */
export function sameFile(a: FileStatus, b: FileStatus): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs;
}

/** `SIZE@MTIME`, in bytes and milliseconds, as journal records and DSN notes hold it. */
export function fingerprintOf({ size, mtimeMs }: FileStatus): string {
  return `${size}@${mtimeMs}`;
}

/** Of the payload as it is now; null when there is none. */
export function payloadFingerprint(disk: Disk, layout: StateLayout, msgid: MessageNumber): string | null {
  const status = disk.status(layout.message(msgid));
  return status === null ? null : fingerprintOf(status);
}
