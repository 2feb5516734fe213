/** The view of a spool that is kept: what it reads again, and that it is what a scan would say. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { candidateOf } from '../../src/queue/selection/job.ts';
import { openSpoolClient } from '../../src/queue/spool/open.ts';
import { SpoolView } from '../../src/queue/spool/view/spool-view.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import {
  HandClock,
  HEADER,
  listFor,
  MAIL,
  NOW,
  quickDirectory,
  SETTINGS_2012,
  writeMessage,
} from '../support/spool.ts';

interface Viewed {
  readonly view: SpoolView;
  readonly spool: string;
  readonly clock: HandClock;
  /** numbers whose files were read */
  readonly read: string[];
  /** tells that a file of this folder may have changed */
  tell(name: string, folder?: string): void;
}

function viewOf(t: TestContext, files: Readonly<Record<string, string>>, watched = true): Viewed {
  const spool = quickDirectory(t);
  for (const [name, text] of Object.entries(files)) writeMessage(spool, name, text);
  const clock = new HandClock();
  const layout = layoutOf(spool);
  fs.mkdirSync(layout.requests, { recursive: true });
  const listeners = new Map<string, (name: string) => void>();
  const read: string[] = [];
  const disk: typeof nodeDisk = {
    ...nodeDisk,
    read: (file, limit) => {
      read.push(path.basename(file));
      return nodeDisk.read(file, limit);
    },
  };
  const view = new SpoolView({
    ...{ disk, layout, clock, schedule: SCHEDULE, options: { dialect: 'detect', fallback: '2012' } },
    watch: (folder, changed) => {
      listeners.set(folder, changed);
      return watched ? { close: () => void listeners.delete(folder) } : null;
    },
  });
  return { view, spool, clock, read, tell: (name, folder = spool) => listeners.get(folder)?.(name) };
}

const FILES = {
  1: MAIL,
  2: listFor(1, 'bob@example.com'),
  3: MAIL,
  4: listFor(3, 'carol@example.com', 'dave@example.com').replace(
    `submitted|${NOW}`,
    `submitted|${NOW - 900}`,
  ),
  5: MAIL,
  6: `${HEADER}nothing\n`,
};

function numbers(view: SpoolView): readonly number[] {
  return view.inOrder('newest').map(({ control }) => control);
}

test('jobs are read, payloads that a list names are not, and unreadable lists are told', async (t) => {
  const { view, read } = viewOf(t, FILES);
  await view.refresh();
  assert.deepEqual(numbers(view), [4, 2]);
  assert.deepEqual(
    view.inOrder('oldest').map(({ control, pending }) => [control, pending]),
    [
      [4, 2],
      [2, 1],
    ],
  );
  assert.deepEqual([...view.unreadable], [[6, 'it has no delivery-list instruction']]);
  assert.deepEqual([...read].sort(), ['2', '4', '5', '6']);
  assert.deepEqual(
    view.carrying(3).map(({ control }) => control),
    [4],
  );
});

test('only what was reported as changed is read again', async (t) => {
  const { view, spool, read, tell } = viewOf(t, FILES);
  await view.refresh();
  read.length = 0;
  const { version } = view;
  await view.refresh();
  assert.deepEqual([read, view.version], [[], version]);
  writeMessage(spool, '7', MAIL);
  writeMessage(spool, '8', listFor(7, 'erin@example.com'));
  for (const name of ['7', '8', '.spoolroom', '8~']) tell(name);
  fs.rmSync(path.join(spool, '2'));
  tell('2');
  await view.refresh();
  assert.deepEqual(numbers(view), [8, 4]);
  assert.deepEqual(read, ['8', '2'], 'the payload that is named was not opened');
  assert.notEqual(view.version, version);
  writeMessage(spool, '4', listFor(1, 'carol@example.com'));
  tell('4');
  await view.refresh();
  assert.deepEqual(
    view.carrying(1).map(({ control }) => control),
    [4],
  );
  assert.deepEqual(view.carrying(3), []);
});

test('what was not reported is found when the whole is compared', async (t) => {
  const { view, spool, clock, read } = viewOf(t, FILES);
  await view.refresh();
  writeMessage(spool, '8', listFor(5, 'erin@example.com'));
  fs.rmSync(path.join(spool, '4'));
  fs.rmSync(path.join(spool, '6'));
  await view.refresh();
  assert.deepEqual(numbers(view), [4, 2]);
  read.length = 0;
  clock.advance(61_000);
  await view.refresh();
  assert.deepEqual(numbers(view), [8, 2]);
  assert.equal(view.unreadable.size, 0);
  assert.deepEqual(read, ['8', '3'], 'what has the same file is not read again');
});

test('where the system reports nothing it is compared every few seconds', async (t) => {
  const { view, spool, clock } = viewOf(t, FILES, false);
  await view.refresh();
  writeMessage(spool, '8', listFor(5, 'erin@example.com'));
  clock.advance(5100);
  await view.refresh();
  assert.deepEqual(numbers(view), [8, 4, 2]);
});

test('what nobody looks at is forgotten, and read when somebody does', async (t) => {
  const { view, clock, read } = viewOf(t, FILES);
  await view.refresh();
  clock.advance(600_000);
  await view.refresh();
  clock.advance(600_000);
  assert.equal(view.size, 2);
  clock.advance(400_000);
  assert.deepEqual([view.size, view.inOrder('next')], [0, []]);
  read.length = 0;
  await view.refresh();
  assert.deepEqual(numbers(view), [4, 2]);
  assert.ok(read.includes('2'));
  view.close();
  assert.equal(clock.pending, 0);
});

test('requests count for the job they were made for', async (t) => {
  const { view, spool, tell } = viewOf(t, FILES);
  await view.refresh();
  const { requests } = layoutOf(spool);
  const note = (msgid: number) =>
    JSON.stringify({ request: 'hold', msgid, submitted: NOW, by: 'alice', at: NOW });
  fs.writeFileSync(path.join(requests, '2'), note(1));
  fs.writeFileSync(path.join(requests, '4'), note(1));
  for (const name of ['2', '4']) tell(name, requests);
  await view.refresh();
  assert.deepEqual(view.read(2)?.requestedBy, { by: 'alice', at: NOW });
  assert.equal(view.read(4)?.request, undefined, 'a request for another job that had the number');
  fs.rmSync(path.join(requests, '2'));
  view.noteRequests([2]);
  await view.refresh();
  assert.equal(view.read(2)?.request, undefined);
});

test('it says of the jobs what a scan says', async (t) => {
  const { view, spool, clock } = viewOf(t, FILES);
  await view.refresh();
  const processes = { self: { pid: 1, started: '1' }, isRunning: () => false } as never;
  const deps = { disk: nodeDisk, clock, random: () => 0, processes, warn: () => {} };
  const opened = await openSpoolClient(spool, deps, SETTINGS_2012);
  assert.ok(opened.kind === 'open');
  const { jobs } = await opened.client.scan();
  assert.deepEqual(
    jobs,
    [2, 4].map((number) => view.read(number)),
  );
  const [first] = jobs;
  assert.ok(first !== undefined && [...candidateOf(first, (bytes) => bytes).recipients].length === 1);
  assert.ok(view.holds(2, [/BOB@/i]) && !view.holds(2, [/bob/, /carol/]));
});
