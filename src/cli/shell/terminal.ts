/**
 * Standard input, output and error as the commands use them. Node makes such a stream when it is first accessed, which costs
 * more than a run over an empty spool, so none is accessed before there is something to print.
 */
import { fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { allowsColour } from '../../output/colour.ts';
import { type StatusLine, statusLine } from '../../output/progress.ts';
import type { Terminal } from './command.ts';

export function systemTerminal(): Terminal {
  return {
    print: (text) => {
      standardStream('stdout').write(`${text}\n`);
    },
    printError: (text) => {
      standardStream('stderr').write(`${text}\n`);
    },
    get width() {
      return isTerminal(1) ? process.stdout.columns || NARROW : null;
    },
    interactive: isTerminal(1),
    coloured: isTerminal(1) && allowsColour(process.env),
    get status() {
      if (!isTerminal(2) || process.env.TERM === 'dumb') return null;
      status ??= statusLine(process.stderr, () => process.stderr.columns || NARROW);
      return status;
    },
    get input() {
      return process.stdin;
    },
  };
}

/** Where the terminal does not say how wide it is. */
const NARROW = 80;

/** The number of the devices that are memory (Linux, admin-guide/devices). */
const MEMORY = 1;

/** Pipes, files and /dev/null, which cron gives, are recognised without node:tty, because that loads all network modules. */
export function isTerminal(descriptor: 1 | 2): boolean {
  try {
    const status = fstatSync(descriptor);
    return status.isCharacterDevice() && status.rdev >> 8 !== MEMORY && isatty(descriptor);
  } catch {
    // The descriptor is closed.
    return false;
  }
}

/** On standard error; null: no command has asked for it. */
let status: StatusLine | null = null;

/** Whether this is a stream into systemd's journal, which says so by device and inode (systemd.exec(5)). */
export function isJournal(descriptor: 1 | 2, environment: NodeJS.ProcessEnv): boolean {
  const journal = environment.JOURNAL_STREAM;
  if (journal === undefined) return false;
  try {
    const { dev, ino } = fstatSync(descriptor, { bigint: true });
    return journal === `${dev}:${ino}`;
  } catch {
    // The descriptor is closed.
    return false;
  }
}

export function standardStream(name: 'stdout' | 'stderr'): Writable {
  const stream = process[name];
  if (!stream.listeners('error').includes(ignoreClosedPipe)) stream.on('error', ignoreClosedPipe);
  return name === 'stderr' && isTerminal(2) ? overStatus(process.stderr) : stream;
}

/** Each write takes the place of the status line, which comes back when it is drawn again. */
function overStatus(stream: NodeJS.WriteStream): Writable {
  const write = (...given: unknown[]): boolean => {
    status?.clear();
    return Reflect.apply(stream.write, stream, given);
  };
  return Object.assign(Object.create(stream) as Writable, { write });
}

/** The reader of our output may end (`| head`); delivery goes on. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
