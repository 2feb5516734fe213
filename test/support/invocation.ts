/**
 * A command called as main.ts calls it, with what it prints and tells caught. Settings come through readSettings, so
 * that a test that names one which does not exist fails.
 */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import type { Invocation, Terminal } from '../../src/cli/shell/command.ts';
import { readSettings } from '../../src/settings/read.ts';

export interface Caught {
  readonly terminal: Terminal;
  readonly printed: string[];
  readonly told: string[];
}

/** `input`: the pieces in which standard input arrives. */
export function caughtTerminal(input: readonly (string | Buffer)[] = []): Caught {
  const printed: string[] = [];
  const told: string[] = [];
  const terminal: Terminal = {
    print: (text) => printed.push(text),
    tell: (text) => told.push(text),
    interactive: false,
    input: Readable.from(input.map((piece) => Buffer.from(piece))) as unknown as NodeJS.ReadStream,
  };
  return { terminal, printed, told };
}

export function invocation(
  { terminal }: Caught,
  given: { readonly [name: string]: unknown },
  options: { readonly [name: string]: unknown } = {},
): Invocation {
  const read = readSettings(given);
  assert.ok(read.ok, JSON.stringify(read));
  return { settings: read.settings, options, terminal };
}
