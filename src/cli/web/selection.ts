/** The words of a form as a selection, with the sentences of the commands. */
import { escapeControl } from '../../output/text.ts';
import { parseSelection, type Selection } from '../../queue/selection/selection.ts';
import type { Problem, SelectionFields } from '../../web/ports.ts';

export function problem(text: string): Problem {
  return { kind: 'problem', text };
}

/** The words of a form. */
export function selectionOf(
  { jobs, words, ...fields }: SelectionFields,
  rules: { readonly statuses: readonly string[]; readonly texts: boolean },
): Selection | Problem {
  const given = (words ?? jobs ?? '').split(words === undefined ? /[\s,]+/ : /\s+/);
  const read = parseSelection({ words: given.filter((word) => word !== ''), all: true, ...fields }, rules);
  // The words of forms are not options.
  return 'kind' in read ? problem(escapeControl(read.text.replace(/^--([\w-]+):/, '$1:'))) : read;
}
