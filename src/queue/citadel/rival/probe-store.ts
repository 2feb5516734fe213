/**
 * The trial as it is remembered between processes: two files in our folder of the state directory. Made by open.ts for the
 * tripwire; `check` reads. What is written is durable when the promise resolves.
 */

import { removeIfThere, type TemporaryName, writeDurably } from '../../../storage/atomic-file.ts';
import type { Disk, Ownership } from '../../../storage/disk.ts';
import type { Layout } from '../../../storage/layout.ts';
import { type Left, memoryRecord, parseLeft, parseTrial, type Trial } from './probe.ts';
import type { TrialMemory } from './rival-detector.ts';

/** Bytes of what is remembered of a trial; more than the largest queue needs. */
const LONGEST = 268_435_456;

export function trialPath({ state }: Layout): string {
  return `${state}/trial`;
}

function textIn(disk: Disk, path: string): string {
  return disk.status(path) === null ? '' : disk.read(path, LONGEST).bytes.toString('latin1');
}

/** Null: nothing is remembered. */
export function readTrial(disk: Disk, layout: Layout): Trial | null {
  return parseTrial(textIn(disk, trialPath(layout)));
}

export function trialMemory(
  disk: Disk,
  layout: Layout,
  temporaryName: TemporaryName,
  owner: Ownership,
): TrialMemory {
  const leftPath = `${layout.state}/left`;
  const write = async (path: string, value: Trial | Left): Promise<void> => {
    const temporary = temporaryName();
    await writeDurably(disk, temporary, [Buffer.from(memoryRecord(value))], owner);
    disk.rename(temporary, path);
    await disk.syncDirectory(layout.state);
  };
  return {
    path: trialPath(layout),
    read: () => readTrial(disk, layout),
    write: (trial) => write(trialPath(layout), trial),
    readLeft: () => parseLeft(textIn(disk, leftPath)),
    writeLeft: (left) => write(leftPath, left),
    async dropLeft() {
      removeIfThere(disk, leftPath);
      await disk.syncDirectory(layout.state);
    },
  };
}
