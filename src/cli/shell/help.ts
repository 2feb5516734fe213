/** The text of `--help`, laid out by yargs, which is loaded for this alone. */
import yargs, { type Argv } from 'yargs';
import { SETTINGS, type Setting } from '../../settings/table.ts';
import type { CommandEntry } from './command.ts';
import { commandName, optionsOf } from './command-line.ts';
import { wrapText } from './help-text.ts';

export const PURPOSE =
  'Delivers the outgoing mail of a Citadel spool, and shows why a message did not arrive.';

/** @param entry the command that is asked about; null: the program as a whole */
export function helpText(
  entry: CommandEntry | null,
  commands: readonly CommandEntry[],
  width: number,
): Promise<string> {
  let parser = yargs()
    .scriptName('spoolroom')
    .usage(`$0 COMMAND\n\n${PURPOSE}`)
    .epilogue('All settings: spoolroom.json(5), techdoc/settings.md. Exit codes: spoolroom(1), README.md.')
    .locale('en')
    .version(false)
    .help('help', 'show help (-h)')
    // yargs breaks lines within words.
    .wrap(null)
    .exitProcess(false);
  for (const each of commands) {
    parser = parser.command(each.usage, each.about, (sub) => withOptions(sub, each));
  }
  if (entry === null) parser = parser.option('version', { describe: 'show the version (-V)' });
  const words = entry === null ? ['--help'] : [commandName(entry), '--help'];
  return new Promise((resolve) => {
    parser.parse(words, {}, (_error, _parsed, text) => resolve(wrapText(text, width)));
  });
}

function withOptions(parser: Argv, entry: CommandEntry): Argv {
  const settings = new Map<string, Setting<unknown>>(
    entry.settings.filter((name) => !entry.unused?.includes(name)).map((name) => [name, SETTINGS[name]]),
  );
  for (const [name, { describe }] of Object.entries(optionsOf(entry))) {
    const setting = settings.get(name);
    if (setting === undefined && entry.options?.[name] === undefined) continue;
    const text = setting === undefined ? describe : `${describe}${valuesOf(setting)}`;
    parser = parser.option(name, { describe: text, group: groupOf(name, setting) });
  }
  return parser;
}

function groupOf(name: string, setting: Setting<unknown> | undefined): string {
  if (setting === undefined) return 'Options:';
  return name.includes('.') ? `Fine tuning, ${name.split('.')[0]}:` : 'Settings:';
}

/** ` [2012|2017; default 2012]` */
function valuesOf({ kind, fallback }: Setting<unknown>): string {
  if (kind.flag) return '';
  const choices = /^[\w-]+(\|[\w-]+)+$/.test(kind.hint) ? [kind.hint] : [];
  const preset = fallback === null || String(fallback) === '' ? [] : [`default ${fallback}`];
  const parts = [...choices, ...preset];
  return parts.length === 0 ? '' : ` [${parts.join('; ')}]`;
}
