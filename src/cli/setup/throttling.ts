/** What a spool knows of hosts that asked us to send less, for people. The rules are loaded only where there are some. */
import type { ThrottledGroups } from '../../delivery/throttling/throttle.ts';
import { NO_WAITS, type ThrottleWaits, throttleWaits } from '../../output/throttling.ts';
import type { QueueView } from '../../queue/queue.ts';
import { groupsFrom } from '../../runner/throttling/shared-throttle.ts';
import { readThrottled } from '../../runner/throttling/throttle-store.ts';
import type { Settings } from '../../settings/table.ts';
import { layoutOf } from '../../storage/layout.ts';
import { loadRules } from './load-config.ts';
import type { SpoolReading } from './read-spool.ts';

export interface Throttling {
  readonly groups: ThrottledGroups;
  readonly waits: ThrottleWaits;
}

type Where = Pick<SpoolReading, 'spool' | 'deps' | 'now' | 'readable'> & {
  /** knows it where several processes share the queue */
  readonly view: Pick<QueueView, 'throttled'>;
};

export async function throttlingOf(where: Where, settings: Settings): Promise<Throttling> {
  const { now, readable } = where;
  const groups = await groupsOf(where);
  if (groups.size === 0) return { groups, waits: NO_WAITS };
  const rules = await loadRules(settings);
  // What is wrong with them is said by `check` and by the next run.
  if ('kind' in rules) return { groups, waits: NO_WAITS };
  return { groups, waits: throttleWaits(groups, rules.delivery.routing, now, readable) };
}

async function groupsOf({ spool, deps, now, view }: Where): Promise<ThrottledGroups> {
  if (view.throttled === undefined) return readThrottled(deps.disk, layoutOf(spool));
  const found = await view.throttled.read();
  return groupsFrom(found.values, now * 1000 - found.now);
}
