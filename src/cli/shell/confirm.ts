/** Asks the user for confirmation. Where there is no terminal, commands need `--yes` instead. */
import { createInterface } from 'node:readline/promises';
import { type CliError, cliError, type Invocation } from './command.ts';
import { EXIT } from './exit.ts';

export interface Confirmation {
  /** a sentence for where nobody can be asked */
  readonly does: string;
  readonly question: string;
  /** a sentence for a user who says no */
  readonly declined: string;
}

/** Null: confirmed. */
export async function confirm(
  { options, terminal }: Invocation,
  { does, question, declined }: Confirmation,
): Promise<CliError | null> {
  if (options.yes === true) return null;
  const { interactive, input } = terminal;
  if (!(interactive && input.isTTY === true)) return cliError(`${does} Use --yes to confirm.`, EXIT.usage);
  const lines = createInterface({ input, output: process.stderr });
  const answer = await lines.question(`${question} [y/N] `);
  lines.close();
  return /^y(es)?$/i.test(answer.trim()) ? null : cliError(declined, EXIT.ok);
}
