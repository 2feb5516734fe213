/** Work that is cheapest on this thread where it is quick, and keeps everything else waiting where it is not. */
import { systemClock } from '../platform/clock.ts';

/** Milliseconds. Handing work to another thread costs less than half of it. */
const SLOW = 0.15;

/**
 * Does work on this thread until about every fourth time has been slow lately: on some disks giving back the blocks of a file
 * takes half a millisecond, on most a sync takes several, and meanwhile other work could be done.
 */
export function whileQuick<Subject>(
  here: (subject: Subject) => void,
  elsewhere: (subject: Subject) => Promise<void>,
  monotonic: () => number = systemClock.monotonic,
): (subject: Subject) => Promise<void> {
  let average = 0;
  return async (subject) => {
    if (average > SLOW) return elsewhere(subject);
    const begun = monotonic();
    here(subject);
    // Once may be chance: another process had its turn.
    average += (Math.min(monotonic() - begun, 4 * SLOW) - average) / 16;
  };
}
