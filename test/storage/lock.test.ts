import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { temporaryNames } from '../../src/storage/atomic-file.ts';
import { type Disk, nodeDisk } from '../../src/storage/disk.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { acquireLock, type LockResult } from '../../src/storage/lock.ts';
import { type ProcessTable, processTable } from '../../src/storage/processes.ts';
import { FakeMachine } from '../support/processes.ts';
import { bench, openClient, openQueue, spoolOf, temporaryDirectory } from '../support/spool.ts';

const OWNER = { mode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };

function lockable(t: TestContext): string {
  const spool = temporaryDirectory(t);
  fs.mkdirSync(`${spool}/.spoolroom/tmp`, { recursive: true });
  return spool;
}

function claim(spool: string, processes: ProcessTable, disk: Disk = nodeDisk): LockResult {
  const layout = layoutOf(spool);
  return acquireLock({
    disk,
    layout,
    processes,
    owner: OWNER,
    temporaryName: temporaryNames(layout, processes, Math.random),
  });
}

function locksIn(spool: string): string[] {
  return fs.readdirSync(`${spool}/.spoolroom`).filter((name) => name !== 'tmp');
}

test('one at a time, one after the other, and one lock file however often', (t) => {
  const spool = lockable(t);
  const machine = new FakeMachine();
  for (let turn = 1; turn <= 12; turn++) {
    const [first, second] = [machine.start(), machine.start()];
    const claimed = claim(spool, first);
    assert.ok(claimed.kind === 'acquired');
    assert.deepEqual(claim(spool, second), { kind: 'busy', owner: first.self });
    assert.deepEqual(claim(spool, first), { kind: 'busy', owner: first.self });
    claimed.release();
    assert.deepEqual(locksIn(spool), [`lock.${turn}`]);
  }
  assert.deepEqual(fs.readdirSync(`${spool}/.spoolroom/tmp`), []);
});

const STALE: readonly {
  readonly what: string;
  end(machine: FakeMachine, owner: ReturnType<FakeMachine['start']>): void;
}[] = [
  { what: 'whose process is gone', end: (_machine, owner) => owner.end() },
  { what: 'of before a reboot', end: (machine) => machine.reboot() },
  {
    what: 'whose process number another process has now',
    end(machine, owner) {
      owner.end();
      machine.start(owner.self.pid);
    },
  },
];

for (const { what, end } of STALE) {
  test(`a lock ${what} is taken over`, (t) => {
    const spool = lockable(t);
    const machine = new FakeMachine();
    const owner = machine.start();
    assert.equal(claim(spool, owner).kind, 'acquired');
    end(machine, owner);
    assert.equal(claim(spool, machine.start()).kind, 'acquired');
    assert.equal(claim(spool, machine.start()).kind, 'busy');
  });
}

test('a lock that a power failure cut off holds nobody', (t) => {
  const machine = new FakeMachine();
  for (const text of ['', 'pid 1', '\0\0\0\0']) {
    const spool = lockable(t);
    fs.writeFileSync(`${spool}/.spoolroom/lock.3`, text);
    assert.equal(claim(spool, machine.start()).kind, 'acquired');
    assert.deepEqual(locksIn(spool), ['lock.4']);
  }
});

test('the real process table knows itself, its children, and those that ended', async () => {
  const table = processTable(nodeDisk);
  assert.equal(table.alive(table.self), true);
  assert.equal(table.alive({ ...table.self, started: null, boot: null }), true, 'in doubt it lives');
  if (table.self.started !== null) {
    assert.equal(table.alive({ ...table.self, started: '1' }), false);
    assert.equal(table.alive({ ...table.self, boot: 'another' }), false);
  }
  const child = spawn('sh', ['-c', 'read line']);
  const pid = child.pid ?? assert.fail('no child');
  assert.equal(table.alive({ ...table.self, pid, started: null }), true);
  child.stdin.end();
  await once(child, 'exit');
  assert.equal(table.alive({ ...table.self, pid, started: null }), false);
});

/** A disk on which something happens before its n-th call. */
function interruptedDisk(at: number, happen: () => void): { readonly disk: Disk; calls(): number } {
  let calls = 0;
  const around =
    <A extends unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      if (++calls === at) happen();
      return call(...args);
    };
  const { list, read, create, rename, link, unlink } = nodeDisk;
  const disk = {
    ...nodeDisk,
    list: around(list),
    read: around(read),
    create: around(create),
    rename: around(rename),
    link: around(link),
    unlink: around(unlink),
  };
  return { disk, calls: () => calls };
}

/** What the faster process does with its claim before the slower one goes on. */
const AFTERWARDS = [
  'holds',
  'releases',
  'dies',
  'releases and another claims',
  'dies and two others claim in turn',
] as const;

for (const afterwards of AFTERWARDS) {
  test(`two find the same stale lock; the faster one ${afterwards}; only one has it, wherever the slower one was`, (t) => {
    const machine = new FakeMachine();
    for (let at = 1, calls = Number.POSITIVE_INFINITY; at <= calls; at++) {
      const spool = lockable(t);
      const dead = machine.start();
      claim(spool, dead);
      dead.end();
      /** processes that believe they have the lock */
      const holders = new Set<string>();
      const faster = () => {
        const process = machine.start();
        const got = claim(spool, process);
        if (got.kind !== 'acquired') return;
        holders.add('faster');
        if (afterwards === 'holds') return;
        holders.delete('faster');
        if (afterwards.startsWith('dies')) process.end();
        else got.release();
        if (!afterwards.includes(' and ')) return;
        const third = machine.start();
        const thirdGot = claim(spool, third);
        if (thirdGot.kind !== 'acquired') return;
        if (afterwards.endsWith('in turn')) {
          thirdGot.release();
          if (claim(spool, machine.start()).kind === 'acquired') holders.add('fourth');
        } else {
          holders.add('third');
        }
      };
      const { disk, calls: count } = interruptedDisk(at, faster);
      if (claim(spool, machine.start(), disk).kind === 'acquired') holders.add('slower');
      assert.equal(
        holders.size,
        1,
        `interrupted before call ${at}: ${[...holders].join(' and ') || 'nobody'}`,
      );
      if (count() < at) calls = count();
    }
  });
}

test('real processes that race for stale locks: each lock has exactly one new owner', async (t) => {
  const spools = Array.from({ length: 40 }, () => {
    const spool = lockable(t);
    fs.writeFileSync(`${spool}/.spoolroom/lock.1`, 'pid 1 started 1 boot gone\n');
    return spool;
  });
  const racers = Array.from({ length: 3 }, () =>
    spawn(process.execPath, ['--import', 'tsx', 'test/support/lock-racer.ts', ...spools], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  t.after(() => {
    for (const racer of racers) racer.kill();
  });
  const outputs = racers.map((racer) => createInterface(racer.stdout)[Symbol.asyncIterator]());
  for (const output of outputs) assert.equal((await output.next()).value, 'ready');
  const start = Date.now() + 50;
  for (const racer of racers) racer.stdin.write(`${start}\n`);
  const results = await Promise.all(
    outputs.map(async (output) => JSON.parse((await output.next()).value) as boolean[]),
  );
  const winners = spools.map((_, round) => results.filter((won) => won[round]).length);
  assert.deepEqual(
    winners,
    spools.map(() => 1),
  );
});

test('a client puts jobs in beside a runner', async (t) => {
  const spool = spoolOf(t, {});
  const queue = await openQueue(spool, bench());
  const client = await openClient(spool, bench());
  const job = {
    bounceto: '',
    envelopeFrom: null,
    sourceRoom: null,
    recipients: ['b@example.com'],
    submitted: 5,
  };
  assert.deepEqual(await client.enqueue(Buffer.from('Subject: x\n\ny\n'), job), { payload: 1, control: 2 });
  assert.equal((await queue.scan()).jobs.length, 1);
  await queue.close();
  const next = await openQueue(spool, bench());
  await next.close();
});

test('what a dead process left under temporary names is swept, what a live one has there stays', async (t) => {
  const spool = lockable(t);
  const machine = new FakeMachine();
  const [dead, alive] = [machine.start(), machine.start()];
  const name = (table: ProcessTable) => `${table.self.pid}.${table.self.started}.abc`;
  for (const file of [name(dead), name(alive), 'mine'])
    fs.writeFileSync(`${spool}/.spoolroom/tmp/${file}`, '');
  dead.end();
  const queue = await openQueue(spool, bench({ processes: machine.start() }));
  await queue.close();
  assert.deepEqual(fs.readdirSync(`${spool}/.spoolroom/tmp`).sort(), [name(alive), 'mine'].sort());
});
