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

/** The lines of an incomplete reply. */
export type PartialReply = readonly ByteString[];

export type ReplyStep =
  | { readonly kind: 'more'; readonly partial: PartialReply }
  | { readonly kind: 'reply'; readonly reply: Reply }
  /** not SMTP: no three-digit code, a code out of range, or a reply that is too long */
  | { readonly kind: 'protocol-error'; readonly line: ByteString };

/** Bounds memory; no real reply is this long. */
const MAX_LINES = 512;

export const NO_LINES: PartialReply = [];

/** Adds one line, without its line end. The code is three digits, 200 to 599; `-` after it means that more lines follow. */
export function readReplyLine(partial: PartialReply, line: ByteString): ReplyStep {
  const code = replyCode(line);
  if (code === null || partial.length >= MAX_LINES) return { kind: 'protocol-error', line };
  const text = line.slice(4);
  if (line[3] === '-') return { kind: 'more', partial: [...partial, text] };
  return {
    kind: 'reply',
    reply: {
      code,
      enhanced: enhancedCode(text, code),
      text: partial.length === 0 ? text : `${partial.join('\n')}\n${text}`,
    },
  };
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
