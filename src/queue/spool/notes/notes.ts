/** Folders of ours with a file for each message of which something is noted, under its number. */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import { removeIfExists, replaceDurably, type TemporaryName } from '../../../storage/atomic-file.ts';
import type { Disk } from '../../../storage/disk.ts';
import { ensureFolder, ownershipInSpool } from '../../../storage/folder.ts';
import { messageNumber, type StateLayout } from '../../../storage/layout.ts';

export interface NoteDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly temporaryName: TemporaryName;
}

/** Resolves to the path when the file is durable. A folder is made for the first one. */
export async function putInFolder(
  { disk, layout, temporaryName }: NoteDeps,
  folder: string,
  name: string,
  bytes: Buffer,
): Promise<string> {
  const { folders, files } = ownershipInSpool(disk, layout.spool);
  if (ensureFolder(disk, folder, folders)) await disk.syncDirectory(layout.state);
  const path = `${folder}/${name}`;
  await replaceDurably({ disk, temporaryName, owner: files }, path, bytes);
  return path;
}

/** None where there is no folder yet. */
export function notedNumbers(disk: Disk, folder: string): readonly MessageNumber[] {
  if (disk.status(folder) === null) return [];
  return disk.list(folder).flatMap(({ name }) => messageNumber(name) ?? []);
}

/** Removes the notes of what is gone; returns of what there are notes. */
export function removeStaleNotes(
  disk: Disk,
  folder: string,
  exists: (number: MessageNumber) => boolean,
): Set<MessageNumber> {
  const kept = new Set<MessageNumber>();
  for (const number of notedNumbers(disk, folder)) {
    if (exists(number)) kept.add(number);
    else removeIfExists(disk, `${folder}/${number}`);
  }
  return kept;
}
