/**
 * Time and randomness as arguments. Only `systemClock` reads the system's time and sets its timers; simulations and tests have
 * other clocks.
 */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** wall clock, milliseconds since the epoch; may jump both ways */
  now(): number;
  /** milliseconds that never decrease; only differences are meaningful */
  monotonic(): number;
  after(milliseconds: number, call: () => void): Timer;
}

/** Uniform in [0, 1). Seeded in tests and in the simulation. */
export type Random = () => number;

/** A timer with a longer delay fires immediately in Node. */
const LONGEST_TIMER = 2 ** 31 - 1;

// A number from within Node: `process.hrtime()` makes an array, and `performance.now()` loads a dozen modules at its first call.
const { uptime } = process;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => uptime() * 1000,
  after(milliseconds, call) {
    const timer = setTimeout(call, Math.min(milliseconds, LONGEST_TIMER));
    return { cancel: () => clearTimeout(timer) };
  },
};

/** ISO 8601 in UTC, to the second; the plain number outside the range of dates. */
export function formatTime(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  return Number.isNaN(date.getTime()) ? `second ${unixSeconds}` : date.toISOString().replace('.000Z', 'Z');
}
