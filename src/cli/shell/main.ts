/** Calls the command that is meant, which alone is loaded. Sets the exit code. */
import { escapeControl } from '../../output/text.ts';
import { describeError, errorCode, isPermissionDenied, QueueError } from '../../platform/system-errors.ts';
import { COMMANDS, ROOM } from '../command-table.ts';
import { applyRoomOption } from '../setup/room/room-option.ts';
import type { CliError, Command, CommandEntry, Invocation, Terminal } from './command.ts';
import { cliError, warner } from './command.ts';
import type { Parsed } from './command-line.ts';
import { commandName, positionalsOf, readCommandLine } from './command-line.ts';
import { commandTextFor } from './command-text.ts';
import type { ExitCode } from './exit.ts';
import { EXIT } from './exit.ts';
import { settingsFor } from './settings.ts';

/** Columns of help: where the width is not known, and at most. */
const NARROW = 80;
const WIDE = 110;

/** Set by the build. */
declare const SPOOLROOM_VERSION: string | undefined;

/** @param usualConfig the configuration file where none is named and it exists */
export async function main(
  words: readonly string[],
  environment: NodeJS.ProcessEnv,
  terminal: Terminal,
  usualConfig: string | null = null,
): Promise<ExitCode> {
  const line = readCommandLine(words, COMMANDS);
  switch (line.kind) {
    case 'error':
      return report(line, terminal);
    case 'version':
      terminal.print(typeof SPOOLROOM_VERSION === 'undefined' ? 'not built' : SPOOLROOM_VERSION);
      return EXIT.ok;
    case 'help': {
      const { helpText } = await import('./help.ts');
      const width = Math.min(process.stdout.columns || NARROW, WIDE);
      terminal.print(await helpText(line.entry, COMMANDS, width));
      return EXIT.ok;
    }
    case 'call': {
      const { entry, parsed, ignored } = line;
      const reread = () => {
        const read = settingsFor(entry, parsed, environment, usualConfig);
        // Of `enqueue` it is a room of Citadel.
        return 'kind' in read || entry.options?.room !== ROOM ? read : applyRoomOption(read, parsed.room);
      };
      const settings = reread();
      if ('kind' in settings) return report(settings, terminal);
      if (ignored.length > 0)
        terminal.printError(
          `spoolroom: ${commandName(entry)} ignores unknown options: ${ignored.join(', ')}.`,
        );
      const { command } = await entry.load();
      const options = ownOptions(entry, parsed);
      const commandText = commandTextFor(parsed, COMMANDS);
      return perform(command, { settings, reread, options, terminal, commandText });
    }
  }
}

/** Calls a command and prints why it could not do its work. */
export async function perform(command: Command, invocation: Invocation): Promise<ExitCode> {
  const done = await command(invocation).catch((error) => {
    const failed = failureOf(error);
    if (failed === null) throw error;
    return failed;
  });
  return typeof done === 'number' ? done : report(done, invocation.terminal);
}

function report({ text, exit }: CliError, terminal: Terminal): ExitCode {
  warner(terminal)(text);
  return exit;
}

/** A file that cannot be used, or is not what it should be, where no command expected it: not a bug. */
function failureOf(error: unknown): CliError | null {
  if (error instanceof QueueError) return cliError(error.message, EXIT.io);
  if (errorCode(error) === null || !(error instanceof Error && 'path' in error)) return null;
  const text = escapeControl(`${error.path} cannot be used: ${describeError(error)}.`);
  return isPermissionDenied(error)
    ? cliError(`${text} Run spoolroom as the owner of the spool.`, EXIT.noPermission)
    : cliError(`${text} Nothing more was done.`, EXIT.io);
}

function ownOptions(entry: CommandEntry, parsed: Parsed): Invocation['options'] {
  const own = [...Object.keys(entry.options ?? {}), ...positionalsOf(entry).map(({ name }) => name)];
  return Object.fromEntries(own.map((name) => [name, parsed[name]]));
}
