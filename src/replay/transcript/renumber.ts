/** The ids of recipients in the lines of a transcript. */

/** Fields that hold ids of recipients. */
const IDS: ReadonlySet<string> = new Set(['recipients', 'pending', 'accepted', 'refused', 'remaining']);

/** Replaces the ids of recipients by their positions in a shortened job. */
export function renumbered<T>(value: T, position: ReadonlyMap<number, number>): T;
export function renumbered(value: unknown, position: ReadonlyMap<number, number>): unknown {
  if (Array.isArray(value)) return value.map((each) => renumbered(each, position));
  if (typeof value !== 'object' || value === null) return value;
  const idOf = (each: unknown): unknown => {
    if (typeof each === 'number') return position.get(each) ?? each;
    const { id, ...rest } = each as { readonly id: number };
    return { id: position.get(id) ?? id, ...rest };
  };
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      IDS.has(key) && Array.isArray(each) ? each.map(idOf) : renumbered(each, position),
    ]),
  );
}
