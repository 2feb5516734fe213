/** The state of the rival detector between processes: two files in our folder of the state directory, written durably. */

import { ConcurrentRunnerError } from '../../../platform/system-errors.ts';
import { removeIfExists, replaceDurably, type TemporaryName } from '../../../storage/atomic-file.ts';
import type { Disk, Ownership } from '../../../storage/disk.ts';
import type { StateLayout } from '../../../storage/layout.ts';
import {
  encodeProbeState,
  type ProbeState,
  parseProbeState,
  parseShutdownSnapshot,
  type ShutdownSnapshot,
} from './probe.ts';
import type { ProbeStore } from './rival-detector.ts';

/** Bytes; more than the snapshot of the largest queue needs. */
const LONGEST = 268_435_456;

/** The file is named after an older word for the probe period: a new name would lose the state of sites that run now. */
export function probePath({ state }: StateLayout): string {
  return `${state}/trial`;
}

function textIn(disk: Disk, path: string): string {
  return disk.status(path) === null ? '' : disk.read(path, LONGEST).bytes.toString('latin1');
}

/** Null: none is stored. `damaged`: it may have held an alarm. */
export function readProbeState(disk: Disk, layout: StateLayout): ProbeState | 'damaged' | null {
  if (disk.status(probePath(layout)) === null) return null;
  return parseProbeState(textIn(disk, probePath(layout))) ?? 'damaged';
}

function usableState(disk: Disk, layout: StateLayout): ProbeState | null {
  const state = readProbeState(disk, layout);
  if (state !== 'damaged') return state;
  throw new ConcurrentRunnerError(
    `The file ${probePath(layout)} is damaged, so it is unknown whether it held an alarm. No message is delivered. Make sure ` +
      'that nothing else works on the queue, then remove the file, and the next run begins the probe period again.',
  );
}

export function probeStore(
  disk: Disk,
  layout: StateLayout,
  temporaryName: TemporaryName,
  owner: Ownership,
): ProbeStore {
  const snapshotPath = `${layout.state}/left`;
  const write = (path: string, value: ProbeState | ShutdownSnapshot): Promise<void> =>
    replaceDurably({ disk, temporaryName, owner }, path, Buffer.from(encodeProbeState(value)));
  return {
    path: probePath(layout),
    read: () => usableState(disk, layout),
    write: (state) => write(probePath(layout), state),
    readSnapshot: () => parseShutdownSnapshot(textIn(disk, snapshotPath)),
    writeSnapshot: (snapshot) => write(snapshotPath, snapshot),
    async dropSnapshot() {
      removeIfExists(disk, snapshotPath);
      await disk.syncDirectory(layout.state);
    },
  };
}
