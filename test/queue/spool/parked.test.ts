/** Jobs that wait for their time are not kept in memory, and their lists not read again: nobody else may notice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupByPayload, isMessageDue } from '../../../src/queue/due.ts';
import type { Queue, QueuedJob, QueueScan } from '../../../src/queue/queue.ts';
import { SCHEDULE } from '../../../src/queue/schedule.ts';
import type { Disk } from '../../../src/storage/disk.ts';
import { nodeDisk } from '../../../src/storage/disk.ts';
import { processTable } from '../../../src/storage/processes.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';
import {
  type Bench,
  bench,
  HEADER,
  MAIL,
  NEW_JOB,
  openClient,
  openQueue,
  SETTINGS_2012,
  SETTINGS_2017,
  seededRandom,
} from '../../support/spool.ts';

const SPOOL = '/spool';
const FILE = `${SPOOL}/.spoolroom/parked`;
const OWNER = { mode: 0o700, uid: 0, gid: 0 };
const HOUR = 3600;
const SETTLE = 11_000;

interface Scene {
  readonly deps: Bench;
  readonly disk: MemoryDisk;
  /** control messages that were read since the last call */
  reads(): readonly string[];
  seconds(): number;
}

function scene(): Scene {
  let now = (): number => 0;
  const disk = new MemoryDisk(() => now());
  let read: string[] = [];
  const counting: Disk = Object.assign(Object.create(disk), {
    read(path: string, limit: number) {
      if (/^\/spool\/\d+$/.test(path)) read.push(path.slice(SPOOL.length + 1));
      return disk.read(path, limit);
    },
  });
  for (const name of ['files', 'list', 'status', 'writable', 'create', 'rename', 'link', 'unlink'] as const)
    Object.assign(counting, { [name]: disk[name].bind(disk) });
  for (const name of ['stream', 'remove', 'mkdir', 'syncDirectory'] as const)
    Object.assign(counting, { [name]: disk[name].bind(disk) });
  const deps = { ...bench({ disk: counting, processes: processTable(nodeDisk) }), fewestParked: 1 };
  now = () => deps.clock.now();
  disk.mkdir(SPOOL, OWNER);
  return {
    deps,
    disk,
    reads: () => {
      const all = [...read].sort();
      read = [];
      return all;
    },
    seconds: () => Math.floor(deps.clock.now() / 1000),
  };
}

function put({ disk }: Scene, number: number, text: string): void {
  const path = `${SPOOL}/${number}`;
  if (disk.status(path) !== null) disk.unlink(path);
  const file = disk.create(path, OWNER);
  file.write(Buffer.from(text, 'latin1'));
  file.close();
}

/** As 2012 writes it: tried again at `attempted`. */
function waiting(msgid: number, attempted: number, status = 4): string {
  return `${HEADER}msgid|${msgid}\nsubmitted|1\nbounceto|a@example.org\nretry|900\nattempted|${attempted}\nremote|b@example.com|${status}||\n`;
}

function numbers(jobs: readonly QueuedJob[]): readonly number[] {
  return jobs.map(({ control }) => control);
}

const scan = (queue: Queue): Promise<QueueScan> => queue.scan(new Set(), SCHEDULE);

/** One job that is due, and one for later. */
async function twoJobs(it: Scene): Promise<Queue> {
  put(it, 1, MAIL);
  put(it, 2, waiting(1, it.seconds() + HOUR));
  put(it, 3, MAIL);
  put(it, 4, waiting(3, it.seconds()));
  it.deps.clock.advance(SETTLE);
  return openQueue(SPOOL, it.deps);
}

test('a job that waits is counted, and handed out when its time has come', async () => {
  const it = scene();
  const queue = await twoJobs(it);
  const first = await scan(queue);
  assert.deepEqual(numbers(first.jobs), [4]);
  assert.deepEqual(first.orphans, []);
  assert.equal(first.waiting?.payloads.length, 1);
  assert.equal(first.waiting?.payloads.at(0), 1);
  assert.equal(first.waiting?.earliest, it.seconds() + HOUR - SETTLE / 1000);
  assert.deepEqual(numbers((await queue.scan()).jobs), [2, 4], 'who gives no schedule gets all');
  await scan(queue);
  it.reads();
  await scan(queue);
  assert.deepEqual(it.reads(), [], 'nothing is read again');
  it.deps.clock.advance(HOUR * 1000);
  const last = await scan(queue);
  assert.deepEqual(numbers(last.jobs), [2, 4]);
  assert.equal(last.waiting, undefined);
  await queue.close();
});

test('a list that was changed just now is not parked: the next change might look the same', async () => {
  const it = scene();
  const queue = await twoJobs(it);
  put(it, 2, waiting(1, it.seconds() + 2 * HOUR));
  assert.deepEqual(numbers((await scan(queue)).jobs), [2, 4]);
  it.deps.clock.advance(SETTLE);
  it.reads();
  assert.deepEqual(numbers((await scan(queue)).jobs), [4]);
  assert.deepEqual(it.reads(), ['2'], 'what was read before does not count');
  it.deps.clock.step(-HOUR * 1000);
  put(it, 2, waiting(1, it.seconds() + HOUR));
  it.deps.clock.step(-HOUR * 1000);
  assert.deepEqual(numbers((await scan(queue)).jobs), [2], 'it comes from the future');
  await queue.close();
});

test('requests count for parked jobs, and a payload is parked with all its jobs or with none', async () => {
  const it = scene();
  const queue = await twoJobs(it);
  await scan(queue);
  const client = await openClient(SPOOL, it.deps);
  const [parked] = (await client.scan()).jobs;
  assert.ok(parked);
  await client.request('retry', [parked], { by: 'me', at: 1 });
  const [asked] = (await scan(queue)).jobs;
  assert.equal(asked?.control, 2);
  assert.equal(asked?.request, 'retry');
  await client.withdraw([parked]);
  assert.deepEqual(numbers((await scan(queue)).jobs), [4]);
  put(it, 5, waiting(1, it.seconds()));
  assert.deepEqual(numbers((await scan(queue)).jobs), [2, 4, 5]);
  await queue.close();
});

test('the next process reads no list of a parked job again, unless its file has changed', async () => {
  const it = scene();
  const first = await twoJobs(it);
  await scan(first);
  await first.close();
  it.reads();
  const second = await openQueue(SPOOL, it.deps);
  assert.deepEqual(numbers((await scan(second)).jobs), [4]);
  assert.deepEqual(it.reads(), ['4']);
  await second.close();
  put(it, 2, waiting(1, it.seconds() - 1));
  const third = await openQueue(SPOOL, it.deps);
  assert.deepEqual(numbers((await scan(third)).jobs), [2, 4]);
  await third.close();
  assert.equal(it.disk.status(FILE), null, 'a file of nothing is removed');
});

test('a file of parked jobs that is damaged, cut off, or of other settings says nothing', async () => {
  const it = scene();
  await (await twoJobs(it).then(async (queue) => ({ queue, done: await scan(queue) }))).queue.close();
  const { bytes } = it.disk.read(FILE, 1e6);
  const spoil = (change: (bytes: Buffer) => Buffer) => {
    it.disk.unlink(FILE);
    const file = it.disk.create(FILE, OWNER);
    file.write(change(Buffer.from(bytes)));
    file.close();
  };
  const changes: ((bytes: Buffer) => Buffer)[] = [
    ...Array.from(bytes, (_, at) => (copy: Buffer) => {
      copy[at] = (copy[at] ?? 0) ^ 1;
      return copy;
    }),
    ...[0, 10, 64, 65, bytes.length - 1].map((length) => (copy: Buffer) => copy.subarray(0, length)),
  ];
  for (const change of changes) {
    spoil(change);
    it.reads();
    const queue = await openQueue(SPOOL, it.deps);
    assert.deepEqual(numbers((await scan(queue)).jobs), [4]);
    await queue.close();
    assert.deepEqual(it.reads(), ['2', '4']);
  }
  it.reads();
  const other = await openQueue(SPOOL, it.deps, SETTINGS_2017);
  await scan(other);
  await other.close();
  assert.deepEqual(it.reads(), ['2', '4']);
});

test('what is due is the same with and without parking, whatever happens to the spool', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(random() * count);
  const dueIn = (jobs: readonly QueuedJob[], now: number): readonly number[] =>
    [...groupByPayload(jobs)]
      .filter(([, lists]) => isMessageDue(lists, now, { schedule: SCHEDULE, force: false }))
      .map(([msgid]) => msgid);
  for (let world = 0; world < 30; world++) {
    const it = scene();
    const settings = pick(2) === 0 ? SETTINGS_2012 : SETTINGS_2017;
    let queue = await openQueue(SPOOL, it.deps, settings);
    const client = await openClient(SPOOL, it.deps, settings);
    for (let n = 1; n <= 6; n++) put(it, n, MAIL);
    const events: (() => unknown)[] = [
      () =>
        put(it, 10 + pick(12), waiting(1 + pick(6), it.seconds() + pick(4) * HOUR, [4, 0, 2, 5][pick(4)])),
      () =>
        put(
          it,
          10 + pick(12),
          waiting(1 + pick(6), it.seconds() + pick(4) * HOUR).replace('retry|900\n', ''),
        ),
      () => it.deps.clock.advance(pick(2) === 0 ? 5000 : HOUR * 1000),
      () => it.deps.clock.step((pick(3) - 1) * HOUR * 1000),
      async () => {
        const jobs = (await client.scan()).jobs.filter(() => pick(3) === 0);
        await client.request(pick(2) === 0 ? 'retry' : 'hold', jobs, { by: 'me', at: 1 });
      },
      async () => client.withdraw((await client.scan()).jobs),
      async () => {
        await queue.close();
        queue = await openQueue(SPOOL, it.deps, settings);
      },
      () => queue.enqueue(Buffer.from(MAIL), NEW_JOB),
      () => {
        const path = `${SPOOL}/${10 + pick(12)}`;
        if (it.disk.status(path) !== null) it.disk.unlink(path);
      },
    ];
    for (let step = 0; step < 40; step++) {
      await events[pick(events.length)]?.();
      if (pick(3) === 0) it.deps.clock.advance(SETTLE);
      const parked = await scan(queue);
      const whole = await client.scan();
      const at = `seed ${seed}, world ${world}, step ${step}`;
      assert.deepEqual(dueIn(parked.jobs, it.seconds()), dueIn(whole.jobs, it.seconds()), at);
      assert.equal(parked.jobs.length + (parked.waiting?.payloads.length ?? 0), whole.jobs.length, at);
      assert.deepEqual(parked.orphans, whole.orphans, at);
    }
    await queue.close();
  }
});
