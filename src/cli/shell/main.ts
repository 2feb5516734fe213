/**
 * The list of commands, and the call of the one that is meant, which alone is loaded. Sets the exit code and decides
 * nothing else.
 */
import type { Options } from 'yargs';
import { describeError, isPermissionDenied } from '../../platform/system-errors.ts';
import { SETTING_NAMES } from '../../settings/read.ts';
import type { SettingName } from '../../settings/table.ts';
import type { CliError } from '../setup/load-config.ts';
import type { CommandEntry, Invocation, Terminal } from './command.ts';
import { readCommandLine, settingsFor } from './command-line.ts';
import type { ExitCode } from './exit.ts';
import { EXIT } from './exit.ts';
import { wrapText } from './help-text.ts';

const DELIVERING = SETTING_NAMES;
const LOOKING: readonly SettingName[] = ['spool', 'dialect', 'now', 'json', 'config', 'charset'];
const ROOM = { type: 'string', describe: 'citadel:WHERE, the same as --citadel WHERE' } as const;
const LISTENING = SETTING_NAMES.filter((name) => /^(intake|log)\./.test(name));

const TO: Options = {
  type: 'string',
  requiresArg: true,
  describe: 'jobs for this address or domain',
};

const MANY = { to: TO, all: { type: 'boolean', describe: 'all jobs for which it can be asked' } } as const;

export const COMMANDS: readonly CommandEntry[] = [
  {
    usage: 'run',
    about: 'one queue run, then exit (for cron)',
    settings: DELIVERING,
    options: {
      force: { type: 'boolean', describe: 'try every job, whatever its time says, this once' },
      room: ROOM,
    },
    load: () => import('../commands/run.ts'),
  },
  {
    usage: 'watch',
    about: 'stay, and deliver what becomes due',
    settings: DELIVERING,
    options: {
      intake: { type: 'boolean', describe: 'take mail from Citadel’s smarthost line as well' },
      room: ROOM,
    },
    load: () => import('../commands/watch.ts'),
  },
  {
    usage: 'intake',
    about: 'take mail from Citadel’s smarthost line and put it into the spool',
    settings: [...LOOKING, 'hostname', ...LISTENING],
    load: () => import('../commands/intake.ts'),
  },
  {
    usage: 'enqueue [recipients..]',
    about: 'put a message into the spool',
    settings: [...LOOKING, 'hostname'],
    attached: 'fFoB',
    options: {
      f: { type: 'string', requiresArg: true, describe: 'envelope sender' },
      t: { type: 'boolean', describe: 'take recipients from To, Cc and Bcc' },
      i: { type: 'boolean', describe: 'accepted as sendmail does: a lone dot is no end' },
      o: { type: 'string', describe: 'accepted as sendmail does (-oi, -oem, -odb)' },
      F: { type: 'string', describe: 'accepted as sendmail does: the full name of the sender' },
      B: { type: 'string', describe: 'accepted as sendmail does: 7BIT or 8BITMIME' },
      file: { type: 'string', describe: 'read the message from here instead of standard input' },
      bounceto: { type: 'string', describe: 'whom to tell of failures; default: the sender' },
      room: { type: 'string', describe: 'the room a list posting comes from' },
    },
    load: () => import('../commands/enqueue.ts'),
  },
  {
    usage: 'queue',
    about: 'what lies in the spool, and what each job waits for',
    settings: LOOKING,
    options: { to: TO },
    load: () => import('../commands/queue.ts'),
  },
  {
    usage: 'explain <job>',
    about: 'why a job is still here, what happened last, what would change it',
    settings: LOOKING,
    load: () => import('../commands/explain.ts'),
  },
  {
    usage: 'retry [jobs..]',
    about: 'try jobs once, whatever their time says; a hold ends with it',
    settings: LOOKING,
    options: MANY,
    load: () => import('../commands/retry.ts'),
  },
  {
    usage: 'hold [jobs..]',
    about: 'do not try jobs until they are released',
    settings: LOOKING,
    options: MANY,
    load: () => import('../commands/hold.ts'),
  },
  {
    usage: 'release [jobs..]',
    about: 'the end of a hold',
    settings: LOOKING,
    options: MANY,
    load: () => import('../commands/release.ts'),
  },
  {
    usage: 'remove <jobs..>',
    about: 'take jobs out of the spool; they lie in .spoolroom/removed',
    settings: LOOKING,
    options: { yes: { type: 'boolean', describe: 'do not ask' } },
    load: () => import('../commands/remove.ts'),
  },
  {
    usage: 'check',
    about: 'what would stop mail today, and what to do about it',
    settings: DELIVERING,
    load: () => import('../commands/check.ts'),
  },
  {
    usage: 'replay <file> [job]',
    about:
      'why a mail did or did not arrive: a control message, a transcript, or a job of an export, without touching anything',
    settings: DELIVERING,
    options: {
      world: {
        type: 'string',
        requiresArg: true,
        describe:
          'accept, greylist, refuse-rcpt, refuse-all, drop-after-data, silent, tls-broken or a world file',
      },
      set: {
        type: 'string',
        array: true,
        nargs: 1,
        requiresArg: true,
        describe: 'NAME=VALUE: what would have happened under this setting',
      },
      check: {
        type: 'boolean',
        describe: 'a transcript must lead the same way; exit 1 at the first difference',
      },
      live: { type: 'boolean', describe: 'real DNS and real servers, up to RCPT TO' },
      yes: { type: 'boolean', describe: 'do not ask before servers are contacted' },
      html: { type: 'string', requiresArg: true, describe: 'write a page with a drawing to this file' },
      'save-fixture': {
        type: 'string',
        requiresArg: true,
        describe: 'write the transcript with aliases for names and addresses',
      },
      'keep-addresses': { type: 'boolean', describe: 'no aliases' },
    },
    load: () => import('../commands/replay.ts'),
  },
  {
    usage: 'demo',
    about: 'everything at once on this machine, with servers of its own',
    settings: ['json', 'spool'],
    load: () => import('../commands/demo.ts'),
  },
];

/** Columns of help: where nobody says, and at most. */
const NARROW = 80;
const WIDE = 110;

export async function main(
  words: readonly string[],
  environment: NodeJS.ProcessEnv,
  terminal: Terminal,
): Promise<ExitCode> {
  const fail = ({ text, exit }: CliError): ExitCode => {
    terminal.tell(`spoolroom: ${text}`);
    return exit;
  };
  const line = await readCommandLine(words, COMMANDS);
  switch (line.kind) {
    case 'trouble':
      return fail(line);
    case 'answer':
      terminal.print(wrapText(line.text, Math.min(process.stdout.columns || NARROW, WIDE)));
      return EXIT.ok;
    case 'call': {
      const { entry, parsed } = line;
      const settings = settingsFor(entry, parsed, environment);
      if ('kind' in settings) return fail(settings);
      const { command } = await entry.load();
      try {
        return await command({ settings, options: ownOptions(entry, parsed), terminal });
      } catch (error) {
        const denied = deniedBy(error);
        if (denied === null) throw error;
        return fail(denied);
      }
    }
  }
}

/** A file that this user may not use and of which nobody thought: no bug. */
function deniedBy(error: unknown): CliError | null {
  if (!(isPermissionDenied(error) && error instanceof Error && 'path' in error)) return null;
  return {
    kind: 'trouble',
    text: `${error.path} cannot be used: ${describeError(error)}. Run spoolroom as the owner of the spool.`,
    exit: EXIT.noPermission,
  };
}

function ownOptions(
  entry: CommandEntry,
  parsed: { readonly [name: string]: unknown },
): Invocation['options'] {
  const positional = (entry.usage.match(/[<[](\w+)/g) ?? []).map((word) => word.slice(1));
  const own = [...Object.keys(entry.options ?? {}), ...positional];
  return Object.fromEntries(own.map((name) => [name, parsed[name]]));
}
