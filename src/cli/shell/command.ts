/**
 * What a command is. main.ts lists them and parses for them; each lives in a file of its own that is loaded only
 * when it is called.
 */
import type { Options } from 'yargs';
import type { SettingName, Settings } from '../../settings/table.ts';
import type { ExitCode } from './exit.ts';

export interface CommandEntry {
  /** as yargs writes it: `enqueue [recipients..]` */
  readonly usage: string;
  readonly about: string;
  /** settings it takes on the command line; the others come from file and environment all the same */
  readonly settings: readonly SettingName[];
  readonly options?: { readonly [name: string]: Options };
  /** letters of options whose value may stand right behind them, as callers of sendmail write it: `-fADDRESS` */
  readonly attached?: string;
  load(): Promise<{ readonly command: Command }>;
}

export type Command = (invocation: Invocation) => Promise<ExitCode>;

export interface Invocation {
  readonly settings: Settings;
  /** values of the command's own options and positional words, by name */
  readonly options: { readonly [name: string]: unknown };
  readonly terminal: Terminal;
}

/** The person, or the cron job, at the other end. */
export interface Terminal {
  /** results, to standard output */
  print(text: string): void;
  /** complaints and news, to standard error */
  tell(text: string): void;
  /** standard output goes to a terminal */
  readonly interactive: boolean;
  readonly input: NodeJS.ReadStream;
}
