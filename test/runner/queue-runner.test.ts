/** Queue runs in a scripted world, over a room held in memory: what became of whole jobs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Job, StatusChange } from '../../src/delivery-list/job.ts';
import type { Signer } from '../../src/dkim/signer.ts';
import { unknown8bit } from '../../src/message/charset.ts';
import { QueueError } from '../../src/platform/system-errors.ts';
import type { CrashLog } from '../../src/queue/crash-log.ts';
import type { JobRequest, Queue, QueuedJob } from '../../src/queue/queue.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import type { WorldScript } from '../../src/replay/world/world.ts';
import { World } from '../../src/replay/world/world.ts';
import type { Relay } from '../../src/routing/hosts.ts';
import { parseRelayEntry } from '../../src/routing/relays.ts';
import { MOST_ACTIVE } from '../../src/runner/backlog.ts';
import { readyDeliveries } from '../../src/runner/deliveries.ts';
import { QueueRunner, runQueue, unreadableSpool } from '../../src/runner/queue-runner.ts';
import type { RunRules } from '../../src/runner/rules.ts';
import type { RunSummary } from '../../src/runner/run-count.ts';
import { rulesWith } from '../delivery/scheduling.ts';
import { emptyJob } from '../support/jobs.ts';
import { NO_RUN_EVENTS } from '../support/no-events.ts';
import { size } from '../support/thorough.ts';

const NOW = 1_400_000_000;
const FRIENDLY: WorldScript = {
  names: { '*': { mx: [[10, 'mx.$']], a: ['192.0.2.1'] } },
  servers: { '*': {} },
};

function job(recipients: readonly (readonly [string, number])[], msgid = 1): Job {
  return {
    ...emptyJob('2012'),
    msgid,
    submitted: NOW - 60,
    envelopeFrom: 'me@me.example',
    recipients: recipients.map(([address, status]) => ({ address, status, text: '' })),
  };
}

/** What is left out of a scan because it waits for its time. */
function waitingFor(...payloads: readonly number[]) {
  const { length } = payloads;
  const at = (index: number): number => payloads[index] ?? -1;
  return { payloads: { length, at, has: (msgid: number) => payloads.includes(msgid) }, earliest: NOW };
}

class MemoryRoom implements Queue {
  readonly name = 'memory';
  readonly changes: (StatusChange & { readonly control: number })[] = [];
  readonly finished = new Set<number>();
  readonly #jobs: readonly QueuedJob[];
  readonly #bytes = Buffer.from('From: me@me.example\r\nSubject: x\r\n\r\nhello\r\n');

  constructor(jobs: readonly Job[]) {
    this.#jobs = jobs.map((each, index) => ({ control: 100_000 + index, job: each, warnings: [] }));
  }

  async scan() {
    return { jobs: this.#jobs, orphans: [], quarantined: [] };
  }

  claim() {
    return this.scan();
  }

  async readPayload() {
    const bytes = this.#bytes;
    const stream = async function* () {
      yield bytes;
    };
    return { kind: 'found', message: { size: bytes.length, bytes, stream } } as const;
  }

  async record(control: number, changes: readonly StatusChange[]): Promise<'recorded'> {
    this.changes.push(...changes.map((change) => ({ ...change, control })));
    return 'recorded';
  }

  async finish(control: number): Promise<void> {
    this.finished.add(control);
  }

  async flush(): Promise<void> {}

  async enqueue(): Promise<never> {
    throw new Error('nothing is enqueued here');
  }

  async close(): Promise<void> {}
}

interface Ran {
  readonly room: MemoryRoom;
  readonly world: World;
  readonly summary: RunSummary;
}

function rulesOf({
  relays,
  force = false,
  signer = null,
}: {
  readonly relays?: readonly Relay[];
  readonly force?: boolean;
  readonly signer?: Signer | null;
}): RunRules {
  return {
    delivery: rulesWith({}, relays === undefined ? {} : { relays }),
    due: { schedule: SCHEDULE, force },
    render: { order: '2012', fqdn: 'me.example', nodeName: '', legacy: unknown8bit, zoneMinutes: 0 },
    pollInterval: 60_000,
    postmaster: 'postmaster@me.example',
    signer,
    ehloName: 'me.example',
    warnings: [],
  };
}

async function run(
  jobs: readonly Job[],
  script = FRIENDLY,
  given: {
    readonly relays?: readonly Relay[];
    readonly force?: boolean;
    readonly room?: MemoryRoom;
    readonly warning?: (text: string) => void;
    readonly signer?: Signer;
    readonly crashLog?: CrashLog;
  } = {},
): Promise<Ran> {
  const clock = new VirtualClock(NOW * 1000);
  const world = new World(script, clock);
  const { room = new MemoryRoom(jobs), warning = assert.fail } = given;
  const events = { ...NO_RUN_EVENTS, warning };
  const { connect, resolver } = world;
  const crashes = given.crashLog === undefined ? {} : { crashLog: given.crashLog };
  const summary = await clock.runUntil(
    runQueue(
      readyDeliveries(
        { queue: room, connect, resolver, clock, random: () => 0.5, events, ...crashes },
        rulesOf(given),
      ),
      rulesOf(given),
      new AbortController().signal,
    ),
  );
  return { room, world, summary };
}

function relay(entry: string): Relay {
  const parsed = parseRelayEntry(entry, 'smarthost');
  assert.ok(parsed.kind === 'relay');
  return parsed.relay;
}

describe('a queue run', () => {
  it('tries exactly the recipients of status 0, 3 and 4, by relay as by MX (R008, R080)', async () => {
    const list = job([
      ['delivered@a.example', 2],
      ['new@a.example', 0],
      ['refused@a.example', 5],
      ['old@a.example', 3],
      ['waiting@a.example', 4],
      ['odd@a.example', 7],
    ]);
    for (const given of [{}, { relays: [relay('192.0.2.9:2525')] }]) {
      const { room, world } = await run([list], FRIENDLY, given);
      const tried = ['new@a.example', 'old@a.example', 'waiting@a.example'];
      assert.deepEqual(
        world.arrived.flatMap(({ recipients }) => recipients),
        tried,
      );
      assert.deepEqual(
        room.changes.map(({ index, address, status }) => [index, address, status]),
        [1, 3, 4].map((index, place) => [index, tried[place], 2]),
      );
    }
  });

  it('reaches all of 5,000 recipients, a hundred a transaction (R023, C13)', async () => {
    const addresses = Array.from({ length: 5000 }, (_, index) => `r${index}@a.example`);
    const { world, room, summary } = await run([job(addresses.map((address) => [address, 0]))]);
    assert.deepEqual(world.arrived.flatMap(({ recipients }) => recipients).sort(), addresses.sort());
    assert.equal(world.arrived.length, 50);
    assert.deepEqual([summary.delivered, summary.finished, room.finished.size], [5000, 1, 1]);
  });

  it('delivers a large queue with a part of it active at a time', async () => {
    let [active, most] = [0, 0];
    const crashLog: CrashLog = {
      crashes: () => 0,
      begin: ({ length }) => {
        active += length;
        most = Math.max(most, active);
      },
      end: () => active--,
      close: () => {},
    };
    const jobs = Array.from({ length: 2500 }, (_, msgid) => job([[`r${msgid}@a.example`, 0]], msgid));
    const { summary } = await run(jobs, FRIENDLY, { crashLog });
    assert.deepEqual([summary.due, summary.done, summary.delivered, most], [2500, 2500, 2500, MOST_ACTIVE]);
  });

  it('tries a message that took the process with it twice after all others, alone, and says so', async () => {
    const events: string[] = [];
    const crashLog: CrashLog = {
      crashes: (payload) => (payload <= 2 ? 2 : payload === 3 ? 1 : 0),
      begin: (payloads) => events.push(`begin ${payloads.join(', ')}`),
      end: (payload) => events.push(`end ${payload}`),
      close: () => {},
    };
    const warnings: string[] = [];
    const jobs = [1, 2, 3, 4].map((msgid) => job([[`r@d${msgid}.example`, 0]], msgid));
    const { summary } = await run(jobs, FRIENDLY, { crashLog, warning: (text) => warnings.push(text) });
    assert.deepEqual([summary.delivered, summary.due], [4, 4]);
    assert.deepEqual(events.slice(0, 1), ['begin 3, 4']);
    assert.deepEqual(events.slice(3), ['begin 1', 'end 1', 'begin 2', 'end 2']);
    assert.match(
      warnings[0] ?? '',
      /^Job 100000 was being delivered when spoolroom ended without a word, 2 times\. /,
    );
    assert.equal(warnings.length, 2);
  });

  it('signs a message once for all its destinations, and what leaves has the signature', async () => {
    let signed = 0;
    const signer = {
      sign: async () => {
        signed++;
        return 'DKIM-Signature: v=1\r\n';
      },
    };
    const two = job([
      ['r@a.example', 0],
      ['r@b.example', 0],
    ]);
    const { world } = await run([two], FRIENDLY, { signer });
    assert.equal(signed, 1);
    assert.deepEqual(
      world.arrived.map(({ body }) => body.split('\r\n')[0]),
      ['DKIM-Signature: v=1', 'DKIM-Signature: v=1'],
    );
  });

  it('works on a list of 50,000 recipients without a domain in pieces of 2,000', async () => {
    const pieces: number[] = [];
    class CountingRoom extends MemoryRoom {
      override async record(control: number, changes: readonly StatusChange[]): Promise<'recorded'> {
        if (control === 100_000) pieces.push(changes.length);
        return super.record(control, changes);
      }
    }
    const long = job(Array.from({ length: 50_000 }, (_, index) => [`r${index}`, 0]));
    const room = new CountingRoom([long, job([['r@a.example', 0]], 2)]);
    const { summary } = await run([], FRIENDLY, { room });
    assert.deepEqual([summary.failed, summary.delivered, summary.finished], [50_000, 1, 2]);
    // A long address counts for more than one.
    assert.ok(Math.max(...pieces) <= 2000 && pieces.length <= 30, `${pieces.length}: ${Math.max(...pieces)}`);
  });

  it('takes thousands of jobs, each once (R105)', async () => {
    const many = size(3000, 10_000);
    const jobs = Array.from({ length: many }, (_, index) =>
      job([[`r@d${index % 100}.example`, 0]], index + 1),
    );
    const { world, room } = await run(jobs);
    assert.equal(world.arrived.length, many);
    assert.equal(room.finished.size, many);
    assert.ok(world.mostOpen <= 20, `${world.mostOpen} sessions`);
  });

  it('sends from the null sender where the list says so (R012, C14)', async () => {
    const { world } = await run([{ ...job([['r@a.example', 0]]), envelopeFrom: '<>' }]);
    assert.equal(world.arrived[0]?.sender, '');
  });

  it('never goes around a relay that fails (R075)', async () => {
    const world = { ...FRIENDLY, servers: { '192.0.2.9': { connect: 'refused' as const }, '*': {} } };
    const { room, world: seen } = await run([job([['r@a.example', 0]])], world, {
      relays: [relay('192.0.2.9')],
    });
    assert.deepEqual(seen.lookups, []);
    assert.deepEqual(
      room.changes.map(({ status, text }) => [status, text]),
      [[4, '[192.0.2.9] refuses connections']],
    );
  });

  it('counts recipients in upper and lower case domains as one destination', async () => {
    const { world } = await run([
      job([
        ['a@Example.COM', 0],
        ['b@example.com', 0],
      ]),
    ]);
    assert.deepEqual(
      world.arrived.map(({ recipients }) => recipients),
      [['a@Example.COM', 'b@example.com']],
    );
  });

  it('ends the others when one job cannot be ended', async () => {
    const warnings: string[] = [];
    const warning = (text: string): void => void warnings.push(text);
    const jobs = [job([['r@a.example', 0]], 1), job([['r@b.example', 0]], 2), job([['r@c.example', 0]], 3)];
    class StubbornRoom extends MemoryRoom {
      override async finish(control: number): Promise<void> {
        if (control === 100_001) throw new Error('It cannot be removed.');
        await super.finish(control);
      }
    }
    const room = new StubbornRoom(jobs);
    const { summary } = await run([], FRIENDLY, { room, warning });
    assert.deepEqual([...room.finished].sort(), [100_000, 100_002]);
    assert.deepEqual([summary.delivered, summary.finished], [3, 2]);
    assert.deepEqual(warnings, [
      'Job 100001 is finished but could not be removed, and the next run tries again: It cannot be removed.',
    ]);
  });

  it('leaves a large message that cannot be read completely for later, and reports it', async () => {
    class HalfRoom extends MemoryRoom {
      override async readPayload() {
        const stream = async function* () {
          yield Buffer.from('Subject: x\n\nhello\n');
          throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
        };
        return { kind: 'found', message: { size: 1_000_000, bytes: null, stream } } as never;
      }
    }
    const room = new HalfRoom([job([['r@a.example', 0]])]);
    const { world } = await run([], FRIENDLY, { room });
    assert.deepEqual(world.arrived, []);
    assert.deepEqual(
      room.changes.map(({ status, text }) => [status, text]),
      [[4, 'the message 1 in the spool cannot be read: the disk reports an input/output error (EIO)']],
    );
  });

  it('leaves a job as it was when its message is unavailable, and counts no attempt', async () => {
    class AwayRoom extends MemoryRoom {
      override async readPayload() {
        return { kind: 'unavailable', reason: 'the server is away' } as never;
      }
    }
    const room = new AwayRoom([
      job([
        ['r@a.example', 0],
        ['s@b.example', 4],
      ]),
    ]);
    const { world, summary } = await run([], FRIENDLY, { room });
    assert.deepEqual([world.arrived, room.changes, room.finished.size], [[], [], 0]);
    assert.deepEqual([summary.due, summary.deferred, summary.failed], [1, 0, 0]);
  });

  it('refuses at once what can never be sent', async () => {
    class RejectedRoom extends MemoryRoom {
      override async readPayload() {
        return { kind: 'rejected', reason: 'the message is a delivery list' } as never;
      }
    }
    const room = new RejectedRoom([job([['r@a.example', 0]])]);
    const { world } = await run([], FRIENDLY, { room });
    assert.deepEqual(world.arrived, []);
    assert.deepEqual(
      room.changes.map(({ status, text }) => [status, text]),
      [[5, 'the message is a delivery list']],
    );
  });

  const triedAt = async (attempted: number, force = false): Promise<number> => {
    const { world } = await run([{ ...job([['r@a.example', 4]]), attempted }], FRIENDLY, { force });
    return world.arrived.length;
  };

  it('does not give a message up at its first failure, however old it is; at a later one it does', async () => {
    const world = { ...FRIENDLY, servers: { '*': { rcpt: { '*': '451 4.7.1 Greylisted' } } } };
    const old = { ...job([['r@a.example', 0]]), submitted: NOW - 6 * 86_400 };
    const first = await run([old], world);
    assert.deepEqual(
      first.room.changes.map(({ status, text }) => [status, text]),
      [[4, '4.7.1 Greylisted (451, mx.a.example [192.0.2.1])']],
    );
    const later = await run([{ ...old, attempted: NOW - 60 }], world);
    assert.deepEqual(
      later.room.changes.map(({ status }) => status),
      [5],
    );
  });

  it('does not give up a job at its first failure because an older one has the same message', async () => {
    const world = { ...FRIENDLY, servers: { '*': { rcpt: { '*': '451 4.7.1 Greylisted' } } } };
    const old = { ...job([['r@a.example', 4]]), submitted: NOW - 6 * 86_400, attempted: NOW - 60 };
    const { room } = await run([old, job([['s@a.example', 0]])], world);
    assert.deepEqual(
      room.changes.map(({ control, status }) => [control, status]),
      [
        [100_000, 4],
        [100_001, 4],
      ],
    );
  });

  it('leaves a job alone until it is due (R044, R049)', async () => {
    assert.equal(await triedAt(NOW + 1), 0);
    assert.equal(await triedAt(NOW), 1);
  });

  it('takes jobs that are not due when it is forced, and only then (R037)', async () => {
    assert.equal(await triedAt(NOW + 1, true), 1);
    assert.equal(await triedAt(NOW + 1), 0);
  });
});

describe('a stored message that is not whole', () => {
  it('is sent as far as it can be read, and that is reported once, whatever the number of destinations', async () => {
    class CutOffRoom extends MemoryRoom {
      override async readPayload() {
        const bytes = Buffer.from('\xffA\x04Fme@me.example\0MSubject: x\n\nhello', 'latin1');
        const stream = async function* () {
          yield bytes;
        };
        return { kind: 'found', message: { size: bytes.length, bytes, stream } } as const;
      }
    }
    const warnings: string[] = [];
    const recipients = [
      ['a@x.example', 0],
      ['b@y.example', 0],
    ] as const;
    const jobs = [job(recipients, 7)];
    const { world } = await run(jobs, FRIENDLY, {
      room: new CutOffRoom(jobs),
      warning: (text) => warnings.push(text),
    });
    for (const { body } of world.arrived) assert.match(body, /hello\r\n$/);
    assert.equal(world.arrived.length, 2);
    assert.deepEqual(warnings, [
      'Message 7 of job 100000 is sent as far as it can be read: the stored message is cut off: its text does not end in NUL.',
    ]);
  });
});

describe('a run on a queue that several processes share', () => {
  /** Whose claim ends after so many questions for it. */
  class SharedRoom extends MemoryRoom {
    asked = 0;
    readonly #until: number;
    readonly #large: boolean;

    constructor(jobs: readonly Job[], until: number, large = false) {
      super(jobs);
      this.#until = until;
      this.#large = large;
    }

    mayDeliver(): boolean {
      return ++this.asked <= this.#until;
    }

    override async readPayload() {
      if (!this.#large) return super.readPayload();
      const stream = async function* () {
        yield Buffer.from('From: me@me.example\r\nSubject: x\r\n\r\n');
        for (let piece = 0; piece < 3; piece++) yield Buffer.alloc(300_000, 'line\r\n');
      };
      return { kind: 'found', message: { size: 900_039, bytes: null, stream } } as never;
    }
  }

  it('never ends a message whose claim is not safe, whenever that comes out, and says nothing of it', async () => {
    for (const large of [false, true]) {
      const list = job([['r@a.example', 0]]);
      const unbounded = new SharedRoom([list], Number.POSITIVE_INFINITY, large);
      assert.equal((await run([], FRIENDLY, { room: unbounded })).world.arrived.length, 1);
      let dots = 0;
      for (let until = 0; until < unbounded.asked; until++) {
        const room = new SharedRoom([list], until, large);
        const { world } = await run([], FRIENDLY, { room });
        dots += world.arrived.length;
        const told = room.changes.map(({ status }) => status);
        assert.deepEqual([told, room.finished.size], [world.arrived.map(() => 2), 0], `${until} of ${large}`);
      }
      // Only where the claim is asked for once more, before the job is finished.
      assert.equal(dots, 1);
    }
  });

  it('drops a message that is lost without halting anything, and tells it once', async () => {
    class LosingRoom extends MemoryRoom {
      override async record(control: number, changes: readonly StatusChange[]): Promise<never> {
        await super.record(control, changes);
        return (control === 100_000 ? 'lost' : 'recorded') as never;
      }
    }
    const warnings: string[] = [];
    const lost = job(
      [
        ['r@a.example', 0],
        ['s@b.example', 0],
      ],
      1,
    );
    const room = new LosingRoom([lost, job([['r@c.example', 0]], 2)]);
    const { summary } = await run([], FRIENDLY, { room, warning: (text) => warnings.push(text) });
    assert.deepEqual([...room.finished], [100_001]);
    assert.deepEqual([summary.finished, warnings.length], [1, 1]);
    assert.match(warnings[0] ?? '', /^Job 100000 is not this process's any more/);
  });

  it('goes on as long as more is due than was claimed', async () => {
    const jobs = Array.from({ length: 5 }, (_, index) => job([[`r@d${index}.example`, 0]], index + 1));
    class PartialRoom extends MemoryRoom {
      #claims = 0;
      override async claim() {
        const { jobs: all, ...scan } = await super.scan();
        const at = this.#claims++;
        return { ...scan, jobs: all.slice(at, at + 1), more: at < 4 };
      }
    }
    const { summary, world } = await run([], FRIENDLY, { room: new PartialRoom(jobs) });
    assert.deepEqual([summary.delivered, summary.jobs, world.arrived.length], [5, 5, 5]);
  });
});

describe('a queue runner that keeps running', () => {
  it('sends nothing while outcomes cannot be written, and goes on when they can', async () => {
    let full = true;
    class FullRoom extends MemoryRoom {
      override async record(...given: Parameters<MemoryRoom['record']>): Promise<'recorded'> {
        if (full) throw new Error('the disk is full');
        return super.record(...given);
      }
      override async flush(): Promise<void> {
        if (full) throw new Error('the disk is still full');
      }
    }
    const warnings: string[] = [];
    const clock = new VirtualClock(NOW * 1000);
    const world = new World(FRIENDLY, clock);
    const room = new FullRoom([job([['a@x.example', 0]], 1)]);
    const events = { ...NO_RUN_EVENTS, warning: (text: string) => void warnings.push(text) };
    const { connect, resolver } = world;
    const ports = { queue: room, connect, resolver, clock, random: () => 0.5, events };
    const queue = new QueueRunner(
      readyDeliveries(ports, rulesOf({})),
      rulesOf({}),
      new AbortController().signal,
    );
    await queue.scan(false);
    await clock.runUntil(queue.idleOr(60_000));
    await queue.scan(false);
    assert.deepEqual([queue.halted, queue.isActive, world.arrived.length], [true, false, 1]);
    assert.match(warnings.join(), /^An outcome of job 100000 could not be written: the disk is full/);
    await assert.rejects(clock.runUntil(queue.resume()), /still full/);
    full = false;
    await clock.runUntil(queue.resume());
    await queue.scan(false);
    await clock.runUntil(queue.close());
    assert.deepEqual([queue.halted, queue.count.delivered, world.arrived.length], [false, 1, 2]);
  });
});

describe('while a slow server is waited for', () => {
  it('counts jobs that wait once, also when their time comes or goes', async () => {
    const due = job([['a@x.example', 0]], 1);
    const queued: QueuedJob = { control: 100_000, job: due, warnings: [] };
    const scans = [
      { jobs: [], waiting: waitingFor(1, 2, 2) },
      { jobs: [queued], waiting: waitingFor(2, 2) },
      { jobs: [], waiting: waitingFor(1, 2, 2, 3) },
      { jobs: [queued], waiting: waitingFor(2, 3) },
    ];
    class WaitingRoom extends MemoryRoom {
      override async scan() {
        return { jobs: [], orphans: [], quarantined: [], ...scans.shift() };
      }
    }
    const clock = new VirtualClock(NOW * 1000);
    const { connect, resolver } = new World(FRIENDLY, clock);
    const nothing = (): void => {};
    const events = {
      outcome: nothing,
      quarantined: nothing,
      silent: nothing,
      warning: nothing,
      trace: nothing,
    };
    const ports = { queue: new WaitingRoom([due]), connect, resolver, clock, random: () => 0.5, events };
    const queue = new QueueRunner(
      readyDeliveries(ports, rulesOf({})),
      rulesOf({}),
      new AbortController().signal,
    );
    const counts: (readonly number[])[] = [];
    while (scans.length > 0) {
      await queue.scan(false);
      await clock.runUntil(queue.idleOr(60_000));
      counts.push([queue.count.jobs, queue.count.due]);
    }
    await clock.runUntil(queue.close());
    assert.deepEqual(counts, [
      [3, 0],
      [3, 1],
      [4, 1],
      [4, 1],
    ]);
  });

  it('what failed in a forced run is not forced again (R037)', async () => {
    class RememberingRoom extends MemoryRoom {
      override async scan() {
        const { jobs, ...rest } = await super.scan();
        const tried = new Set(this.changes.map(({ control }) => control));
        const after = jobs.map((queued) =>
          tried.has(queued.control) ? { ...queued, job: { ...queued.job, attempted: NOW + 3600 } } : queued,
        );
        return { ...rest, jobs: after };
      }
    }
    const jobs = [job([['a@slow.example', 0]], 1), job([['b@grey.example', 0]], 2)];
    const script: WorldScript = {
      names: {
        '*': { mx: [[10, 'mx.$']], a: ['192.0.2.66'] },
        'grey.example': { mx: [[10, 'mx.grey']] },
        'mx.grey': { a: ['192.0.2.1'] },
      },
      servers: {
        '192.0.2.66': { dot: { say: '250 ok', after: '5m' } },
        '192.0.2.1': { rcpt: { '*': '451 later' } },
      },
    };
    const { room } = await run(jobs, script, { force: true, room: new RememberingRoom(jobs) });
    assert.deepEqual(
      room.changes.map(({ address, status }) => `${address} ${status}`),
      ['b@grey.example 4', 'a@slow.example 2'],
    );
  });

  it('a queue that cannot be read is reported once', async () => {
    let looks = 0;
    class BlindRoom extends MemoryRoom {
      override async scan() {
        if (looks++ > 0) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
        return super.scan();
      }
    }
    const jobs = [job([['a@slow.example', 0]], 1)];
    const script: WorldScript = {
      names: { '*': { a: ['192.0.2.66'] } },
      servers: { '192.0.2.66': { dot: { say: '250 ok', after: '5m' } } },
    };
    const warnings: string[] = [];
    const { summary } = await run(jobs, script, {
      room: new BlindRoom(jobs),
      warning: (text) => void warnings.push(text),
    });
    assert.equal(summary.delivered, 1);
    assert.ok(looks > 3);
    assert.deepEqual(warnings, [
      'The spool could not be read: permission denied (EACCES). Nothing in it is lost; the next scan tries again.',
    ]);
  });

  it('a message that comes to its end during a scan is not taken up as the scan found it (R246)', async () => {
    const jobs = [job([['a@slow.example', 0]], 1), job([['b@quick.example', 0]], 2)];
    let stale = 0;
    class SlowRoom extends MemoryRoom {
      #isFinished: () => void = () => {};

      override async scan() {
        const { jobs: all, ...rest } = await super.scan();
        const found = all.filter(({ control }) => !this.finished.has(control));
        if (found.length === 2 && stale++ > 0)
          await new Promise<void>((finished) => {
            this.#isFinished = finished;
          });
        return { ...rest, jobs: found };
      }

      override async finish(control: number): Promise<void> {
        await super.finish(control);
        // Later, when the runner knows that it has ended.
        if (control === 100_001) setImmediate(() => this.#isFinished());
      }
    }
    const script: WorldScript = {
      names: { 'slow.example': { a: ['192.0.2.66'] }, 'quick.example': { a: ['192.0.2.1'] } },
      servers: {
        '192.0.2.66': { dot: { say: '250 ok', after: '5m' } },
        '192.0.2.1': { dot: { say: '250 ok', after: '2m' } },
      },
    };
    const { world, summary } = await run(jobs, script, { room: new SlowRoom(jobs) });
    assert.ok(stale > 1);
    assert.equal(world.arrived.length, 2);
    assert.equal(summary.delivered, 2);
  });

  it('new messages for others are found and delivered', async () => {
    const slow = job([['a@slow.example', 0]], 1);
    const fresh = job([['b@quick.example', 0]], 2);
    class FillingRoom extends MemoryRoom {
      #looks = 0;

      override async scan() {
        const { jobs, ...rest } = await super.scan();
        const there = this.#looks++ === 0 ? jobs.slice(0, 1) : jobs;
        return { ...rest, jobs: there.filter(({ control }) => !this.finished.has(control)) };
      }
    }
    const script: WorldScript = {
      names: {
        'slow.example': { mx: [[10, 'mx.slow.example']] },
        'mx.slow.example': { a: ['192.0.2.66'] },
        'quick.example': { mx: [[10, 'mx.quick.example']] },
        'mx.quick.example': { a: ['192.0.2.1'] },
      },
      servers: { '192.0.2.66': { dot: 'silence' }, '192.0.2.1': {} },
    };
    const { room, summary } = await run([slow, fresh], script, { room: new FillingRoom([slow, fresh]) });
    assert.deepEqual(
      room.changes.map(({ address, status }) => `${address} ${status}`),
      ['b@quick.example 2', 'a@slow.example 4'],
    );
    assert.deepEqual([summary.due, summary.delivered, summary.deferred], [2, 1, 1]);
  });

  it('counts each job once, those that come while others go too, so that no more are due than there are (R182)', async () => {
    const jobs = [1, 2, 3, 4].map((msgid) =>
      job([[`b@${msgid === 1 ? 'slow' : 'quick'}.example`, 0]], msgid),
    );
    class ChangingRoom extends MemoryRoom {
      #looks = 0;

      override async scan() {
        const { jobs: all, ...rest } = await super.scan();
        const there = all.slice(0, this.#looks++ === 0 ? 2 : 4);
        return { ...rest, jobs: there.filter(({ control }) => !this.finished.has(control)) };
      }
    }
    const script: WorldScript = {
      names: {
        'slow.example': { mx: [[10, 'mx.slow.example']] },
        'mx.slow.example': { a: ['192.0.2.66'] },
        '*': { mx: [[10, 'mx.$']], a: ['192.0.2.1'] },
      },
      servers: { '192.0.2.66': { dot: 'silence' }, '192.0.2.1': {} },
    };
    const { summary } = await run(jobs, script, { room: new ChangingRoom(jobs) });
    const { jobs: seen, due, delivered, deferred } = summary;
    assert.deepEqual({ seen, due, delivered, deferred }, { seen: 4, due: 4, delivered: 3, deferred: 1 });
  });

  it('counts a recipient that is tried again in the same run once, by its last outcome', async () => {
    const jobs = [job([['a@slow.example', 0]], 1), job([['b@busy.example', 0]], 2)];
    const script: WorldScript = {
      names: {
        'slow.example': { mx: [[10, 'mx.slow.example']] },
        'mx.slow.example': { a: ['192.0.2.66'] },
        '*': { mx: [[10, 'mx.$']], a: ['192.0.2.1'] },
      },
      servers: {
        '192.0.2.66': { dot: 'silence' },
        '192.0.2.1': { rcpt: { '*': '451 4.2.1 later' } },
      },
    };
    const { room, summary } = await run(jobs, script);
    const tries = room.changes.filter(({ address }) => address === 'b@busy.example').length;
    assert.ok(tries > 2, `${tries} tries`);
    const { jobs: seen, due, done, deferred, failed } = summary;
    assert.deepEqual(
      { seen, due, done, deferred, failed },
      { seen: 2, due: 2, done: 2, deferred: 2, failed: 0 },
    );
  });
});

describe('requests of administrators', () => {
  const LATER = NOW + 1000;

  /** Which control messages got an outcome. A job that is not due, then one that is; both of one mail, or not. */
  async function tried(requests: readonly (JobRequest | null)[], msgids = [1, 1], force = false) {
    const jobs = [
      { ...job([['a@one.example', 4]], msgids[0]), attempted: LATER },
      job([['b@two.example', 0]], msgids[1]),
    ];
    class AskedRoom extends MemoryRoom {
      override async scan() {
        const { jobs, ...rest } = await super.scan();
        const asked = jobs.map((queued, index) => {
          const request = requests[index] ?? null;
          return request === null ? queued : { ...queued, request };
        });
        return { ...rest, jobs: asked };
      }
    }
    const { room } = await run(jobs, FRIENDLY, { room: new AskedRoom(jobs), force });
    return [...new Set(room.changes.map(({ control }) => control - 100_000))].sort();
  }

  for (const [what, requests, msgids, force, expected] of [
    ['nothing: a mail waits while one of its lists does', [], [1, 1], false, []],
    ['a try: the whole mail', ['retry'], [1, 1], false, [0, 1]],
    ['a try of the list that is due: the whole mail', [null, 'retry'], [1, 1], false, [0, 1]],
    ['a try and a hold of one mail: it is held', ['retry', 'hold'], [1, 1], false, []],
    ['a try of one mail, not of the other', ['retry'], [1, 2], false, [0, 1]],
    ['a hold of one mail, not of the other', ['hold', null], [1, 2], true, [1]],
    ['a hold counts in a forced run', [null, 'hold'], [1, 2], true, [0]],
    ['what is about to be removed is not tried', [null, 'remove'], [1, 2], false, []],
  ] as const) {
    it(what, async () => {
      assert.deepEqual(await tried(requests, [...msgids], force), expected);
    });
  }

  it('a retry of a finished list forces nothing', async () => {
    const done = { ...job([['c@one.example', 2]]), attempted: LATER };
    const waiting = { ...job([['a@one.example', 4]]), attempted: LATER };
    class AskedRoom extends MemoryRoom {
      override async scan() {
        const { jobs, ...rest } = await super.scan();
        return {
          ...rest,
          jobs: jobs.map((queued, index) =>
            index === 0 ? { ...queued, request: 'retry' as const } : queued,
          ),
        };
      }
    }
    const { room } = await run([done, waiting], FRIENDLY, { room: new AskedRoom([done, waiting]) });
    assert.deepEqual(room.changes, []);
  });
});

it('says once that the messages stay, whatever could not be read', () => {
  const error = new QueueError(
    'The connection to the server is lost: it was closed. Its messages stay in its queue.',
  );
  assert.equal(unreadableSpool(error), `${error.message} The next scan tries again.`);
  const disk = Object.assign(new Error('x'), { code: 'EIO' });
  assert.match(
    unreadableSpool(disk),
    /input\/output error \(EIO\)\. Nothing in it is lost; the next scan tries again\.$/,
  );
});
