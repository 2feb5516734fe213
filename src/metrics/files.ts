/**
 * The counters of a spool or state directory, kept from process to process, and the file for node_exporter. The counters of
 * the queue are in `.spoolroom/metrics` and belong to the holder of its lock, those of the intake in `.spoolroom/metrics-intake`.
 * What is lost or damaged begins again at 0, as Prometheus expects of counters.
 */
import fs from 'node:fs';
import type { Disk, OpenFile } from '../storage/disk.ts';
import { layoutOf } from '../storage/layout.ts';
import { type StateMap, stateMap } from '../storage/state-map.ts';
import type { Part } from './table.ts';

/** By the name of a series. */
export type CounterStore = StateMap<number>;

export function counterStore(disk: Disk, home: string, part: Part): CounterStore {
  const layout = layoutOf(home);
  const path = part === 'queue' ? layout.metrics : layout.intakeMetrics;
  return stateMap(disk, layout, path, isCount);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

/** `spoolroom.prom` becomes `spoolroom-intake.prom`: two processes with the same settings must not have one file. */
export function intakeFile(path: string): string {
  return path.replace(/(\.[^./]*)?$/, '-intake$1');
}

/** Read by another user. A umask that keeps mail private is no reason to hide numbers; who may read them, the folder says. */
const MODE = 0o644;

/** In one step, so that nobody reads a part. Not synced: the next one comes in a minute. */
export function replaceTextFile(path: string, text: string): void {
  const temporary = `${path}.new`;
  fs.rmSync(temporary, { force: true });
  fs.writeFileSync(temporary, text, { flag: 'wx', mode: MODE });
  fs.chmodSync(temporary, MODE);
  fs.renameSync(temporary, path);
}

/** A disk that tells how long each sync of a file took, in milliseconds. */
export function timedDisk(disk: Disk, monotonic: () => number, synced: (milliseconds: number) => void): Disk {
  const timed = (file: OpenFile): OpenFile => ({
    write: (bytes) => file.write(bytes),
    close: () => file.close(),
    sync: async (how) => {
      const began = monotonic();
      await file.sync(how);
      synced(monotonic() - began);
    },
  });
  return { ...disk, create: (path, owner) => timed(disk.create(path, owner)) };
}
