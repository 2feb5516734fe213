/**
 * The session table with its guard and action names bound to functions, and rows found by state and event. Holds no logic
 * of its own.
 */
import type { Action } from './actions.ts';
import { ACTIONS } from './actions.ts';
import type { Guard } from './guards.ts';
import { GUARDS } from './guards.ts';
import { indexRows } from './row-index.ts';
import type { Draft, EventName } from './session.ts';
import type { StateName } from './states.ts';
import type { Row } from './table.ts';
import { SESSION_TABLE } from './table.ts';

export interface BoundRow extends Row {
  readonly guard: Guard | null;
  readonly actions: readonly Action[];
}

const rowsOf = indexRows<StateName, EventName | 'always', BoundRow>(
  SESSION_TABLE.map((row) => ({
    ...row,
    guard: row.when === undefined ? null : GUARDS[row.when],
    actions: row.do.map((name) => ACTIONS[name]),
  })),
);

/** The first row for this state and event whose guard holds. */
export function rowFor(state: StateName, event: EventName | 'always', draft: Draft): BoundRow | undefined {
  return rowsOf(state, event).find(({ guard }) => guard === null || guard(draft));
}
