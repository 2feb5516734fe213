/** What a sender asked for, as a value for JSON and back. What stands there becomes part of a command: it is read as what a client says. */
import type { ByteString } from '../platform/bytes.ts';
import {
  type DsnRequest,
  dsnRequest,
  type RecipientDsn,
  readEnvid,
  readNotify,
  readOrcpt,
  readRet,
} from '../smtp/dsn-request.ts';

export function dsnRequestNote({ ret, envid, requireTls, recipients }: DsnRequest): object {
  return { ret, envid, requireTls, recipients: Object.fromEntries(recipients) };
}

/** Null: nothing was asked for, or it is damaged: then the sender gets the reports that everybody gets. */
export function readDsnRequestNote(note: unknown): DsnRequest | null {
  if (typeof note !== 'object' || note === null) return null;
  const { ret, envid, requireTls, recipients } = note as { readonly [name: string]: unknown };
  if (typeof recipients !== 'object' || recipients === null) return null;
  return dsnRequest(
    {
      ret: checked(ret, readRet),
      envid: checked(envid, readEnvid),
      ...(requireTls === true ? { requireTls } : {}),
    },
    new Map(Object.entries(recipients).map(([address, asked]) => [address, recipientIn(asked)])),
  );
}

function recipientIn(asked: unknown): RecipientDsn {
  const { notify, orcpt } = (asked ?? {}) as { readonly [name: string]: unknown };
  return { notify: checked(notify, readNotify), orcpt: checked(orcpt, readOrcpt) };
}

function checked<T>(value: unknown, read: (text: ByteString) => T | null): T | null {
  return typeof value === 'string' ? read(value) : null;
}
