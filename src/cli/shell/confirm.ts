/** Asks the user for confirmation. Where there is no terminal, commands need `--yes` instead. */
import { createInterface } from 'node:readline/promises';
import type { Terminal } from './command.ts';

export function isInteractive({ interactive, input }: Terminal): boolean {
  return interactive && input.isTTY === true;
}

export async function confirm({ input }: Terminal, question: string): Promise<boolean> {
  const lines = createInterface({ input, output: process.stderr });
  const answer = await lines.question(`${question} [y/N] `);
  lines.close();
  return /^y(es)?$/i.test(answer.trim());
}
