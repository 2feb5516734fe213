/**
 * The plan of a simulated run as plain data: messages, servers, and incidents of processes, disk, network and clock. Made
 * from a seed; the same plan always gives the same run.
 */
import type { Dialect } from '../../src/delivery-list/job.ts';
import type { Random } from '../../src/platform/clock.ts';
import type { ServerScript } from '../../src/replay/world/server.ts';
import { seededRandom } from '../support/spool.ts';

export interface PlannedMessage {
  readonly name: string;
  readonly recipients: readonly string[];
  readonly form: 'bare' | 'rfc822' | 'native';
  /** how many control messages name it, as after a crash of a server since 2017 */
  readonly lists: 1 | 2;
  /** bytes of text */
  readonly size: number;
}

/** A message that Citadel submits to an intake while a process delivers. */
export interface Handover {
  readonly name: string;
  /** the intake runs beside this process */
  readonly process: number;
  /** milliseconds after the start of the intake */
  readonly at: number;
  /** one recipient and one connection each: all at once as servers of 2012 and 2016 do, or one by one */
  readonly copies: number;
  readonly order: 'together' | 'one by one';
  readonly speaks: 'DATA' | 'BDAT';
  /** bytes of text */
  readonly size: number;
  /** the first connection breaks before this byte from Citadel; null: it does not */
  readonly breaks: number | null;
}

/** The intake beside process 3 is process 103. */
export const INTAKE = 100;

/** `process`: the number of a process that delivers, counted from 1, or of the intake beside it, from INTAKE on. */
export type Incident =
  /** the process is killed, or the power fails, at this step of its work */
  | { readonly what: 'kill'; readonly process: number; readonly step: number }
  | { readonly what: 'power'; readonly process: number; readonly step: number; readonly seed: number }
  /** calls of this kind fail from one step on, for so many steps */
  | {
      readonly what: 'disk';
      readonly process: number;
      readonly step: number;
      readonly steps: number;
      readonly code: DiskCode;
    }
  /** a sync takes this long */
  | { readonly what: 'slow-disk'; readonly process: number; readonly milliseconds: number }
  | { readonly what: 'term'; readonly process: number; readonly at: number }
  /** the wall clock is set */
  | { readonly what: 'clock'; readonly process: number; readonly at: number; readonly by: number }
  | { readonly what: 'other'; readonly process: number; readonly at: number; readonly does: SpoolChange }
  /** something happens to a connection before the byte of this number */
  | {
      readonly what: 'connection';
      readonly connection: number;
      readonly from: 'us' | 'server';
      readonly byte: number;
      readonly fault: ConnectionFault;
    }
  | { readonly what: 'dns'; readonly lookup: number; readonly answer: DnsFault };

export type DiskCode = 'EIO' | 'ENOSPC' | 'EMFILE' | 'EACCES';
/** What another program does to the spool. */
export type SpoolChange =
  | 'adds a recipient'
  | 'rewrites a list as it was'
  | 'removes a list'
  | 'starts a second runner'
  | 'enqueues';
export type ConnectionFault = 'reset' | 'close' | 'silence' | 'early' | 'pieces';
export type DnsFault = 'timeout' | 'server-failure' | 'refused' | 'no-domain' | 'twice' | 'reversed';

export interface Plan {
  readonly seed: number;
  readonly dialect: Dialect;
  /** processes with incidents; others without follow until everything is done */
  readonly processes: number;
  /** queue runs of each process: more than one is `watch` */
  readonly runs: number;
  readonly limits: { readonly [name: string]: number };
  readonly messages: readonly PlannedMessage[];
  /** the return path refuses this many reports at first */
  readonly reportsRefused: number;
  /** by address */
  readonly servers: { readonly [address: string]: ServerScript };
  readonly handovers: readonly Handover[];
  readonly incidents: readonly Incident[];
}

export const DOMAINS = ['a.example', 'b.example', 'c.example', 'six.example', 'gone.example'] as const;
export const ADDRESSES = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4', '2001:db8::4'] as const;

/** How servers behave while there are incidents; afterwards all of them accept everything. */
const SERVER_BEHAVIOURS: readonly ServerScript[] = [
  {},
  {},
  { rcpt: { '*': ['450 4.7.1 come again', '450 4.7.1 come again', '250 2.1.5 ok'] } },
  { greeting: ['421 4.3.2 too busy', '220 mx.example'] },
  { mail: ['451 4.3.0 not now', '250 2.1.0 ok'] },
  { mail: ['250 2.1.0 ok', '421 4.7.28 unusual rate, rate limited then close', '250 2.1.0 ok'] },
  { dot: ['450 4.7.0 temporarily deferred due to complaints', '250 2.0.0 queued'] },
  { dot: ['451 4.3.0 not now', '250 2.0.0 queued'] },
  { dot: ['554 5.7.1 no thanks', '250 2.0.0 queued'] },
  { rcpt: { '*': ['250 2.1.5 ok', '550 5.1.1 no such user', '250 2.1.5 ok'] } },
  { mail: ['552 5.3.4 too big', '250 2.1.0 ok'] },
  { data: ['451 4.3.0 not now', '354 go ahead'] },
  { dot: '250 2.0.0 queued then close' },
  { dot: { say: '250 2.0.0 queued', after: '40s' } },
  { dot: ['silence', '250 2.0.0 queued'] },
  { dot: ['reset', '250 2.0.0 queued'] },
  { connect: 'refused' },
  { connect: 'silence' },
  { connect: 'unreachable' },
  { ehlo: '500 5.5.1 what?' },
  { ehlo: '250 mx.example' },
  { ehlo: '250-mx.example\n250-PIPELINING\n250 STARTTLS' },
  { ehlo: '250-mx.example\n250-PIPELINING\n250 STARTTLS', tlsBroken: true },
  { quit: 'silence' },
  { greeting: { say: '220 mx.example', after: '20s' } },
  { greeting: '554 5.3.2 no service' },
];

/** Seeded random choices. */
function chanceOf(random: Random) {
  const below = (limit: number): number => Math.floor(random() * limit);
  return {
    below,
    between: (from: number, to: number): number => from + below(to - from + 1),
    oneIn: (n: number): boolean => below(n) === 0,
    pick: <T>(list: readonly [T, ...T[]] | readonly T[]): T => {
      const picked = list[below(list.length)];
      if (picked === undefined) throw new Error('nothing to pick from');
      return picked;
    },
    /** small numbers often, large ones sometimes */
    upTo: (limit: number): number => Math.floor(limit ** random()),
  };
}

type Chance = ReturnType<typeof chanceOf>;

function plannedMessage(index: number, chance: Chance): PlannedMessage {
  const name = `m${index}`;
  const count = chance.oneIn(8) ? chance.between(4, 9) : chance.between(1, 3);
  const recipients = Array.from({ length: count }, (_, n) => {
    const domain = chance.oneIn(12) ? 'gone.example' : chance.pick(DOMAINS.slice(0, 4));
    return `${name}.${n}@${domain}`;
  });
  return {
    name,
    recipients,
    form: chance.pick(['bare', 'bare', 'rfc822', 'native']),
    lists: chance.oneIn(8) ? 2 : 1,
    size: chance.oneIn(100) ? 270_000 : chance.upTo(3000),
  };
}

function plannedHandover(index: number, processes: number, chance: Chance): Handover {
  return {
    name: `h${index}`,
    process: chance.between(1, processes),
    at: chance.upTo(WORK),
    copies: chance.oneIn(3) ? chance.between(2, 5) : 1,
    order: chance.pick(['together', 'together', 'one by one'] as const),
    speaks: chance.pick(['DATA', 'BDAT'] as const),
    size: chance.upTo(3000),
    breaks: chance.oneIn(6) ? chance.upTo(600) : null,
  };
}

/** The steps of a process with a few messages: most incidents happen within them. */
const STEPS = 250;
/** Milliseconds in which most processes with a few messages finish. */
const WORK = 1500;

type Maker = (chance: Chance, process: number) => Incident;

/** What may happen to any process. */
const TO_PROCESSES: readonly Maker[] = [
  (chance, process) => ({ what: 'kill', process, step: chance.between(1, STEPS) }),
  (chance, process) => ({
    what: 'power',
    process,
    step: chance.between(1, STEPS),
    seed: chance.below(1_000_000),
  }),
  (chance, process) => ({
    what: 'disk',
    process,
    step: chance.between(1, STEPS),
    steps: chance.upTo(60),
    code: chance.pick(['EIO', 'ENOSPC', 'EMFILE', 'EACCES'] as const),
  }),
  (chance, process) => ({ what: 'slow-disk', process, milliseconds: chance.upTo(20_000) }),
  (chance, process) => ({ what: 'term', process, at: chance.upTo(WORK) }),
  (chance, process) => ({
    what: 'clock',
    process,
    at: chance.upTo(WORK),
    by: chance.between(-20, 20) * chance.pick([1000, 3_600_000]),
  }),
];

const MAKERS: readonly Maker[] = [
  ...TO_PROCESSES,
  (chance, process) => ({
    what: 'other',
    process,
    at: chance.upTo(WORK),
    does: chance.pick([
      'adds a recipient',
      'rewrites a list as it was',
      'removes a list',
      'starts a second runner',
      'enqueues',
    ] as const),
  }),
  (chance) => ({
    what: 'connection',
    connection: chance.between(1, 8),
    from: chance.pick(['us', 'server'] as const),
    byte: chance.upTo(700),
    fault: chance.pick(['reset', 'close', 'silence', 'early', 'pieces'] as const),
  }),
  (chance) => ({
    what: 'dns',
    lookup: chance.between(1, 15),
    answer: chance.pick(['timeout', 'server-failure', 'refused', 'no-domain', 'twice', 'reversed'] as const),
  }),
];

export function planFor(seed: number): Plan {
  const chance = chanceOf(seededRandom(seed));
  const processes = chance.between(1, 4);
  const messages = Array.from({ length: chance.upTo(9) }, (_, index) => plannedMessage(index + 1, chance));
  const servers = Object.fromEntries(ADDRESSES.map((address) => [address, chance.pick(SERVER_BEHAVIOURS)]));
  const incidents = Array.from({ length: chance.upTo(10) }, () =>
    chance.pick(MAKERS)(chance, chance.between(1, processes)),
  );
  const limitsOf = (): Plan['limits'] => {
    const sessions = chance.between(1, 3);
    return {
      'limit.sessions': sessions,
      'limit.destination': Math.min(sessions, chance.between(1, 2)),
      'limit.host': Math.min(sessions, chance.between(1, 2)),
      'limit.messages': chance.between(1, 3),
      'limit.recipients': chance.between(1, 3),
      'limit.rate': chance.below(3),
    };
  };
  const plan = {
    seed,
    dialect: chance.pick(['2012', '2017'] as const),
    processes,
    runs: chance.oneIn(3) ? chance.between(2, 4) : 1,
    limits: chance.oneIn(3) ? limitsOf() : {},
    messages,
    reportsRefused: chance.oneIn(4) ? chance.between(1, 4) : 0,
    servers,
  };
  const handovers = Array.from({ length: chance.oneIn(3) ? chance.upTo(6) : 0 }, (_, index) =>
    plannedHandover(index + 1, processes, chance),
  );
  const toIntakes = handovers
    .filter(() => chance.oneIn(2))
    .map(({ process }) => chance.pick(TO_PROCESSES)(chance, INTAKE + process));
  return { ...plan, handovers, incidents: [...incidents, ...toIntakes] };
}
