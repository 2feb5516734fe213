/**
 * The table made fast: rows by state and event, names bound to functions, once at load. Called by machine.ts
 * for every event; holds no logic of its own.
 */
import type { Action } from './actions.ts';
import { ACTIONS } from './actions.ts';
import type { Guard } from './guards.ts';
import { GUARDS } from './guards.ts';
import type { EventName } from './session.ts';
import type { StateName } from './states.ts';
import { SESSION_TABLE } from './table.ts';

export interface BoundRow {
  readonly id: string;
  readonly guards: Guard;
  readonly to: StateName;
  readonly actions: readonly Action[];
}

const INDEX = new Map<string, BoundRow[]>();
for (const row of SESSION_TABLE) {
  const bound: BoundRow = {
    id: row.id,
    guards: row.when === undefined ? () => true : GUARDS[row.when],
    to: row.to,
    actions: row.do.map((name) => ACTIONS[name]),
  };
  for (const state of row.in) {
    for (const event of row.on) {
      const key = `${state} ${event}`;
      INDEX.set(key, [...(INDEX.get(key) ?? []), bound]);
    }
  }
}
const NONE: readonly BoundRow[] = [];

export function rowsFor(state: StateName, event: EventName | 'proceed'): readonly BoundRow[] {
  return INDEX.get(`${state} ${event}`) ?? NONE;
}
