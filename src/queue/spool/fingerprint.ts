/**
 * What tells one payload file from another that had its number before: numbers are used again once their messages are
 * gone, size and time together are not. Called by whoever writes down something about a mail.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { Disk, FileStatus } from '../../storage/disk.ts';
import type { StateLayout } from '../../storage/layout.ts';

export function fingerprintOf({ size, mtimeMs }: FileStatus): string {
  return `${size}@${mtimeMs}`;
}

/** As they are now; null: the payload is not there. */
export function payloadFingerprint(disk: Disk, layout: StateLayout, msgid: MessageNumber): string | null {
  const status = disk.status(layout.message(msgid));
  return status === null ? null : fingerprintOf(status);
}
