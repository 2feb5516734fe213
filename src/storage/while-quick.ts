/** Work that is cheapest on this thread where it is quick, and keeps everything else waiting where it is not. */
import { systemClock } from '../platform/clock.ts';

/** Milliseconds. Handing work to another thread costs less than half of it. */
const SLOW = 0.15;

/**
 * Does work on this thread until about every fourth time has been slow lately: on some disks giving back the blocks of a file
 * takes half a millisecond, on most a sync takes several, and meanwhile other work could be done. Where the other thread has it done
 * in a time that is quick for this one, as when the machine is no longer busy, it is done here again.
 */
export function whileQuick<Subject>(
  here: (subject: Subject) => void,
  elsewhere: (subject: Subject) => Promise<void>,
  monotonic: () => number = systemClock.monotonic,
): (subject: Subject) => Promise<void> {
  let average = 0;
  return async (subject) => {
    const begun = monotonic();
    if (average > SLOW) await elsewhere(subject);
    else here(subject);
    // Once may be chance: another process had its turn.
    average += (Math.min(monotonic() - begun, 4 * SLOW) - average) / 16;
  };
}
