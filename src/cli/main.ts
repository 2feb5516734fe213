/**
 * The command line: the list of commands, and how their options come from command line, environment and
 * configuration file. Loads only the command that is called. Sets the exit code and decides nothing else.
 */
import { readFileSync } from 'node:fs';
import type { Options } from 'yargs';
import yargs from 'yargs';
import { environmentName, readSettings, SETTING_NAMES } from '../settings/read.ts';
import type { Setting, SettingName, Settings } from '../settings/table.ts';
import { SETTINGS } from '../settings/table.ts';
import type { CommandEntry, Invocation, Terminal } from './command.ts';
import type { ExitCode } from './exit.ts';
import { EXIT } from './exit.ts';

const DELIVERING = SETTING_NAMES;
const LOOKING: readonly SettingName[] = ['spool', 'dialect', 'now', 'json', 'config', 'charset'];

export const COMMANDS: readonly CommandEntry[] = [
  {
    usage: 'run',
    about: 'one queue run, then exit (for cron)',
    settings: DELIVERING,
    options: { force: { type: 'boolean', describe: 'try every job, whatever its time says, this once' } },
    load: () => import('./run.ts'),
  },
  {
    usage: 'watch',
    about: 'stay, and deliver what becomes due',
    settings: DELIVERING,
    load: () => import('./watch.ts'),
  },
  {
    usage: 'enqueue [recipients..]',
    about: 'put a message into the spool',
    settings: [...LOOKING, 'hostname'],
    options: {
      f: { type: 'string', describe: 'envelope sender' },
      t: { type: 'boolean', describe: 'take recipients from To, Cc and Bcc' },
      i: { type: 'boolean', describe: 'accepted as sendmail does: a lone dot is no end' },
      o: { type: 'string', describe: 'accepted as sendmail does (-oi)' },
      file: { type: 'string', describe: 'read the message from here instead of standard input' },
      bounceto: { type: 'string', describe: 'whom to tell of failures; default: the sender' },
      room: { type: 'string', describe: 'the room a list posting comes from' },
    },
    load: () => import('./enqueue.ts'),
  },
  {
    usage: 'queue',
    about: 'what lies in the spool, and what each job waits for',
    settings: LOOKING,
    load: () => import('./queue.ts'),
  },
];

export async function main(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<ExitCode> {
  const terminal = standardTerminal();
  let entry: CommandEntry | null = null;
  let parser = yargs([...words])
    .scriptName('spoolroom')
    .usage(
      '$0 COMMAND\n\nDelivers the outgoing mail of a Citadel spool, and shows why a mail did not arrive.',
    )
    .env('SPOOLROOM')
    .parserConfiguration({
      'dot-notation': false,
      'camel-case-expansion': false,
      'duplicate-arguments-array': true,
    })
    .wrap(110)
    .demandCommand(1, 'Which command?')
    .strict()
    .exitProcess(false)
    .fail(false);
  for (const each of COMMANDS) {
    parser = parser.command(
      each.usage,
      each.about,
      (sub) => sub.options(optionsOf(each)),
      () => {
        entry = each;
      },
    );
  }
  try {
    const parsed = await parser.parse();
    return entry === null ? EXIT.ok : await call(entry, parsed, environment, terminal);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'YError') throw error;
    terminal.tell(`spoolroom: ${error.message}\nTry: spoolroom --help`);
    return EXIT.usage;
  }
}

/** yargs knows names, types and documentation; defaults and checks are the table's. */
function optionsOf(entry: CommandEntry): { [name: string]: Options } {
  const options: { [name: string]: Options } = { ...entry.options };
  for (const name of entry.settings) {
    const { kind, fallback, about }: Setting<unknown> = SETTINGS[name];
    const shown = fallback === null || Array.isArray(fallback) ? '' : ` [${fallback}]`;
    options[name] = kind.flag
      ? { type: 'boolean', describe: about }
      : { type: 'string', requiresArg: true, array: kind.many, nargs: 1, describe: `${about}${shown}` };
  }
  return options;
}

async function call(
  entry: CommandEntry,
  parsed: { readonly [name: string]: unknown },
  environment: NodeJS.ProcessEnv,
  terminal: Terminal,
): Promise<ExitCode> {
  const configured = configuration(parsed.config ?? environment[environmentName('config')]);
  if (typeof configured === 'string') {
    terminal.tell(`spoolroom: ${configured}`);
    return EXIT.config;
  }
  const given: { [name: string]: unknown } = { ...configured };
  for (const name of SETTING_NAMES) {
    const value = parsed[name] ?? environment[environmentName(name)];
    if (value !== undefined) given[name] = value;
  }
  const read = readSettings(given);
  if (!read.ok) {
    for (const { name, problem } of read.problems) terminal.tell(`spoolroom: setting ${name}: ${problem}`);
    return EXIT.config;
  }
  const { command } = await entry.load();
  return command(invocation(entry, read.settings, parsed, terminal));
}

function invocation(
  entry: CommandEntry,
  settings: Settings,
  parsed: { readonly [name: string]: unknown },
  terminal: Terminal,
): Invocation {
  const own = [
    ...Object.keys(entry.options ?? {}),
    ...(entry.usage.match(/\[(\w+)/g) ?? []).map((word) => word.slice(1)),
  ];
  return { settings, terminal, options: Object.fromEntries(own.map((name) => [name, parsed[name]])) };
}

/** A JSON object of settings, or a sentence why there is none. */
function configuration(path: unknown): { readonly [name: string]: unknown } | string {
  if (path === undefined) return {};
  try {
    const value: unknown = JSON.parse(readFileSync(String(path), 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
    return `the configuration file ${path} must hold one JSON object of settings`;
  } catch (error) {
    return `the configuration file ${path} cannot be used: ${error instanceof Error ? error.message : error}`;
  }
}

function standardTerminal(): Terminal {
  return {
    print: (text) => process.stdout.write(`${text}\n`),
    tell: (text) => process.stderr.write(`${text}\n`),
    interactive: process.stdout.isTTY === true,
    input: process.stdin,
  };
}
