/**
 * Real processes that share a queue in a real PostgreSQL with a synchronous standby, while faults.ts happens to them: nothing that
 * was acknowledged is lost, and a second copy comes only from where techdoc/several-machines.md says.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { QueueError } from '../../src/platform/system-errors.ts';
import { type Migration, migrate } from '../../src/queue/postgres/schema/migrate.ts';
import { PROGRAM } from '../support/program.ts';
import { seededRandom } from '../support/spool.ts';
import { Databases } from './databases.ts';
import { type Fault, faultKinds, strike } from './faults.ts';
import { feed } from './feeder.ts';
import { afterRecord } from './ledger.ts';
import { Link } from './proxy.ts';
import { type Arrival, startSink } from './sink.ts';
import { excuses } from './windows.ts';
import { ClusterWorker } from './worker.ts';

export interface ClusterRun {
  readonly seed: number;
  readonly faults: number;
  readonly messages: number;
  readonly workers: number;
  /** milliseconds */
  readonly lease: number;
  /** folder of an older build: it makes the tables and delivers, until they are brought up to date half way; then both deliver */
  readonly from?: string;
  readonly log: (line: string) => void;
}

export interface ClusterResult {
  readonly seed: number;
  /** that were acknowledged */
  readonly messages: number;
  /** by kind */
  readonly faults: { readonly [kind: string]: number };
  /** their recipients */
  readonly acknowledged: number;
  readonly arrived: number;
  /** recipients of acknowledged messages to whom nothing came */
  readonly lost: readonly string[];
  /** copies beyond the first */
  readonly copies: number;
  /** by the fault in whose window they fall, the nearest one */
  readonly copiesAfter: { readonly [kind: string]: number };
  /** those without one */
  readonly unexplained: readonly string[];
  /** those from a process that was given the message after the delivery of the first one was recorded */
  readonly repeated: readonly string[];
  /** tables of the queue in which something is left */
  readonly left: readonly string[];
  readonly seconds: number;
}

/** Milliseconds that the queue has to become empty when nothing goes wrong any more. */
const DRAIN = 180_000;

export async function runCluster(run: ClusterRun): Promise<ClusterResult> {
  const { seed, log, lease, messages } = run;
  const random = seededRandom(seed);
  const began = performance.now();
  const older = run.from === undefined ? null : [path.join(run.from, 'bin/spoolroom')];
  const programs = [older ?? PROGRAM];
  const databases = await Databases.start(older);
  if (databases.noDisk !== null) log(`no disk is filled: ${databases.noDisk}`);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'spoolroom-cluster-'));
  const sink = await startSink(seededRandom(seed + 1));
  const workers: ClusterWorker[] = [];
  try {
    for (let n = 1; n <= run.workers; n++) {
      const name = `w${n}.example`;
      const state = path.join(folder, name);
      fs.mkdirSync(state);
      const links = await Promise.all(databases.sockets.map((socket) => Link.to(socket)));
      const room = databases.address(links.map(({ port }) => `127.0.0.1:${port}`).join(','));
      const program = (): readonly string[] => programs[Math.floor(random() * programs.length)] ?? PROGRAM;
      workers.push(new ClusterWorker({ name, program, room, links, state, lease, log, relay: sink.port }));
    }
    const acknowledged: string[] = [];
    const faults: Fault[] = [];
    let begun = 0;
    let accepted = 0;
    // As many messages between two faults, however fast the machine is.
    const share = messages / run.faults;
    const strikes = async (on: 'worker' | 'database'): Promise<void> => {
      const kinds = faultKinds(on, databases);
      while (begun < run.faults) {
        const nth = begun++;
        while (accepted < nth * share) await pause(20);
        await pause(500 * random());
        const kind = kinds[Math.floor(random() * kinds.length)];
        if (kind === undefined) return;
        const fault = await strike({ databases, workers, lease, random }, kind);
        log(`fault ${fault.kind}: ${fault.target}, ${Math.round(fault.until - fault.from)} ms`);
        faults.push(fault);
      }
    };
    const feeding = feed({
      workers,
      random: seededRandom(seed + 2),
      wants: () => accepted < messages,
      mayGoOn: () => accepted < (faults.length + 2) * share,
      accepted(recipients) {
        accepted++;
        acknowledged.push(...recipients);
      },
    });
    const upgrade = async (): Promise<void> => {
      if (older === null) return;
      while (accepted < messages / 2) await pause(100);
      log(`upgraded: ${JSON.stringify(await upToDate(databases))}`);
      programs.push(PROGRAM);
    };
    await Promise.all([feeding, strikes('worker'), strikes('database'), upgrade()]);
    log('all is handed over');
    const left = await drained(databases);
    for (const worker of workers) await worker.stop();
    const { copies, ...result } = judge({ acknowledged, arrivals: sink.arrivals, faults, lease });
    const nameOf = (pid: number): string => workers.find(({ pids }) => pids.has(pid))?.name ?? '';
    const database = databases.connect();
    const repeated = await afterRecord(database, copies, nameOf);
    await database.close();
    const counts = { messages: accepted, copies: copies.length, seconds: seconds(began) };
    return { seed, ...result, ...counts, repeated, left };
  } finally {
    for (const worker of workers) worker.kill();
    await sink.close();
    await databases.remove();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function seconds(began: number): number {
  return Math.round((performance.now() - began) / 1000);
}

/** While the database is away, and while its tables are in use, it is tried again. */
async function upToDate(databases: Databases): Promise<Migration> {
  const database = databases.connect();
  try {
    for (;;) {
      try {
        return await migrate(database);
      } catch (error) {
        if (!(error instanceof QueueError)) throw error;
        await pause(200);
      }
    }
  } finally {
    await database.close();
  }
}

/** Waits until nothing is in the queue; what is left after that. */
async function drained(databases: Databases): Promise<readonly string[]> {
  const database = databases.connect();
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

interface Story {
  readonly acknowledged: readonly string[];
  readonly arrivals: readonly Arrival[];
  readonly faults: readonly Fault[];
  readonly lease: number;
}

function judge({ acknowledged, arrivals, faults, lease }: Story) {
  const firsts = new Map<string, Arrival>();
  const unexplained: string[] = [];
  const copiesAfter: { [kinds: string]: number } = {};
  const copies: Arrival[] = [];
  for (const second of arrivals) {
    const first = firsts.get(second.recipient);
    if (first === undefined) {
      firsts.set(second.recipient, second);
      continue;
    }
    copies.push(second);
    const distance = ({ from, until }: Fault): number => Math.max(from - first.at, first.at - until, 0);
    const [cause] = faults
      .filter((fault) => excuses(fault, { first, second, lease }))
      .sort((a, b) => distance(a) - distance(b));
    if (cause === undefined) unexplained.push(shown(first, second, faults));
    else copiesAfter[cause.kind] = (copiesAfter[cause.kind] ?? 0) + 1;
  }
  const kinds: { [kind: string]: number } = {};
  for (const { kind } of faults) kinds[kind] = (kinds[kind] ?? 0) + 1;
  return {
    faults: kinds,
    acknowledged: acknowledged.length,
    arrived: firsts.size,
    lost: acknowledged.filter((recipient) => !firsts.has(recipient)),
    copies,
    copiesAfter,
    unexplained,
  };
}

/** With the faults around it, in milliseconds from the first copy on. */
function shown(first: Arrival, second: Arrival, faults: readonly Fault[]): string {
  const since = (at: number): string => (at - first.at).toFixed(0);
  const near = faults
    .filter(({ from, until }) => until > first.at - 20_000 && from < second.at)
    .map(({ kind, target, from, until }) => `${kind} (${target}) ${since(from)} to ${since(until)}`);
  return `${first.recipient} from ${first.worker}, and from ${second.worker} at ${since(second.at)}: ${near.join(', ')}`;
}
