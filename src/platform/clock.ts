/**
 * Time and chance as arguments: nothing but `systemClock` asks the system what time it is or sets a timer. Simulations
 * and tests have clocks of their own.
 */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** wall clock, milliseconds since the epoch; may jump both ways */
  now(): number;
  /** milliseconds that never run backwards; only differences mean anything */
  monotonic(): number;
  after(milliseconds: number, call: () => void): Timer;
}

/** Uniform in [0, 1). Seeded in tests and in the simulation. */
export type Random = () => number;

/** Node fires a timer with a longer delay at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  // `performance.now()` would load a dozen modules at the first call.
  monotonic: () => {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1000 + nanoseconds / 1e6;
  },
  after(milliseconds, call) {
    const timer = setTimeout(call, Math.min(milliseconds, LONGEST_TIMER));
    return { cancel: () => clearTimeout(timer) };
  },
};
