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

export type ReplyStep =
  | { readonly kind: 'more'; readonly partial: PartialReply }
  | { readonly kind: 'reply'; readonly reply: Reply }
  /** not SMTP: no three-digit code, a code out of range, or a reply that is too long */
  | { readonly kind: 'protocol-error'; readonly line: ByteString };

/**
 * What a remote server may make us keep: its text goes into memory, transcripts, logs and status lines. A longer line (not
 * counting its line end) ends the connection, a reply of more lines is not SMTP, and of a longer text the rest is left out
 * with a mark. Bytes and lines; printed into techdoc/delivery-states.md.
 */
export const BOUNDS = { line: 4096, replyLines: 512, replyText: 16_384 } as const;

export const NO_LINES: PartialReply = { text: '', lines: 0, cut: 0 };

/** Adds one line, without its line end. The code is three digits, 200 to 599; `-` after it means that more lines follow. */
export function readReplyLine(partial: PartialReply, line: ByteString): ReplyStep {
  const code = replyCode(line);
  if (code === null || partial.lines >= BOUNDS.replyLines) return { kind: 'protocol-error', line };
  const text = line.slice(4);
  const { text: all, lines, cut } = withLine(partial, text);
  if (line[3] === '-') return { kind: 'more', partial: { text: all, lines, cut } };
  const mark = cut === 0 ? '' : `\n[${cut} more bytes are left out]`;
  return { kind: 'reply', reply: { code, enhanced: enhancedCode(text, code), text: all + mark } };
}

function withLine({ text, lines, cut }: PartialReply, line: ByteString): PartialReply {
  const all = lines === 0 ? line : `${text}\n${line}`;
  if (cut > 0 || all.length > BOUNDS.replyText) return { text, lines: lines + 1, cut: cut + line.length };
  return { text: all, lines: lines + 1, cut };
}

function replyCode(line: ByteString): number | null {
  if (line.length < 3) return null;
  const [hundreds, tens, ones] = [line.charCodeAt(0) - 48, line.charCodeAt(1) - 48, line.charCodeAt(2) - 48];
  if (hundreds < 2 || hundreds > 5 || tens < 0 || tens > 9 || ones < 0 || ones > 9) return null;
  return hundreds * 100 + tens * 10 + ones;
}

const ENHANCED = /^([245])\.\d{1,3}\.\d{1,3}(?= |$)/;

function enhancedCode(text: ByteString, code: number): string | null {
  const match = ENHANCED.exec(text);
  return match !== null && Number(match[1]) === Math.trunc(code / 100) ? match[0] : null;
}
