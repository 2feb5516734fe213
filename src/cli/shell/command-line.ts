/** Reads the words of a command line: which command is meant, with which options and positional arguments. Pure. */
import parser from 'yargs-parser';
import { escapeControl } from '../../output/text.ts';
import { didYouMean, nearest } from '../../platform/suggest.ts';
import { redactWords } from '../../settings/redact.ts';
import { SETTINGS } from '../../settings/table.ts';
import type { CliError, CommandEntry, OptionSpec } from './command.ts';
import { cliError } from './command.ts';
import { EXIT } from './exit.ts';

/** Values by name: options of the command, settings, positional arguments. */
export interface Parsed {
  readonly [name: string]: unknown;
}

export type CommandLine =
  | {
      readonly kind: 'call';
      readonly entry: CommandEntry;
      readonly parsed: Parsed;
      /** options of sendmail that the command does not know and goes on without */
      readonly ignored: readonly string[];
    }
  /** null: of the program as a whole */
  | { readonly kind: 'help'; readonly entry: CommandEntry | null }
  | { readonly kind: 'version' }
  | CliError;

export function readCommandLine(words: readonly string[], commands: readonly CommandEntry[]): CommandLine {
  const [first = ''] = words;
  const named = (word: string): CommandEntry | null =>
    commands.find((entry) => commandName(entry) === word) ?? null;
  // Options may stand before the command.
  const at = first.startsWith('-') ? words.findIndex((word) => named(word) !== null) : 0;
  const entry = named(words[at] ?? '');
  if (entry !== null) return readCall(entry, [...words.slice(0, at), ...words.slice(at + 1)]);
  if (first === '-V' || first === '--version') return { kind: 'version' };
  if (first === '-h' || first === '--help') return { kind: 'help', entry: null };
  const wanted = first === 'help' ? (words[1] ?? '') : first;
  const help = named(wanted);
  if (first === 'help' && (wanted === '' || wanted === 'help' || help !== null))
    return { kind: 'help', entry: help };
  if (wanted === '') return usageError('No command given.', null);
  if (wanted.startsWith('-')) {
    const meant = didYouMean(wanted.replace(/^-*/, '--'), ['--help', '--version']);
    return usageError(`No command given, only ${escapeControl(wanted)}${meant}.`, null);
  }
  const meant = didYouMean(wanted, ['help', '--version', ...commands.map(commandName)]);
  return usageError(`Unknown command "${escapeControl(wanted)}"${meant}.`, null);
}

export function commandName({ usage }: CommandEntry): string {
  return usage.split(' ', 1)[0] ?? '';
}

/** The options of a command: its own, and of the settings it takes those that are wanted. */
export function optionsOf(
  { options, settings }: CommandEntry,
  isWanted: (name: string) => boolean = () => true,
): { readonly [name: string]: OptionSpec } {
  const fromSettings = settings.filter(isWanted).map((name): [string, OptionSpec] => {
    const { kind, about } = SETTINGS[name];
    return [name, { type: kind.flag ? 'boolean' : 'string', describe: about }];
  });
  return { ...options, ...Object.fromEntries(fromSettings) };
}

interface Positional {
  readonly name: string;
  readonly required: boolean;
  readonly many: boolean;
}

export function positionalsOf({ usage }: CommandEntry): readonly Positional[] {
  return [...usage.matchAll(/([<[])(\w+)(\.\.)?/g)].map(([, bracket, name = '', dots]) => ({
    name,
    required: bracket === '<',
    many: dots !== undefined,
  }));
}

/** Always given to the parser, for every command. */
const COMMON = ['help', 'h', 'version', 'V'];

function readCall(entry: CommandEntry, words: readonly string[]): CommandLine {
  // Only those that are mentioned, because the parser prepares each.
  const options = optionsOf(entry, (name) => words.some((word) => word.includes(name)));
  const common = COMMON.filter((name) => options[name] === undefined);
  const typed = (type: OptionSpec['type']): string[] =>
    Object.keys(options).filter((name) => options[name]?.type === type);
  const switches = [...typed('boolean'), ...common];
  const read = entry.sendmail === true ? sendmailWords(words, options) : [...words];
  const { argv, error } = parser.detailed(read, {
    string: typed('string'),
    boolean: switches,
    narg: Object.fromEntries(typed('string').map((name) => [name, 1])),
    configuration: {
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    },
  });
  const { _: given, ...values } = argv;
  if (values.help === true || values.h === true) return { kind: 'help', entry };
  if (values.version === true || values.V === true) return { kind: 'version' };
  const known: readonly string[] = [...Object.keys(entry.options ?? {}), ...entry.settings];
  const unknown = Object.keys(values).filter((name) => !known.includes(name) && !common.includes(name));
  const isIgnored = (name: string): boolean => entry.sendmail === true && name.length === 1;
  const negated = typed('string').filter((name) => values[name] === false);
  const wrong = [...unknown.filter((name) => !isIgnored(name)), ...negated.map((name) => `no-${name}`)];
  if (wrong.length > 0)
    return usageError(
      asTyped(wrong, words)
        .map((name) => unknownOption(entry, name, known))
        .join(' '),
      entry,
    );
  const wanting = /^Not enough arguments following: (.*)$/.exec(error?.message ?? '')?.[1];
  if (wanting !== undefined) return usageError(`${dashed(wanting)} needs a value.`, entry);
  if (error !== null) return usageError(escapeControl(error.message), entry);
  const valued = read.map(switchWithValue).find((name) => name !== null && switches.includes(name));
  if (typeof valued === 'string')
    return usageError(`${dashed(valued)} takes no value but true and false.`, entry);
  return withPositionals(entry, values, given.map(String), unknown.filter(isIgnored).map(dashed));
}

/**
 * Options of sendmail whose value can only be attached, and what they become: to run the queue and to make aliases are modes of
 * operation, the level of debugging means nothing.
 */
const ATTACHED: { readonly [begin: string]: readonly string[] } = {
  '-q': ['--b=q'],
  '-I': ['--b=i'],
  '-d': [],
};

/**
 * Options of one letter as getopt(3) reads them, up to a `--`: `-tifADDRESS` becomes `-t=true -i=true -f=ADDRESS`. The value of
 * an option may begin with a dash, and an unknown letter takes none.
 */
function sendmailWords(words: readonly string[], options: { readonly [name: string]: OptionSpec }): string[] {
  const read: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === '--') return [...read, ...words.slice(at)];
    // sendmail's hop count. By itself -h asks for help, and a program would take that for success.
    if (/^-h\d*$/.test(word) && /^\d+$/.test(word.slice(2) || (words[at + 1] ?? ''))) {
      if (word === '-h') at++;
      continue;
    }
    const valueless = Object.entries(ATTACHED).find(([begin]) => word.startsWith(begin));
    if (valueless !== undefined) {
      read.push(...valueless[1]);
      continue;
    }
    if (!/^-[^-]/.test(word)) {
      read.push(word);
      const takesNext = word.startsWith('--') && options[word.slice(2)]?.type === 'string';
      if (takesNext && at + 1 < words.length) read.push(words[++at] ?? '');
      continue;
    }
    const letters = word.slice(1);
    const valued = [...letters].findIndex((letter) => options[letter]?.type === 'string');
    const flags = valued < 0 ? letters : letters.slice(0, valued);
    read.push(...[...flags].map((letter) => `-${letter}=true`));
    if (valued < 0) continue;
    const attached = letters.slice(valued + 1);
    const next = attached === '' ? words[++at] : attached;
    // The parser takes -f= for two options.
    read.push(`--${letters[valued]}${next === undefined ? '' : `=${next}`}`);
  }
  return read;
}

/** The parser takes any other value of a switch for false. */
function switchWithValue(word: string): string | null {
  return /^--?([^=]+)=(?!(?:true|false)$)/.exec(word)?.[1] ?? null;
}

/** The parser reads `-spool` as five options of one letter. */
function asTyped(names: readonly string[], words: readonly string[]): readonly string[] {
  const joined = words
    .flatMap((word) => /^-(?=[^-=]{2})([^=]+)/.exec(word)?.[1] ?? [])
    .filter(([first = '']) => names.includes(first));
  const isTyped = (name: string): boolean => name.length > 1 || !joined.some((word) => word.includes(name));
  return [...joined.map((word) => `-${word}`), ...names.filter(isTyped)];
}

function unknownOption(entry: CommandEntry, name: string, known: readonly string[]): string {
  const near = nearest(name.replace(/^-/, ''), known);
  const meant = near === null ? '' : ` (did you mean ${dashed(near)}?)`;
  const typed = name.startsWith('-') ? name : dashed(name);
  return `${commandName(entry)} has no option ${escapeControl(typed)}${meant}.`;
}

function withPositionals(
  entry: CommandEntry,
  values: Parsed,
  given: readonly string[],
  ignored: readonly string[],
): CommandLine {
  const parsed: { [name: string]: unknown } = { ...values };
  let rest = given;
  for (const { name, required, many } of positionalsOf(entry)) {
    if (required && rest.length === 0)
      return usageError(`Missing ${NAMES[name] ?? name}: spoolroom ${entry.usage}`, entry);
    parsed[name] = many ? rest : rest[0];
    rest = many ? [] : rest.slice(1);
  }
  const [excess] = rest;
  if (excess !== undefined)
    return usageError(`Unexpected argument "${escapeControl(redactWords(excess))}".`, entry);
  return { kind: 'call', entry, parsed, ignored };
}

/** Required positional arguments in an error message. */
const NAMES: { readonly [name: string]: string } = {
  job: 'job number',
  jobs: 'job numbers',
  file: 'file or job number',
};

function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

function usageError(text: string, entry: CommandEntry | null): CliError {
  const help = entry === null ? '--help' : `${commandName(entry)} --help`;
  return cliError(`${text}\nTry: spoolroom ${help}`, EXIT.usage);
}
