/** The data a delivery status notification is made of. */
import type { Charset } from '../message/charset.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Notice } from './notice.ts';

/** What is returned of the original message. */
export interface Original {
  /** RFC 5322 text with CRLF line ends, bytes */
  readonly text: ByteString;
  /** the whole message or its header only (RFC 3461 4.3) */
  readonly ret: 'full' | 'hdrs';
  readonly messageId: ByteString | null;
}

export interface Dsn {
  /** envelope recipient of the report, without brackets */
  readonly to: ByteString;
  readonly notices: readonly Notice[];
  /** as the sender named the envelope (RFC 3461 4.4), decoded; null: it did not */
  readonly envid: ByteString | null;
  /** by recipient: to whom the sender addressed it, with the type of the address (RFC 3461 4.2), decoded */
  readonly originals: ReadonlyMap<ByteString, ByteString>;
  /** number of the control message */
  readonly job: number;
  readonly sourceRoom: ByteString | null;
  /** Unix seconds; null when the delivery list does not say */
  readonly submitted: number | null;
  /** Unix seconds */
  readonly lastAttempt: number;
  /** when delivery will be given up, Unix seconds */
  readonly willRetryUntil: number | null;
  /** null when it is not returned, or can no longer be read */
  readonly original: Original | null;
  /** only the text for people, as an ordinary message */
  readonly plain: boolean;
}

/** Where and when a report is made. */
export interface Stamp {
  readonly fqdn: string;
  /** address in `From:`: the postmaster */
  readonly author: ByteString;
  /** Unix seconds */
  readonly now: number;
  /** unique and hard to guess, letters, digits and `-`: becomes part of the Message-ID and of the MIME boundary */
  readonly unique: string;
  /** charset of bytes that are not UTF-8 */
  readonly legacy: Charset;
}
