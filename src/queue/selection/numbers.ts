/** Job numbers as people write them: `2`, `2,4`, `10-20`, `10-`. Pure. */
import type { MessageNumber } from '../../delivery-list/job.ts';
import { HIGHEST_NUMBER, messageNumber } from '../../storage/layout.ts';

export interface NumberRange {
  readonly from: MessageNumber;
  readonly to: MessageNumber;
}

/** Null: the word is something else. */
export function numbersIn(word: string): readonly NumberRange[] | null {
  const ranges = word.split(',').map(rangeIn);
  return ranges.every((range) => range !== null) ? ranges : null;
}

function rangeIn(word: string): NumberRange | null {
  const [, first = '', dash] = /^(\d+)(-\d*)?$/.exec(word) ?? [];
  const from = messageNumber(first);
  if (from === null) return null;
  if (dash === undefined) return { from, to: from };
  const to = dash === '-' ? HIGHEST_NUMBER : messageNumber(dash.slice(1));
  return to === null || to < from ? null : { from, to };
}

export function isWithin(ranges: readonly NumberRange[], number: MessageNumber): boolean {
  return ranges.some(({ from, to }) => from <= number && number <= to);
}
