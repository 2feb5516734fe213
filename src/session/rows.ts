/**
 * The table made fast: rows by state and event, names bound to functions, once at load. Called by machine.ts
 * for every event; holds no logic of its own.
 */
import type { Action } from './actions.ts';
import { ACTIONS } from './actions.ts';
import type { Guard } from './guards.ts';
import { GUARDS } from './guards.ts';
import type { Draft, EventName } from './session.ts';
import type { StateName } from './states.ts';
import { SESSION_TABLE } from './table.ts';

export interface BoundRow {
  readonly id: string;
  readonly guard: Guard | null;
  readonly to: StateName;
  readonly actions: readonly Action[];
}

type RowsByEvent = { [event in EventName | 'proceed']?: BoundRow[] };

const INDEX: { [state in StateName]?: RowsByEvent } = {};
for (const row of SESSION_TABLE) {
  const bound: BoundRow = {
    id: row.id,
    guard: row.when === undefined ? null : GUARDS[row.when],
    to: row.to,
    actions: row.do.map((name) => ACTIONS[name]),
  };
  for (const state of row.in) {
    const byEvent: RowsByEvent = INDEX[state] ?? {};
    INDEX[state] = byEvent;
    for (const event of row.on) {
      const rows = byEvent[event] ?? [];
      byEvent[event] = rows;
      rows.push(bound);
    }
  }
}

/** The first row of this state and event whose guard holds. */
export function rowFor(state: StateName, event: EventName | 'proceed', draft: Draft): BoundRow | undefined {
  return INDEX[state]?.[event]?.find(({ guard }) => guard === null || guard(draft));
}
