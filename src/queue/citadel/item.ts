/**
 * What a message of the queue room is to us, and a job in hand with what has happened to it since it was read. Called by
 * the other files of this folder. Keeps facts and reads texts; talks to nobody.
 */
import { DELIVERY_LIST_TYPE } from '../../delivery-list/header.ts';
import type { Job, MessageNumber, StatusChange } from '../../delivery-list/job.ts';
import type { ParseOptions } from '../../delivery-list/parse.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { classifyContents } from '../control-message.ts';
import type { JournalRecord } from '../journal.ts';
import { QUEUE_ROOM } from './client/protocol.ts';
import { type ProbeKind, probeKind } from './rival/probe.ts';

/** A job in hand: its control message as it was read, and what has happened since. */
export interface PendingLiveJob {
  readonly kind: 'control';
  /** the number of the control message that stands for it now */
  control: MessageNumber;
  /** the numbers it had before, whose messages may not be deleted yet */
  readonly former: MessageNumber[];
  readonly base: Job;
  readonly warnings: readonly string[];
  readonly changes: StatusChange[];
  /** Unix seconds of the last of them */
  now: number;
  /** how many of them the control message holds */
  written: number;
  /** what the control message says, with its header */
  text: ByteString;
  /** what takes its place, when the server's answer to that has not come, and how many changes are in it */
  posting: { readonly text: ByteString; readonly changes: number } | null;
  /** changes that the control message lacks are in the ledger under the number before only */
  isLate: boolean;
}

export type RoomEntry =
  | PendingLiveJob
  | { readonly kind: 'payload' }
  /** replaced by a newer one, or its mail is over: to be deleted */
  | { readonly kind: 'stale' }
  | { readonly kind: 'trial'; readonly trial: ProbeKind }
  | {
      readonly kind: 'unreadable';
      readonly reason: string;
      /** payloads it may be about, which stay as long as it does */
      readonly names: readonly MessageNumber[];
      told: boolean;
    };

/**
 * Whether a message is a control message, by its fields (MSG0). The type of its text does not tell: part 1 of anybody's mail
 * can have that type, and who believes it takes instructions from everybody who can send mail. A mail in the queue has
 * recipients, or was posted in another room; what the server, an admin or we put there has no recipient, and this room or
 * (rewritten by servers since 2017) no author.
 */
export function isControl(listing: ByteString): boolean {
  const fields = listing.split('\n').map((line) => line.replace(/\r$/, ''));
  const values = (name: string): string[] =>
    fields.flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1)] : []));
  const parts = [...values('part'), ...values('pref')];
  const [, , number, , type] = parts[0]?.split('|') ?? [];
  if (parts.length !== 1 || number !== '1' || type?.toLowerCase() !== DELIVERY_LIST_TYPE) return false;
  if (['rcpt', 'cccc', 'nvto'].some((name) => values(name).length > 0)) return false;
  const rooms = values('room');
  if (rooms.length > 0) return rooms.every((room) => room === QUEUE_ROOM);
  return values('from').every((author) => author === '');
}

/** What a control message is, by its delivery list (header included). A server's messages are whole or were cut off when posted. */
export function classifyMessage(
  control: MessageNumber,
  text: ByteString,
  options: ParseOptions,
  owner: string,
): Exclude<RoomEntry, { readonly kind: 'payload' | 'stale' }> {
  const trial = probeKind(text, owner);
  if (trial !== null) return { kind: 'trial', trial };
  const contents = classifyContents(Buffer.from(text, 'latin1'), false, options);
  const names = [...text.matchAll(/\nmsgid\|(\d{1,15})/gi)].map(([, number]) => Number(number));
  const unreadable = (reason: string) => ({ kind: 'unreadable', reason, names, told: false }) as const;
  switch (contents.kind) {
    case 'payload':
      return unreadable('it holds no delivery list');
    case 'unfinished':
      return unreadable('its end is missing');
    case 'unreadable':
      return unreadable(contents.reason);
    case 'control': {
      const { job: base, warnings } = contents;
      const blank = { former: [], changes: [], now: 0, written: 0, posting: null, isLate: false };
      return { kind: 'control', control, base, warnings, text, ...blank };
    }
  }
}

/** What the ledger keeps of these outcomes. */
export function statusRecord(
  { control, base, now }: PendingLiveJob,
  changes: readonly StatusChange[],
): JournalRecord {
  return { record: 'status', control, msgid: base.msgid, payload: null, now, changes };
}
