/**
 * Opens a spool directory: as the one runner that delivers from it, or as a guest that puts jobs in and looks. Called
 * by the commands. What is in the way (no directory, no permission, another runner, a foreign journal) is a value with
 * a sentence for people. The runner makes good an interrupted run before it returns.
 */
import type { Dialect } from '../../delivery-list/job.ts';
import type { RetryIntervals } from '../../delivery-list/serialise.ts';
import type { Clock, Random } from '../../platform/clock.ts';
import { describeError, errorCode, isPermissionDenied, QueueError } from '../../platform/system-errors.ts';
import { removeStaleTemporary, type TemporaryName, temporaryNames } from '../../storage/atomic-file.ts';
import type { Disk, Ownership } from '../../storage/disk.ts';
import { groupCommit } from '../../storage/group-commit.ts';
import { layoutOf, type StateLayout } from '../../storage/layout.ts';
import { acquireLock, lockHolder } from '../../storage/lock.ts';
import type { ProcessTable } from '../../storage/processes.ts';
import { ensureQueueId } from '../../storage/queue-id.ts';
import { openJournal, readJournal } from '../journal.ts';
import type { JobRequest, Queue, QueuedJob, QueueScan, Requester } from '../queue.ts';
import { createEnqueue } from './enqueue.ts';
import { readPayload } from './payload.ts';
import { readRequests, withdrawRequests, writeRequests } from './requests/requests.ts';
import { sortIndex } from './scan.ts';
import { SpoolIndex } from './spool-index.ts';
import { SpoolQueue } from './spool-queue.ts';

export interface SpoolDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly processes: ProcessTable;
  /** gets full sentences for people: what could not be read or written, and what that means */
  readonly warn: (text: string) => void;
}

export interface ControlSettings {
  /** how control messages are written, and read where their bytes do not tell */
  readonly dialect: Dialect;
  readonly spans: RetryIntervals;
}

export interface OpenRefused {
  readonly kind: 'refused';
  /** `busy` is no trouble: another runner is at work */
  readonly why: 'missing' | 'not-a-directory' | 'not-writable' | 'denied' | 'busy' | 'journal' | 'disk';
  readonly text: string;
  /** the process at work, where it is `busy` */
  readonly runner?: number;
}

/** What can be seen without changing anything. Its scan sets nothing aside: it lists the unreadable ones and leaves them. */
export interface ReadOnlySpool extends Pick<Queue, 'name' | 'scan' | 'readPayload'> {
  /** number of the process that delivers from here now; null: there is none */
  runner(): number | null;
}

/** What can be done beside a runner. */
export interface SpoolClient extends ReadOnlySpool, Pick<Queue, 'enqueue'> {
  /** Leave a request for each of these jobs, durably. It takes the place of an earlier one. */
  request(request: JobRequest, jobs: readonly QueuedJob[], asker: Requester): Promise<void>;
  /** Nothing is asked for these jobs any more. */
  withdraw(jobs: readonly QueuedJob[]): Promise<void>;
}

function refused(why: OpenRefused['why'], text: string): OpenRefused {
  return { kind: 'refused', why, text };
}

interface Place {
  readonly kind: 'place';
  readonly layout: StateLayout;
  readonly folders: Ownership;
  /** new files are as open to others as the directory is, and never to everybody */
  readonly files: Ownership;
  readonly temporaryName: TemporaryName;
  readonly shelf: SpoolIndex;
}

function makeFolder(disk: Disk, path: string, owner: Ownership): void {
  try {
    disk.mkdir(path, owner);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
}

/** Find the directory. Changes nothing. */
function findPlace(path: string, deps: SpoolDeps, settings: ControlSettings): Place | OpenRefused {
  const { disk, clock, processes, random } = deps;
  // Through "/." a symbolic link to the directory is followed.
  const status = disk.status(`${path}/.`);
  if (status === null) {
    return disk.status(path) === null
      ? refused('missing', `The spool directory ${path} does not exist. Make it, or name another one.`)
      : refused('not-a-directory', `${path} is not a directory.`);
  }
  const layout = layoutOf(path);
  const owner = { mode: status.mode & 0o770, uid: status.uid, gid: status.gid };
  const options = { dialect: 'detect', fallback: settings.dialect } as const;
  return {
    kind: 'place',
    layout,
    folders: owner,
    files: { ...owner, mode: status.mode & 0o660 },
    temporaryName: temporaryNames(layout, processes, random),
    shelf: new SpoolIndex({ disk, layout, options, now: () => clock.now() }),
  };
}

/** The first of our folders that is there and in which this process may not make files; null when it may in all. */
export function firstUnwritable(disk: Disk, spool: string): string | null {
  const { state, temporary, bad, requests } = layoutOf(spool);
  const folders = [spool, state, temporary, bad, requests];
  return folders.find((folder) => disk.status(folder) !== null && !disk.writable(folder)) ?? null;
}

/** The same for whoever writes there: our folders are made if need be. */
function findWorkplace(path: string, deps: SpoolDeps, settings: ControlSettings): Place | OpenRefused {
  const place = findPlace(path, deps, settings);
  if (place.kind === 'refused') return place;
  const closed = firstUnwritable(deps.disk, path);
  if (closed !== null) {
    return refused(
      'not-writable',
      `${closed === path ? `The spool directory ${path}` : closed} is not writable for this user: nothing can be put into the spool or delivered from it. ` +
        'Run spoolroom as the owner of the spool, to whom all of it should belong.',
    );
  }
  const { state, temporary, bad, requests } = place.layout;
  for (const folder of [state, temporary, bad, requests]) makeFolder(deps.disk, folder, place.folders);
  return place;
}

/** What the disk spoke of: the spool directory, or something of ours in it. */
function placeOf(error: unknown, spool: string): string {
  const path = error instanceof Error && 'path' in error ? String(error.path) : '';
  return path.startsWith(`${spool}/.spoolroom`) ? path : `The spool directory ${spool}`;
}

/** Errors of the disk become a refusal; others are bugs and stay errors. */
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
      `${placeOf(error, path)} cannot be used: ${describeError(error)}. Nothing was sent.${advice}`,
    );
  }
}

/** What may not be read is said when it is opened, and not in the midst of a scan. */
function assertReadable({ layout }: Place, { disk, processes }: SpoolDeps): void {
  disk.list(layout.spool);
  lockHolder({ disk, layout, processes });
  readRequests(disk, layout);
}

async function openClaimed(
  place: Place,
  deps: SpoolDeps,
  settings: ControlSettings,
  release: () => void,
): Promise<{ readonly kind: 'open'; readonly room: Queue } | OpenRefused> {
  const { disk, warn, clock } = deps;
  const { layout, files: owner, temporaryName, shelf } = place;
  // A scan reads them; that they cannot be read is said now.
  readRequests(disk, layout);
  removeStaleTemporary(disk, layout, deps.processes);
  const spool = await ensureQueueId({ ...deps, ...place, owner });
  const read = readJournal(disk, layout, spool);
  if (read.kind === 'refused') return refused(read.why === 'denied' ? 'denied' : 'journal', read.text);
  if (read.damaged > 0)
    warn(
      `The end of ${layout.journal} was cut off when a run was interrupted: lines left out: ${read.damaged}. ` +
        'What they said is not known; mail that was on its way then may be sent a second time.',
    );
  const journal = openJournal({ disk, layout, temporaryName, owner, spool }, read.records);
  const options = { dialect: 'detect', fallback: settings.dialect } as const;
  const room = new SpoolQueue({
    ...{ disk, layout, shelf, journal, owner, temporaryName, clock, warn, release, options },
    ...settings,
    now: () => clock.now(),
  });
  try {
    if (read.records.length > 0) await room.recover(read.records);
  } catch (error) {
    journal.close();
    throw error;
  }
  return { kind: 'open', room };
}

/** Open a spool directory as its one runner. */
export function openSpoolQueue(
  path: string,
  deps: SpoolDeps,
  settings: ControlSettings,
): Promise<{ readonly kind: 'open'; readonly room: Queue } | OpenRefused> {
  return orRefused(path, async () => {
    const place = findWorkplace(path, deps, settings);
    if (place.kind === 'refused') return place;
    const claim = acquireLock({ ...deps, ...place, owner: place.files });
    if (claim.kind === 'busy') {
      const { pid: runner } = claim.owner;
      const text = `Process ${runner} is already delivering from ${path}; nothing was done.`;
      return { ...refused('busy', text), runner };
    }
    let opened = false;
    try {
      const result = await openClaimed(place, deps, settings, claim.release);
      opened = result.kind === 'open';
      return result;
    } finally {
      if (!opened) claim.release();
    }
  });
}

/** Open a spool directory beside its runner, if there is one. */
export function openSpoolClient(
  path: string,
  deps: SpoolDeps,
  settings: ControlSettings,
): Promise<{ readonly kind: 'open'; readonly guest: SpoolClient } | OpenRefused> {
  return orRefused(path, async () => {
    const place = findWorkplace(path, deps, settings);
    if (place.kind === 'refused') return place;
    assertReadable(place, deps);
    return { kind: 'open', guest: guestOf(place, deps) } as const;
  });
}

/** Look into a spool directory, which may be somebody else's and read-only. */
export function openSpoolReadOnly(
  path: string,
  deps: SpoolDeps,
  settings: ControlSettings,
): Promise<{ readonly kind: 'open'; readonly view: ReadOnlySpool } | OpenRefused> {
  return orRefused(path, async () => {
    const place = findPlace(path, deps, settings);
    if (place.kind === 'refused') return place;
    assertReadable(place, deps);
    return { kind: 'open', view: viewOf(place, deps) } as const;
  });
}

function viewOf(place: Place, { disk, warn, processes }: SpoolDeps): ReadOnlySpool {
  const { layout, shelf } = place;
  return {
    name: layout.spool,
    runner: () => lockHolder({ disk, layout, processes })?.pid ?? null,
    scan: async (): Promise<QueueScan> => {
      const { jobs, orphans, unreadable } = sortIndex(shelf, warn, readRequests(disk, layout).requests);
      return { jobs, orphans, quarantined: unreadable.map(({ number, reason }) => ({ number, reason })) };
    },
    readPayload: async (number) => readPayload(disk, layout, shelf, number),
  };
}

function guestOf(place: Place, deps: SpoolDeps): SpoolClient {
  const { disk } = deps;
  const { layout, shelf, temporaryName, files: owner } = place;
  raiseToJournal(place, disk);
  const parts = { disk, layout, shelf, temporaryName, owner };
  return {
    ...viewOf(place, deps),
    enqueue: createEnqueue({ ...parts, syncSpool: groupCommit(() => disk.syncDirectory(layout.spool)) }),
    request: (request, jobs, asker) => writeRequests(parts, request, jobs, asker),
    withdraw: (jobs) => withdrawRequests(parts, jobs),
  };
}

/** Numbers that an interrupted or running run still has in its journal are not given to new messages. */
function raiseToJournal({ layout, shelf }: Place, disk: Disk): void {
  if (disk.status(layout.journal) === null || disk.status(layout.id) === null) return;
  const read = readJournal(disk, layout, disk.read(layout.id, 4096).bytes.toString('latin1').trim());
  if (read.kind === 'read')
    for (const { control, msgid } of read.records) shelf.reserveNumber(Math.max(control, msgid));
}
