/**
 * Requests of administrators for jobs: one file for each job in `.spoolroom/requests/`, under the number of its control
 * message; the last request counts. A request names the payload and the submission time of its job, because numbers are
 * used again. Never touches a message.
 */
import type { Job, MessageNumber } from '../../../delivery-list/job.ts';
import { describeError, errorCode } from '../../../platform/system-errors.ts';
import { shellCommand } from '../../../settings/shell-words.ts';
import {
  assertOwnerCanRead,
  removeIfExists,
  type TemporaryName,
  writeAndSync,
} from '../../../storage/atomic-file.ts';
import type { Disk, FileStatus, Ownership } from '../../../storage/disk.ts';
import { sameFile } from '../../../storage/fingerprint.ts';
import type { StateLayout } from '../../../storage/layout.ts';
import type { JobKey } from '../../dsn-store.ts';
import type { JobRequest, QueuedJob, Requester } from '../../queue.ts';
import { notedNumbers } from '../notes/notes.ts';

/** The content of the file, as JSON. */
interface Note extends Requester {
  readonly request: JobRequest;
  readonly msgid: MessageNumber;
  /** Unix seconds; null when the list did not say */
  readonly submitted: number | null;
}

export interface Request extends Note {
  readonly control: MessageNumber;
  /** of its file, which another request may have replaced meanwhile */
  readonly status: FileStatus;
}

export interface Requests {
  /** by the number of the control message */
  readonly valid: ReadonlyMap<MessageNumber, Request>;
  /**
   * Those that are damaged or that the system does not let us read, and why, as a phrase. What was requested is unknown, so
   * their jobs are held: a job that was to be held or removed must not leave.
   */
  readonly unreadable: ReadonlyMap<MessageNumber, string>;
}

export interface RequestDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly temporaryName: TemporaryName;
  readonly owner: Ownership;
}

/** Requests that are made durable at the same time. */
const BATCH = 32;
const LONGEST_NOTE = 65_536;
/** The end of the year 9999. */
const LAST_SECOND = 253_402_300_799;
const KINDS: ReadonlySet<unknown> = new Set<JobRequest>(['hold', 'retry', 'remove', 'give-up']);

function pathOf({ requests }: StateLayout, control: MessageNumber): string {
  return `${requests}/${control}`;
}

/** All requests, and the numbers of those that are not valid. */
export function readRequests(
  disk: Disk,
  layout: StateLayout,
): { readonly requests: Requests; readonly damaged: readonly MessageNumber[] } {
  const valid = new Map<MessageNumber, Request>();
  const unreadable = new Map<MessageNumber, string>();
  const damaged: MessageNumber[] = [];
  for (const control of notedNumbers(disk, layout.requests)) {
    const read = readRequest(disk, layout, control);
    if (read === 'damaged') damaged.push(control);
    else if (read !== null && 'why' in read) unreadable.set(control, read.why);
    else if (read !== null) valid.set(control, read);
  }
  return { requests: { valid, unreadable }, damaged };
}

/** Null: it was withdrawn. */
export function readRequest(
  disk: Disk,
  layout: StateLayout,
  control: MessageNumber,
): Request | 'damaged' | { readonly why: string } | null {
  try {
    const { status, bytes } = disk.read(pathOf(layout, control), LONGEST_NOTE);
    const note: unknown = JSON.parse(bytes.toString('utf8'));
    return isNote(note) ? { ...note, control, status } : damagedRequest(disk, layout, control);
  } catch (error) {
    if (error instanceof SyntaxError) return damagedRequest(disk, layout, control);
    // A symbolic link was not made by us.
    if (errorCode(error) === 'ELOOP') return 'damaged';
    if (errorCode(error) === null) throw error;
    return errorCode(error) === 'ENOENT' ? null : { why: describeError(error) };
  }
}

/** It may have been a hold: a job that is there is held by it. */
function damagedRequest(
  disk: Disk,
  layout: StateLayout,
  control: MessageNumber,
): 'damaged' | { readonly why: string } {
  return disk.status(layout.message(control)) === null ? 'damaged' : { why: 'it is damaged' };
}

function isNote(value: unknown): value is Note {
  if (typeof value !== 'object' || value === null) return false;
  const { request, msgid, submitted, by, at } = value as { [field in keyof Note]?: unknown };
  if (typeof at !== 'number' || !(at >= 0 && at <= LAST_SECOND) || typeof by !== 'string') return false;
  const timed = submitted === null || typeof submitted === 'number';
  return KINDS.has(request) && typeof msgid === 'number' && timed;
}

/** Whether this job is meant, and not a later one under the same number. */
export function matchesJob({ msgid, submitted }: Request, job: Pick<Job, 'msgid' | 'submitted'>): boolean {
  return job.msgid === msgid && (submitted === null || submitted === (job.submitted ?? 0));
}

/** The request for this job, as fields of `QueuedJob`; null: there is none. */
export function requestFields(
  requests: Requests,
  control: MessageNumber,
  job: Pick<Job, 'msgid' | 'submitted'>,
): Pick<QueuedJob, 'request' | 'requestedBy'> | null {
  if (requests.unreadable.has(control)) return { request: 'hold' };
  const found = requests.valid.get(control);
  if (found === undefined || !matchesJob(found, job)) return null;
  const { request, by, at } = found;
  return { request, requestedBy: { by, at } };
}

/**
 * Resolves when the requests are durable. They take the place of earlier ones for the same jobs; only a hold does not give
 * way to a retry, however that came to be asked for.
 */
export async function writeRequests(
  deps: RequestDeps,
  request: JobRequest,
  jobs: readonly QueuedJob[],
  requester: Requester,
): Promise<void> {
  const { disk, layout } = deps;
  const write = async ({ control, job }: QueuedJob): Promise<void> => {
    if (request === 'retry' && isHeld(disk, layout, control, job)) return;
    const { msgid, submitted } = job;
    await replaceRequest(deps, request, { control, msgid, submitted }, requester);
  };
  for (let from = 0; from < jobs.length; from += BATCH) {
    await Promise.all(jobs.slice(from, from + BATCH).map(write));
  }
  await disk.syncDirectory(layout.requests);
}

/** In the place of any other one; durable with the next sync of the folder. */
export async function replaceRequest(
  { disk, layout, temporaryName, owner }: RequestDeps,
  request: JobRequest,
  { control, msgid, submitted }: JobKey,
  { by, at }: Requester,
): Promise<void> {
  const note: Note = { request, msgid, submitted, by, at };
  const temporary = temporaryName();
  await writeAndSync(disk, temporary, [Buffer.from(`${JSON.stringify(note)}\n`)], owner);
  assertOwnerCanRead(disk, temporary, owner, layout.spool);
  disk.rename(temporary, pathOf(layout, control));
}

function isHeld(disk: Disk, layout: StateLayout, control: MessageNumber, job: Job): boolean {
  const read = readRequest(disk, layout, control);
  if (read === null || read === 'damaged') return false;
  return 'why' in read || (read.request === 'hold' && matchesJob(read, job));
}

/** Resolves when the requests for these jobs are durably gone. */
export async function withdrawRequests(
  { disk, layout }: Pick<RequestDeps, 'disk' | 'layout'>,
  jobs: readonly QueuedJob[],
): Promise<void> {
  for (const { control } of jobs) removeIfExists(disk, pathOf(layout, control));
  await disk.syncDirectory(layout.requests);
}

/** The request was carried out, or its job is gone: it goes, unless another one has taken its place. */
export function dropRequest(disk: Disk, layout: StateLayout, { control, status }: Request): void {
  const path = pathOf(layout, control);
  const now = disk.status(path);
  if (now !== null && sameFile(now, status)) removeIfExists(disk, path);
}

/** Move a request that is not valid to `bad/`; returns its new path. */
export function quarantineRequest(disk: Disk, layout: StateLayout, control: MessageNumber): string {
  const path = `${layout.bad}/request.${control}`;
  disk.rename(pathOf(layout, control), path);
  return path;
}

export function unreadableRequest(
  { requests, spool }: StateLayout,
  control: MessageNumber,
  why: string,
): string {
  const release = shellCommand('release', String(control), '--spool', spool);
  return (
    `The request ${requests}/${control} cannot be read: ${why}. Job ${control} is held until it can be read or is ` +
    `withdrawn; all other mail is delivered. Withdraw it with \`${release}\`.`
  );
}
