/** The words and options that select jobs and messages, the same for every command that takes them. */

import { escapeControl } from '../../output/text.ts';
import {
  parseSelection,
  SELECTION_OPTIONS,
  type Selection,
  type SelectionRules,
} from '../../queue/selection/selection.ts';
import { type CliError, cliError, type Invocation } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export function selectionFrom(options: Invocation['options'], rules: SelectionRules): Selection | CliError {
  const values = SELECTION_OPTIONS.flatMap((name) => {
    const value = [options[name]].flat().at(-1);
    return typeof value === 'string' ? [[name, value]] : [];
  });
  const words = [options.jobs ?? options.words ?? []].flat().map(String);
  const read = parseSelection({ words, all: options.all === true, ...Object.fromEntries(values) }, rules);
  return 'kind' in read ? cliError(`${escapeControl(read.text)}`, EXIT.usage) : read;
}
