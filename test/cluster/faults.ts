/**
 * What goes wrong, and which second copies that excuses. A row says to whom it happens, what happens from beginning to end, and the
 * window of techdoc/several-machines.md that it opens.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Databases } from './databases.ts';
import type { Window } from './windows.ts';
import type { ClusterWorker } from './worker.ts';

export interface Fault {
  readonly kind: FaultKind;
  /** name of a worker, or the database */
  readonly target: string;
  readonly window: Window;
  /** monotonic milliseconds */
  readonly from: number;
  readonly until: number;
}

export interface FaultWorld {
  readonly databases: Databases;
  readonly workers: readonly ClusterWorker[];
  /** milliseconds of the lease */
  readonly lease: number;
  readonly random: () => number;
}

interface Kind {
  readonly on: 'worker' | 'database';
  readonly window: Window;
  readonly strike: (world: FaultWorld, worker: ClusterWorker) => Promise<void> | void;
}

async function freeze(worker: ClusterWorker, milliseconds: number): Promise<void> {
  worker.signal('SIGSTOP');
  await pause(milliseconds);
  worker.signal('SIGCONT');
}

async function cut(worker: ClusterWorker, { lease, random }: FaultWorld, how: 'resume' | 'reset') {
  worker.cut();
  await pause(lease * (0.2 + 1.8 * random()));
  worker.mend(how);
}

const KINDS = {
  'worker killed': { on: 'worker', window: 'uncommitted', strike: (_, worker) => worker.signal('SIGKILL') },
  // A process that is told to stop records what it has sent.
  'worker stopped': { on: 'worker', window: 'none', strike: (_, worker) => worker.signal('SIGTERM') },
  'worker frozen within its lease': {
    on: 'worker',
    window: 'uncommitted',
    strike: ({ lease, random }, worker) => freeze(worker, lease * (0.1 + 0.5 * random())),
  },
  'worker frozen beyond its lease': {
    on: 'worker',
    window: 'frozen',
    strike: ({ lease, random }, worker) => freeze(worker, lease * (1.1 + random())),
  },
  'worker cut off from the database': {
    on: 'worker',
    window: 'uncommitted',
    strike: (world, worker) => cut(worker, world, 'resume'),
  },
  'worker cut off, connections forgotten': {
    on: 'worker',
    window: 'uncommitted',
    strike: (world, worker) => cut(worker, world, 'reset'),
  },
  'clock of a worker stepped': {
    on: 'worker',
    window: 'none',
    strike: ({ lease, random }, worker) => worker.setClock(lease * (4 * random() - 2)),
  },
  'database killed': {
    on: 'database',
    window: 'uncommitted',
    strike: ({ databases, random }) => databases.killAndStart(1000 * random()),
  },
  'database killed, standby promoted': {
    on: 'database',
    window: 'uncommitted',
    strike: ({ databases, random }) => databases.failOver(1000 * random()),
  },
  'database restarted': {
    on: 'database',
    window: 'uncommitted',
    strike: ({ databases }) => databases.restart(),
  },
  'standby killed': {
    on: 'database',
    window: 'uncommitted',
    strike: ({ databases, lease, random }) => databases.killStandby(1.5 * lease * random()),
  },
  'disk of the database full': {
    on: 'database',
    window: 'uncommitted',
    strike: ({ databases, lease, random }) => databases.fillDisk(lease * (0.3 + 1.2 * random())),
  },
  'clock of the database stepped': {
    on: 'database',
    window: 'lease ended early',
    strike: ({ databases, lease, random }) => databases.setClock((lease / 1000) * (4 * random() - 2)),
  },
} as const satisfies { readonly [kind: string]: Kind };

export type FaultKind = keyof typeof KINDS;

/** Those that can be had here. */
export function faultKinds(on: Kind['on'], { noDisk }: Databases): readonly FaultKind[] {
  return (Object.keys(KINDS) as FaultKind[]).filter(
    (kind) => KINDS[kind].on === on && (noDisk === null || kind !== 'disk of the database full'),
  );
}

/** From beginning to end. */
export async function strike(world: FaultWorld, kind: FaultKind): Promise<Fault> {
  const { random, workers } = world;
  const worker = workers[Math.floor(random() * workers.length)];
  if (worker === undefined) throw new Error('a cluster has workers');
  const { on, window, strike: work }: Kind = KINDS[kind];
  const from = performance.now();
  await work(world, worker);
  const target = on === 'database' ? 'database' : worker.name;
  return { kind, target, window, from, until: performance.now() };
}
