/** What names a message to people and to other servers, whatever its numbers here are. */
import type { MessageSummary } from '../message/summary.ts';
import { type ByteString, detached } from '../platform/bytes.ts';

export interface MessageFacts {
  /** when it was queued, Unix seconds; null: its list does not say */
  readonly submitted: number | null;
  /** envelope sender; '' is the null sender; null: the message names it, and was not read */
  readonly sender: ByteString | null;
  /** with its brackets, as in the header; null: there is none, or the message was not read */
  readonly messageId: ByteString | null;
  /** bytes as sent; null: the message was not read */
  readonly size: number | null;
}

/** Characters; a line of a header is no longer (RFC 5322 2.1.1), but a folded one may be. */
const LONGEST_ID = 998;

export function messageIdOf({ messageId }: MessageSummary): ByteString | null {
  return messageId === null ? null : detached(messageId.slice(0, LONGEST_ID));
}
