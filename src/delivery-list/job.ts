/**
 * The words every other folder uses for Citadel's queue: a job, its recipients, and the bytes they are made of.
 * Types and tiny predicates only; reading and writing the text is parse.ts and serialise.ts.
 */
import type { ByteString } from '../platform/bytes.ts';

/**
 * Which era's control text is meant.
 * `2012`: libev module, `retry|`, `attempted|` is the time of the NEXT try, all recipients are kept.
 * `2017`: libcurl module, no `retry|`, `attempted|` is the time of the LAST try, finished recipients are dropped.
 */
export type Dialect = '2012' | '2017';

/** One `remote|address|status|text` line (the C module's MailQEntry). */
export interface Recipient {
  readonly address: ByteString;
  /** 0 new, 2 delivered, 3 and 4 try again, 5 refused for good; any other number is kept and never tried. */
  readonly status: number;
  /** what the last server said, one line */
  readonly text: ByteString;
}

/** One delivery list (the C module's OneQueItem). Times are Unix seconds, spans are seconds. */
export interface Job {
  readonly dialect: Dialect;
  /** message number of the payload; when the list names none, what that era's reader takes: -1 (2012) or 0 (2017) */
  readonly msgid: number;
  /** when the mail was handed in; null when the list does not say (2012 reads that as 0, 2017 as now) */
  readonly submitted: number | null;
  /** 2012: not before this time. 2017: the time of the last try. 0 when the list does not say. */
  readonly attempted: number;
  /** 2012: the span a failure in this run would wait (already doubled on reading, as in C). 2017: unused, 300. */
  readonly retry: number;
  /** whom to tell; null when the list has no such line. `''` and null are written back alike by 2012. */
  readonly bounceto: ByteString | null;
  readonly envelopeFrom: ByteString | null;
  readonly sourceRoom: ByteString | null;
  /** in the order of the list, duplicates included */
  readonly recipients: readonly Recipient[];
  /** lines with a keyword we do not know; kept for people, never written back (no C writer does) */
  readonly unknownLines: readonly ByteString[];
}

/** Status digits under which a recipient is still to be delivered (both eras' readers, and 3 for old lists). */
export function isPending(recipient: Recipient): boolean {
  return recipient.status === 0 || recipient.status === 3 || recipient.status === 4;
}

/** Status digits under which nothing is left to do for a recipient. One that is not pending either means nothing. */
export function isSettled(recipient: Recipient): boolean {
  return recipient.status === 2 || recipient.status === 5;
}

/** What became of one recipient: the status digit and text that go into its line. */
export interface StatusChange {
  /** index into `job.recipients` as scanned */
  readonly index: number;
  readonly address: ByteString;
  readonly status: 2 | 4 | 5;
  readonly text: ByteString;
}

/** of a message in a Citadel room, or the name of a file in the spool */
export type MessageNumber = number;
