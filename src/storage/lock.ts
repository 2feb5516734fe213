/**
 * One runner per queue, across processes. The lock is the file `.spoolroom/lock.<n>` with the highest n. It names its owner,
 * or says `free` after a release. A process that finds it free, or its owner gone, links `lock.<n+1>`. link(2) lets exactly
 * one process do that, and a stale lock is never removed before it has a successor: the usual race, in which the slower of
 * two processes removes the faster one's fresh lock, cannot happen. Never waits.
 */

import { errorCode, QueueError } from '../platform/system-errors.ts';
import type { TemporaryName } from './atomic-file.ts';
import { removeIfExists } from './atomic-file.ts';
import type { Disk, Ownership } from './disk.ts';
import type { StateLayout } from './layout.ts';
import type { ProcessIdentity, ProcessTable } from './processes.ts';

/** A lock that this process has. */
export interface Claim {
  /** Whether it is still there. It goes only together with its directory: moved, unmounted, replaced by another. */
  held(): boolean;
  /** Without effect when it is not there any more. */
  release(): void;
}

export type LockResult =
  | (Claim & { readonly kind: 'acquired' })
  | { readonly kind: 'busy'; readonly owner: ProcessIdentity };

export interface LockDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly processes: ProcessTable;
  readonly temporaryName: TemporaryName;
  readonly owner: Ownership;
}

type ReadDeps = Pick<LockDeps, 'disk' | 'layout'>;

const FREE = 'free\n';
const LOCK = /^lock\.([1-9]\d{0,14})$/;
/** Of fifteen digits, as the names are read; a run each second would need thirty million years. */
const HIGHEST_LOCK = 999_999_999_999_999;
/** How often the newest lock may be taken over by others while we try. */
const MAX_ATTEMPTS = 1000;

/** Numbers of all lock files, highest first. */
function lockNumbers({ disk, layout }: ReadDeps): number[] {
  const numbers = disk.list(layout.state).map(({ name }) => Number(LOCK.exec(name)?.[1] ?? 0));
  return numbers.filter((number) => number > 0).sort((a, b) => b - a);
}

function lockPath({ layout }: ReadDeps, number: number): string {
  return `${layout.state}/lock.${number}`;
}

/**
 * The owner named in a lock; null: none. A lock gets its name when its text is complete, so a text that is not valid was cut
 * off by a power failure, and its owner is gone.
 */
function parseOwner(text: string): ProcessIdentity | null {
  const [, pid, started, boot] = /^pid ([1-9]\d*) started (\S+) boot (\S+)\n$/.exec(text) ?? [];
  if (pid === undefined || started === undefined || boot === undefined) return null;
  return { pid: Number(pid), started: started === '-' ? null : started, boot: boot === '-' ? null : boot };
}

function ownerText({ pid, started, boot }: ProcessIdentity): string {
  return `pid ${pid} started ${started ?? '-'} boot ${boot ?? '-'}\n`;
}

type NewestLock = { readonly number: number; readonly owner: ProcessIdentity | null };

/** Number 0 when there never was a lock. */
function newestLock(deps: ReadDeps): NewestLock {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const number = lockNumbers(deps)[0];
    if (number === undefined) return { number: 0, owner: null };
    try {
      return {
        number,
        owner: parseOwner(deps.disk.read(lockPath(deps, number), 4096).bytes.toString('latin1')),
      };
    } catch (error) {
      // We make files only: a symbolic link is not a lock.
      if (errorCode(error) === 'ELOOP') return { number, owner: null };
      // Between the two calls it got a successor, whose owner removed it.
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }
  throw unsettled(deps);
}

function unsettled({ layout }: ReadDeps): QueueError {
  return new QueueError(
    `The lock files in ${layout.state} change faster than they can be read. Nothing was sent; the next run tries again.`,
  );
}

function exhausted(path: string): QueueError {
  return new QueueError(
    `${path} has the highest number that a lock file can have, so that none can follow it. Nothing was sent. ` +
      'No program reaches it by counting: delete this file while no run is active.',
  );
}

function writeTemporary({ disk, temporaryName, owner }: LockDeps, text: string): string {
  const path = temporaryName();
  const file = disk.create(path, owner);
  try {
    file.write(Buffer.from(text, 'latin1'));
  } finally {
    file.close();
  }
  return path;
}

/** Link a lock of our own under this number. False: another process was faster. */
function linkLock(deps: LockDeps, number: number): boolean {
  const temporary = writeTemporary(deps, ownerText(deps.processes.self));
  try {
    deps.disk.link(temporary, lockPath(deps, number));
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    deps.disk.unlink(temporary);
  }
}

/** Mark our lock as free. The file stays: the highest number must not decrease while others read it. */
function releaseLock(deps: LockDeps, number: number): void {
  deps.disk.rename(writeTemporary(deps, FREE), lockPath(deps, number));
}

/** The process that holds the lock; null when none does. Changes nothing. */
export function lockHolder(deps: ReadDeps & Pick<LockDeps, 'processes'>): ProcessIdentity | null {
  if (deps.disk.status(deps.layout.state) === null) return null;
  const { owner } = newestLock(deps);
  return owner !== null && deps.processes.alive(owner) ? owner : null;
}

function claimOf(deps: LockDeps, number: number): Claim {
  const path = lockPath(deps, number);
  const taken = deps.disk.status(path);
  const held = (): boolean => {
    const now = deps.disk.status(path);
    return now !== null && now.ino === taken?.ino && now.mtimeMs === taken.mtimeMs;
  };
  return {
    held,
    release: () => {
      if (held()) releaseLock(deps, number);
    },
  };
}

/** Try to become the one runner of this queue. */
export function acquireLock(deps: LockDeps): LockResult {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const found = newestLock(deps);
    if (found.owner !== null && deps.processes.alive(found.owner))
      return { kind: 'busy', owner: found.owner };
    if (found.number === HIGHEST_LOCK) throw exhausted(lockPath(deps, found.number));
    const number = found.number + 1;
    if (!linkLock(deps, number)) continue;
    const [newest, ...older] = lockNumbers(deps);
    if (newest !== number) {
      // Meanwhile others took, released and removed locks: our number was free only because it is outdated.
      removeIfExists(deps.disk, lockPath(deps, number));
      continue;
    }
    for (const old of older) removeIfExists(deps.disk, lockPath(deps, old));
    return { kind: 'acquired', ...claimOf(deps, number) };
  }
  throw unsettled(deps);
}
