/** A job of Citadel's queue and its recipients: the contents of a delivery list. */
import type { ByteString } from '../platform/bytes.ts';

/**
 * The dialect of a control message, named after the year of the Citadel version that introduced it.
 * `2012`: libev module, `retry|`, `attempted|` is the time of the NEXT attempt, all recipients are kept.
 * `2017`: libcurl module, no `retry|`, `attempted|` is the time of the LAST attempt, finished recipients are dropped.
 */
export type Dialect = '2012' | '2017';

/** One `remote|address|status|text` line (the C module's MailQEntry). */
export interface Recipient {
  readonly address: ByteString;
  /** 0 new, 2 delivered, 3 and 4 try again, 5 refused for good; any other number is kept and never tried. */
  readonly status: number;
  /** the status text: the last server's reply, one line */
  readonly text: ByteString;
}

/** One delivery list (the C module's OneQueItem). Times are Unix seconds, intervals are seconds. */
export interface Job {
  readonly dialect: Dialect;
  /** message number of the payload; -1 (2012) or 0 (2017) when the list has none */
  readonly msgid: number;
  /** when the message was submitted; null when the list does not say (2012 reads that as 0, 2017 as now) */
  readonly submitted: number | null;
  /** 2012: no attempt before this time. 2017: the time of the last attempt. 0 when the list does not say. */
  readonly attempted: number;
  /** 2012: the wait after a failure in this run (already doubled on reading, as in C). 2017: unused, 300. */
  readonly retry: number;
  /** whom reports go to; null when the list has no such line. 2012 writes `''` and null alike. */
  readonly bounceto: ByteString | null;
  readonly envelopeFrom: ByteString | null;
  readonly sourceRoom: ByteString | null;
  /** in the order of the list, duplicates included */
  readonly recipients: readonly Recipient[];
  /** lines with an unknown keyword; shown to people, never written back (no C writer does) */
  readonly unknownLines: readonly ByteString[];
}

/** Whether the recipient is still to be delivered: 0 and 4, and 3 in old lists. */
export function isPending(recipient: Recipient): boolean {
  return recipient.status === 0 || recipient.status === 3 || recipient.status === 4;
}

/** Whether the recipient is delivered or refused for good. A status that is neither pending nor settled has no meaning. */
export function isSettled(recipient: Pick<Recipient, 'status'>): boolean {
  return recipient.status === 2 || recipient.status === 5;
}

/** The new status and text of one recipient's line. */
export interface StatusChange {
  /** index into `job.recipients` as scanned */
  readonly index: number;
  readonly address: ByteString;
  readonly status: 2 | 4 | 5;
  readonly text: ByteString;
}

/** Number of a message in a Citadel room, or name of a file in the spool. */
export type MessageNumber = number;
