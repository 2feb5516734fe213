/**
 * Standard input, output and error as a terminal for the commands. Node makes such a stream when it is first asked for,
 * which costs more than a run over an empty spool; so nobody asks before there is something to say.
 */
import { fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import type { Terminal } from './command.ts';

export function systemTerminal(): Terminal {
  return {
    print: (text) => {
      standardStream('stdout').write(`${text}\n`);
    },
    tell: (text) => {
      standardStream('stderr').write(`${text}\n`);
    },
    interactive: isTerminal(1),
    get input() {
      return process.stdin;
    },
  };
}

/** Pipes and files, which is what cron gives, are told without node:tty, because that loads all of the network. */
export function isTerminal(descriptor: 1 | 2): boolean {
  try {
    return fstatSync(descriptor).isCharacterDevice() && isatty(descriptor);
  } catch {
    // It is closed.
    return false;
  }
}

export function standardStream(name: 'stdout' | 'stderr'): Writable {
  const stream = process[name];
  if (!stream.listeners('error').includes(unlessNobodyReads)) stream.on('error', unlessNobodyReads);
  return stream;
}

/** Whoever read what we print may leave (`| head`); the mail goes on. */
function unlessNobodyReads(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
