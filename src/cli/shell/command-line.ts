/**
 * The words of a command line -> the command that is meant and its settings. yargs knows names, words and help; values
 * and defaults are the settings table's. Called by main.ts.
 */
import { readFileSync } from 'node:fs';
import type { Options } from 'yargs';
import yargs from 'yargs';
import { escapeControl } from '../../output/text.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import type { SettingProblem, Source } from '../../settings/read.ts';
import {
  commandLineSource,
  environmentName,
  environmentSource,
  fileSource,
  readSources,
} from '../../settings/read.ts';
import type { Setting, Settings } from '../../settings/table.ts';
import { SETTINGS } from '../../settings/table.ts';
import type { CliError } from '../setup/load-config.ts';
import type { CommandEntry } from './command.ts';
import { EXIT } from './exit.ts';

export type CommandLine =
  | {
      readonly kind: 'call';
      readonly entry: CommandEntry;
      /** values by name: options of the command, settings, positional words */
      readonly parsed: { readonly [name: string]: unknown };
    }
  /** help or the version was asked for */
  | { readonly kind: 'answer'; readonly text: string }
  | CliError;

/** Set by the build. */
declare const SPOOLROOM_VERSION: string | undefined;

export async function readCommandLine(
  words: readonly string[],
  commands: readonly CommandEntry[],
): Promise<CommandLine> {
  let entry: CommandEntry | null = null;
  let parser = yargs()
    .scriptName('spoolroom')
    .usage(
      '$0 COMMAND\n\nDelivers the outgoing mail of a Citadel spool, and shows why a mail did not arrive.',
    )
    .epilogue('Every setting: techdoc/settings.md. Exit codes: README.md.')
    .locale('en')
    .version(typeof SPOOLROOM_VERSION === 'undefined' ? 'not built' : SPOOLROOM_VERSION)
    .parserConfiguration({
      'parse-numbers': false,
      'dot-notation': false,
      'camel-case-expansion': false,
      'duplicate-arguments-array': true,
    })
    // Lines are broken where they are printed.
    .wrap(null)
    .demandCommand(1, 'Which command?')
    .strict()
    .exitProcess(false);
  // yargs writes the help of a command whenever it is called: what is hidden costs nothing there.
  const hidden = !words.some((word) => /^--help(=|$)/.test(word));
  for (const each of commands) {
    const options = (sub: typeof parser): typeof parser => sub.options(optionsOf(each, hidden));
    parser = parser.command(each.usage, each.about, options, () => {
      entry = each;
    });
  }
  const called = commands.find((each) => nameOf(each) === words[0]);
  return new Promise((resolve) => {
    parser.parse(protectedWords(words, called?.attached ?? ''), {}, (error, parsed, output) => {
      const wrong = error?.message ?? '';
      if (wrong !== '') resolve(usageTrouble(plainly(bare(wrong), words, called), called));
      else if (output !== '') resolve({ kind: 'answer', text: output });
      else if (entry === null) resolve(usageTrouble('Which command?', called));
      else resolve({ kind: 'call', entry, parsed: unprotected(parsed) });
    });
  });
}

function nameOf({ usage }: CommandEntry): string {
  return usage.split(' ', 1)[0] ?? '';
}

/** Keeps yargs from reading a word as an option. No word of a command line holds a NUL. */
const COVER = '\0';

/** A lone `-` and whatever stands behind `--` are words, and `-fADDRESS` is an option with its value. */
function protectedWords(words: readonly string[], attached: string): readonly string[] {
  const end = words.indexOf('--');
  return words.flatMap((word, at) => {
    if (at === end) return [];
    if (word === '-' || (end >= 0 && at > end)) return [COVER + word];
    const [letter = '', value] = [word[1], word.slice(2)];
    const isAttached = word[0] === '-' && letter !== '-' && attached.includes(letter) && value !== '';
    return isAttached ? [`-${letter}`, COVER + value] : [word];
  });
}

function bare(text: string): string {
  return text.replaceAll(COVER, '');
}

function unprotected(parsed: object): { readonly [name: string]: unknown } {
  const uncovered = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(uncovered);
    return typeof value === 'string' ? bare(value) : value;
  };
  return Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, uncovered(value)]));
}

/** yargs speaks of arguments, and does not tell a wrong command, a wrong option and a word too many from each other. */
function plainly(wrong: string, words: readonly string[], called: CommandEntry | undefined): string {
  const [first = ''] = words;
  const wanting = /^Not enough arguments following: (.*)$/.exec(wrong)?.[1];
  if (wanting !== undefined) return `${dashed(wanting)} wants a value.`;
  if (called === undefined)
    return first.startsWith('-') || first === '' ? wrong : `Unknown command: ${escapeControl(first)}`;
  if (wrong.startsWith('Not enough non-option arguments')) return `Too few words: spoolroom ${called.usage}`;
  const unknown = /^Unknown arguments?: (.*)$/.exec(wrong)?.[1];
  if (unknown === undefined) return wrong;
  const isOption = (name: string): boolean =>
    words.some((word) => word.startsWith('-') && word.replace(/^-+/, '').split('=', 1)[0] === name);
  const names = unknown.split(', ').map((name) => (isOption(name) ? dashed(name) : `"${name}"`));
  return `${first} takes no ${escapeControl(names.join(', '))}.`;
}

function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

function usageTrouble(text: string, called: CommandEntry | undefined): CliError {
  const help = called === undefined ? '--help' : `${nameOf(called)} --help`;
  return { kind: 'trouble', text: `${text}\nTry: spoolroom ${help}`, exit: EXIT.usage };
}

function optionsOf(entry: CommandEntry, hidden: boolean): { [name: string]: Options } {
  const options: { [name: string]: Options } = { ...entry.options };
  for (const name of entry.settings) {
    const { kind, fallback, about }: Setting<unknown> = SETTINGS[name];
    const shown = fallback === null || kind.flag || String(fallback) === '' ? '' : ` [${fallback}]`;
    const group = name.includes('.') ? `Fine tuning, ${name.split('.')[0]}:` : 'Settings:';
    options[name] = kind.flag
      ? { type: 'boolean', group, hidden, describe: about }
      : { type: 'string', group, hidden, requiresArg: true, describe: `${about}${shown}` };
  }
  return options;
}

/** The settings of a call: from the command line, else the environment, else the configuration file, else the defaults. */
export function settingsFor(
  entry: CommandEntry,
  parsed: { readonly [name: string]: unknown },
  environment: NodeJS.ProcessEnv,
): Settings | CliError {
  const words = commandLineSource(Object.fromEntries(entry.settings.map((name) => [name, parsed[name]])));
  const sources = [words, environmentSource(environment)];
  const path = parsed.config ?? environment[environmentName('config')];
  if (typeof path === 'string' && path !== '') {
    const file = configuration(path);
    if (typeof file === 'string') return { kind: 'trouble', text: file, exit: EXIT.config };
    sources.push(file);
  }
  const read = readSources(sources);
  return read.ok ? read.settings : settingsTrouble(read.problems, words);
}

function settingsTrouble(problems: readonly SettingProblem[], words: Source): CliError {
  const exit = problems.some(({ source }) => source !== words) ? EXIT.config : EXIT.usage;
  return { kind: 'trouble', text: problems.map(({ text }) => text).join('\n'), exit };
}

/** A sentence when it cannot be used. What the parser says is not passed on: it shows pieces of the file, which may hold a password. */
function configuration(path: string): Source | string {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return fileSource(path, value);
    return `The configuration file ${path} must hold one JSON object of settings.`;
  } catch (error) {
    const isJson = error instanceof SyntaxError;
    if (!isJson && errorCode(error) === null) throw error;
    const why = isJson ? `it is no JSON in line ${lineOfTrouble(text)}` : describeError(error);
    return `The configuration file ${path} cannot be used: ${why}.`;
  }
}

/** The line up to which it could still become JSON; the last one where only its end is missing. */
function lineOfTrouble(text: string): number {
  const lines = text.trimEnd().split('\n');
  for (let count = 1; count <= lines.length; count++) {
    const begun = lines.slice(0, count).join('\n');
    try {
      JSON.parse(begun);
    } catch (error) {
      const message = error instanceof Error ? error.message : '';
      const position = /position (\d+)/.exec(message)?.[1];
      const isUnfinished = /end of JSON|Unterminated/.test(message) || Number(position) >= begun.length;
      if (!isUnfinished)
        return position === undefined ? count : begun.slice(0, Number(position)).split('\n').length;
    }
  }
  return lines.length;
}
