/**
 * Real processes that share a queue in a real PostgreSQL, while they and the database are killed, frozen and restarted: nothing that
 * was acknowledged is lost, and a second copy comes only from where techdoc/several-machines.md says.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { databaseAt, startCluster } from '../support/postgres.ts';
import { seededRandom } from '../support/spool.ts';
import { type Fault, strike } from './faults.ts';
import { feed } from './feeder.ts';
import { type Arrival, startSink } from './sink.ts';
import { ClusterWorker } from './worker.ts';

export interface ClusterRun {
  readonly seed: number;
  readonly faults: number;
  readonly messages: number;
  readonly workers: number;
  /** milliseconds */
  readonly lease: number;
  readonly log: (line: string) => void;
}

export interface ClusterResult {
  readonly seed: number;
  /** by kind */
  readonly faults: { readonly [kind: string]: number };
  readonly acknowledged: number;
  readonly arrived: number;
  /** recipients of acknowledged messages to whom nothing came */
  readonly lost: readonly string[];
  /** copies beyond the first */
  readonly copies: number;
  /** by the faults in whose windows they fall */
  readonly copiesAfter: { readonly [kinds: string]: number };
  /** those without one */
  readonly unexplained: readonly string[];
  /** tables of the queue in which something is left */
  readonly left: readonly string[];
  readonly seconds: number;
}

/** Milliseconds that the queue has to become empty when nothing goes wrong any more. */
const DRAIN = 180_000;

export async function runCluster(run: ClusterRun): Promise<ClusterResult> {
  const { seed, log, lease } = run;
  const random = seededRandom(seed);
  const began = performance.now();
  const cluster = await startCluster({ durable: true, settings: ["log_min_messages = 'fatal'"] });
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'spoolroom-cluster-'));
  const sink = await startSink(seededRandom(seed + 1));
  const workers: ClusterWorker[] = [];
  try {
    const room = await cluster.create();
    for (let n = 1; n <= run.workers; n++) {
      const name = `w${n}.example`;
      const state = path.join(folder, name);
      fs.mkdirSync(state);
      workers.push(new ClusterWorker({ name, room, state, lease, log, relay: sink.port }));
    }
    const faults: Fault[] = [];
    let isFed = false;
    const strikes = async (): Promise<void> => {
      while (faults.length < run.faults) {
        await pause(200 + 800 * random());
        const fault = await strike({ cluster, workers, lease, random });
        log(`fault ${fault.kind} ${fault.target}`);
        faults.push(fault);
      }
    };
    const feeding = feed({
      workers,
      messages: run.messages,
      random: seededRandom(seed + 2),
      // So that there is mail for as long as there are faults.
      pause: () => pause(faults.length < run.faults ? 60 : 0),
    }).then((acknowledged) => {
      isFed = true;
      return acknowledged;
    });
    const [acknowledged] = await Promise.all([feeding, strikes()]);
    log(`all is handed over: ${isFed}`);
    const left = await drained(room);
    for (const worker of workers) await worker.stop();
    return { seed, ...resultOf(acknowledged, sink.arrivals, faults), left, seconds: seconds(began) };
  } finally {
    for (const worker of workers) worker.kill();
    await sink.close();
    await cluster.remove();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function seconds(began: number): number {
  return Math.round((performance.now() - began) / 1000);
}

/** Waits until nothing is in the queue; what is left after that. */
async function drained(room: string): Promise<readonly string[]> {
  const database = databaseAt(room);
  const tables = ['job', 'message', 'chunk', 'outcome'];
  const left = async (): Promise<readonly string[]> => {
    const full: string[] = [];
    for (const table of tables) {
      const [row] = await database.repeatable(`SELECT count(*)::float8 AS rows FROM spoolroom.${table}`);
      if (Number(row?.rows) > 0) full.push(`${table}: ${row?.rows}`);
    }
    return full;
  };
  try {
    const end = performance.now() + DRAIN;
    let now = await left();
    while (now.length > 0 && performance.now() < end) {
      await pause(200);
      now = await left();
    }
    return now;
  } finally {
    await database.close();
  }
}

function resultOf(acknowledged: readonly string[], arrivals: readonly Arrival[], faults: readonly Fault[]) {
  const first = new Map<string, Arrival>();
  const unexplained: string[] = [];
  const copiesAfter: { [kinds: string]: number } = {};
  let copies = 0;
  for (const arrival of arrivals) {
    const before = first.get(arrival.recipient);
    if (before === undefined) first.set(arrival.recipient, arrival);
    else {
      copies++;
      const causes = faults.filter((fault) => explains(fault, before)).map(({ kind }) => kind);
      const after = [...new Set(causes)].sort().join(', ');
      copiesAfter[after] = (copiesAfter[after] ?? 0) + 1;
      if (causes.length === 0)
        unexplained.push(`${arrival.recipient} from ${before.worker} and ${arrival.worker}`);
    }
  }
  const kinds: { [kind: string]: number } = {};
  for (const { kind } of faults) kinds[kind] = (kinds[kind] ?? 0) + 1;
  return {
    faults: kinds,
    acknowledged: acknowledged.length,
    arrived: first.size,
    lost: acknowledged.filter((recipient) => !first.has(recipient)),
    copies,
    copiesAfter,
    unexplained,
  };
}

/** Milliseconds in which an outcome is committed on a machine that is busy. */
const COMMIT = 3000;

/** The first copy came before its outcome was durable, and then something happened to its worker or to the database. */
function explains({ kind, target, from, until }: Fault, { worker, at }: Arrival): boolean {
  // A process that is told to stop records what it has sent.
  if (kind === 'worker-stopped') return false;
  return (target === 'database' || target === worker) && from < at + COMMIT && until > at - COMMIT;
}
