/** Work that may not overlap, and work that must not keep others waiting. */
import type { Clock } from './clock.ts';

/** Each call begins when the one before has ended, whatever became of that. */
export function inTurn(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(work, work);
    last = turn.catch(() => {});
    return turn;
  };
}

/** Milliseconds of a slice. */
const SLICE = 12;

/** Takes the steps one after the other, and lets others have their turn after each slice; the value is what they return. */
export async function inSlices<T>(steps: Iterator<unknown, T>, clock: Pick<Clock, 'monotonic'>): Promise<T> {
  let began = clock.monotonic();
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    if (clock.monotonic() - began < SLICE) continue;
    await new Promise((resolve) => setImmediate(resolve));
    began = clock.monotonic();
  }
}
