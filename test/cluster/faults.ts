/** What goes wrong: processes that are killed or frozen, and a database that dies or is restarted. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Cluster } from '../support/postgres.ts';
import type { ClusterWorker } from './worker.ts';

export interface Fault {
  readonly kind: keyof typeof KINDS;
  /** name of a worker, or the database */
  readonly target: string;
  /** monotonic milliseconds */
  readonly from: number;
  readonly until: number;
}

export interface FaultWorld {
  readonly cluster: Cluster;
  readonly workers: readonly ClusterWorker[];
  /** milliseconds of the lease */
  readonly lease: number;
  readonly random: () => number;
}

type Work = (world: FaultWorld, worker: ClusterWorker) => Promise<void>;

const DATABASE: ReadonlySet<string> = new Set(['database-killed', 'database-restarted']);

const KINDS = {
  'worker-killed': async (_, worker) => worker.signal('SIGKILL'),
  'worker-frozen': async ({ lease, random }, worker) => {
    worker.signal('SIGSTOP');
    // Within its lease, or beyond it.
    await pause(lease * (0.3 + 1.4 * random()));
    worker.signal('SIGCONT');
  },
  'worker-stopped': async (_, worker) => worker.signal('SIGTERM'),
  'database-killed': async ({ cluster, random }) => {
    process.kill(cluster.pid(), 'SIGKILL');
    await pause(1000 * random());
    await cluster.start();
  },
  'database-restarted': async ({ cluster }) => {
    await cluster.stop('fast');
    await cluster.start();
  },
} as const satisfies { readonly [kind: string]: Work };

/** One at random, from beginning to end. */
export async function strike(world: FaultWorld): Promise<Fault> {
  const { random, workers } = world;
  const kinds = Object.keys(KINDS) as (keyof typeof KINDS)[];
  const kind = kinds[Math.floor(random() * kinds.length)] ?? 'worker-killed';
  const worker = workers[Math.floor(random() * workers.length)];
  if (worker === undefined) throw new Error('a cluster has workers');
  const from = performance.now();
  await KINDS[kind](world, worker);
  const target = DATABASE.has(kind) ? 'database' : worker.name;
  return { kind, target, from, until: performance.now() };
}
