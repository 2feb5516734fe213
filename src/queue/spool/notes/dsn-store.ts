/**
 * DSNs of a spool directory: `.spoolroom/reported/<control>` lists the notifications that were sent, `.spoolroom/reports/`
 * holds DSNs kept for the postmaster. A note counts only for the payload it was written for, because numbers are used again; notes
 * of jobs that are gone are removed at the start.
 */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import { errorCode } from '../../../platform/system-errors.ts';
import { removeIfExists, temporaryNames } from '../../../storage/atomic-file.ts';
import type { Disk } from '../../../storage/disk.ts';
import { payloadFingerprint } from '../../../storage/fingerprint.ts';
import { layoutOf, type StateLayout } from '../../../storage/layout.ts';
import type { DsnStore, JobKey, Notified } from '../../dsn-store.ts';
import type { SpoolDeps } from '../open.ts';
import { listDsnRequests, readDsnRequest, removeDsnRequest } from './dsn-requests.ts';
import { putInFolder, removeStaleNotes } from './notes.ts';

/** The content of a note, as JSON. */
interface Note {
  readonly msgid: MessageNumber;
  /** Unix seconds; absent in notes of old */
  readonly submitted?: number;
  /** size and time of the payload file; null when there is none */
  readonly payload: string | null;
  readonly told: readonly Notified[];
  /** Unix seconds; absent: the job was young when it was first tried */
  readonly firstAttempt?: number;
}

/** Bytes; far more than the recipients of any message need. */
const LONGEST_NOTE = 1 << 28;

/**
 * The spool has been opened before, which made `.spoolroom/`.
 * @param exists whether a note's job may still exist; null: whether its control message is there
 */
export function openDsnStore(
  spool: string,
  { disk, processes, random }: Pick<SpoolDeps, 'disk' | 'processes' | 'random'>,
  exists: ((control: MessageNumber) => boolean) | null = null,
): DsnStore {
  const layout = layoutOf(spool);
  const notes = notesFolder(layout);
  const deps = { disk, layout, temporaryName: temporaryNames(layout, processes, random) };
  const isThere = (number: MessageNumber): boolean => disk.status(layout.message(number)) !== null;
  /** of which there may be a note; null: it is not known of which */
  let noted: Set<MessageNumber> | null = null;
  try {
    noted = removeStaleNotes(disk, notes, exists ?? isThere);
    removeStaleNotes(disk, layout.dsn, isThere);
  } catch (error) {
    // What is left of old notes takes space only: each names the job it was written for.
    if (errorCode(error) === null) throw error;
  }

  /** as it was last written: the note of a long list is written again with each of its reports */
  let latest: { readonly control: MessageNumber; readonly note: Note } | null = null;

  const noteOf = (job: JobKey): Note =>
    noteFor(disk, layout, job, latest?.control === job.control ? latest.note : undefined);

  async function putNote(control: MessageNumber, note: Note): Promise<void> {
    noted?.add(control);
    latest = null;
    await putInFolder(deps, notes, String(control), Buffer.from(`${JSON.stringify(note)}\n`, 'latin1'));
    latest = { control, note };
  }

  const earlier = notesIn(spool, disk);

  return {
    ...earlier,
    async recordNotified(job, notified) {
      const note = noteOf(job);
      await putNote(job.control, { ...note, told: [...note.told, ...notified] });
    },
    recordFirstAttempt: (job, at) => putNote(job.control, { ...noteOf(job), firstAttempt: at }),
    async forget({ control, msgid }) {
      const isNoted = noted?.has(control) !== false;
      const isRequested = earlier.isRequested(msgid);
      if (!isNoted && !isRequested) return;
      // A job to which another program added recipients is not finished.
      if (isThere(control)) return;
      if (isRequested) removeDsnRequest(disk, layout, msgid);
      if (isNoted) removeIfExists(disk, `${notes}/${control}`);
      latest = null;
      noted?.delete(control);
    },
    saveForPickup: (report, name) => putInFolder(deps, layout.reports, `${name}.eml`, Buffer.from(report)),
  };
}

/** What earlier runs have recorded. Changes nothing. */
export function notesIn(
  spool: string,
  disk: Disk,
): Pick<DsnStore, 'notified' | 'firstAttempt' | 'refresh' | 'request'> & {
  /** as of the last `refresh` */
  isRequested(msgid: MessageNumber): boolean;
} {
  const layout = layoutOf(spool);
  let requested: ReadonlySet<MessageNumber> = new Set();
  return {
    refresh: () => {
      requested = listDsnRequests(disk, layout);
    },
    isRequested: (msgid) => requested.has(msgid),
    request: (job) => (requested.has(job.msgid) ? readDsnRequest(disk, layout, job) : null),
    notified: async (job) => noteFor(disk, layout, job).told,
    firstAttempt: async (job) => noteFor(disk, layout, job).firstAttempt ?? null,
  };
}

function noteFor(disk: Disk, layout: StateLayout, { control, msgid, ...job }: JobKey, known?: Note): Note {
  // A list that is rewritten says 0 where it said nothing before.
  const submitted = job.submitted ?? 0;
  const payload = payloadFingerprint(disk, layout, msgid);
  const note = known ?? readNote(disk, `${notesFolder(layout)}/${control}`);
  const isMeant =
    note !== null &&
    note.msgid === msgid &&
    note.payload === payload &&
    (note.submitted ?? submitted) === submitted;
  return isMeant ? note : { msgid, submitted, payload, told: [] };
}

function notesFolder({ state }: StateLayout): string {
  return `${state}/reported`;
}

/** What stands in the place of a note when none is there, or something that no run put there. */
const NO_NOTE: ReadonlySet<string | null> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP']);

/**
 * Null: there is none, or it is damaged; notifying twice is better than not at all. Throws when the disk refuses to read it:
 * that may pass, and what it says is still true.
 */
function readNote(disk: Disk, path: string): Note | null {
  try {
    return JSON.parse(disk.read(path, LONGEST_NOTE).bytes.toString('latin1'));
  } catch (error) {
    if (error instanceof SyntaxError || NO_NOTE.has(errorCode(error))) return null;
    throw error;
  }
}
