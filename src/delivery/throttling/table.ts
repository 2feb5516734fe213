/**
 * The transitions of a throttled group of hosts, one row each; the first row that applies is taken. Names only: machine.ts
 * says what they mean. A group of which nothing is known is `open`. Printed into techdoc/throttling.md.
 */

export const THROTTLE_STATES = {
  open: 'nothing is known: no limit but the settings',
  paused: 'it asked us to send less: nothing is offered before the pause ends',
  probing: 'the pause is over: one message a minute is offered, until one is accepted',
  limited: 'it takes mail again: so many messages a minute as its rate says',
} as const;

export type ThrottleState = keyof typeof THROTTLE_STATES;

export type ThrottleEvent =
  /** a message wants to be offered */
  | 'asked'
  /** a message was accepted */
  | 'accepted'
  /** it asked us to send less */
  | 'refused';

export type ThrottleGuard = 'stale' | 'tooEarly' | 'fullRate';

export type ThrottleAction =
  | 'admit'
  | 'beginSlowly'
  | 'halveRate'
  | 'doublePause'
  | 'pause'
  | 'nextProbe'
  | 'nextSlot'
  | 'raiseRate'
  | 'shrinkPause';

export interface ThrottleRow {
  readonly id: string;
  readonly in: readonly ThrottleState[];
  readonly on: readonly ThrottleEvent[];
  readonly when?: ThrottleGuard;
  readonly to: ThrottleState;
  readonly do: readonly ThrottleAction[];
}

export const THROTTLE_TABLE: readonly ThrottleRow[] = [
  { id: 'first-refusal', in: ['open'], on: ['refused'], to: 'paused', do: ['beginSlowly', 'pause'] },
  // Of a message that was on its way when the pause began.
  { id: 'late-answer', in: ['paused'], on: ['refused', 'accepted'], to: 'paused', do: [] },
  {
    id: 'refused-again',
    in: ['probing', 'limited'],
    on: ['refused'],
    to: 'paused',
    do: ['halveRate', 'doublePause', 'pause'],
  },
  {
    id: 'forgotten',
    in: ['paused', 'probing', 'limited'],
    on: ['asked'],
    when: 'stale',
    to: 'open',
    do: ['admit'],
  },
  { id: 'paused', in: ['paused'], on: ['asked'], when: 'tooEarly', to: 'paused', do: [] },
  { id: 'probe', in: ['paused'], on: ['asked'], to: 'probing', do: ['admit', 'nextProbe'] },
  { id: 'probing', in: ['probing'], on: ['asked'], when: 'tooEarly', to: 'probing', do: [] },
  { id: 'next-probe', in: ['probing'], on: ['asked'], to: 'probing', do: ['admit', 'nextProbe'] },
  { id: 'over', in: ['limited'], on: ['accepted'], when: 'fullRate', to: 'open', do: [] },
  {
    id: 'accepted',
    in: ['probing', 'limited'],
    on: ['accepted'],
    to: 'limited',
    do: ['raiseRate', 'shrinkPause'],
  },
  { id: 'too-fast', in: ['limited'], on: ['asked'], when: 'tooEarly', to: 'limited', do: [] },
  { id: 'in-turn', in: ['limited'], on: ['asked'], to: 'limited', do: ['admit', 'nextSlot'] },
];
