/**
 * What a throttled group of hosts may be offered: `next(group, event, now)` takes the row of table.ts that applies. The rate
 * rises by a constant in each minute in which it is used, and is halved by each refusal (additive increase, multiplicative
 * decrease); the pause after a refusal doubles, and shrinks in the same way. Pure: the clock is an argument.
 */
import { bindRows } from '../../smtp/machine/rows.ts';
import {
  THROTTLE_TABLE,
  type ThrottleAction,
  type ThrottleEvent,
  type ThrottleGuard,
  type ThrottleRow,
  type ThrottleState,
} from './table.ts';

/** Milliseconds, and messages a minute. */
export const THROTTLE = {
  firstPause: 5 * 60_000,
  longestPause: 4 * 3_600_000,
  /** less for each minute in which it takes mail at its rate */
  pauseStep: 5 * 60_000,
  probeInterval: 60_000,
  /** unused turns of so long are not lost: a run from cron comes once a minute */
  burst: 60_000,
  firstRate: 10,
  lowestRate: 1,
  /** beyond it the group is open again */
  fullRate: 60,
  /** more for each such minute */
  rateStep: 5,
  /** without an answer for so long nothing is known any more */
  forgetAfter: 24 * 3_600_000,
} as const;

const MINUTE = 60_000;

/** A group that is not open. Times are milliseconds since the epoch. */
export interface Throttled {
  readonly state: Exclude<ThrottleState, 'open'>;
  /** nothing is offered before */
  readonly until: number;
  /** milliseconds: the last pause, or the next one's half */
  readonly pause: number;
  /** messages a minute, once it takes mail again */
  readonly rate: number;
  /** when it last answered */
  readonly heard: number;
}

interface Step {
  /** null: it is open */
  readonly group: Throttled | null;
  /** the message may be offered */
  readonly admitted: boolean;
  readonly row: string;
}

interface Draft {
  readonly now: number;
  readonly firstPause: number;
  state: ThrottleState;
  until: number;
  pause: number;
  rate: number;
  admitted: boolean;
  heard: number;
}

const GUARDS: { readonly [name in ThrottleGuard]: (draft: Draft) => boolean } = {
  stale: ({ heard, until, now }) => now > Math.max(heard, until) + THROTTLE.forgetAfter,
  tooEarly: ({ until, now }) => now < until,
  fullRate: ({ rate }) => rate >= THROTTLE.fullRate,
};

const ACTIONS: { readonly [name in ThrottleAction]: (draft: Draft) => void } = {
  admit: (draft) => {
    draft.admitted = true;
  },
  beginSlowly: (draft) => {
    draft.rate = THROTTLE.firstRate;
    draft.pause = draft.firstPause;
  },
  halveRate: (draft) => {
    draft.rate = Math.max(THROTTLE.lowestRate, draft.rate / 2);
  },
  doublePause: (draft) => {
    draft.pause = Math.min(THROTTLE.longestPause, Math.max(draft.firstPause, 2 * draft.pause));
  },
  pause: (draft) => {
    draft.until = draft.now + draft.pause;
  },
  nextProbe: (draft) => {
    draft.until = draft.now + THROTTLE.probeInterval;
  },
  nextSlot: (draft) => {
    draft.until = Math.max(draft.until, draft.now - THROTTLE.burst) + MINUTE / draft.rate;
  },
  raiseRate: (draft) => {
    // A minute has `rate` messages, each of which raises it by its share.
    draft.rate += THROTTLE.rateStep / draft.rate;
    if (draft.state === 'probing') draft.until = draft.now;
  },
  shrinkPause: (draft) => {
    draft.pause = Math.max(draft.firstPause, draft.pause - THROTTLE.pauseStep / draft.rate);
  },
};

const fitting = bindRows<ThrottleRow, Draft>(THROTTLE_TABLE, GUARDS, ACTIONS);

/**
 * @param group null: open
 * @param now milliseconds since the epoch
 * @param firstPause milliseconds: the shortest pause of this receiver
 */
export function next(
  group: Throttled | null,
  event: ThrottleEvent,
  now: number,
  firstPause: number = THROTTLE.firstPause,
): Step {
  const draft: Draft = { ...(group === null ? OPEN : inTime(group, now)), now, firstPause, admitted: false };
  const row = fitting(draft.state, event, draft);
  // Where nothing is known everything may be offered.
  if (row === undefined) return { group, admitted: true, row: '' };
  for (const action of row.actions) action(draft);
  const { until, pause, rate, admitted } = draft;
  const heard = event === 'asked' ? draft.heard : now;
  const state = row.to;
  return { group: state === 'open' ? null : { state, until, pause, rate, heard }, admitted, row: row.id };
}

const OPEN = { state: 'open', until: 0, pause: 0, rate: 0, heard: 0 } as const;

/** How many messages may be offered now. */
export function turnsAt(given: Throttled, now: number): number {
  const group = inTime(given, now);
  if (GUARDS.stale({ ...group, now, firstPause: 0, admitted: false })) return Number.POSITIVE_INFINITY;
  if (now < group.until) return 0;
  if (group.state !== 'limited') return 1;
  return 1 + Math.floor(((now - Math.max(group.until, now - THROTTLE.burst)) * group.rate) / MINUTE);
}

/** The clock was set back, or a file is damaged: a pause lasts no longer for it. */
function inTime(group: Throttled, now: number): Throttled {
  const pause = Math.min(group.pause, THROTTLE.longestPause);
  const longest = now + Math.max(pause, THROTTLE.probeInterval);
  if (group.until <= longest) return group;
  return { ...group, until: longest, heard: Math.min(group.heard, now) };
}
