/** The windows of faults in which a second copy may be sent: what techdoc/several-machines.md says, as a table. */
import type { Fault } from './faults.ts';
import type { Arrival } from './sink.ts';

/** Milliseconds in which an outcome is committed, or bytes that were sent arrive, on a machine that is busy. */
const BUSY = 3000;

interface Pair {
  readonly first: Arrival;
  readonly second: Arrival;
  /** milliseconds of the lease */
  readonly lease: number;
}

type Excuses = (fault: Fault, pair: Pair) => boolean;

/** It came while the outcomes of this worker, or of all, could not be committed. */
const uncommitted: Excuses = ({ target, from, until }, { first }) =>
  (target === 'database' || target === first.worker) && first.at > from - BUSY && first.at < until + BUSY;

const WINDOWS = {
  none: () => false,
  uncommitted,
  // The end of a message was on its way when the process froze, and its lease ended before that arrived.
  frozen: (fault, pair) =>
    uncommitted(fault, pair) ||
    (fault.target === pair.second.worker &&
      pair.second.at > fault.from &&
      pair.second.at < fault.until + BUSY),
  // Leases that were alive when the clock was stepped are over at once, and their processes do not know.
  'lease ended early': ({ from, until }, { first, lease }) =>
    first.at > from - BUSY && first.at < until + lease + BUSY,
} as const satisfies { readonly [name: string]: Excuses };

export type Window = keyof typeof WINDOWS;

export function excuses(fault: Fault, pair: Pair): boolean {
  const rule: Excuses = WINDOWS[fault.window];
  return rule(fault, pair);
}
