/** The command itself as a contender, from its start to its end, as cron starts it; and what does the least of its work. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PROGRAM } from '../support/program.ts';
import type { Place } from './context.ts';
import { filesLeft, fillSpool, inTime, messageText, type Sink, sessionsOf, settle } from './load.ts';
import type { Contender } from './measure.ts';
import { costOfNode, inTemporaryFolder } from './process.ts';
import { callsOfCommand } from './strace.ts';

export interface Delivery {
  readonly place: Place;
  readonly sink: Sink;
  /** bytes of the message that all jobs have */
  readonly size: number;
  /** the recipients of each job */
  readonly jobs: readonly (readonly string[])[];
}

const LEAST = fileURLToPath(new URL('./least-queue.mjs', import.meta.url));

/** Its log goes to a file, so that each delivery is logged. */
export function spoolroomRun(name: string, delivery: Delivery, words: readonly string[]): Contender {
  const command = (spool: string) => [
    ...PROGRAM,
    'run',
    '--spool',
    spool,
    '--log.target',
    join(spool, 'log'),
    ...words,
  ];
  return scriptRun(name, delivery, command);
}

export function leastRun(delivery: Delivery): Contender {
  return scriptRun('least of a queue', delivery, (spool) => [LEAST, spool, String(delivery.sink.port)]);
}

/** A script of Node that delivers a spool. */
function scriptRun(
  name: string,
  { place, sink, size, jobs }: Delivery,
  commandFor: (spool: string) => readonly string[],
): Contender {
  const run = <T>(work: (command: readonly string[]) => Promise<T>) =>
    inTemporaryFolder(place.folder, async (spool) => {
      fillSpool(spool, messageText(size), jobs);
      settle(spool);
      const { arrived } = await sink.expect(jobs.length);
      const result = await work(commandFor(spool));
      const left = filesLeft(spool);
      if (left > 0) throw new Error(`${left} files are left in the spool`);
      const counted = await inTime(name, arrived);
      if (counted.recipients !== jobs.flat().length)
        throw new Error(`${counted.recipients} recipients have arrived`);
      return { result, sessions: sessionsOf(counted, sink) };
    });
  return {
    name,
    async run() {
      const { result, sessions } = await run(costOfNode);
      return { ...result, ...sessions };
    },
    async systemCalls() {
      return (await run((command) => callsOfCommand([process.execPath, ...command]))).result;
    },
  };
}
