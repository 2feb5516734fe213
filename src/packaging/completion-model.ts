/** What shells complete: commands, their options and the values of these, from the tables of commands and settings. Pure. */
import type { CommandEntry } from '../cli/shell/command.ts';
import { commandName, optionsOf, positionalsOf } from '../cli/shell/command-line.ts';
import { SETTINGS, type Setting } from '../settings/table.ts';

export interface CompletedCommand {
  readonly name: string;
  readonly about: string;
  readonly options: readonly CompletedOption[];
  /** its first argument may be a file */
  readonly takesFile: boolean;
}

export interface CompletedOption {
  readonly name: string;
  readonly about: string;
  readonly value: OptionValue;
  readonly many: boolean;
}

/** Nothing, one of some words, a file, or anything else. */
export type OptionValue = 'none' | 'path' | 'text' | readonly string[];

const HELP: CompletedOption = { name: 'help', about: 'show help', value: 'none', many: false };

export function completedCommands(commands: readonly CommandEntry[]): readonly CompletedCommand[] {
  return commands.map((entry) => ({
    name: commandName(entry),
    about: entry.about,
    options: [...optionsFor(entry), HELP],
    takesFile: positionalsOf(entry)[0]?.name === 'file',
  }));
}

/** Those of `--help`, but for the letters of sendmail, which programs give. */
function optionsFor(entry: CommandEntry): readonly CompletedOption[] {
  return Object.entries(optionsOf(entry))
    .filter(([name]) => name.length > 1 && entry.unused?.includes(name as never) !== true)
    .map(([name, { describe, type, isPath }]) => {
      const own = entry.options?.[name] !== undefined;
      const setting: Setting<unknown> | null = own ? null : SETTINGS[name as keyof typeof SETTINGS];
      const value = type === 'boolean' ? 'none' : isPath === true ? 'path' : settingValue(setting);
      return { name, about: describe.replaceAll('`', ''), value, many: setting?.kind.many ?? true };
    });
}

function settingValue(setting: Setting<unknown> | null): OptionValue {
  const hint = setting?.kind.hint ?? '';
  if (hint === 'PATH') return 'path';
  return /^[a-z0-9-]+(?:\|[a-z0-9-]+)+$/.test(hint) ? hint.split('|') : 'text';
}

/** Options that are the same in several commands, with the names of these. */
export function sharedOptions(
  commands: readonly CompletedCommand[],
): readonly (readonly [CompletedOption, readonly string[]])[] {
  const found = new Map<string, [CompletedOption, string[]]>();
  for (const { name, options } of commands) {
    for (const option of options) {
      const key = JSON.stringify(option);
      const known = found.get(key);
      if (known === undefined) found.set(key, [option, [name]]);
      else known[1].push(name);
    }
  }
  return [...found.values()];
}

/** Names of the options that take such a value, once each. */
export function optionNames(
  commands: readonly CompletedCommand[],
  wanted: (value: OptionValue) => boolean,
): readonly string[] {
  const names = commands.flatMap(({ options }) => options.filter(({ value }) => wanted(value)));
  return [...new Set(names.map(({ name }) => name))];
}
