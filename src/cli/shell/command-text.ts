/** Commands that messages name, with the settings of this call repeated: they can be pasted, and mean the same queue. */

import { type CommandText, shellCommand } from '../../settings/shell-words.ts';
import { SETTINGS, type Setting, type SettingName } from '../../settings/table.ts';
import { allValues, type CommandEntry } from './command.ts';
import { commandName, type Parsed } from './command-line.ts';

/** Behind the words of the command come the settings that were given and that it takes; a password is not repeated. */
export function commandTextFor(given: Parsed, commands: readonly CommandEntry[]): CommandText {
  return (command, ...words) => {
    const entry = commands.find((each) => commandName(each) === command);
    // A transcript has its own time; another one makes a what-if of it.
    const isTimed = command !== 'replay' || /^\d+$/.test(words[0] ?? '');
    const repeated = (entry?.settings ?? [])
      .filter((name) => entry?.unused?.includes(name) !== true && (name !== 'now' || isTimed))
      .flatMap((name) => wordsOf(name, given[name]));
    return shellCommand(command, ...words, ...repeated);
  };
}

/** How the result of this call is printed, which is not a property of the queue. */
const NOT_REPEATED: ReadonlySet<SettingName> = new Set(['json']);

function wordsOf(name: SettingName, value: unknown): readonly string[] {
  if (value === undefined || NOT_REPEATED.has(name)) return [];
  const { kind }: Setting<unknown> = SETTINGS[name];
  if (kind.flag) return [value === false ? `--no-${name}` : `--${name}`];
  return allValues(kind.redact?.(value) ?? value).flatMap((each) => [`--${name}`, each]);
}
