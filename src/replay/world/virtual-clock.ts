/**
 * A clock that advances only when nothing else can happen, so that five days pass in a moment, and always in the same way.
 * Wall time can be changed without changing monotonic time.
 */
import type { Clock, Timer } from '../../platform/clock.ts';

/** Turns of the event loop that streams may need to pass data on while no timer is set. */
const IDLE_TURNS = 50;

interface VirtualTimer {
  readonly at: number;
  readonly order: number;
  readonly call: () => void;
}

export class VirtualClock implements Clock {
  /** milliseconds since the epoch at monotonic time 0 */
  #epoch: number;
  #elapsed = 0;
  #order = 0;
  /** how much work goes on for which no time passes */
  #untimed = 0;
  readonly #timers = new Set<VirtualTimer>();

  constructor(epochMilliseconds: number) {
    this.#epoch = epochMilliseconds;
  }

  now(): number {
    return this.#epoch + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  after(milliseconds: number, call: () => void): Timer {
    const timer = { at: this.#elapsed + Math.max(0, milliseconds), order: this.#order++, call };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Sets the wall clock forward or back; timers are not affected. */
  jump(milliseconds: number): void {
    this.#epoch += milliseconds;
  }

  /** No time passes until `work` has settled, however many turns of the event loop it takes. */
  async standStill<T>(work: Promise<T>): Promise<T> {
    this.#untimed++;
    try {
      return await work;
    } finally {
      this.#untimed--;
    }
  }

  /** number of timers that are set */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets time pass until `done` settles. Throws when it has not settled and no timer is left. */
  async runUntil<T>(done: Promise<T>): Promise<T> {
    let settled = false;
    const watched = done.finally(() => {
      settled = true;
    });
    watched.catch(() => {});
    for (let idle = 0; idle < IDLE_TURNS; idle++) {
      await nextTurn();
      if (settled) return watched;
      if (this.#untimed > 0 || this.#fireNext()) idle = 0;
    }
    throw new Error('no timer is left, and the awaited promise has not settled');
  }

  #fireNext(): boolean {
    let next: VirtualTimer | null = null;
    for (const timer of this.#timers) {
      if (next === null || timer.at < next.at || (timer.at === next.at && timer.order < next.order))
        next = timer;
    }
    if (next === null) return false;
    this.#timers.delete(next);
    this.#elapsed = Math.max(this.#elapsed, next.at);
    next.call();
    return true;
  }
}

/** After it, all promises that can settle without a timer or I/O have settled. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
