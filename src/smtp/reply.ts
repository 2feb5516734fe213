/**
 * Parses SMTP replies (RFC 5321 4.2), one line at a time. Nothing here sees a socket, so the same bytes give the same replies
 * however the network splits them (R003).
 */
import type { ByteString } from '../platform/bytes.ts';

export interface Reply {
  /** of the last line: it decides when the lines disagree, as in Postfix and the C module */
  readonly code: number;
  /** RFC 3463 code at the start of the last line; null when there is none, or when its class contradicts the reply code */
  readonly enhanced: string | null;
  /** the lines without their codes, joined by LF */
  readonly text: ByteString;
}

/** The lines of a reply that is not complete yet. */
export interface PartialReply {
  /** without their codes, joined by LF, as far as they are kept */
  readonly text: ByteString;
  readonly lines: number;
  /** bytes that were not kept */
  readonly cut: number;
}

/** The line as an event of the session; `more`: it is none before the next line. */
export type ReplyStep =
  | { readonly type: 'more'; readonly partial: PartialReply }
  | { readonly type: 'reply'; readonly reply: Reply }
  /** not SMTP: no three-digit code, a code out of range, or a reply that is too long */
  | { readonly type: 'protocol-error'; readonly text: ByteString };

/**
 * What a remote server may make us keep: its text goes into memory, transcripts, logs and status lines. A longer line (not
 * counting its line end) ends the connection, a reply of more lines is not SMTP, and of a longer text the rest is left out
 * with a mark. Bytes and lines; printed into techdoc/delivery-states.md.
 */
export const BOUNDS = { line: 4096, replyLines: 512, replyText: 16_384 } as const;

export const NO_LINES: PartialReply = { text: '', lines: 0, cut: 0 };

/** Adds one line, without its line end. The code is three digits, 200 to 599; `-` after it means that more lines follow. */
export function readReplyLine(partial: PartialReply, line: ByteString): ReplyStep {
  if (!CODE.test(line) || partial.lines >= BOUNDS.replyLines) return { type: 'protocol-error', text: line };
  const code = Number(line.slice(0, 3));
  const last = line.slice(4);
  if (line[3] === '-') return { type: 'more', partial: withLine(partial, last) };
  // An enhanced code of another class than the reply is none.
  const enhanced = last[0] === line[0] ? enhancedCode(last) : null;
  if (partial.lines === 0) return { type: 'reply', reply: { code, enhanced, text: last } };
  const all = withLine(partial, last);
  const mark = all.cut === 0 ? '' : `\n[${all.cut} more bytes are left out]`;
  return { type: 'reply', reply: { code, enhanced, text: all.text + mark } };
}

const CODE = /^[2-5][0-9]{2}/;
const ENHANCED = /^[245]\.\d{1,3}\.\d{1,3}$/;

function enhancedCode(text: ByteString): string | null {
  const blank = text.indexOf(' ');
  const word = blank < 0 ? text : text.slice(0, blank);
  return ENHANCED.test(word) ? word : null;
}

function withLine({ text, lines, cut }: PartialReply, line: ByteString): PartialReply {
  const all = lines === 0 ? line : `${text}\n${line}`;
  if (cut > 0 || all.length > BOUNDS.replyText) return { text, lines: lines + 1, cut: cut + line.length };
  return { text: all, lines: lines + 1, cut };
}
