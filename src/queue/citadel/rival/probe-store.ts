/**
 * The trial as it is remembered between processes: two files in our folder of the state directory. Made by open.ts for the
 * tripwire; `check` reads. What is written is durable when the promise resolves.
 */

import { removeIfExists, type TemporaryName, writeAndSync } from '../../../storage/atomic-file.ts';
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

/** Bytes of what is remembered of a trial; more than the largest queue needs. */
const LONGEST = 268_435_456;

export function probePath({ state }: StateLayout): string {
  return `${state}/trial`;
}

function textIn(disk: Disk, path: string): string {
  return disk.status(path) === null ? '' : disk.read(path, LONGEST).bytes.toString('latin1');
}

/** Null: nothing is remembered. */
export function readProbeState(disk: Disk, layout: StateLayout): ProbeState | null {
  return parseProbeState(textIn(disk, probePath(layout)));
}

export function probeStore(
  disk: Disk,
  layout: StateLayout,
  temporaryName: TemporaryName,
  owner: Ownership,
): ProbeStore {
  const leftPath = `${layout.state}/left`;
  const write = async (path: string, value: ProbeState | ShutdownSnapshot): Promise<void> => {
    const temporary = temporaryName();
    await writeAndSync(disk, temporary, [Buffer.from(encodeProbeState(value))], owner);
    disk.rename(temporary, path);
    await disk.syncDirectory(layout.state);
  };
  return {
    path: probePath(layout),
    read: () => readProbeState(disk, layout),
    write: (trial) => write(probePath(layout), trial),
    readLeft: () => parseShutdownSnapshot(textIn(disk, leftPath)),
    writeLeft: (left) => write(leftPath, left),
    async dropLeft() {
      removeIfExists(disk, leftPath);
      await disk.syncDirectory(layout.state);
    },
  };
}
