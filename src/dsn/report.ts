/**
 * What a report is made of, as values. The reporter (dsn/reporter.ts) brings them together, compose.ts writes them.
 */
import type { Charset } from '../message/charset.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Notice } from './notice.ts';

/** What comes back of the mail itself. */
export interface Original {
  /** RFC 822 text with CRLF: the whole mail, or its header */
  readonly text: ByteString;
  readonly whole: boolean;
  readonly messageId: ByteString | null;
}

export interface Dsn {
  /** whom it goes to: what stands between the brackets of RCPT TO */
  readonly to: ByteString;
  readonly notices: readonly Notice[];
  /** number of the control message */
  readonly job: number;
  readonly sourceRoom: ByteString | null;
  /** Unix seconds; null when the delivery list does not say */
  readonly submitted: number | null;
  readonly lastTry: number;
  /** when the mail will be given up */
  readonly triedUntil: number | null;
  /** null when the mail cannot be read any more */
  readonly original: Original | null;
}

/** Where and when a report is made. */
export interface Stamp {
  readonly fqdn: string;
  /** address of its author: the postmaster */
  readonly author: ByteString;
  /** Unix seconds */
  readonly now: number;
  /** letters and digits nobody could guess or has used before: a part of the Message-ID and of the boundary */
  readonly unique: string;
  /** charset of bytes that are not UTF-8 */
  readonly legacy: Charset;
}
