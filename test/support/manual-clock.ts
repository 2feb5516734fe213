/**
 * A clock that a test moves by hand, for code that also uses real sockets: no timer fires before `advance()`. Where
 * everything is simulated, use the virtual clock of `replay/`.
 */
import type { Clock } from '../../src/platform/clock.ts';

export interface ManualClock extends Clock {
  /** Lets this much time pass and calls the timers that are due, in order. */
  advance(milliseconds: number): void;
  /** how many timers are set */
  readonly pending: number;
}

export function createManualClock(epochMilliseconds = 0): ManualClock {
  let elapsed = 0;
  const alarms = new Set<{ readonly at: number; readonly call: () => void }>();

  function nextUntil(limit: number) {
    return [...alarms].filter(({ at }) => at <= limit).sort((a, b) => a.at - b.at)[0];
  }

  return {
    now: () => epochMilliseconds + elapsed,
    monotonic: () => elapsed,
    after(milliseconds, call) {
      const alarm = { at: elapsed + milliseconds, call };
      alarms.add(alarm);
      return { cancel: () => alarms.delete(alarm) };
    },
    advance(milliseconds) {
      const limit = elapsed + milliseconds;
      for (let alarm = nextUntil(limit); alarm !== undefined; alarm = nextUntil(limit)) {
        alarms.delete(alarm);
        elapsed = Math.max(elapsed, alarm.at);
        alarm.call();
      }
      elapsed = limit;
    },
    get pending() {
      return alarms.size;
    },
  };
}
