/**
 * `.spoolroom/dsn/<payload>`: what the sender of a message asked for (RFC 3461, RFC 8689), as JSON. A delivery list has no
 * place for it, and no server of Citadel would keep one. A note counts only for the payload and the submission it was written
 * for, because numbers are used again. It is durable before the control message has its name.
 */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import type { ByteString } from '../../../platform/bytes.ts';
import { isOperationalError } from '../../../platform/system-errors.ts';
import {
  type DsnRequest,
  dsnRequest,
  type RecipientDsn,
  readEnvid,
  readNotify,
  readOrcpt,
  readRet,
} from '../../../smtp/dsn-request.ts';
import { removeIfExists } from '../../../storage/atomic-file.ts';
import type { Disk } from '../../../storage/disk.ts';
import { payloadFingerprint } from '../../../storage/fingerprint.ts';
import type { StateLayout } from '../../../storage/layout.ts';
import type { JobKey } from '../../dsn-store.ts';
import { type NoteDeps, notedNumbers, putInFolder } from './notes.ts';

/** Bytes; far more than the recipients of any message need. */
const LONGEST = 1 << 26;

export async function writeDsnRequest(
  deps: NoteDeps,
  msgid: MessageNumber,
  submitted: number,
  { ret, envid, requireTls, recipients }: DsnRequest,
): Promise<void> {
  const { disk, layout } = deps;
  const payload = payloadFingerprint(disk, layout, msgid);
  const note = { submitted, payload, ret, envid, requireTls, recipients: Object.fromEntries(recipients) };
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
    const { ret, envid, requireTls, recipients, ...bound } = note as { readonly [name: string]: unknown };
    const isMeant =
      bound.submitted === (submitted ?? 0) && bound.payload === payloadFingerprint(disk, layout, msgid);
    if (!isMeant || typeof recipients !== 'object' || recipients === null) return null;
    return dsnRequest(
      {
        ret: checked(ret, readRet),
        envid: checked(envid, readEnvid),
        ...(requireTls === true ? { requireTls } : {}),
      },
      new Map(Object.entries(recipients).map(([address, asked]) => [address, recipientIn(asked)])),
    );
  } catch (error) {
    if (error instanceof SyntaxError || isOperationalError(error)) return null;
    throw error;
  }
}

export function removeDsnRequest(disk: Disk, { dsn }: StateLayout, msgid: MessageNumber): void {
  removeIfExists(disk, `${dsn}/${msgid}`);
}

function recipientIn(asked: unknown): RecipientDsn {
  const { notify, orcpt } = (asked ?? {}) as { readonly [name: string]: unknown };
  return { notify: checked(notify, readNotify), orcpt: checked(orcpt, readOrcpt) };
}

/** What stands in a file becomes part of a command: it is read as what a client says. */
function checked<T>(value: unknown, read: (text: ByteString) => T | null): T | null {
  return typeof value === 'string' ? read(value) : null;
}
