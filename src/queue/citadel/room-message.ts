/** What a message of the queue room is: a payload, a control message and its job, or one of our own probes. Pure. */
import { DELIVERY_LIST_TYPE } from '../../delivery-list/header.ts';
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { ParseOptions } from '../../delivery-list/parse.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { classifyContents } from '../control-message.ts';
import type { JournalKey } from '../journal.ts';
import type { PendingJob } from '../pending-job.ts';
import { QUEUE_ROOM } from './client/protocol.ts';
import { type ProbeKind, probeKind } from './rival/probe.ts';

/** A job of the queue room. Each rewriting gives it a new control message, under a new number. */
export interface RoomJob extends PendingJob {
  /** the number of its newest control message */
  control: MessageNumber;
  /** its earlier numbers, whose messages may not be deleted yet */
  readonly former: MessageNumber[];
  /** the control message with its header */
  text: ByteString;
  /** the control message that was posted and not confirmed yet, and how many changes are in it */
  posting: { readonly text: ByteString; readonly changes: number } | null;
  /** the journal holds changes that are not in the control message only under a former number */
  hasLateChanges: boolean;
}

export type RoomEntry =
  | RoomJob
  | { readonly kind: 'payload' }
  /** replaced by a newer one, or of a finished job: to be deleted */
  | { readonly kind: 'stale' }
  | { readonly kind: 'probe'; readonly probe: ProbeKind }
  | {
      readonly kind: 'unreadable';
      readonly reason: string;
      /** payloads it may belong to, which are kept as long as it is there */
      readonly payloads: readonly MessageNumber[];
      reported: boolean;
    };

/**
 * Whether a message is a control message, by its fields (MSG0). The content type alone does not decide: part 1 of any mail
 * can have that type, and whoever can send mail could then give us instructions. Mail in the queue has recipients, or was
 * posted in another room. A control message from the server, an admin or us has no recipient, and was posted in this room or
 * (when a server since 2017 rewrote it) has no author.
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

/** `text` is the message with its header. A message on a server never grows, so one without an end stays unreadable. */
export function classifyMessage(
  control: MessageNumber,
  text: ByteString,
  options: ParseOptions,
  owner: string,
): Exclude<RoomEntry, { readonly kind: 'payload' | 'stale' }> {
  const probe = probeKind(text, owner);
  if (probe !== null) return { kind: 'probe', probe };
  const contents = classifyContents(Buffer.from(text, 'latin1'), false, options);
  const payloads = [...text.matchAll(/\nmsgid\|(\d{1,15})/gi)].map(([, number]) => Number(number));
  const unreadable = (reason: string) => ({ kind: 'unreadable', reason, payloads, reported: false }) as const;
  switch (contents.kind) {
    case 'payload':
      return unreadable('it holds no delivery list');
    case 'unfinished':
      return unreadable('its end is missing');
    case 'unreadable':
      return unreadable(contents.reason);
    case 'control': {
      const { job: base, warnings } = contents;
      const blank = { former: [], changes: [], now: 0, written: 0, posting: null, hasLateChanges: false };
      return { kind: 'control', control, base, warnings, text, ...blank };
    }
  }
}

/** A server never gives a number twice, so a record needs no fingerprint of the payload. */
export function roomJobKey({ control, base: { msgid } }: RoomJob): JournalKey {
  return { control, msgid, payload: null };
}
