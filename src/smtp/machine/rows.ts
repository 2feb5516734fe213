/**
 * A transition table made ready for use: rows are found by state and event, in the order of the table, and their guard and
 * action names are bound to functions. Serves the tables of sessions, of deliveries, of throttling and of the intake. Holds no
 * logic of its own.
 */

interface NamedRow {
  readonly id: string;
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
  /** its id, as the list of the rows that were taken */
  readonly alone: readonly string[];
  /** whether the state it leads to has rows that need no event */
  readonly isFollowed: boolean;
};

/** The first row of a state and event, in the order of the table, whose guard holds. */
export type Fitting<Row extends NamedRow, Draft> = (
  state: Row['in'][number],
  event: Row['on'][number],
  draft: Draft,
) => BoundRow<Row, Draft> | undefined;

/** Rows are bound when their state and event first come together: a process meets few of the pairs. */
export function bindRows<Row extends NamedRow, Draft>(
  table: readonly Row[],
  guards: { readonly [name in NonNullable<Row['when']>]: Guard<Draft> },
  actions: { readonly [name in Row['do'][number]]: Action<Draft> },
): Fitting<Row, Draft> {
  const rowsOf = (state: string, event: string): readonly Row[] =>
    table.filter((row) => row.in.includes(state) && row.on.includes(event));
  const bound = (row: Row): BoundRow<Row, Draft> => ({
    ...row,
    guard: row.when === undefined ? null : guards[row.when as NonNullable<Row['when']>],
    actions: row.do.map((name) => actions[name as Row['do'][number]]),
    alone: [row.id],
    isFollowed: rowsOf(row.to, 'always').length > 0,
  });
  const known: { [state: string]: { [event: string]: readonly BoundRow<Row, Draft>[] } } = {};
  return (state, event, draft) => {
    known[state] ??= {};
    const byEvent = known[state];
    byEvent[event] ??= rowsOf(state, event).map(bound);
    for (const row of byEvent[event]) if (row.guard === null || row.guard(draft)) return row;
    return undefined;
  };
}
