/**
 * A transition table made ready for use: rows are found by state and event, in the order of the table, and their guard and
 * action names are bound to functions. Serves the tables of sessions, of deliveries and of the intake. Holds no logic of its
 * own.
 */

interface NamedRow {
  readonly in: readonly string[];
  readonly on: readonly string[];
  readonly when?: string;
  readonly to: string;
  readonly do: readonly string[];
}

type Guard<Draft> = (draft: Draft) => boolean;
type Action<Draft> = (draft: Draft) => void;

export type BoundRow<Row, Draft> = Row & {
  readonly guard: Guard<Draft> | null;
  readonly actions: readonly Action<Draft>[];
  /** those of the state it leads to that need no event */
  readonly always: readonly BoundRow<Row, Draft>[];
};

/** The rows of a state and event, in the order of the table. */
export type Rows<Row extends NamedRow, Draft> = {
  [state in Row['in'][number]]?: { [event in Row['on'][number]]?: BoundRow<Row, Draft>[] };
};

/** Made once, when the table is loaded. */
export function bindRows<Row extends NamedRow, Draft>(
  table: readonly Row[],
  guards: { readonly [name in NonNullable<Row['when']>]: Guard<Draft> },
  actions: { readonly [name in Row['do'][number]]: Action<Draft> },
): Rows<Row, Draft> {
  const index: { [state: string]: { [event: string]: BoundRow<Row, Draft>[] } } = {};
  function rowsOf(state: string, event: string): BoundRow<Row, Draft>[] {
    const byEvent = index[state] ?? {};
    index[state] = byEvent;
    const rows = byEvent[event] ?? [];
    byEvent[event] = rows;
    return rows;
  }
  for (const row of table) {
    const bound = {
      ...row,
      guard: row.when === undefined ? null : guards[row.when as NonNullable<Row['when']>],
      actions: row.do.map((name) => actions[name as Row['do'][number]]),
      always: rowsOf(row.to, 'always'),
    };
    for (const state of row.in) for (const event of row.on) rowsOf(state, event).push(bound);
  }
  return index as object;
}

/** The first of the rows whose guard holds. */
export function firstFitting<Row, Draft>(
  rows: readonly BoundRow<Row, Draft>[] | undefined,
  draft: Draft,
): BoundRow<Row, Draft> | undefined {
  if (rows === undefined) return undefined;
  for (const row of rows) if (row.guard === null || row.guard(draft)) return row;
  return undefined;
}
