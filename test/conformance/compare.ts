/**
 * Compares the result of this program for a vector row with the result of the C code. A difference counts as a deviation
 * only when rules explain it in full: each rule corrects the expectation where the C code is known to be wrong, and the
 * corrected expectation must be exactly our result.
 */
import { isDeepStrictEqual } from 'node:util';
import { idOf, type Row } from './vectors.ts';

/** The C code crashed, hung or read foreign memory: there is no expected result to compare with. */
export const ANYTHING = Symbol('any result');

export interface Rule<V> {
  readonly reason: string;
  /** the expectation without this defect; the same value when the row does not show it */
  correct(expected: V, row: Row): V | typeof ANYTHING;
}

export interface Suite<V> {
  readonly name: string;
  expected(row: Row): V;
  ours(row: Row): V | Promise<V>;
  readonly rules: readonly Rule<V>[];
}

export type Comparison =
  | { readonly kind: 'passed' }
  | { readonly kind: 'deviation'; readonly id: string; readonly reason: string }
  | { readonly kind: 'failed'; readonly id: string; readonly expected: unknown; readonly ours: unknown };

function compareResult<V>(suite: Suite<V>, row: Row, ours: V): Comparison {
  let expected = suite.expected(row);
  if (isDeepStrictEqual(ours, expected)) return { kind: 'passed' };
  const reasons: string[] = [];
  for (const rule of suite.rules) {
    const corrected = rule.correct(expected, row);
    if (corrected !== ANYTHING && isDeepStrictEqual(corrected, expected)) continue;
    reasons.push(rule.reason);
    if (corrected === ANYTHING || isDeepStrictEqual(ours, corrected)) {
      return { kind: 'deviation', id: idOf(row), reason: reasons.join('; ') };
    }
    expected = corrected;
  }
  return { kind: 'failed', id: idOf(row), expected, ours };
}

export async function compare<V>(suite: Suite<V>, row: Row): Promise<Comparison> {
  try {
    return compareResult(suite, row, await suite.ours(row));
  } catch (error) {
    return { kind: 'failed', id: idOf(row), expected: 'a result', ours: error };
  }
}

/** For rows with which the C code crashed, or a memory checker stopped it. */
export function undefinedInC<V>(): Rule<V> {
  return {
    reason: 'the C code crashed or used undefined memory',
    correct: (expected, row) => {
      const clean = row.memory_check === undefined || row.memory_check === 'ok';
      return clean && row.crash === undefined ? expected : ANYTHING;
    },
  };
}
