/**
 * Our folders in a spool. Whoever can write to the spool can put a symbolic link in the place of one; what is written
 * into it would then end elsewhere. So a folder is used only when it is one.
 */
import { errorCode, QueueError } from '../platform/system-errors.ts';
import type { DirectoryEntry, Disk, Ownership } from './disk.ts';

/**
 * What we make in a directory of this ownership: as open to others as it is, and never to everybody. With the set-group-ID
 * bit of a shared spool everything in our folders belongs to its group.
 */
export function ownershipIn({ mode, uid, gid }: Ownership): {
  readonly folders: Ownership;
  readonly files: Ownership;
} {
  return { folders: { mode: mode & 0o2770, uid, gid }, files: { mode: mode & 0o660, uid, gid } };
}

/** What we make in a spool, or in another directory with our state, as that is now. */
export function ownershipInSpool(disk: Disk, spool: string): ReturnType<typeof ownershipIn> {
  return ownershipIn(disk.status(`${spool}/.`) ?? { mode: 0o700, uid: 0, gid: 0 });
}

/** Creates the folder where it is missing; true when it did. Throws a `QueueError` where something else has its name. */
export function ensureFolder(disk: Disk, path: string, owner: Ownership): boolean {
  if (disk.status(path) === null) {
    try {
      disk.mkdir(path, owner);
      return true;
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
  }
  const problem = foreignFolder(disk, path);
  if (problem !== null) throw new QueueError(problem);
  return false;
}

/** What is in a folder of ours, nothing where there is none. Throws a `QueueError` where something else has its name. */
export function entriesIn(disk: Disk, path: string): readonly DirectoryEntry[] {
  const problem = foreignFolder(disk, path);
  if (problem !== null) throw new QueueError(problem);
  return disk.status(path) === null ? [] : disk.list(path);
}

/** Sentences for people when something that is not a folder has this name; null: it is one, or there is nothing. */
export function foreignFolder(disk: Disk, path: string): string | null {
  const kind = disk.status(path)?.kind ?? 'directory';
  return kind === 'directory'
    ? null
    : `${path} is not a folder but a ${kind === 'file' ? 'file' : 'symbolic link or the like'}, which spoolroom does not make. ` +
        'It may lead elsewhere, so nothing was written and nothing was sent. Find out who made it, and remove it.';
}
