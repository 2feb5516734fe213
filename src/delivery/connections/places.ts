/**
 * What sessions count at: addresses with their port, and groups of hosts. How many are open there, how many there may be, and
 * which attempts wait for one.
 */
import { Deque } from '../../platform/deque.ts';
import type { DeliveryAttempt } from '../attempt.ts';
import type { ConnectionTarget } from './target.ts';

/** Sessions with an address that has answered no message yet. */
export const FIRST_SESSIONS = 2;

interface Place {
  /** sessions that have not sent QUIT */
  open: number;
  /** sessions it may have */
  allowed: number;
  readonly waiters: Deque<DeliveryAttempt>;
}

export class Places {
  readonly #places = new Map<string, Place>();
  readonly #resume: (attempt: DeliveryAttempt) => void;

  /** `resume` is called with an attempt that waits no more. */
  constructor(resume: (attempt: DeliveryAttempt) => void) {
    this.#resume = resume;
  }

  at(name: string): Place {
    const known = this.#places.get(name);
    if (known !== undefined) return known;
    const place = { open: 0, allowed: FIRST_SESSIONS, waiters: new Deque<DeliveryAttempt>() };
    this.#places.set(name, place);
    return place;
  }

  count({ places }: ConnectionTarget, by: 1 | -1): void {
    for (const place of places) this.at(place).open += by;
  }

  open(name: string): number {
    return this.#places.get(name)?.open ?? 0;
  }

  /** Sessions that there are and would be. */
  wanted(name: string): number {
    const place = this.#places.get(name);
    return place === undefined ? 0 : place.open + place.waiters.length;
  }

  /** The attempt waits there, without a worker, until there is a session to spare. */
  enqueue(name: string, attempt: DeliveryAttempt): void {
    this.at(name).waiters.push(attempt);
  }

  hasWaiters({ places }: ConnectionTarget): boolean {
    return places.some((place) => this.#first(place) !== undefined);
  }

  /** Who has waited longest at such a place, if it is one of these and a connection to the target will do. */
  takeWaiter(
    { places, name }: ConnectionTarget,
    ours: ReadonlySet<DeliveryAttempt>,
  ): DeliveryAttempt | undefined {
    for (const place of places) {
      const attempt = this.#first(place);
      if (attempt === undefined || !ours.has(attempt) || attempt.waitingFor?.target.name !== name) continue;
      return this.#places.get(place)?.waiters.shift();
    }
    return undefined;
  }

  /** The first at each place. */
  wakeAll({ places }: ConnectionTarget): void {
    for (const place of places) this.#wake(place);
  }

  /** As many of those that wait there as find a session, where there may be so many. */
  wakeFor(name: string, sessions: number): void {
    const place = this.#places.get(name);
    if (place === undefined) return;
    for (let room = sessions - place.open; room > 0 && place.waiters.length > 0; room--) this.#wake(name);
  }

  /** All that wait; none does any more. */
  takeAll(): readonly DeliveryAttempt[] {
    return [...this.#places.values()].flatMap(({ waiters }) => waiters.takeAll());
  }

  /** Nothing waits: places without a session are forgotten. */
  prune(): void {
    for (const [name, { open, waiters }] of this.#places) {
      waiters.takeAll();
      if (open === 0) this.#places.delete(name);
    }
  }

  #wake(name: string): void {
    const attempt = this.#first(name);
    if (attempt === undefined) return;
    this.#places.get(name)?.waiters.shift();
    this.#resume(attempt);
  }

  /** Whose time is over waits no more. */
  #first(name: string): DeliveryAttempt | undefined {
    const waiters = this.#places.get(name)?.waiters;
    while (waiters?.first?.isDone === true) waiters.shift();
    return waiters?.first;
  }
}
