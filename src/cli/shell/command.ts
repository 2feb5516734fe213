/** What a command is, and what it is called with. Each command lives in a file of its own, loaded only when it is called. */
import type { StatusLine } from '../../output/progress.ts';
import { escapeLines } from '../../output/text.ts';
import type { CommandText } from '../../settings/shell-words.ts';
import type { SettingName, Settings } from '../../settings/table.ts';
import type { ExitCode } from './exit.ts';

export interface CommandEntry {
  /** the name and the positional arguments: `<one>` and `<many..>` are required, `[one]` and `[many..]` are not */
  readonly usage: string;
  readonly about: string;
  /** settings it takes as options; the configuration file and the environment may give any setting */
  readonly settings: readonly SettingName[];
  /** those of `settings` that do nothing here, for the sake of one set of options for all commands: not in its help */
  readonly unused?: readonly SettingName[];
  readonly options?: { readonly [name: string]: OptionSpec };
  /** it is called as sendmail is: `-fADDRESS`, `-ti`; a letter that is not an option is told and ignored */
  readonly sendmail?: true;
  load(): Promise<{ readonly command: Command }>;
}

export interface OptionSpec {
  /** a string option needs a value */
  readonly type: 'string' | 'boolean';
  readonly describe: string;
  /** the value is a file or a folder: shells complete its name */
  readonly isPath?: true;
}

export type Command = (invocation: Invocation) => Promise<ExitCode | CliError>;

export interface Invocation {
  readonly settings: Settings;
  /** the settings as they are now, where the configuration file may have changed since */
  reread(): Settings | CliError;
  /** values of the command's own options and positional arguments, by name */
  readonly options: { readonly [name: string]: unknown };
  readonly terminal: Terminal;
  /** the commands that messages name */
  readonly commandText: CommandText;
}

export interface Terminal {
  /** results, to standard output */
  print(text: string): void;
  /** errors and progress, to standard error */
  printError(text: string): void;
  /** columns of the terminal; null: standard output is something else */
  readonly width: number | null;
  /** standard output is a terminal */
  readonly interactive: boolean;
  /** standard output is a terminal that shows colours, and the user wants them */
  readonly coloured: boolean;
  /** a line on standard error that can be rewritten; null: standard error is no terminal, or a dumb one */
  readonly status: StatusLine | null;
  readonly input: NodeJS.ReadStream;
}

/** Why a command cannot go on, for standard error, and the exit code it ends with. */
export interface CliError {
  readonly kind: 'error';
  /** full sentences */
  readonly text: string;
  readonly exit: ExitCode;
  /** the process that already delivers from there: not a failure, and `exit` is 0 */
  readonly runner?: number;
}

export function cliError(text: string, exit: ExitCode): CliError {
  return { kind: 'error', text, exit };
}

/** The values of an option or argument that may have been given several times, or not at all. */
export function allValues(given: unknown): readonly string[] {
  return [given ?? []].flat().map(String);
}

/** Prints warnings while a command goes on, and errors. The names of files in them are anybody's. */
export function warner(terminal: Terminal): (text: string) => void {
  return (text) => terminal.printError(`spoolroom: ${escapeLines(text)}`);
}
