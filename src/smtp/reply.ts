/**
 * SMTP replies (RFC 5321 4.2): from lines to values. The driver feeds one line at a time; nothing here sees a
 * socket, so the same bytes give the same replies however the network cut them (R003, c-module-behaviour 11.5).
 */
import type { ByteString } from '../platform/bytes.ts';

export interface Reply {
  /** of the last line, as the C module and Postfix take it when the lines disagree */
  readonly code: number;
  /** RFC 3463 code at the head of the last line when its class fits the reply's, else null */
  readonly enhanced: string | null;
  /** the lines without their codes, joined by LF */
  readonly text: ByteString;
}

/** The lines of a reply that is not complete yet. */
export type PartialReply = readonly ByteString[];

export type ReplyStep =
  | { readonly kind: 'more'; readonly partial: PartialReply }
  | { readonly kind: 'reply'; readonly reply: Reply }
  /** not SMTP: no three-digit code, a code out of range, or a reply without end */
  | { readonly kind: 'protocol-error'; readonly line: ByteString };

/** More than any server has to say; a reply beyond it is taken for noise, so that memory stays bounded. */
const MOST_LINES = 512;

export const NO_LINES: PartialReply = [];

/** One more line, without its line end. The code is three digits 200 to 599; `-` behind it means more lines follow. */
export function readReplyLine(partial: PartialReply, line: ByteString): ReplyStep {
  const code = replyCode(line);
  if (code === null || partial.length >= MOST_LINES) return { kind: 'protocol-error', line };
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
