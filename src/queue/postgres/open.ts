/**
 * Opens a queue in PostgreSQL: as a process that delivers from it, with a state directory of its own and the lock on that, or as a
 * client that adds jobs, looks at them and asks for things. What is in the way is a value with sentences for people.
 */
import { hostname } from 'node:os';
import type { Clock, Random } from '../../platform/clock.ts';
import { QueueError } from '../../platform/system-errors.ts';
import { removeStaleTemporary, temporaryNames } from '../../storage/atomic-file.ts';
import type { Disk, Ownership } from '../../storage/disk.ts';
import { ensureFolder, ownershipIn } from '../../storage/folder.ts';
import { layoutOf } from '../../storage/layout.ts';
import { acquireLock } from '../../storage/lock.ts';
import type { ProcessTable } from '../../storage/processes.ts';
import { ensureQueueId } from '../../storage/queue-id.ts';
import type { ControlSettings } from '../control-message.ts';
import { SCHEDULE, type Schedule } from '../schedule.ts';
import { parsing } from './claims/claimed-job.ts';
import { Lease } from './claims/lease.ts';
import { Outcomes } from './claims/outcomes.ts';
import { type BadAddress, parseDatabaseAddress } from './database/address.ts';
import { Database } from './database/database.ts';
import { PostgresQueue } from './postgres-queue.ts';
import { schemaProblem } from './schema/migrate.ts';

export interface PostgresOptions {
  /** `postgres://...` */
  readonly address: string;
  /** the directory with the state of this process */
  readonly state: string;
  /** milliseconds for which what is claimed belongs to a process that is not heard of; default: a minute */
  readonly lease?: number;
  readonly schedule?: Schedule;
  /** Unix seconds that count as the present; absent: the database's clock */
  readonly present?: () => number;
}

export interface PostgresDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly processes: ProcessTable;
  /** gets full sentences for people */
  readonly warn: (text: string) => void;
}

export interface PostgresRefused {
  readonly kind: 'refused';
  readonly why: 'address' | 'state' | 'busy' | 'schema' | 'server';
  readonly text: string;
  /** the process at work, where it is `busy` */
  readonly runner?: number;
}

const MINUTE = 60_000;

function refused(why: PostgresRefused['why'], text: string): PostgresRefused {
  return { kind: 'refused', why, text };
}

/** A database whose tables are as this program has them. The caller closes it. */
export async function openDatabase(
  address: string,
): Promise<{ readonly kind: 'open'; readonly database: Database } | PostgresRefused> {
  const parsed = parseDatabaseAddress(address);
  if (parsed.kind === 'bad') return refused('address', addressProblem(parsed));
  const database = new Database(parsed);
  try {
    const problem = await schemaProblem(database);
    if (problem === null) return { kind: 'open', database };
    await database.close();
    return refused('schema', problem);
  } catch (error) {
    await database.close();
    if (!(error instanceof QueueError)) throw error;
    return refused('server', error.message);
  }
}

export function addressProblem({ why }: BadAddress): string {
  return `The address of the database cannot be used: ${why}. Nothing was done.`;
}

/** Makes our folders in the directory with the state of this process, or of this machine. */
export function prepareState(
  state: string,
  { disk }: Pick<PostgresDeps, 'disk'>,
): { readonly kind: 'prepared'; readonly owner: Ownership } | PostgresRefused {
  const status = disk.status(`${state}/.`);
  if (status === null || !disk.writable(state))
    return refused(
      'state',
      `The state directory ${state} does not exist or is not writable for this user. Nothing was done.`,
    );
  const layout = layoutOf(state);
  const { files: owner, folders } = ownershipIn(status);
  for (const folder of [layout.state, layout.temporary]) ensureFolder(disk, folder, folders);
  return { kind: 'prepared', owner };
}

/** Open it to deliver from it. */
export async function openPostgresQueue(
  { address, state, lease: length = MINUTE, schedule = SCHEDULE, present }: PostgresOptions,
  deps: PostgresDeps,
  control: ControlSettings,
): Promise<{ readonly kind: 'open'; readonly queue: PostgresQueue } | PostgresRefused> {
  const { disk, processes, random, clock, warn } = deps;
  const prepared = prepareState(state, deps);
  if (prepared.kind === 'refused') return prepared;
  const opened = await openDatabase(address);
  if (opened.kind === 'refused') return opened;
  const { database } = opened;
  const layout = layoutOf(state);
  const { owner } = prepared;
  const temporaryName = temporaryNames(layout, processes, random);
  const lock = acquireLock({ disk, layout, processes, temporaryName, owner });
  if (lock.kind === 'busy') {
    await database.close();
    const { pid: runner } = lock.owner;
    const text = `Process ${runner} is already delivering with the state directory ${state}; nothing was done.`;
    return { ...refused('busy', text), runner };
  }
  try {
    removeStaleTemporary(disk, layout, processes);
    const name = await ensureQueueId({ disk, random, layout, temporaryName, owner });
    const { pid, boot } = processes.self;
    const now = (): number | null => present?.() ?? null;
    const host = hostname();
    const worker = { name, boot: boot ?? '', host, pid };
    const lease = new Lease({ database, clock, worker, length, present: now });
    const options = parsing(control.dialect, control.longestList);
    const outcomes = new Outcomes({ database, lease, options });
    await lease.hold();
    const shared = { database, clock, lease, outcomes, options, control, schedule, warn, present: now };
    return { kind: 'open', queue: new PostgresQueue({ ...shared, claim: lock, length, host }) };
  } catch (error) {
    lock.release();
    await database.close();
    if (!(error instanceof QueueError)) throw error;
    return refused('server', error.message);
  }
}
