/**
 * The spool after a crash or a failing disk at each single step: a run delivers three messages, quarantines one and
 * enqueues a job, and is cut off at step k; another run finishes the work.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { isPending } from '../../../src/delivery-list/job.ts';
import { errorCode, QueueError } from '../../../src/platform/system-errors.ts';
import type { Queue } from '../../../src/queue/queue.ts';
import { type Disk, nodeDisk } from '../../../src/storage/disk.ts';
import { type Fault, faultyDisk, Killed } from '../../support/faulty-disk.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';
import { FakeMachine } from '../../support/processes.ts';
import { bench, HEADER, listFor, MAIL, NOW, openQueue, seededRandom, spoolOf } from '../../support/spool.ts';
import { size } from '../../support/thorough.ts';

const OWNER = process.geteuid?.() ?? 0;

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

/** What the servers received, from all runs. */
interface World {
  /** addresses in the order in which a message was accepted for them */
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

/** Deliver everything that is pending, as a queue run does. A failing step does not stop the others. */
async function run(queue: Queue, world: World): Promise<void> {
  const { jobs } = await queue.scan();
  for (const { control, job } of jobs) {
    // Flushes that only remove, and that only rewrite.
    if (control === 4) await queue.flush().catch(() => {});
    let left = 0;
    for (const [index, recipient] of job.recipients.entries()) {
      const { address } = recipient;
      if (!isPending(recipient)) continue;
      const status = address.startsWith('later') ? 4 : 2;
      if (status === 4) left++;
      else world.accepted.push(address);
      await queue.record(control, [{ index, address, status, text: 'said so' }], NOW).then(
        () => world.durable.add(address),
        () => left++,
      );
    }
    if (left === 0) await queue.finish(control).catch(() => {});
    if (control === 4) await queue.flush().catch(() => {});
  }
}

/** A disk with a spool directory on it. */
interface Ground {
  readonly disk: Disk;
  readonly spool: string;
}

/** Create the spool: the messages above, synced. */
async function fill({ disk, spool }: Ground): Promise<void> {
  for (const [name, text] of Object.entries(FILES)) {
    const file = disk.create(`${spool}/${name}`, { mode: 0o600, uid: OWNER, gid: OWNER });
    file.write(Buffer.from(text, 'latin1'));
    await file.sync();
    file.close();
  }
  await disk.syncDirectory(spool);
}

function filesIn({ disk, spool }: Ground, folder = ''): [string, string][] {
  const names = disk.list(`${spool}/${folder}`).filter(({ kind }) => kind === 'file');
  return names.map(({ name }) => {
    const bytes = disk.read(`${spool}/${folder}${name}`, 1_000_000).bytes;
    return [`${folder}${name}`, bytes.toString('latin1')];
  });
}

/** Whether this error comes from the failing disk and is not a bug. */
function isMeant(error: unknown): boolean {
  return error instanceof Killed || error instanceof QueueError || errorCode(error) !== null;
}

async function runWithFault(
  ground: Ground,
  machine: FakeMachine,
  fault: Fault,
  world: World,
): Promise<number> {
  const disk = faultyDisk(fault, ground.disk);
  const processes = machine.start();
  try {
    const queue = await openQueue(ground.spool, bench({ disk, processes }));
    await run(queue, world);
    await queue.enqueue(Buffer.from(MAIL), NEW_JOB).then(
      () => {
        world.taken = true;
      },
      () => {},
    );
    await queue.close();
  } catch (error) {
    // Cut off as intended; from here on only the contents of the disk count.
    if (!isMeant(error)) throw error;
  }
  processes.end();
  return disk.taken.length;
}

/** One run with this fault, `afterwards`, and a run that finishes the work. Returns the steps that the first one took. */
async function checkFault(
  ground: Ground,
  fault: Fault,
  afterwards: (machine: FakeMachine) => void,
  isLeftOver: (text: string) => boolean = (text) => text === MAIL,
): Promise<number> {
  const machine = new FakeMachine();
  const world: World = { accepted: [], durable: new Set(), taken: false };
  await fill(ground);
  const steps = await runWithFault(ground, machine, fault, world);
  afterwards(machine);
  const durableThen = new Set(world.durable);
  const acceptedThen = world.accepted.length;
  const queue = await openQueue(ground.spool, bench({ disk: ground.disk, processes: machine.start() }));
  const scan = await queue.scan();
  for (const { job } of scan.jobs) {
    assert.deepEqual(job.unknownLines, [], 'every control message is a whole one');
    assert.equal((await queue.readPayload(job.msgid)).kind, 'found', 'and its mail is there');
  }
  const inSpool = scan.jobs.some(({ job }) => job.recipients[0]?.address === 'new@example.com');
  if (world.taken) assert.ok(inSpool, 'an acknowledged job is there');
  await run(queue, world);
  await queue.close();
  for (const address of world.accepted.slice(acceptedThen)) {
    assert.ok(!durableThen.has(address), `${address} got the mail again although its outcome was durable`);
  }
  const wanted = ['one', 'two', 'three', 'four', 'five'].map((name) => `${name}@example.com`);
  for (const address of wanted) assert.ok(world.accepted.includes(address), `${address} never got its mail`);
  checkSpool(ground, isLeftOver);
  return steps;
}

/**
 * Only the deferred job is left, what was quarantined, and at most a payload whose job was never acknowledged: its control
 * message has no name before the payload is durable.
 */
function checkSpool(ground: Ground, isLeftOver: (text: string) => boolean): void {
  const after = new Map([...filesIn(ground), ...filesIn(ground, '.spoolroom/bad/')]);
  assert.equal(after.get('3'), MAIL, 'the deferred mail');
  assert.match(
    after.get('4') ?? '',
    /\nremote\|two@example\.com\|2\|said so\nremote\|three@example\.com\|2\|said so\nremote\|later@example\.com\|4\|said so\n$/,
  );
  assert.equal(after.get('.spoolroom/bad/8'), FILES['8']);
  assert.match(after.get('.spoolroom/bad/8.reason') ?? '', /^Message 8 was quarantined/);
  const others = [...after].filter(([name]) => !/^([34]|\.spoolroom\/bad\/8(\.reason)?)$/.test(name));
  for (const [name, text] of others)
    assert.ok(Number(name) > 8 && isLeftOver(text), `${name} is left over: ${text}`);
  assert.ok(others.length <= 1);
  assert.deepEqual(filesIn(ground, '.spoolroom/tmp/'), []);
}

/** All of it, or what is left when it was not synced. */
function isBeginningOfMail(text: string): boolean {
  const beginning = text.replace(/\0+$/, '');
  return MAIL.startsWith(beginning) && text.length <= MAIL.length;
}

/** Let a run fail at its first step, its second (or so many later), and so on until it gets through. */
async function atEachStep(what: string, check: (step: number) => Promise<number>, every = 1): Promise<void> {
  let steps = Number.POSITIVE_INFINITY;
  for (let step = 1; step <= steps; step += every) {
    assert.ok(step < 500, 'the run never got through');
    try {
      const taken = await check(step);
      if (taken < step) steps = taken;
    } catch (error) {
      throw new Error(`${what} at step ${step}`, { cause: error });
    }
  }
  assert.ok(steps > 50, `only ${steps} steps were seen`);
}

function memoryGround() {
  const disk = new MemoryDisk();
  disk.mkdir('/spool', { mode: 0o700, uid: OWNER, gid: OWNER });
  return { disk, spool: '/spool' };
}

for (const code of ['killed', 'EIO', 'ENOSPC'] as const) {
  test(`no message is lost whichever step of a run fails with ${code}`, async () => {
    await atEachStep(code, (step) => checkFault(memoryGround(), { step, code }, () => {}));
  });
}

test('nor on the real disk', async (t) => {
  const spool = spoolOf(t, {});
  const check = (step: number): Promise<number> => {
    for (const name of fs.readdirSync(spool)) fs.rmSync(`${spool}/${name}`, { recursive: true });
    return checkFault({ disk: nodeDisk, spool }, { step, code: 'EIO' }, () => {});
  };
  await atEachStep('EIO', check, size(5, 1));
});

const SEEDS = Array.from({ length: size(3, 8) }, (_, at) => at + 1);

for (const [what, random] of [
  ['loses everything that was not synced', () => 0],
  ['loses nothing', () => 0.999_999],
  ...SEEDS.map((seed) => [`loses some of it (seed ${seed})`, seededRandom(seed)] as const),
] as const) {
  test(`no power failure loses a message: one that ${what}`, async () => {
    await atEachStep(what, (step) => {
      const ground = memoryGround();
      const fail = (machine: FakeMachine): void => {
        machine.reboot();
        ground.disk.powerFailure(random);
      };
      return checkFault(ground, { step, code: 'killed' }, fail, isBeginningOfMail);
    });
  });
}
