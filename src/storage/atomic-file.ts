/**
 * Files on their way to their final name: written under a name of their own in `.spoolroom/tmp/`, made durable there,
 * then renamed or linked into place.
 */
import { dirname } from 'node:path';
import type { Random } from '../platform/clock.ts';
import { errorCode, QueueError } from '../platform/system-errors.ts';
import type { Disk, Ownership } from './disk.ts';
import type { StateLayout } from './layout.ts';
import type { ProcessTable } from './processes.ts';

/** A unique path. It names the process that made it, so that files of a dead process can be recognized. */
export type TemporaryName = () => string;

export function temporaryNames(layout: StateLayout, processes: ProcessTable, random: Random): TemporaryName {
  const { pid, started } = processes.self;
  return () => `${layout.temporary}/${pid}.${started ?? 'x'}.${Math.floor(random() * 2 ** 48).toString(36)}`;
}

/** Remove a file; a missing one is not an error. */
export function removeIfExists(disk: Disk, path: string): void {
  try {
    disk.unlink(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** A new file with these bytes, durable when it resolves. Leaves nothing behind when it fails. */
export async function writeAndSync(
  disk: Disk,
  path: string,
  pieces: Pieces,
  owner: Ownership,
): Promise<void> {
  const file = disk.create(path, owner);
  try {
    for await (const piece of pieces) file.write(piece);
    await file.sync();
  } catch (error) {
    removeIfExists(disk, path);
    throw error;
  } finally {
    file.close();
  }
}

export interface ReplaceDeps {
  readonly disk: Disk;
  readonly temporaryName: TemporaryName;
  readonly owner: Ownership;
}

/** A file with these bytes in place of what lies under `path`; it and its name are durable when this resolves. */
export async function replaceDurably(
  { disk, temporaryName, owner }: ReplaceDeps,
  path: string,
  bytes: Buffer,
): Promise<void> {
  const temporary = temporaryName();
  await writeAndSync(disk, temporary, [bytes], owner);
  disk.rename(temporary, path);
  await disk.syncDirectory(dirname(path));
}

/**
 * The same for what may be lost with the power: not synced. Readable and writable for whom the state folder is. The lock on the
 * queue is held, so that nobody else uses the temporary name. Does nothing where there is no state folder.
 */
export function replaceInState(
  disk: Disk,
  { state }: StateLayout,
  path: string,
  content: string | Buffer | readonly Uint8Array[],
): void {
  const folder = disk.status(state);
  if (folder === null) return;
  const { mode, uid, gid } = folder;
  // No name of ours ends like this: `x.new` may be a domain.
  const temporary = `${path}~`;
  removeIfExists(disk, temporary);
  const file = disk.create(temporary, { mode: mode & 0o666, uid, gid });
  try {
    const pieces = typeof content === 'string' ? [Buffer.from(content)] : content;
    for (const piece of pieces instanceof Uint8Array ? [pieces] : pieces) file.write(piece);
  } finally {
    file.close();
  }
  disk.rename(temporary, path);
}

/**
 * Throws a `QueueError`, and removes the file, when the owner of the spool could not read what this user has written: no
 * run would see it. `owner` is what the spool directory asks for.
 */
export function assertOwnerCanRead(disk: Disk, path: string, owner: Ownership, spool: string): void {
  const made = disk.status(path);
  const byGroup = made !== null && made.gid === owner.gid && (made.mode & 0o040) !== 0;
  if (made === null || made.uid === owner.uid || owner.uid === 0 || byGroup) return;
  removeIfExists(disk, path);
  throw new QueueError(
    `What this user puts into ${spool} could not be read by the owner of that directory (user ${owner.uid}), so it would never ` +
      `be delivered. Make this user a member of the group of the directory (group ${owner.gid}) and give it mode 2770.`,
  );
}

/** Remove files in `.spoolroom/tmp/` of processes that no longer run. */
export function removeStaleTemporary(disk: Disk, layout: StateLayout, processes: ProcessTable): void {
  for (const { name, kind } of disk.list(layout.temporary)) {
    const [, pid, started] = /^(\d+)\.(\d+|x)\.[0-9a-z]+$/.exec(name) ?? [];
    if (kind !== 'file' || pid === undefined || started === undefined) continue;
    const maker = { pid: Number(pid), started: started === 'x' ? null : started, boot: null };
    if (!processes.alive(maker)) removeIfExists(disk, `${layout.temporary}/${name}`);
  }
}
