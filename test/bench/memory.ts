/** Large queues and large messages: what they cost, and how much memory. Memory is shown as `peak MB`. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { serialiseJob } from '../../src/delivery-list/serialise.ts';
import { emptyJob } from '../support/jobs.ts';
import { PROGRAM } from '../support/program.ts';
import { counted, type Section, scaled } from './context.ts';
import { messageText, SENDER } from './load.ts';
import type { Contender } from './measure.ts';
import { costOfNode } from './process.ts';
import { spoolroomRun } from './spoolroom.ts';
import { callsOfCommand } from './strace.ts';

const LARGE = 200;
const DAY = 86_400;
/** Milliseconds after which what a file says is kept from run to run (queue/spool/index/spool-index.ts). */
const SETTLED = 10_500;
const LIST =
  'const fs = require("fs"); const [, folder] = process.argv; for (const name of fs.readdirSync(folder)) fs.statSync(folder + "/" + name)';

function node(name: string, script: readonly string[]): Contender {
  return {
    name,
    run: () => costOfNode(script),
    systemCalls: () => callsOfCommand([process.execPath, ...script]),
  };
}

/** Jobs that failed once and wait for a day. */
function park(spool: string, count: number): void {
  mkdirSync(spool);
  const now = Math.floor(Date.now() / 1000);
  const text = messageText(1024);
  for (let n = 1; n <= count; n++) {
    const job = {
      ...emptyJob('2012'),
      msgid: 2 * n - 1,
      submitted: now,
      bounceto: SENDER,
      envelopeFrom: SENDER,
      recipients: [{ address: `r${n}@bench.example`, status: 4, text: '4.2.1 try again later' }],
    };
    writeFileSync(join(spool, String(2 * n - 1)), text);
    writeFileSync(join(spool, String(2 * n)), serialiseJob(job, '2012', now + DAY));
  }
}

export const memory: Section = async function* (context) {
  const { sink, places, options } = context;
  const [place] = places;
  if (place === undefined) return;
  const megabytes = scaled(context, LARGE);
  const delivery = { place, sink, size: megabytes * 1_000_000, jobs: [['r0@bench.example']] };
  yield {
    name: `a message of ${megabytes} MB`,
    unit: 'message',
    units: 1,
    ours: spoolroomRun('spoolroom', delivery, ['--smarthost', `127.0.0.1:${sink.port}`]),
    others: [node('node -e 0', ['-e', '0'])],
  };
  const parked = scaled(context, options.parked);
  const spool = join(place.folder, 'parked');
  const ours = node('spoolroom', [...PROGRAM, 'run', '--spool', spool]);
  const run = async () => {
    if (!existsSync(spool)) {
      park(spool, parked);
      await setTimeout(SETTLED);
    }
    return ours.run();
  };
  yield {
    name: `${counted(parked)} parked jobs looked through`,
    unit: 'job',
    units: parked,
    ours: { ...ours, run },
    others: [node('readdir and stat', ['-e', LIST, spool])],
  };
  rmSync(spool, { recursive: true, force: true });
};
