/**
 * Opens the queue room of a running Citadel server as its one runner. Called by the commands. Our ledger, the lock and
 * the memory of the trial lie in a directory of our own on this machine. What is in the way (no such directory, another
 * runner, no server, a login it refuses) is a value with a sentence. An interrupted run is made good before it returns.
 */
import type { Connect } from '#net-stream-utils';
import type { Clock, Random } from '../../platform/clock.ts';
import { describeError, errorCode, QueueError } from '../../platform/system-errors.ts';
import { removeStaleTemporary, type TemporaryName, temporaryNames } from '../../storage/atomic-file.ts';
import type { Disk } from '../../storage/disk.ts';
import { layoutOf, type StateLayout } from '../../storage/layout.ts';
import { acquireLock } from '../../storage/lock.ts';
import type { ProcessTable } from '../../storage/processes.ts';
import { ensureQueueId } from '../../storage/queue-id.ts';
import { openJournal, readJournal } from '../journal.ts';
import type { Queue } from '../queue.ts';
import type { ControlSettings } from '../spool/open.ts';
import type { Login } from './client/login.ts';
import { citadelServer } from './client/server.ts';
import type { ServerAddress } from './client/session.ts';
import { LiveQueue } from './live-queue.ts';
import { payloadCache } from './payload.ts';
import { probeStore } from './rival/probe-store.ts';

export interface LiveDeps {
  readonly connect: Connect;
  readonly disk: Disk;
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

export interface LiveRefused {
  readonly kind: 'refused';
  /** `busy` is no trouble: another runner is at work */
  readonly why: 'state' | 'busy' | 'ledger' | 'server';
  readonly text: string;
}

const OURS = { mode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 } as const;

function refused(why: LiveRefused['why'], text: string): LiveRefused {
  return { kind: 'refused', why, text };
}

function makeFolders(disk: Disk, { state, temporary }: StateLayout): void {
  for (const folder of [state, temporary]) {
    if (disk.status(folder) === null) disk.mkdir(folder, { ...OURS, mode: 0o700 });
  }
}

async function openClaimed(
  layout: StateLayout,
  temporaryName: TemporaryName,
  options: LiveOptions,
  deps: LiveDeps,
  settings: ControlSettings,
  release: () => void,
): Promise<{ readonly kind: 'open'; readonly room: Queue } | LiveRefused> {
  const { disk, clock, warn, random } = deps;
  removeStaleTemporary(disk, layout, deps.processes);
  const spool = `citadel ${options.server.endpoint.address} ${options.server.endpoint.port}`;
  const read = readJournal(disk, layout, spool);
  if (read.kind === 'refused') return refused('ledger', read.text);
  if (read.damaged > 0)
    warn(
      `${read.damaged} damaged lines of ${layout.journal} are left out. One at its end is what an interrupted run did not ` +
        'finish; others are outcomes that were lost, and their recipients may get their mail a second time.',
    );
  const journal = openJournal({ disk, layout, temporaryName, owner: OURS, spool }, read.records);
  const server = citadelServer(options.server, options.login, deps);
  const room = new LiveQueue({
    ...{ server, journal, clock, warn, release, ...settings, records: read.records },
    owner: await ensureQueueId({ disk, random, layout, temporaryName, owner: OURS }),
    payloads: payloadCache({ server, disk, temporaryName }),
    options: { dialect: 'detect', fallback: settings.dialect },
    trial: probeStore(disk, layout, temporaryName, OURS),
  });
  try {
    await room.begin();
    return { kind: 'open', room };
  } catch (error) {
    journal.close();
    await server.close();
    if (error instanceof QueueError) return refused('server', error.message);
    throw error;
  }
}

/** Open the queue room of a running server. */
export async function openLiveQueue(
  options: LiveOptions,
  deps: LiveDeps,
  settings: ControlSettings,
): Promise<{ readonly kind: 'open'; readonly room: Queue } | LiveRefused> {
  const { disk, processes, random } = deps;
  const layout = layoutOf(options.state);
  const temporaryName = temporaryNames(layout, processes, random);
  let release = (): void => {};
  let opened = false;
  try {
    makeFolders(disk, layout);
    const claim = acquireLock({ disk, layout, processes, temporaryName, owner: OURS });
    if (claim.kind === 'busy') {
      return refused(
        'busy',
        `Process ${claim.owner.pid} already works with the state in ${options.state}; nothing was done.`,
      );
    }
    release = claim.release;
    const result = await openClaimed(layout, temporaryName, options, deps, settings, release);
    opened = result.kind === 'open';
    return result;
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return refused(
      'state',
      `The state directory ${options.state} cannot be used: ${describeError(error)}. Nothing was sent.`,
    );
  } finally {
    if (!opened) release();
  }
}
