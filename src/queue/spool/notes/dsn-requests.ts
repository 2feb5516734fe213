/**
 * `.spoolroom/dsn/<payload>`: what the sender of a message asked for (RFC 3461, RFC 8689), as JSON. A delivery list has no
 * place for it, and no server of Citadel would keep one. A note counts only for the payload and the submission it was written
 * for, because numbers are used again. It is durable before the control message has its name.
 */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import { isOperationalError } from '../../../platform/system-errors.ts';
import type { DsnRequest } from '../../../smtp/dsn-request.ts';
import { removeIfExists } from '../../../storage/atomic-file.ts';
import type { Disk } from '../../../storage/disk.ts';
import { payloadFingerprint } from '../../../storage/fingerprint.ts';
import type { StateLayout } from '../../../storage/layout.ts';
import { dsnRequestNote, readDsnRequestNote } from '../../dsn-request-note.ts';
import type { JobKey } from '../../dsn-store.ts';
import { type NoteDeps, notedNumbers, putInFolder } from './notes.ts';

/** Bytes; far more than the recipients of any message need. */
const LONGEST = 1 << 26;

export async function writeDsnRequest(
  deps: NoteDeps,
  msgid: MessageNumber,
  submitted: number,
  request: DsnRequest,
): Promise<void> {
  const { disk, layout } = deps;
  const payload = payloadFingerprint(disk, layout, msgid);
  const note = { submitted, payload, ...dsnRequestNote(request) };
  await putInFolder(deps, layout.dsn, String(msgid), Buffer.from(`${JSON.stringify(note)}\n`, 'latin1'));
}

/** The messages of whose senders something is noted. */
export function listDsnRequests(disk: Disk, { dsn }: StateLayout): ReadonlySet<MessageNumber> {
  return new Set(notedNumbers(disk, dsn));
}

/** Null: there is none for this job, or it is damaged: then the sender gets the reports that everybody gets. */
export function readDsnRequest(
  disk: Disk,
  layout: StateLayout,
  { msgid, submitted }: JobKey,
): DsnRequest | null {
  try {
    const note: unknown = JSON.parse(disk.read(`${layout.dsn}/${msgid}`, LONGEST).bytes.toString('latin1'));
    if (typeof note !== 'object' || note === null) return null;
    const bound = note as { readonly [name: string]: unknown };
    const isMeant =
      bound.submitted === (submitted ?? 0) && bound.payload === payloadFingerprint(disk, layout, msgid);
    return isMeant ? readDsnRequestNote(note) : null;
  } catch (error) {
    if (error instanceof SyntaxError || isOperationalError(error)) return null;
    throw error;
  }
}

export function removeDsnRequest(disk: Disk, { dsn }: StateLayout, msgid: MessageNumber): void {
  removeIfExists(disk, `${dsn}/${msgid}`);
}
