/**
 * Several processes that share a queue, in simulated time: the real runner, worker, SMTP client, claims, outcomes and lease, on a model
 * of the database's transactions. Processes are frozen and killed, the database dies and comes back. Nothing may be lost, and a second
 * copy needs a fault after its first copy's end was sent and before the outcome was there.
 */
import type { Connect, ConnectionEvents } from '#net-stream-utils';
import { unknown8bit } from '../../../src/message/charset.ts';
import type { Resolver } from '../../../src/platform/dns.ts';
import { UnavailableError } from '../../../src/platform/system-errors.ts';
import { parsing } from '../../../src/queue/postgres/claims/claimed-job.ts';
import { Lease } from '../../../src/queue/postgres/claims/lease.ts';
import { Outcomes } from '../../../src/queue/postgres/claims/outcomes.ts';
import type { Database } from '../../../src/queue/postgres/database/database.ts';
import { PostgresQueue } from '../../../src/queue/postgres/postgres-queue.ts';
import { SCHEDULE } from '../../../src/queue/schedule.ts';
import { VirtualClock } from '../../../src/replay/world/virtual-clock.ts';
import { World, type WorldScript } from '../../../src/replay/world/world.ts';
import { readyDeliveries } from '../../../src/runner/deliveries.ts';
import { QueueRunner } from '../../../src/runner/queue-runner.ts';
import type { RunRules } from '../../../src/runner/rules.ts';
import { rulesWith } from '../../delivery/scheduling.ts';
import { listFor, NOW, SETTINGS_2012, seededRandom } from '../../support/spool.ts';
import { ModelDatabase } from './model-database.ts';
import { ProcessClock } from './process-clock.ts';
import { SessionCount } from './session-count.ts';

const LEASE = 10_000;
const LATENCY = 150;
const PROCESSES = 3;
const JOBS = 30;
/** Milliseconds of simulated time in which the queue has to become empty. */
const LIMIT = 24 * 3_600_000;

const SCRIPT: WorldScript = {
  names: {
    '*': { mx: [[10, 'mx.$']], a: ['192.0.2.1'] },
    'later.example': { mx: [[10, 'mx.$']], a: ['192.0.2.2'] },
    'mx.later.example': { a: ['192.0.2.2'] },
  },
  servers: { '192.0.2.2': { dot: ['451 4.3.0 later', '250 2.0.0 ok'] }, '*': {} },
  latency: LATENCY,
};

export interface SimulatedClaims {
  readonly violations: readonly string[];
  readonly copies: number;
  /** there were as many sessions as the limit allows */
  readonly isFull: boolean;
}

interface Strike {
  readonly target: SimProcess | ModelDatabase;
  readonly from: number;
  until: number;
}

interface Sent {
  readonly process: SimProcess;
  readonly at: number;
}

export async function simulateClaims(seed: number): Promise<SimulatedClaims> {
  const random = seededRandom(seed);
  const time = new VirtualClock(NOW * 1000);
  const database = new ModelDatabase(time, random);
  const addresses: string[] = [];
  for (let n = 0; n < JOBS; n++) {
    const to = [`a${n}@host${n % 5}.example`, ...(n % 3 === 0 ? [`b${n}@later.example`] : [])];
    addresses.push(...to);
    const list = Buffer.from(listFor(n + 1, ...to));
    database.put(n + 1, 1000 + n, list, Buffer.from('From: a@x.example\r\nSubject: x\r\n\r\nhello\r\n'));
  }
  const arrivals = new Map<string, Sent[]>();
  const arrived = (process: SimProcess, recipients: readonly string[]): void => {
    for (const recipient of recipients) {
      const sent = arrivals.get(recipient) ?? [];
      arrivals.set(recipient, [...sent, { process, at: time.monotonic() - LATENCY }]);
    }
  };
  const limit = 1 + Math.floor(4 * random());
  const sessions = new SessionCount(limit, (epoch) => database.isAlive(epoch));
  const start = (name: string): SimProcess =>
    new SimProcess(name, time, database, random, arrived, { limit, sessions });
  const processes = Array.from({ length: PROCESSES }, (_, n) => start(`p${n}`));
  const strikes: Strike[] = [];
  const count = 1 + Math.floor(random() * 6);
  const pause = (milliseconds: number): Promise<void> =>
    new Promise((done) => void time.after(milliseconds, done));
  const strike = async (): Promise<void> => {
    const at = Math.floor(random() * PROCESSES);
    const process = processes[at] as SimProcess;
    const from = time.monotonic();
    const kind = Math.floor(random() * 3);
    const record: Strike = { target: kind === 2 ? database : process, from, until: from };
    strikes.push(record);
    if (kind === 0) {
      process.clock.kill();
      await pause(3000 * random());
      processes[at] = start(process.name);
    } else if (kind === 1) {
      process.clock.freeze();
      await pause(2.5 * LEASE * random());
      process.clock.thaw();
    } else {
      database.die();
      await pause(1.5 * LEASE * random());
      database.isUp = true;
    }
    record.until = time.monotonic();
  };
  const story = async (): Promise<void> => {
    for (let n = 0; n < count; n++) {
      await pause(4000 * random());
      await strike();
    }
    const end = time.monotonic() + LIMIT;
    while (database.jobs.size > 0 && time.monotonic() < end) await pause(1000);
  };
  await time.runUntil(story());
  for (const { clock } of processes) clock.kill();
  const judged = judge(addresses, arrivals, strikes, database);
  const violations = [...judged.violations, ...new Set(sessions.violations)];
  return { ...judged, violations, isFull: sessions.most === limit };
}

function judge(
  addresses: readonly string[],
  arrivals: ReadonlyMap<string, readonly Sent[]>,
  strikes: readonly Strike[],
  database: ModelDatabase,
): Omit<SimulatedClaims, 'isFull'> {
  const violations: string[] = [];
  let copies = 0;
  if (database.jobs.size > 0) violations.push(`${database.jobs.size} jobs never left the queue`);
  if (database.outcomes.size > 0) violations.push('outcomes without a job');
  for (const address of addresses) {
    const sent = arrivals.get(address) ?? [];
    if (sent.length === 0) violations.push(`${address} got nothing`);
    for (const { process, at } of sent.slice(0, -1)) {
      copies++;
      const isExplained = strikes.some(
        ({ target, from, until }) =>
          (target === process || target === database) && until >= at && from <= at + 2 * LEASE,
      );
      if (!isExplained)
        violations.push(`${address} got a second copy without a fault after ${process.name} sent the first`);
    }
  }
  return { violations, copies };
}

interface SimLimits {
  /** sessions with one host, of all processes together */
  readonly limit: number;
  readonly sessions: SessionCount;
}

class SimProcess {
  readonly name: string;
  readonly clock: ProcessClock;

  constructor(
    name: string,
    time: VirtualClock,
    model: ModelDatabase,
    random: () => number,
    arrived: (process: SimProcess, recipients: readonly string[]) => void,
    limits: SimLimits,
  ) {
    this.name = name;
    this.clock = new ProcessClock(time);
    const { clock } = this;
    const database = model.connection(clock) as unknown as Database;
    // A machine that was started anew does not get its claims back at once.
    const boot = random() < 0.5 ? 'same' : String(random());
    const worker = { name, boot, host: name, pid: 1 };
    const lease = new Lease({ database, clock, worker, length: LEASE, present: () => null });
    const options = parsing('2012');
    const outcomes = new Outcomes({ database, lease, options });
    const shared = { database, clock, lease, outcomes, options, control: SETTINGS_2012, schedule: SCHEDULE };
    const claim = { held: () => true, release: () => {} };
    const warn = (): void => {};
    const queue = new PostgresQueue({
      ...shared,
      warn,
      present: () => null,
      claim,
      length: LEASE,
      host: name,
    });
    // The network goes on while the process is frozen, and what a dead one has sent still arrives.
    const world = new World(SCRIPT, time);
    const accepted = world.arrived.push.bind(world.arrived);
    world.arrived.push = (...messages) => {
      for (const { recipients } of messages) arrived(this, recipients);
      return accepted(...messages);
    };
    const { sessions, limit } = limits;
    const seen = { epoch: () => lease.epoch, isDead: () => clock.isDead };
    void this.#run(queue, world, sessions.counted(world.connect, seen), limit);
  }

  /** As `watch` does. */
  async #run(queue: PostgresQueue, world: World, counted: Connect, limit: number): Promise<void> {
    const { clock } = this;
    const rules = rulesFor(limit);
    const connect: Connect = (endpoint, events, tls) => counted(endpoint, seenBy(clock, events), tls);
    const later = <T>(result: T): Promise<T> =>
      new Promise((seen) => void clock.after(0, () => seen(result)));
    const { mx, addresses } = world.resolver;
    const resolver: Resolver = {
      mx: async (name) => later(await mx(name)),
      addresses: async (name, family) => later(await addresses(name, family)),
    };
    const nothing = (): void => {};
    const events = {
      outcome: nothing,
      quarantined: nothing,
      silent: nothing,
      warning: nothing,
      trace: nothing,
    };
    const deps = readyDeliveries({ queue, connect, resolver, clock, random: () => 0.5, events }, rules);
    const runner = new QueueRunner(deps, rules, new AbortController().signal);
    for (;;) {
      try {
        if (runner.halted) await runner.resume();
        await runner.scan(false);
      } catch (error) {
        if (!(error instanceof UnavailableError) && !/kept in memory/.test(String(error))) throw error;
      }
      await new Promise<void>((next) => void clock.after(500, next));
    }
  }
}

/** What comes from the network, as a process sees it. */
function seenBy(clock: ProcessClock, events: ConnectionEvents): ConnectionEvents {
  return {
    connected: () => clock.deliver(() => events.connected()),
    secured: (facts) => clock.deliver(() => events.secured(facts)),
    lines: (lines, partial) => clock.deliver(() => events.lines(lines, partial)),
    drained: () => clock.deliver(() => events.drained()),
    closed: (reason) => clock.deliver(() => events.closed(reason)),
  };
}

const rulesFor = (host: number): RunRules => ({
  delivery: rulesWith({ host }),
  due: { schedule: SCHEDULE, force: false },
  render: { order: '2012', fqdn: 'me.example', nodeName: '', legacy: unknown8bit, zoneMinutes: 0 },
  pollInterval: 60_000,
  postmaster: 'postmaster@me.example',
  signer: null,
  ehloName: 'me.example',
  warnings: [],
});
