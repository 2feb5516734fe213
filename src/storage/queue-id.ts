/**
 * A random id of a state directory: it binds a journal to its queue, and marks the messages we post into a server's queue
 * room. Created once; durable when it is returned.
 */
import type { Random } from '../platform/clock.ts';
import { type ReplaceDeps, replaceDurably } from './atomic-file.ts';
import type { Disk } from './disk.ts';
import type { StateLayout } from './layout.ts';

export interface QueueIdDeps extends ReplaceDeps {
  readonly random: Random;
  readonly layout: StateLayout;
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

export async function ensureQueueId(deps: QueueIdDeps): Promise<string> {
  const { disk, random, layout } = deps;
  const known = readQueueId(disk, layout);
  if (known !== null) return known;
  const id = randomHex(random, 4);
  await replaceDurably(deps, layout.id, Buffer.from(`${id}\n`));
  return id;
}
