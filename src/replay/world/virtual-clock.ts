/**
 * A clock that moves only when nothing else can happen. Used by `replay`, the simulation and the tests, so that
 * five days pass in a moment and always in the same way. Wall time may be set apart from the monotonic time.
 */
import type { Clock, Timer } from '../../platform/clock.ts';

/** Streams pass things on over some turns of the event loop, in which no timer is set. */
const IDLE_TURNS = 50;

interface Alarm {
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
  readonly #alarms = new Set<Alarm>();

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
    const alarm = { at: this.#elapsed + Math.max(0, milliseconds), order: this.#order++, call };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  /** The wall clock is set; what is due stays due. */
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

  /** timers that are set */
  get pending(): number {
    return this.#alarms.size;
  }

  /** Run all that can run, letting time pass as needed, until `done` settles or nothing is left to wait for. */
  async runUntil<T>(done: Promise<T>): Promise<T> {
    let settled = false;
    const noted = done.finally(() => {
      settled = true;
    });
    noted.catch(() => {});
    for (let idle = 0; idle < IDLE_TURNS; idle++) {
      await breath();
      if (settled) return noted;
      if (this.#untimed > 0 || this.#fireNext()) idle = 0;
    }
    throw new Error('nothing is left to happen, and what was waited for has not come');
  }

  #fireNext(): boolean {
    let next: Alarm | null = null;
    for (const alarm of this.#alarms) {
      if (next === null || alarm.at < next.at || (alarm.at === next.at && alarm.order < next.order))
        next = alarm;
    }
    if (next === null) return false;
    this.#alarms.delete(next);
    this.#elapsed = Math.max(this.#elapsed, next.at);
    next.call();
    return true;
  }
}

/** All promises that can settle now have settled. */
function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
