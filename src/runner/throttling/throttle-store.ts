/**
 * `.spoolroom/throttled`: the groups of hosts that asked us to send less, kept from run to run as JSON. Only the holder of the
 * queue's lock changes it, at a refusal, at its end and at the end of a run, never for a single message. A file that is lost or
 * damaged costs a refusal more, nothing else.
 */
import type { ThrottledGroup, ThrottledGroups } from '../../delivery/throttling/throttle.ts';
import type { Disk } from '../../storage/disk.ts';
import type { StateLayout } from '../../storage/layout.ts';
import { readStateMap, type StateMap, stateMap } from '../../storage/state-map.ts';

export type ThrottleStore = StateMap<ThrottledGroup>;

export function readThrottled(disk: Disk, { throttled }: StateLayout): ThrottledGroups {
  return readStateMap(disk, throttled, isThrottledGroup);
}

export function throttleStore(disk: Disk, layout: StateLayout): ThrottleStore {
  return stateMap(disk, layout, layout.throttled, isThrottledGroup);
}

const TEXTS = ['host', 'answer', 'enhanced'] as const;
const NUMBERS = ['port', 'until', 'pause', 'rate', 'heard'] as const;
const STATES: ReadonlySet<unknown> = new Set(['paused', 'probing', 'limited']);

export function isThrottledGroup(value: unknown): value is ThrottledGroup {
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
