/**
 * Which due messages wait because their hosts asked us to send less. They stay as they are, in memory and on the disk; once in
 * each pause those that wait for long are looked at, so that their senders are told of the delay, or of the end.
 */
import { Throttle } from '../../delivery/throttling/throttle.ts';
import type { MessageNumber } from '../../delivery-list/job.ts';
import { isPending } from '../../delivery-list/job.ts';
import type { Clock } from '../../platform/clock.ts';
import type { ControlMessages } from '../../queue/due.ts';
import type { QueuedJob, SharedValues } from '../../queue/queue.ts';
import { isDelayed, type Schedule } from '../../queue/schedule.ts';
import { recipientAddress } from '../../routing/address.ts';
import type { RoutingRules } from '../../routing/route.ts';
import { destinationOf } from '../../routing/route.ts';
import { envelopeSender } from '../load-message.ts';
import { SharedThrottle } from './shared-throttle.ts';
import type { ThrottleStore } from './throttle-store.ts';

interface ThrottledQueueDeps {
  /** null: it is forgotten with the run */
  readonly store: ThrottleStore | null;
  /** absent: no other process is to know of it */
  readonly shared?: SharedValues;
  readonly clock: Clock;
  readonly routing: RoutingRules;
  readonly schedule: Schedule;
  readonly warn: (text: string) => void;
}

export type DueMessage = readonly [MessageNumber, ControlMessages];

export class ThrottledQueue {
  readonly throttle: Throttle;
  readonly #deps: ThrottledQueueDeps;
  readonly #shared: SharedThrottle | null;
  #isRestored = false;

  constructor(deps: ThrottledQueueDeps) {
    this.#deps = deps;
    this.throttle = new Throttle({
      now: () => deps.clock.now(),
      changed: () => void this.save(),
      happened: (what) => this.#shared?.note(what),
      warn: deps.warn,
    });
    this.#shared =
      deps.shared === undefined ? null : new SharedThrottle(deps.shared, this.throttle, deps.clock);
  }

  /** Those of the due messages that may be offered now, at least to some recipients, or have something to tell. */
  select(due: readonly DueMessage[]): readonly DueMessage[] {
    if (due.length === 0) return due;
    this.#restore();
    if (this.throttle.isQuiet) return due;
    const turns = new Map<string, number>();
    const waiting = new Set<string>();
    const selected = due.filter(([, lists]) => {
      const groups = groupsOf(lists, this.throttle, this.#deps.routing);
      if (groups === null) return true;
      const mayGo = groups.some((group) => this.#takeTurn(group, turns));
      if (!mayGo) for (const group of groups) waiting.add(group);
      return mayGo || this.#hasToTell(lists, groups);
    });
    this.throttle.markTold(waiting);
    return selected;
  }

  /** What other processes found since the last scan counts; they hear what happened here. */
  async exchange(): Promise<void> {
    await this.#shared?.exchange();
  }

  async save(): Promise<void> {
    if (this.#shared !== null) await this.#shared.exchange();
    else if (this.#isRestored) this.#deps.store?.write(this.throttle.groups);
  }

  /** An idle run has no message to ask for. */
  #restore(): void {
    if (this.#isRestored) return;
    this.#isRestored = true;
    if (this.#deps.store !== null && this.#shared === null) this.throttle.restore(this.#deps.store.read());
  }

  /** So many messages are looked at as there are turns; they take them when they are offered. */
  #takeTurn(group: string, turns: Map<string, number>): boolean {
    const left = turns.get(group) ?? this.throttle.turns(group);
    turns.set(group, left - 1);
    return left > 0;
  }

  #hasToTell(lists: ControlMessages, groups: readonly string[]): boolean {
    const now = Math.floor(this.#deps.clock.now() / 1000);
    const isNew = groups.some((group) => this.throttle.groups.get(group)?.told === false);
    return isNew && lists.some(({ job }) => isDelayed(job, now, this.#deps.schedule));
  }
}

/** The groups that a message waits for; null: it may go at least to one recipient. */
export function groupsOf(
  lists: readonly QueuedJob[],
  throttle: Pick<Throttle, 'groupOf'>,
  routing: RoutingRules,
): readonly string[] | null {
  const groups = new Set<string>();
  for (const { job } of lists) {
    const sender = envelopeSender(job.envelopeFrom) ?? '';
    for (const recipient of job.recipients) {
      if (!isPending(recipient)) continue;
      const address = recipientAddress(recipient.address);
      if (address.kind === 'unusable') return null;
      const group = throttle.groupOf(destinationOf(address.domain, sender, routing).key);
      if (group === null) return null;
      groups.add(group);
    }
  }
  return groups.size === 0 ? null : [...groups];
}
