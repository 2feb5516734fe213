/** "Did you mean ...?" for a mistyped name. Pure. */

/** The known name nearest to `word`, or the only one that it is part of; null where none is meant. */
export function nearest(word: string, names: readonly string[]): string | null {
  // A number near another one is not a mistyped one.
  if (!/[a-z]/i.test(word)) return null;
  return nearestSpelling(word, names) ?? onlyLonger(word.toLowerCase(), names);
}

/** `que` is the beginning of `queue`, and `listen` the end of `intake.listen`. */
function onlyLonger(word: string, names: readonly string[]): string | null {
  const found = names.filter(
    (name) => word.length > 1 && (name.startsWith(word) || name.endsWith(`.${word}`)),
  );
  return found.length === 1 ? (found[0] ?? null) : null;
}

function nearestSpelling(word: string, names: readonly string[]): string | null {
  // One letter more or less makes another word of one or two letters.
  const allowed = word.length < 3 ? 0 : Math.max(1, Math.floor((word.length + 1) / 3));
  const [best] = names
    .map((name) => ({ name, distance: editDistance(word.toLowerCase(), name.toLowerCase()) }))
    .filter(({ distance }) => distance <= allowed)
    .sort((a, b) => a.distance - b.distance);
  return best?.name ?? null;
}

/** ` (did you mean NAME?)`, or nothing. */
export function didYouMean(word: string, names: readonly string[]): string {
  const name = nearest(word, names);
  return name === null ? '' : ` (did you mean ${name}?)`;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let [before, last]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSwap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row[j] = Math.min(
        (row[j - 1] ?? 0) + 1,
        (last[j] ?? 0) + 1,
        (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
        isSwap ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
