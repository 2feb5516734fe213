/**
 * What an administrator should know of a spool directory besides its jobs: the state of its journal, the contents of `bad/`,
 * how old files are, how fast the disk is. Changes nothing, except for one test file that is removed again.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import { removeIfExists, temporaryNames, writeAndSync } from '../../storage/atomic-file.ts';
import type { Disk } from '../../storage/disk.ts';
import { entriesIn, foreignFolder } from '../../storage/folder.ts';
import { layoutOf, messageNumber } from '../../storage/layout.ts';
import { readQueueId } from '../../storage/queue-id.ts';
import { readJournal } from '../journal.ts';
import type { SpoolDeps } from './open.ts';

/** Why no runner can start because of the journal, as a sentence; null when it is in order, or missing. */
export function journalProblem(disk: Disk, spool: string): string | null {
  const layout = layoutOf(spool);
  if (disk.status(layout.journal) === null) return null;
  const read = readJournal(disk, layout, readQueueId(disk, layout) ?? '');
  return read.kind === 'refused' ? read.text : null;
}

/** What stands in the place of folders of ours, as sentences. */
export function foreignFolders(disk: Disk, spool: string): readonly string[] {
  const { state, temporary, bad, requests, removed, dsn, suppressed, reports, policies, tlsReports, moving } =
    layoutOf(spool);
  const folders = [
    state,
    temporary,
    bad,
    requests,
    removed,
    dsn,
    suppressed,
    reports,
    policies,
    tlsReports,
    moving,
  ];
  return folders.flatMap((folder) => foreignFolder(disk, folder) ?? []);
}

export interface QuarantinedFile {
  readonly name: string;
  /** a sentence; '' when there is none */
  readonly reason: string;
}

/** What was moved to `bad/` because it is unreadable. */
export function quarantinedFiles(disk: Disk, spool: string): readonly QuarantinedFile[] {
  const { bad } = layoutOf(spool);
  const names = entriesIn(disk, bad).map(({ name }) => name);
  names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return names
    .filter((name) => !name.endsWith('.reason'))
    .map((name) => ({
      name,
      reason: names.includes(`${name}.reason`) ? firstLine(disk, `${bad}/${name}.reason`) : '',
    }));
}

/** Where the job is that is not in the queue, completing "There is no job N in SPOOL: ". */
export function locateMessage(disk: Disk, spool: string, number: MessageNumber): string {
  const { bad, message } = layoutOf(spool);
  const quarantined = quarantinedFiles(disk, spool).findLast(
    ({ name }) => name.split('.', 1)[0] === String(number),
  );
  if (quarantined !== undefined)
    return `it is in ${bad}/${quarantined.name}. ${quarantined.reason}`.trimEnd();
  const folder = removedJobs(disk, spool).findLast((path) => disk.status(`${path}/${number}`) !== null);
  if (folder !== undefined) return `it was removed; its files are in ${folder}.`;
  return disk.status(message(number)) === null
    ? 'it is finished, or never existed.'
    : `${message(number)} is a message that no job names, or an unreadable file.`;
}

/** The folders in which removed jobs lie, the latest last. */
function removedJobs(disk: Disk, spool: string): readonly string[] {
  const { removed } = layoutOf(spool);
  const folders = entriesIn(disk, removed).filter(({ kind }) => kind === 'directory');
  const names = folders.map(({ name }) => name);
  return names.sort().map((name) => `${removed}/${name}`);
}

/** Of a note of ours; '' when it cannot be read, which says nothing about what it stands beside. */
function firstLine(disk: Disk, path: string): string {
  try {
    return disk.read(path, 4096).bytes.toString('utf8').split('\n', 1)[0] ?? '';
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return '';
  }
}

/** How many DSNs are kept for the postmaster. */
export function pendingReports(disk: Disk, spool: string): number {
  const { reports } = layoutOf(spool);
  return entriesIn(disk, reports).length;
}

export interface RemovedMessages {
  /** removals, each a folder */
  readonly folders: number;
  readonly bytes: number;
  /** milliseconds since the epoch; null: there are none */
  readonly oldest: number | null;
}

/** The contents of `removed/`, which is never cleaned up automatically. */
export function removedMessages(disk: Disk, spool: string): RemovedMessages {
  const folders = removedJobs(disk, spool);
  const files = folders.flatMap((folder) => disk.list(folder).map(({ name }) => `${folder}/${name}`));
  const times = folders.flatMap((folder) => disk.status(folder)?.mtimeMs ?? []);
  return {
    folders: folders.length,
    bytes: files.reduce((sum, file) => sum + (disk.status(file)?.size ?? 0), 0),
    oldest: times.length === 0 ? null : Math.min(...times),
  };
}

/** Why an existing message cannot be read; null: it can, or it does not exist. */
export function unreadableMail(disk: Disk, spool: string, number: MessageNumber): string | null {
  try {
    disk.read(layoutOf(spool).message(number), 1);
    return null;
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return errorCode(error) === 'ENOENT' ? null : describeError(error);
  }
}

/** Milliseconds since the epoch at which the message was last changed; null when it is not there. */
export function modifiedAt(disk: Disk, spool: string, number: MessageNumber): number | null {
  return disk.status(layoutOf(spool).message(number))?.mtimeMs ?? null;
}

/** Milliseconds that writing and syncing a small file takes; null where our folder does not exist yet. */
export async function measureSync(
  { disk, processes, random, clock }: SpoolDeps,
  spool: string,
): Promise<number | null> {
  const layout = layoutOf(spool);
  const folder = disk.status(layout.temporary);
  if (folder === null) return null;
  const path = temporaryNames(layout, processes, random)();
  const began = clock.monotonic();
  await writeAndSync(disk, path, [Buffer.alloc(512)], { ...folder, mode: 0o600 });
  const taken = clock.monotonic() - began;
  removeIfExists(disk, path);
  return taken;
}

/** What an interrupted `spoolroom move` into the spool has left: the numbers that its messages had in the database. */
export function messagesMoving(disk: Disk, spool: string): readonly MessageNumber[] {
  const { moving } = layoutOf(spool);
  const numbers = entriesIn(disk, moving).flatMap(
    ({ name }) => messageNumber(name.split('.', 1)[0] ?? '') ?? [],
  );
  return [...new Set(numbers)];
}
