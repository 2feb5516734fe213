/**
 * Opens a spool directory: as the one runner that delivers from it, as a client that adds jobs and requests beside the
 * runner, or read-only. An obstacle (no directory, no permission, another runner, a journal that is not ours) is a value
 * with a sentence for people. The runner completes what an interrupted run left undone before it returns.
 */
import type { Clock, Random } from '../../platform/clock.ts';
import {
  describeError,
  errorCode,
  isOperationalError,
  isPermissionDenied,
  QueueError,
} from '../../platform/system-errors.ts';
import { removeStaleTemporary, type TemporaryName, temporaryNames } from '../../storage/atomic-file.ts';
import type { Disk, Ownership } from '../../storage/disk.ts';
import { ensureFolder, foreignFolder, ownershipIn } from '../../storage/folder.ts';
import { groupCommit } from '../../storage/group-commit.ts';
import { layoutOf, type StateLayout } from '../../storage/layout.ts';
import { acquireLock, type Claim, lockHolder } from '../../storage/lock.ts';
import type { ProcessTable } from '../../storage/processes.ts';
import { ensureQueueId, readQueueId } from '../../storage/queue-id.ts';
import type { ControlSettings } from '../control-message.ts';
import { readJournal, resumeJournal } from '../journal.ts';
import type { Queue, QueueClient, QueueScan, QueueView } from '../queue.ts';
import { WriteBehindQueue } from '../write-behind-queue.ts';
import { createEnqueue } from './enqueue.ts';
import type { ReadDeps } from './index/read-message.ts';
import { SpoolIndex } from './index/spool-index.ts';
import { readPayload } from './payload.ts';
import {
  type RequestDeps,
  readRequests,
  unreadableRequest,
  withdrawRequests,
  writeRequests,
} from './requests/requests.ts';
import { sortIndex } from './scan.ts';
import { SpoolStore } from './spool-store.ts';
import { unwrittenRecords, withRecords } from './unwritten.ts';

export interface SpoolDeps {
  readonly disk: Disk;
  /** the same for the journal alone, where its syncs are looked at */
  readonly journalDisk?: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly processes: ProcessTable;
  /** gets full sentences for people: what could not be read or written, and what that means */
  readonly warn: (text: string) => void;
  /** from so many parked jobs on they are kept in a file; default: 1000 */
  readonly fewestParked?: number;
  /** called before hundreds of messages are looked through */
  readonly beforeMany?: (() => void) | undefined;
}

export interface OpenRefused {
  readonly kind: 'refused';
  /** `busy` is not an error: another runner is at work */
  readonly why: 'missing' | 'not-a-directory' | 'not-writable' | 'denied' | 'busy' | 'journal' | 'disk';
  readonly text: string;
  /** the process at work, where it is `busy` */
  readonly runner?: number;
}

/** Changes nothing: its scan lists unreadable control messages and leaves them where they are. */
export type ReadOnlySpool = QueueView;

/** Works beside a runner. */
export type SpoolClient = QueueClient;

function refused(why: OpenRefused['why'], text: string): OpenRefused {
  return { kind: 'refused', why, text };
}

/** A spool directory that was found. */
interface Spool {
  readonly kind: 'found';
  readonly layout: StateLayout;
  readonly folders: Ownership;
  /** new files are as open to others as the directory is, and never to everybody */
  readonly files: Ownership;
  readonly temporaryName: TemporaryName;
  /** how its messages are read */
  readonly reading: ReadDeps;
  readonly index: SpoolIndex;
  /** of the directory */
  readonly ino: number;
}

/** Find the directory. Changes nothing. */
function findSpool(path: string, deps: SpoolDeps, settings: ControlSettings): Spool | OpenRefused {
  const { disk, clock, processes, random } = deps;
  // Through "/." a symbolic link to the directory is followed.
  const status = disk.status(`${path}/.`);
  if (status === null) {
    return disk.status(path) === null
      ? refused('missing', `The spool directory ${path} does not exist. Create it, or give another one.`)
      : refused('not-a-directory', `${path} is not a directory.`);
  }
  const layout = layoutOf(path);
  const foreign = foreignFolder(disk, layout.state);
  if (foreign !== null) return refused('disk', foreign);
  const { dialect: fallback, longestList } = settings;
  const options = { dialect: 'detect', fallback, longestList } as const;
  const reading = { disk, layout, options, now: () => clock.now() };
  return {
    kind: 'found',
    layout,
    ino: status.ino,
    ...ownershipIn(status),
    temporaryName: temporaryNames(layout, processes, random),
    reading,
    index: new SpoolIndex({ ...reading, beforeMany: deps.beforeMany }),
  };
}

/** The first of our existing folders in which this process may not create files; null when it may in all. */
export function firstUnwritable(disk: Disk, spool: string): string | null {
  const { state, temporary, bad, requests } = layoutOf(spool);
  const folders = [spool, state, temporary, bad, requests];
  return folders.find((folder) => disk.status(folder) !== null && !disk.writable(folder)) ?? null;
}

/** Find the directory for writing: our folders in it are created where they are missing. */
function findWritableSpool(path: string, deps: SpoolDeps, settings: ControlSettings): Spool | OpenRefused {
  const spool = findSpool(path, deps, settings);
  if (spool.kind === 'refused') return spool;
  const closed = firstUnwritable(deps.disk, path);
  if (closed !== null) {
    return refused(
      'not-writable',
      `${closed === path ? `The spool directory ${path}` : closed} is not writable for this user, so nothing can be queued or delivered. ` +
        'Run spoolroom as the owner of the spool, to whom everything in it should belong.',
    );
  }
  const { state, temporary, bad, requests } = spool.layout;
  for (const folder of [state, temporary, bad, requests]) ensureFolder(deps.disk, folder, spool.folders);
  return spool;
}

/** What the disk error is about: the spool directory, or something of ours in it. */
function subjectOf(error: unknown, spool: string): string {
  const path = error instanceof Error && 'path' in error ? String(error.path) : '';
  return path.startsWith(`${spool}/.spoolroom`) ? path : `The spool directory ${spool}`;
}

/** Disk errors become a refusal; others are bugs and stay errors. */
async function orRefused<T>(path: string, open: () => Promise<T | OpenRefused>): Promise<T | OpenRefused> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof QueueError) return refused('disk', error.message);
    if (errorCode(error) === 'ENOTDIR') return refused('not-a-directory', `${path} is not a directory.`);
    if (errorCode(error) === null) throw error;
    const denied = isPermissionDenied(error);
    const advice = denied ? ' Run spoolroom as its owner.' : '';
    return refused(
      denied ? 'denied' : 'disk',
      `${subjectOf(error, path)} cannot be used: ${describeError(error)}. Nothing was sent.${advice}`,
    );
  }
}

/** Missing permissions are reported when the spool is opened, not in the middle of a scan. */
function assertReadable({ layout }: Spool, { disk, processes }: SpoolDeps): void {
  disk.list(layout.spool);
  lockHolder({ disk, layout, processes });
  readRequests(disk, layout);
}

async function openLocked(
  spool: Spool,
  deps: SpoolDeps,
  settings: ControlSettings,
  claim: Claim,
): Promise<{ readonly kind: 'open'; readonly queue: Queue } | OpenRefused> {
  const { disk, warn, clock } = deps;
  const { layout, files: owner, temporaryName, index, reading } = spool;
  // A scan reads them; missing permission is reported now.
  readRequests(disk, layout);
  removeStaleTemporary(disk, layout, deps.processes);
  const id = await ensureQueueId({ ...deps, ...spool, owner });
  const journalDeps = { disk: deps.journalDisk ?? disk, layout, temporaryName, owner };
  const resumed = resumeJournal({ ...journalDeps, spool: id, held: claim.held }, warn);
  if (resumed.kind === 'refused')
    return refused(resumed.why === 'denied' ? 'denied' : 'journal', resumed.text);
  const { journal, records } = resumed;
  const { fewestParked } = deps;
  const store = new SpoolStore({
    ...{ ...reading, ...settings, index, owner, temporaryName, warn },
    ...(fewestParked === undefined ? {} : { fewestParked }),
  });
  const queue = new WriteBehindQueue({
    store,
    journal,
    records,
    clock,
    warn,
    claim,
    directory: layout.spool,
  });
  try {
    await queue.recover();
  } catch (error) {
    journal.close();
    throw error;
  }
  return { kind: 'open', queue };
}

/** Open a spool directory as its one runner. */
export function openSpoolQueue(
  path: string,
  deps: SpoolDeps,
  settings: ControlSettings,
): Promise<{ readonly kind: 'open'; readonly queue: Queue } | OpenRefused> {
  return orRefused(path, async () => {
    const spool = findWritableSpool(path, deps, settings);
    if (spool.kind === 'refused') return spool;
    const lock = acquireLock({ ...deps, ...spool, owner: spool.files });
    if (lock.kind === 'busy') {
      const { pid: runner } = lock.owner;
      const text = `Process ${runner} is already delivering from ${path}; nothing was done.`;
      return { ...refused('busy', text), runner };
    }
    let opened = false;
    try {
      const result = await openLocked(spool, deps, settings, lock);
      opened = result.kind === 'open';
      return result;
    } finally {
      if (!opened) lock.release();
    }
  });
}

/** Open a spool directory beside its runner, if there is one. */
export function openSpoolClient(
  path: string,
  deps: SpoolDeps,
  settings: ControlSettings,
): Promise<{ readonly kind: 'open'; readonly client: SpoolClient } | OpenRefused> {
  return orRefused(path, async () => {
    const spool = findWritableSpool(path, deps, settings);
    if (spool.kind === 'refused') return spool;
    assertReadable(spool, deps);
    return { kind: 'open', client: clientOf(spool, deps, settings) } as const;
  });
}

/** Open a spool directory, possibly of another user and not writable, to read from it. */
export function openSpoolReadOnly(
  path: string,
  deps: SpoolDeps,
  settings: ControlSettings,
): Promise<{ readonly kind: 'open'; readonly view: ReadOnlySpool } | OpenRefused> {
  return orRefused(path, async () => {
    const spool = findSpool(path, deps, settings);
    if (spool.kind === 'refused') return spool;
    assertReadable(spool, deps);
    return { kind: 'open', view: readOnlyOf(spool, deps, settings) } as const;
  });
}

function readOnlyOf(
  spool: Spool,
  { disk, warn, processes }: SpoolDeps,
  settings: ControlSettings,
): ReadOnlySpool {
  const { layout, index } = spool;
  const scan = async (): Promise<QueueScan> => {
    const { requests } = readRequests(disk, layout);
    for (const [control, why] of requests.unreadable) warn(unreadableRequest(layout, control, why));
    const records = unwrittenRecords(disk, layout, warn);
    const sorted = sortIndex(index, warn, requests);
    const { jobs, orphans } = withRecords(sorted, records, disk, layout, settings);
    const { unreadable } = sorted;
    return { jobs, orphans, quarantined: unreadable.map(({ number, reason }) => ({ number, reason })) };
  };
  return {
    name: layout.spool,
    runner: () => lockHolder({ disk, layout, processes })?.pid ?? null,
    scan,
    // Which files are lists, and which of them name a message, nobody knows without reading them.
    look: scan,
    readPayload: async (number) => readPayload(disk, layout, index, number),
  };
}

function clientOf(opened: Spool, deps: SpoolDeps, settings: ControlSettings): SpoolClient {
  const { disk, warn } = deps;
  const { name, ...view } = readOnlyOf(opened, deps, settings);
  let { spool, id, enqueue } = clientState(opened, disk);

  /** The directory may have been moved, unmounted or restored since: its name counts, and its id. */
  function reopen(): void {
    if (isSame(disk, spool)) {
      id ??= readQueueId(disk, spool.layout);
      return;
    }
    const found = findWritableSpool(name, deps, settings);
    if (found.kind === 'refused') throw new QueueError(found.text);
    const now = readQueueId(disk, found.layout);
    if (id !== null && now !== null && now !== id) {
      throw new QueueError(
        `${name} is another spool than the one that was opened (its .spoolroom/id differs). Nothing is put into it until this ` +
          'program is started again.',
      );
    }
    ({ spool, enqueue } = clientState(found, disk));
    id ??= now;
    warn(
      `${name} was moved, restored or replaced. What comes in from now on goes into the directory that is there now.`,
    );
  }

  const parts = (): RequestDeps => ({ ...spool, disk, owner: spool.files });
  return {
    name,
    ...view,
    prepare: () => {
      try {
        reopen();
      } catch (error) {
        // `enqueue` meets it again, and its caller hears of it.
        if (!isOperationalError(error)) throw error;
      }
    },
    enqueue: async (payload, job) => {
      reopen();
      return enqueue(payload, job);
    },
    request: (request, jobs, requester) => writeRequests(parts(), request, jobs, requester),
    withdraw: (jobs) => withdrawRequests(parts(), jobs),
  };
}

/** What a client goes on with as long as the directory stays the same. */
function clientState(spool: Spool, disk: Disk) {
  const { layout, files: owner } = spool;
  const id = readQueueId(disk, layout);
  if (id !== null) reserveJournalNumbers(spool, disk, id);
  const syncSpool = groupCommit(() => disk.syncDirectory(layout.spool));
  return {
    spool,
    id,
    enqueue: createEnqueue({ ...spool, disk, owner, syncSpool }),
  };
}

function isSame(disk: Disk, { layout, ino }: Spool): boolean {
  return disk.status(`${layout.spool}/.`)?.ino === ino && disk.writable(layout.temporary);
}

/** New messages must not get a number that the journal of an interrupted or running run still mentions. */
function reserveJournalNumbers({ layout, index }: Spool, disk: Disk, id: string): void {
  const read = readJournal(disk, layout, id);
  if (read.kind === 'read')
    for (const { control, msgid } of read.records) index.numbers.reserve(Math.max(control, msgid));
}
