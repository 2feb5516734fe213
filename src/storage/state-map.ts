/**
 * A file of `.spoolroom` with one JSON object: what is remembered from run to run and may be lost. Only the holder of the queue's
 * lock writes it. A file that is missing or damaged is empty.
 */
import { errorCode } from '../platform/system-errors.ts';
import { removeIfExists, replaceInState } from './atomic-file.ts';
import type { Disk } from './disk.ts';
import type { StateLayout } from './layout.ts';

/** Of a file: more than anything that is remembered. */
const LARGEST = 8 * 1024 * 1024;

export interface StateMap<Value> {
  read(): ReadonlyMap<string, Value>;
  /** Writes nothing where nothing has changed. What cannot be written is learned again. */
  write(values: ReadonlyMap<string, Value>): void;
}

/** Values that are none are left out. */
export function readStateMap<Value>(
  disk: Disk,
  path: string,
  isValue: (value: unknown) => value is Value,
): ReadonlyMap<string, Value> {
  try {
    if (disk.status(path) === null) return new Map();
    const read: unknown = JSON.parse(disk.read(path, LARGEST).bytes.toString('utf8'));
    return new Map(Object.entries(read ?? {}).filter((entry): entry is [string, Value] => isValue(entry[1])));
  } catch {
    return new Map();
  }
}

export function stateMap<Value>(
  disk: Disk,
  layout: StateLayout,
  path: string,
  isValue: (value: unknown) => value is Value,
): StateMap<Value> {
  let written = '';
  return {
    read() {
      const values = readStateMap(disk, path, isValue);
      written = textOf(values);
      return values;
    },
    write(values) {
      const text = textOf(values);
      if (text === written) return;
      try {
        if (values.size === 0) removeIfExists(disk, path);
        else replaceInState(disk, layout, path, text);
        written = text;
      } catch (error) {
        if (errorCode(error) === null) throw error;
      }
    },
  };
}

function textOf(values: ReadonlyMap<string, unknown>): string {
  return values.size === 0 ? '' : `${JSON.stringify(Object.fromEntries(values))}\n`;
}
