/**
 * `.spoolroom/throttled`: the groups of hosts that asked us to send less, kept from run to run as JSON. Only the holder of the
 * queue's lock changes it, at a refusal, at its end and at the end of a run, never for a single message. A file that is lost or
 * damaged costs a refusal more, nothing else.
 */
import type { ThrottledGroup, ThrottledGroups } from '../delivery/throttling/throttle.ts';
import { errorCode } from '../platform/system-errors.ts';
import { removeIfExists, replaceInState } from '../storage/atomic-file.ts';
import type { Disk } from '../storage/disk.ts';
import type { StateLayout } from '../storage/layout.ts';

export interface ThrottleStore {
  read(): ThrottledGroups;
  /** Writes nothing where nothing has changed. */
  write(groups: ThrottledGroups): void;
}

/** Bytes; more than all groups and destinations that are remembered. */
const LARGEST = 8 * 1024 * 1024;

/** None where there is no file, or none that can be read. */
export function readThrottled(disk: Disk, { throttled }: StateLayout): ThrottledGroups {
  try {
    if (disk.status(throttled) === null) return new Map();
    const value: unknown = JSON.parse(disk.read(throttled, LARGEST).bytes.toString('utf8'));
    return new Map(
      Object.entries(value ?? {}).filter((entry): entry is [string, ThrottledGroup] => isGroup(entry[1])),
    );
  } catch {
    return new Map();
  }
}

export function throttleStore(disk: Disk, layout: StateLayout): ThrottleStore {
  let written = '';
  return {
    read() {
      const groups = readThrottled(disk, layout);
      written = textOf(groups);
      return groups;
    },
    write(groups) {
      const text = textOf(groups);
      if (text === written) return;
      try {
        if (groups.size === 0) removeIfExists(disk, layout.throttled);
        else replaceInState(disk, layout, layout.throttled, text);
        written = text;
      } catch (error) {
        // What is not known next time is learned again from the next refusal.
        if (errorCode(error) === null) throw error;
      }
    },
  };
}

function textOf(groups: ThrottledGroups): string {
  return groups.size === 0 ? '' : `${JSON.stringify(Object.fromEntries(groups))}\n`;
}

const TEXTS = ['host', 'answer', 'enhanced'] as const;
const NUMBERS = ['port', 'until', 'pause', 'rate', 'heard'] as const;
const STATES: ReadonlySet<unknown> = new Set(['paused', 'probing', 'limited']);

function isGroup(value: unknown): value is ThrottledGroup {
  if (typeof value !== 'object' || value === null) return false;
  const group = value as { readonly [name: string]: unknown };
  return (
    TEXTS.every((name) => typeof group[name] === 'string') &&
    NUMBERS.every((name) => Number.isFinite(group[name]) && Number(group[name]) >= 0) &&
    Number(group.rate) > 0 &&
    STATES.has(group.state) &&
    typeof group.told === 'boolean' &&
    Array.isArray(group.destinations) &&
    group.destinations.every((key) => typeof key === 'string')
  );
}
