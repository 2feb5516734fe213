/**
 * A transition table made ready for use: rows are found by state and event, in the order of the table, and their guard and
 * action names are bound to functions. Serves the tables of sessions, of deliveries and of the intake. Holds no logic of its
 * own.
 */

interface NamedRow {
  readonly in: readonly string[];
  readonly on: readonly string[];
  readonly when?: string;
  readonly do: readonly string[];
}

type Guard<Draft> = (draft: Draft) => boolean;
type Action<Draft> = (draft: Draft) => void;

type BoundRow<Row, Draft> = Row & {
  readonly guard: Guard<Draft> | null;
  readonly actions: readonly Action<Draft>[];
};

/**
 * Returns what finds the first row for a state and event whose guard holds. The index is built once, when the table is
 * loaded.
 */
export function bindRows<Row extends NamedRow, Draft>(
  table: readonly Row[],
  guards: { readonly [name in NonNullable<Row['when']>]: Guard<Draft> },
  actions: { readonly [name in Row['do'][number]]: Action<Draft> },
): (state: Row['in'][number], event: Row['on'][number], draft: Draft) => BoundRow<Row, Draft> | undefined {
  const index = new Map<string, Map<string, BoundRow<Row, Draft>[]>>();
  for (const row of table) {
    const bound = {
      ...row,
      guard: row.when === undefined ? null : guards[row.when as NonNullable<Row['when']>],
      actions: row.do.map((name) => actions[name as Row['do'][number]]),
    };
    for (const state of row.in) {
      const byEvent = index.get(state) ?? new Map<string, BoundRow<Row, Draft>[]>();
      index.set(state, byEvent);
      for (const event of row.on) byEvent.set(event, [...(byEvent.get(event) ?? []), bound]);
    }
  }
  return (state, event, draft) =>
    index
      .get(state)
      ?.get(event)
      ?.find(({ guard }) => guard === null || guard(draft));
}
