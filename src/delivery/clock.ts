/**
 * The real clock. Commands make it and hand it to whatever needs time; nothing else in the program asks the
 * system what time it is or sets a timer. `replay/` has the virtual one.
 */
import type { Clock } from './ports.ts';

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
