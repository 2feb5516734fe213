/** Whether the hosts of a delivery asked us to send less, and where else it may go on. */
import { hostGroup } from '../../routing/host-group.ts';
import type { DeliveryAttempt } from '../attempt.ts';
import type { DeliveryEvent } from '../delivery.ts';
import type { Throttle } from './throttle.ts';

/**
 * The event of an attempt that has to wait; null: it is admitted. `name`: of the host it is about to use; absent: whatever host
 * it may have.
 */
export function heldBack(throttle: Throttle, attempt: DeliveryAttempt, name?: string): DeliveryEvent | null {
  if (throttle.isQuiet) return null;
  const { key } = attempt.destination;
  const group = name === undefined ? throttle.groupOf(key) : hostGroup(name);
  if (group === null) return null;
  const failure = attempt.admittedTo === group ? throttle.confirm(group) : throttle.admit(group);
  if (failure === null) {
    attempt.admittedTo = group;
    return null;
  }
  const { hosts, host } = attempt.delivery;
  const elsewhere = hosts.findIndex((each, at) => at > host && hostGroup(each.name) !== group);
  if (hosts.length > 0) throttle.learn(group, key, hosts);
  return { type: 'throttled', elsewhere, failure };
}
