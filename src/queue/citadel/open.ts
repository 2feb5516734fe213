/**
 * Opens the queue room of a running Citadel server as its one runner. The journal, the lock and the state of the probe period are in
 * a directory of our own on this machine. An obstacle (no such directory, another runner, no server, a login it refuses) is
 * a value with a sentence for people; another program at work on the queue is an error. The journal of an interrupted run is applied before it returns, or, when the server is
 * busy, at the first scan.
 */
import type { Connect } from '#net-stream-utils';
import type { Dialect } from '../../delivery-list/job.ts';
import type { Clock, Random } from '../../platform/clock.ts';
import { ConcurrentRunnerError, describeError, errorCode, QueueError } from '../../platform/system-errors.ts';
import { removeStaleTemporary, type TemporaryName, temporaryNames } from '../../storage/atomic-file.ts';
import type { Disk } from '../../storage/disk.ts';
import { ensureFolder } from '../../storage/folder.ts';
import { layoutOf, type StateLayout } from '../../storage/layout.ts';
import { acquireLock, type Claim } from '../../storage/lock.ts';
import type { ProcessTable } from '../../storage/processes.ts';
import { ensureQueueId } from '../../storage/queue-id.ts';
import type { ControlSettings } from '../control-message.ts';
import { resumeJournal } from '../journal.ts';
import type { Queue } from '../queue.ts';
import { WriteBehindQueue } from '../write-behind-queue.ts';
import type { Login } from './client/login.ts';
import { citadelServer } from './client/server.ts';
import { type ServerAddress, ServerBusy } from './client/session.ts';
import { payloadCache } from './payload.ts';
import { probeStore } from './rival/probe-store.ts';
import { RoomDialect } from './room-dialect.ts';
import { RoomStore } from './room-store.ts';

export interface LiveDeps {
  readonly connect: Connect;
  readonly disk: Disk;
  /** the same for the journal alone, where its syncs are looked at */
  readonly journalDisk?: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly processes: ProcessTable;
  /** gets full sentences for people */
  readonly warn: (text: string) => void;
}

export interface LiveOptions {
  readonly server: ServerAddress;
  readonly login: Login;
  /** an existing directory of ours */
  readonly state: string;
}

export interface LiveSettings extends Pick<ControlSettings, 'spans' | 'longestList'> {
  /** what the settings say; null: nothing. The server decides */
  readonly dialect: Dialect | null;
}

export interface LiveRefused {
  readonly kind: 'refused';
  /** `busy` is not an error: another runner is at work */
  readonly why: 'state' | 'busy' | 'journal' | 'server';
  readonly text: string;
}

const OURS = { mode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 } as const;

function refused(why: LiveRefused['why'], text: string): LiveRefused {
  return { kind: 'refused', why, text };
}

function makeFolders(disk: Disk, { state, temporary }: StateLayout): void {
  for (const folder of [state, temporary]) ensureFolder(disk, folder, { ...OURS, mode: 0o700 });
}

async function openLocked(
  layout: StateLayout,
  temporaryName: TemporaryName,
  options: LiveOptions,
  deps: LiveDeps,
  settings: LiveSettings,
  claim: Claim,
): Promise<{ readonly kind: 'open'; readonly queue: Queue } | LiveRefused> {
  const { disk, clock, warn, random } = deps;
  removeStaleTemporary(disk, layout, deps.processes);
  const spool = `citadel ${options.server.endpoint.address} ${options.server.endpoint.port}`;
  const journalDeps = { disk: deps.journalDisk ?? disk, layout, temporaryName, owner: OURS };
  const resumed = resumeJournal({ ...journalDeps, spool, held: claim.held }, warn);
  if (resumed.kind === 'refused') return refused('journal', resumed.text);
  const { journal, records } = resumed;
  const server = citadelServer(options.server, options.login, deps);
  const store = new RoomStore({
    ...{ server, journal, clock, warn, spans: settings.spans, longestList: settings.longestList },
    dialect: new RoomDialect({ server, setting: settings.dialect, warn }),
    owner: await ensureQueueId({ disk, random, layout, temporaryName, owner: OURS }),
    payloads: payloadCache({ server, disk, temporaryName, owner: OURS }),
    probes: probeStore(disk, layout, temporaryName, OURS),
  });
  const queue = new WriteBehindQueue({
    store,
    journal,
    records,
    clock,
    warn,
    claim,
    directory: options.state,
  });
  try {
    await queue.recover().catch((error) => {
      if (!(error instanceof ServerBusy)) throw error;
      store.warnBusy(error);
    });
    return { kind: 'open', queue };
  } catch (error) {
    journal.close();
    await server.close();
    if (error instanceof QueueError && !(error instanceof ConcurrentRunnerError))
      return refused('server', error.message);
    throw error;
  }
}

/** Open the queue room of a running server. */
export async function openLiveQueue(
  options: LiveOptions,
  deps: LiveDeps,
  settings: LiveSettings,
): Promise<{ readonly kind: 'open'; readonly queue: Queue } | LiveRefused> {
  const { disk, processes, random } = deps;
  const layout = layoutOf(options.state);
  const temporaryName = temporaryNames(layout, processes, random);
  let release = (): void => {};
  let opened = false;
  try {
    makeFolders(disk, layout);
    const lock = acquireLock({ disk, layout, processes, temporaryName, owner: OURS });
    if (lock.kind === 'busy') {
      return refused(
        'busy',
        `Process ${lock.owner.pid} is already using the state directory ${options.state}; nothing was done.`,
      );
    }
    release = lock.release;
    const result = await openLocked(layout, temporaryName, options, deps, settings, lock);
    opened = result.kind === 'open';
    return result;
  } catch (error) {
    if (error instanceof QueueError) return refused('state', error.message);
    if (errorCode(error) === null) throw error;
    return refused(
      'state',
      `The state directory ${options.state} cannot be used: ${describeError(error)}. Nothing was sent.`,
    );
  } finally {
    if (!opened) release();
  }
}
