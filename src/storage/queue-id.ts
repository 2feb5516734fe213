/**
 * A random id of a state directory: it binds a journal to its queue, and marks the messages we post into a server's queue
 * room. Created once; durable when it is returned.
 */
import type { Random } from '../platform/clock.ts';
import { type TemporaryName, writeAndSync } from './atomic-file.ts';
import type { Disk, Ownership } from './disk.ts';
import type { StateLayout } from './layout.ts';

export interface QueueIdDeps {
  readonly disk: Disk;
  readonly random: Random;
  readonly layout: StateLayout;
  readonly temporaryName: TemporaryName;
  readonly owner: Ownership;
}

/** Eight hex digits for each word. */
export function randomHex(random: Random, words: number): string {
  const word = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return Array.from({ length: words }, word).join('');
}

/** Null: none was created yet. */
export function readQueueId(disk: Disk, layout: StateLayout): string | null {
  if (disk.status(layout.id) === null) return null;
  return disk.read(layout.id, 4096).bytes.toString('latin1').trim();
}

export async function ensureQueueId({
  disk,
  random,
  layout,
  temporaryName,
  owner,
}: QueueIdDeps): Promise<string> {
  const known = readQueueId(disk, layout);
  if (known !== null) return known;
  const id = randomHex(random, 4);
  const temporary = temporaryName();
  await writeAndSync(disk, temporary, [Buffer.from(`${id}\n`)], owner);
  disk.rename(temporary, layout.id);
  await disk.syncDirectory(layout.state);
  return id;
}
