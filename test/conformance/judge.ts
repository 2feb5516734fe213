/**
 * Compares what this program makes of a vector row with what the C code made of it. A difference counts as a deviation
 * only when rules explain it in full: each rule mends the expectation where the C code is known to be wrong, and the
 * mended expectation must be exactly our result.
 */
import { isDeepStrictEqual } from 'node:util';
import { idOf, type Row } from './vectors.ts';

/** The C code crashed, hung or read foreign memory: there is no right answer to compare with. */
export const ANYTHING = Symbol('any result');

export interface Rule<V> {
  readonly reason: string;
  /** the expectation without this defect; the same value when the row does not show it */
  mend(expected: V, row: Row): V | typeof ANYTHING;
}

export interface Suite<V> {
  readonly name: string;
  expected(row: Row): V;
  ours(row: Row): V | Promise<V>;
  readonly rules: readonly Rule<V>[];
}

export type Judgement =
  | { readonly kind: 'passed' }
  | { readonly kind: 'deviation'; readonly id: string; readonly reason: string }
  | { readonly kind: 'failed'; readonly id: string; readonly expected: unknown; readonly ours: unknown };

function compare<V>(suite: Suite<V>, row: Row, ours: V): Judgement {
  let expected = suite.expected(row);
  if (isDeepStrictEqual(ours, expected)) return { kind: 'passed' };
  const reasons: string[] = [];
  for (const rule of suite.rules) {
    const mended = rule.mend(expected, row);
    if (mended !== ANYTHING && isDeepStrictEqual(mended, expected)) continue;
    reasons.push(rule.reason);
    if (mended === ANYTHING || isDeepStrictEqual(ours, mended)) {
      return { kind: 'deviation', id: idOf(row), reason: reasons.join('; ') };
    }
    expected = mended;
  }
  return { kind: 'failed', id: idOf(row), expected, ours };
}

export async function judge<V>(suite: Suite<V>, row: Row): Promise<Judgement> {
  try {
    return compare(suite, row, await suite.ours(row));
  } catch (error) {
    return { kind: 'failed', id: idOf(row), expected: 'a result', ours: error };
  }
}

/** Where the C code did not survive the row, or a memory checker stopped it. */
export function undefinedInC<V>(): Rule<V> {
  return {
    reason: 'the C code crashed or used undefined memory',
    mend: (expected, row) => {
      const clean = row.memory_check === undefined || row.memory_check === 'ok';
      return clean && row.crash === undefined ? expected : ANYTHING;
    },
  };
}
