/** The modes of operation of sendmail, `-b`: which are ours, and which command does what the others do. */
import { escapeControl } from '../../output/text.ts';
import type { CommandText } from '../../settings/shell-words.ts';
import { allValues, type CliError, cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

/** The others, and which command does the same. */
const MODES: { readonly [mode: string]: readonly [what: string, command: string] } = {
  p: ['The queue is listed by', 'queue'],
  d: ['Mail is delivered by', 'watch'],
  D: ['Mail is delivered by', 'watch'],
  q: ['Mail is delivered by', 'run'],
};

export function modeOf(given: unknown): string {
  return allValues(given).at(-1) ?? 'm';
}

/** Without this, another mode would queue what was never meant as a message. */
export function modeRefused(given: unknown, commandText: CommandText): CliError | null {
  const mode = modeOf(given);
  if (mode === 'm') return null;
  const [what, command] = MODES[mode] ?? [];
  const instead = command === undefined ? '' : ` ${what}: ${commandText(command)}`;
  return cliError(
    `The mode ${mode === 'q' ? '-q' : `-b${escapeControl(mode)}`} of sendmail is not available. Nothing was queued.${instead}`,
    EXIT.usage,
  );
}
