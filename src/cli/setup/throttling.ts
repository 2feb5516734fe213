/** What a spool knows of hosts that asked us to send less, for people. The rules are loaded only where there are some. */
import type { ThrottledGroups } from '../../delivery/throttling/throttle.ts';
import { NO_WAITS, type ThrottleWaits, throttleWaits } from '../../output/throttling.ts';
import { readThrottled } from '../../runner/throttle-store.ts';
import type { Settings } from '../../settings/table.ts';
import { layoutOf } from '../../storage/layout.ts';
import { loadRules } from './load-config.ts';
import type { SpoolReading } from './read-spool.ts';

export interface Throttling {
  readonly groups: ThrottledGroups;
  readonly waits: ThrottleWaits;
}

export async function throttlingOf(
  { spool, deps, now, readable }: Pick<SpoolReading, 'spool' | 'deps' | 'now' | 'readable'>,
  settings: Settings,
): Promise<Throttling> {
  const groups = readThrottled(deps.disk, layoutOf(spool));
  if (groups.size === 0) return { groups, waits: NO_WAITS };
  const rules = await loadRules(settings);
  // What is wrong with them is said by `check` and by the next run.
  if ('kind' in rules) return { groups, waits: NO_WAITS };
  return { groups, waits: throttleWaits(groups, rules.delivery.routing, now, readable) };
}
