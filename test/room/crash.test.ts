/**
 * The spool after a crash or a failing disk at each single step: a run delivers three mails, sets a message aside and
 * takes a new job, and is cut off at step k; another run ends the work.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { isPending } from '../../src/control/job.ts';
import type { Room } from '../../src/room/room.ts';
import { type Fault, faultyDisk } from '../support/faulty-disk.ts';
import { FakeMachine } from '../support/processes.ts';
import {
  bench,
  HEADER,
  listFor,
  MAIL,
  messagesIn,
  NOW,
  openRoom,
  spoolOf,
  writeMessage,
} from '../support/spool.ts';

const FILES = {
  '1': MAIL,
  '2': listFor(1, 'one@example.com'),
  '3': MAIL,
  '4': listFor(3, 'two@example.com', 'three@example.com', 'later@example.com'),
  '5': MAIL,
  '6': listFor(5, 'four@example.com'),
  '7': listFor(5, 'five@example.com'),
  '8': `${HEADER}cut off\n`,
};

/** What the world outside saw, over all runs. */
interface World {
  /** addresses in the order in which mail was accepted for them */
  readonly accepted: string[];
  /** addresses whose outcome was reported durable */
  readonly durable: Set<string>;
  /** the new job was acknowledged */
  taken: boolean;
}

const NEW_JOB = {
  bounceto: 'a@example.org',
  envelopeFrom: null,
  sourceRoom: null,
  recipients: ['new@example.com'],
  submitted: NOW,
};

/** Deliver everything that is pending, as a queue run does. Trouble with one step does not stop the others. */
async function run(room: Room, world: World): Promise<void> {
  const { jobs } = await room.scan();
  for (const { control, job } of jobs) {
    let left = 0;
    for (const [index, recipient] of job.recipients.entries()) {
      const { address } = recipient;
      if (!isPending(recipient)) continue;
      const status = address.startsWith('later') ? 4 : 2;
      if (status === 4) left++;
      else world.accepted.push(address);
      await room.record(control, [{ index, address, status, text: 'said so' }], NOW).then(
        () => world.durable.add(address),
        () => left++,
      );
    }
    if (left === 0) await room.finish(control).catch(() => {});
    if (control === 4) await room.settle().catch(() => {});
  }
}

async function runWithFault(
  spool: string,
  machine: FakeMachine,
  fault: Fault,
  world: World,
): Promise<number> {
  const disk = faultyDisk(fault);
  const processes = machine.start();
  try {
    const room = await openRoom(spool, bench({ disk, processes }));
    await run(room, world);
    await room.enqueue(Buffer.from(MAIL), NEW_JOB).then(
      () => {
        world.taken = true;
      },
      () => {},
    );
    await room.close();
  } catch {
    // Cut off, as it was meant to be; what the disk holds now is what counts.
  }
  processes.end();
  return disk.taken.length;
}

async function checkFault(spool: string, fault: Fault): Promise<number> {
  const machine = new FakeMachine();
  const world: World = { accepted: [], durable: new Set(), taken: false };
  const steps = await runWithFault(spool, machine, fault, world);
  const durableThen = new Set(world.durable);
  const acceptedThen = world.accepted.length;
  const deps = bench({ processes: machine.start() });
  const room = await openRoom(spool, deps);
  const scan = await room.scan();
  for (const { job } of scan.jobs)
    assert.deepEqual(job.unknownLines, [], 'every control message is a whole one');
  const inSpool = scan.jobs.some(({ job }) => job.recipients[0]?.address === 'new@example.com');
  if (world.taken) assert.ok(inSpool, 'an acknowledged job is there');
  await run(room, world);
  await room.close();
  for (const address of world.accepted.slice(acceptedThen)) {
    assert.ok(!durableThen.has(address), `${address} got the mail again although its outcome was durable`);
  }
  const wanted = ['one', 'two', 'three', 'four', 'five'].map((name) => `${name}@example.com`);
  for (const address of wanted) assert.ok(world.accepted.includes(address), `${address} never got its mail`);
  checkSpool(spool);
  return steps;
}

/** Nothing is left but the deferred job, what was set aside, and (after a kill) a payload whose job was never acknowledged. */
function checkSpool(spool: string): void {
  const after = messagesIn(spool);
  assert.equal(after['3'], MAIL, 'the deferred mail');
  assert.match(
    after['4'] ?? '',
    /\nremote\|two@example\.com\|2\|said so\nremote\|three@example\.com\|2\|said so\nremote\|later@example\.com\|4\|said so\n$/,
  );
  assert.equal(after['.spoolroom/bad/8'], FILES['8']);
  assert.match(after['.spoolroom/bad/8.reason'] ?? '', /^Message 8 was set aside/);
  const others = Object.entries(after).filter(
    ([name]) => !/^([34]|\.spoolroom\/bad\/8(\.reason)?)$/.test(name),
  );
  for (const [name, text] of others)
    assert.deepEqual([Number(name) > 8, text], [true, MAIL], `${name} is left over`);
  assert.ok(others.length <= 1);
  assert.deepEqual(fs.readdirSync(`${spool}/.spoolroom/tmp`), []);
}

for (const code of ['killed', 'EIO', 'ENOSPC'] as const) {
  test(`no step of a run may fail with ${code} and cost a mail`, async (t) => {
    const spool = spoolOf(t, {});
    for (let step = 1, steps = Number.POSITIVE_INFINITY; step <= steps; step++) {
      for (const name of fs.readdirSync(spool)) fs.rmSync(`${spool}/${name}`, { recursive: true });
      for (const [name, bytes] of Object.entries(FILES)) writeMessage(spool, name, bytes);
      try {
        const taken = await checkFault(spool, { step, code });
        if (taken < step) steps = taken;
      } catch (error) {
        throw new Error(`${code} at step ${step}`, { cause: error });
      }
      assert.ok(step < 500, 'the run never got through');
    }
  });
}
