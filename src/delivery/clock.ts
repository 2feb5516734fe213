/**
 * The real clock. Commands make it and hand it to whatever needs time; nothing else in the program asks the
 * system what time it is or sets a timer. `replay/` has the virtual one.
 */
import type { Clock } from './ports.ts';

/** Node fires a timer with a longer delay at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(milliseconds, call) {
    const timer = setTimeout(call, Math.min(milliseconds, LONGEST_TIMER));
    return { cancel: () => clearTimeout(timer) };
  },
};
