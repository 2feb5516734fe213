/**
 * What several processes on one queue know together of hosts that asked us to send less. Each decides at once by what it knew last,
 * and notes what happened; at each scan, and at once after a refusal, that is added to what the others found, in the order in which
 * they come. So others obey a refusal at their next scan at the latest, and a rate holds for all of them together over a minute,
 * though each may offer one message too many before it hears of the others'.
 */
import {
  Throttle,
  type ThrottledGroup,
  type ThrottledGroups,
  type ThrottleHappening,
} from '../../delivery/throttling/throttle.ts';
import type { Clock } from '../../platform/clock.ts';
import { isOperationalError } from '../../platform/system-errors.ts';
import type { SharedReading, SharedValue, SharedValues } from '../../queue/queue.ts';
import { isThrottledGroup } from './throttle-store.ts';

export class SharedThrottle {
  readonly #values: SharedValues;
  readonly #throttle: Throttle;
  readonly #clock: Clock;
  /** what the others do not know yet */
  #happened: ThrottleHappening[] = [];
  #running: Promise<void> | null = null;

  constructor(values: SharedValues, throttle: Throttle, clock: Clock) {
    this.#values = values;
    this.#throttle = throttle;
    this.#clock = clock;
    values.listen(() => void this.exchange());
  }

  note(happening: ThrottleHappening): void {
    this.#happened.push(happening);
  }

  /** Tells what happened, and learns what others found. While the queue is away it is tried again at the next scan. */
  async exchange(): Promise<void> {
    while (this.#running !== null) await this.#running;
    this.#running = this.#exchange().finally(() => {
      this.#running = null;
    });
    await this.#running;
  }

  async #exchange(): Promise<void> {
    const told = this.#happened;
    this.#happened = [];
    try {
      const isNews = told.some(({ event }) => event === 'refused');
      const found =
        told.length === 0
          ? await this.#values.read()
          : await this.#values.change((before) => this.#changes(before, told), isNews);
      const known = this.#throttle.groups;
      this.#throttle.replace(
        new Map([...this.#local(found)].map(([name, group]) => [name, withTold(group, known.get(name))])),
      );
      for (const each of this.#happened) this.#throttle.replay(each);
    } catch (error) {
      this.#happened = [...told, ...this.#happened];
      if (!isOperationalError(error)) throw error;
    }
  }

  #changes(
    before: SharedReading,
    told: readonly ThrottleHappening[],
  ): ReadonlyMap<string, SharedValue | null> {
    const throttle = new Throttle({ now: () => this.#clock.now(), changed: () => {}, warn: () => {} });
    throttle.replace(this.#local(before));
    for (const each of told) throttle.replay(each);
    const ahead = this.#clock.now() - before.now;
    const names = new Set(told.map(({ group }) => group));
    return new Map(
      [...names].map((name) => {
        const group = throttle.groups.get(name);
        if (group === undefined) return [name, null];
        const value = moved({ ...group, told: false }, -ahead);
        return [name, { value, until: value.until }];
      }),
    );
  }

  /** By the clock of this process. */
  #local({ values, now }: SharedReading): ThrottledGroups {
    return groupsFrom(values, this.#clock.now() - now);
  }
}

/** @param ahead milliseconds that our clock is ahead of the queue's */
export function groupsFrom(values: ReadonlyMap<string, unknown>, ahead: number): ThrottledGroups {
  return new Map(
    [...values].flatMap(([name, value]) => (isThrottledGroup(value) ? [[name, moved(value, ahead)]] : [])),
  );
}

function moved(group: ThrottledGroup, by: number): ThrottledGroup {
  return { ...group, until: Math.max(0, group.until + by), heard: Math.max(0, group.heard + by) };
}

/** Whether senders were told is this process's affair: others have other messages. In a new pause nobody was. */
function withTold(group: ThrottledGroup, known: ThrottledGroup | undefined): ThrottledGroup {
  const isNew = group.state === 'paused' && (known?.state !== 'paused' || group.until > known.until + 1000);
  return { ...group, told: known?.told === true && !isNew };
}
