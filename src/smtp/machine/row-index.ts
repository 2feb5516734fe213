/** Rows of a transition table by state and event, in the order of the table. Built once, when the table is loaded. */

interface Keyed<State extends string, Event extends string> {
  readonly in: readonly State[];
  readonly on: readonly Event[];
}

export function indexRows<State extends string, Event extends string, Row extends Keyed<State, Event>>(
  table: readonly (Row & Keyed<State, Event>)[],
): (state: State, event: Event) => readonly Row[] {
  const index = new Map<State, Map<Event, Row[]>>();
  for (const row of table) {
    for (const state of row.in) {
      const byEvent = index.get(state) ?? new Map<Event, Row[]>();
      index.set(state, byEvent);
      for (const event of row.on) byEvent.set(event, [...(byEvent.get(event) ?? []), row]);
    }
  }
  const none: readonly Row[] = [];
  return (state, event) => index.get(state)?.get(event) ?? none;
}
