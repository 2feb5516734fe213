/** `spoolroom settings`: what holds, and where it comes from. Passwords are not shown. */
import { columns } from '../../output/queue-facts.ts';
import { escapeControl } from '../../output/text.ts';
import { didYouMean } from '../../platform/suggest.ts';
import { SETTING_NAMES } from '../../settings/read.ts';
import { GIVEN, SETTINGS, type Setting, type SettingName, type Settings } from '../../settings/table.ts';
import { allValues, type CliError, type Command, cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export const command: Command = async ({ settings, options, terminal }) => {
  const names = namesFor(allValues(options.names));
  if ('kind' in names) return names;
  const facts = names
    .filter((name) => options.given !== true || settings[GIVEN].has(name))
    .map((name) => factsOf(name, settings));
  if (settings.json) {
    for (const each of facts) terminal.print(JSON.stringify(each));
    return EXIT.ok;
  }
  const rows = facts.map(({ setting, value, from }) => [setting, text(value), from ?? 'default']);
  terminal.print(
    rows.length === 0
      ? 'All settings have their defaults.'
      : columns([['setting', 'value', 'from'], ...rows]),
  );
  return EXIT.ok;
};

/** All, or those of these names; `timeout` means all that begin so. */
function namesFor(words: readonly string[]): readonly SettingName[] | CliError {
  const groups = [...new Set(SETTING_NAMES.map((name) => name.split('.')[0] ?? name))];
  const isMeant = (name: string, word: string): boolean => name === word || name.startsWith(`${word}.`);
  const unknown = words.find((word) => !SETTING_NAMES.some((name) => isMeant(name, word)));
  if (unknown !== undefined) {
    const meant = didYouMean(unknown, [...SETTING_NAMES, ...groups]);
    return cliError(`There is no setting ${escapeControl(unknown)}${meant}.`, EXIT.usage);
  }
  return SETTING_NAMES.filter((name) => words.length === 0 || words.some((word) => isMeant(name, word)));
}

function factsOf(name: SettingName, settings: Settings) {
  const { kind, fallback }: Setting<unknown> = SETTINGS[name];
  const given = settings[GIVEN].get(name);
  const value = given === undefined ? fallback : given.raw;
  return { setting: name, value: kind.redact?.(value) ?? value, from: given?.from ?? null };
}

/** As it may be written in the environment or on the command line. */
function text(value: unknown): string {
  if (value === null || value === '') return '-';
  if (Array.isArray(value) && value.length === 0) return '-';
  const each = [value].flat().map((part) => (typeof part === 'object' ? JSON.stringify(part) : String(part)));
  return escapeControl(each.join(', '));
}
