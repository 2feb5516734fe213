/** One suite for all queues: a spool directory, and the queue room of a Citadel server of each era. */
import fs from 'node:fs';
import type { TestContext } from 'node:test';
import { connect } from '../../src/net-stream-utils/index.ts';
import { openLiveQueue } from '../../src/queue/citadel/open.ts';
import type { ControlSettings } from '../../src/queue/control-message.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { openSpoolQueue } from '../../src/queue/spool/open.ts';
import type { Disk } from '../../src/storage/disk.ts';
import type { Era } from '../support/citadel-server.ts';
import { allDead, listsIn, liveScene, MAIL, openProven, probesIn } from '../support/live-room.ts';
import { type Bench, bench, HEADER, temporaryDirectory, writeMessage } from '../support/spool.ts';
import { type QueueFixture, type QueueKind, queueSuite } from './suite.ts';

type Opened =
  | { readonly kind: 'open'; readonly queue: Queue }
  | { readonly kind: 'refused'; readonly text: string };

/** Processes that open a queue one after the other, each with a clock and a random source of its own. */
function processes(open: (deps: Bench) => Promise<Opened>) {
  let last: Bench | null = null;
  return {
    async open({ disk }: { readonly disk?: Disk } = {}): Promise<Queue> {
      last = bench({ processes: allDead, ...(disk && { disk }) });
      const opened = await open(last);
      if (opened.kind === 'refused') throw new Error(opened.text);
      return opened.queue;
    },
    async openBeside(): Promise<string> {
      const opened = await open(bench());
      return opened.kind === 'refused' ? opened.text : 'open';
    },
    advance: (milliseconds: number) => last?.clock.advance(milliseconds),
    get warnings() {
      return last?.warnings ?? [];
    },
  };
}

function directoryPlace(t: TestContext, settings: ControlSettings): QueueFixture {
  const spool = temporaryDirectory(t);
  let highest = 0;
  const put = (text: string): number => {
    writeMessage(spool, String(++highest), text);
    return highest;
  };
  const numbers = () =>
    fs
      .readdirSync(spool)
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .sort((a, b) => a - b);
  const textOf = (number: number) => fs.readFileSync(`${spool}/${number}`, 'latin1');
  const runners = processes((deps) => openSpoolQueue(spool, deps, settings));
  return Object.assign(runners, {
    putMail: (text = MAIL) => put(text),
    putList: (instructions: string) => put(HEADER + instructions),
    remove: (number: number) => fs.unlinkSync(`${spool}/${number}`),
    change: (number: number, instructions: string) =>
      writeMessage(spool, String(number), HEADER + instructions),
    numbers,
    lists: () =>
      Object.fromEntries(
        numbers().flatMap((number) =>
          textOf(number).startsWith(HEADER) ? [[number, textOf(number).slice(HEADER.length)]] : [],
        ),
      ),
  });
}

async function livePlace(t: TestContext, settings: ControlSettings, era: Era): Promise<QueueFixture> {
  const scene = await liveScene(t, era);
  const { double, options } = scene;
  await (await openProven(scene, settings)).close();
  const ours = probesIn(double);
  const runners = processes((deps) => openLiveQueue(options, { ...deps, connect }, settings));
  return Object.assign(runners, {
    putMail: (text = MAIL) => double.postMail(text),
    putList: (instructions: string) => double.post(instructions),
    remove: (number: number) => void double.messages.delete(number),
    change: (number: number, instructions: string) => {
      double.messages.delete(number);
      double.post(instructions);
    },
    numbers: () => [...double.messages.keys()].filter((number) => !ours.includes(number)),
    lists: () => listsIn(double),
  });
}

const DIRECTORY: QueueKind = {
  name: 'a spool directory',
  make: async (t, settings) => directoryPlace(t, settings),
  differs: {
    keepsNumbers: true,
    movesUnreadable: true,
    changed: 'merged',
    hasJournal: true,
    enqueues: true,
    pendingFirst: false,
    dialects: ['2012', '2017'],
  },
};

queueSuite(DIRECTORY);

for (const era of ['2012', '2016', '2023'] as const) {
  queueSuite({
    name: `a live room of ${era}`,
    make: (t, settings) => livePlace(t, settings, era),
    differs: {
      keepsNumbers: false,
      movesUnreadable: false,
      changed: 'alarm',
      hasJournal: true,
      enqueues: false,
      pendingFirst: era === '2016',
      dialects: [era === '2023' ? '2017' : '2012'],
    },
  });
}
