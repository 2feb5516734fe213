/** The words and options that select jobs and messages, the same for every command that takes them. */

import { escapeControl } from '../../output/text.ts';
import {
  parseSelection,
  SELECTION_OPTIONS,
  type Selection,
  type SelectionRules,
} from '../../queue/selection/selection.ts';
import { allValues, type CliError, cliError, type Invocation } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export function selectionFrom(options: Invocation['options'], rules: SelectionRules): Selection | CliError {
  const values = SELECTION_OPTIONS.flatMap((name) => {
    const value = allValues(options[name]).at(-1);
    return value === undefined ? [] : [[name, value]];
  });
  const words = allValues(options.jobs ?? options.words);
  const read = parseSelection({ words, all: options.all === true, ...Object.fromEntries(values) }, rules);
  return 'kind' in read ? cliError(escapeControl(read.text), EXIT.usage) : read;
}
