/** What all sections of the benchmark share: where they work, what they deliver to, and what has to be ended. */
import { chmodSync, existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postfixVersion } from '../support/postfix.ts';
import type { Sink } from './load.ts';
import type { Comparison } from './measure.ts';
import { openPostfixQueue, type PostfixQueue } from './postfix-queue.ts';

export interface Options {
  /** loads are multiplied by it */
  readonly scale: number;
  /** whether other programs than Node's are measured */
  readonly peers: boolean;
  /** parked jobs of the section `memory` */
  readonly parked: number;
}

/** A folder of our own on one of the file systems. */
export interface Place {
  readonly fileSystem: string;
  readonly folder: string;
}

export interface Context {
  readonly options: Options;
  readonly places: readonly Place[];
  readonly sink: Sink;
}

/** Prepares each comparison when it is asked for, and ends what it has started when it is asked for no more. */
export type Section = (context: Context) => AsyncGenerator<Comparison>;

/** `f_type` of statfs(2) */
const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x0102_1994, 'tmpfs'],
  [0xef53, 'ext4'],
  [0x5846_5342, 'xfs'],
  [0x9123_683e, 'btrfs'],
  [0x794c_7630, 'overlayfs'],
]);

/** In memory and on a disk, where both exist. They are removed when the process ends. */
export function findPlaces(): readonly Place[] {
  const places = new Map<string, Place>();
  for (const parent of ['/dev/shm', tmpdir()].filter((name) => existsSync(name))) {
    const { type } = statfsSync(parent);
    const fileSystem = FILE_SYSTEMS.get(type) ?? `file system ${type.toString(16)}`;
    if (places.has(fileSystem)) continue;
    const folder = mkdtempSync(join(parent, 'spoolroom-bench-'));
    chmodSync(folder, 0o755);
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    places.set(fileSystem, { fileSystem, folder });
  }
  return [...places.values()];
}

export function scaled({ options }: Context, count: number): number {
  return Math.max(1, Math.round(count * options.scale));
}

/** As a part of names: 2,000 */
export function counted(count: number): string {
  return count.toLocaleString('en');
}

/** Postfix in each configuration, all running while the work is done; none where it cannot run. */
export async function* withPostfix<T>(
  { options }: Context,
  { folder }: Place,
  configurations: Readonly<Record<string, readonly string[]>>,
  main: readonly string[],
  work: (queues: ReadonlyMap<string, PostfixQueue>) => AsyncGenerator<T>,
): AsyncGenerator<T> {
  const queues = new Map<string, PostfixQueue>();
  const version = options.peers ? postfixVersion() : null;
  try {
    for (const [name, lines] of version === null ? [] : Object.entries(configurations)) {
      queues.set(`Postfix ${version}, ${name}`, await openPostfixQueue(folder, [...lines, ...main]));
    }
    yield* work(queues);
  } finally {
    for (const queue of queues.values()) queue.close();
  }
}
