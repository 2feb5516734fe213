/**
 * A command called as main.ts calls it, with its output captured. Settings are read by readSettings, so that a test with an
 * unknown setting fails.
 */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import type { Invocation, Terminal } from '../../src/cli/shell/command.ts';
import { readSettings } from '../../src/settings/read.ts';
import { shellCommand } from '../../src/settings/shell-words.ts';

export interface Caught {
  readonly terminal: Terminal;
  readonly printed: string[];
  /** standard error */
  readonly errors: string[];
}

/** `input`: the pieces in which standard input arrives. */
export function caughtTerminal(input: readonly (string | Buffer)[] = []): Caught {
  const printed: string[] = [];
  const errors: string[] = [];
  const terminal: Terminal = {
    print: (text) => printed.push(text),
    printError: (text) => errors.push(text),
    width: null,
    interactive: false,
    coloured: false,
    status: null,
    input: Readable.from(input.map((piece) => Buffer.from(piece))) as unknown as NodeJS.ReadStream,
  };
  return { terminal, printed, errors };
}

export function invocation(
  { terminal }: Caught,
  given: { readonly [name: string]: unknown },
  options: { readonly [name: string]: unknown } = {},
): Invocation {
  const read = readSettings(given);
  assert.ok(read.ok, JSON.stringify(read));
  return {
    settings: read.settings,
    reread: () => read.settings,
    options,
    terminal,
    commandText: shellCommand,
  };
}
