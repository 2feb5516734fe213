/** An intake in a process of its own, to be killed. Called with the spool; tells its address on its standard output. */
import { tmpdir } from 'node:os';
import { INTAKE_DEFAULTS, startIntake } from '../../src/intake/listener.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { openSpoolClient } from '../../src/queue/spool/open.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { processTable } from '../../src/storage/processes.ts';
import { SETTINGS_2012 } from '../support/spool.ts';

const warn = (text: string): void => console.error(text);
const deps = {
  disk: nodeDisk,
  clock: systemClock,
  random: Math.random,
  processes: processTable(nodeDisk),
  warn,
};
const opened = await openSpoolClient(process.argv[2] ?? '', deps, SETTINGS_2012);
if (opened.kind === 'refused') throw new Error(opened.text);
const intake = await startIntake(
  { ...INTAKE_DEFAULTS, listen: '127.0.0.1:0', hostname: 'queue.example', scratch: tmpdir() },
  {
    queue: opened.client,
    clock: systemClock,
    events: {
      queued: () => {},
      refused: ({ code, text }) => warn(`${code} ${text}`),
      loginFailed: () => {},
      warning: warn,
    },
  },
);
console.log(intake.kind === 'listening' ? intake.address : intake.text);
