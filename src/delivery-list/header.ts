/**
 * The header of a stored delivery list: recognizes a list by its content type, and strips the header. Citadel stores exactly
 * one header line. Mail programs, the client protocol (MSG2, CRLF) and people write others, on which servers before 2017 loop
 * for ever (R087).
 */
import type { ByteString } from '../platform/bytes.ts';

export const DELIVERY_LIST_TYPE = 'application/x-citadel-delivery-list';

export interface StrippedList {
  /** the instruction part; with LF line ends when those of the header were CRLF, else unchanged */
  readonly instructions: ByteString;
  /** number of lines stripped, the empty one included: to be added to line numbers of the instructions */
  readonly headerLines: number;
}

/** A header field or its continuation. Instructions have a bar before any colon. */
const HEADER_LINE = /(?:[!-9;-{}~]+[ \t]*:|[ \t])/y;

/** Where the line after an empty one at `at` starts; `at` where that is not empty. The last line needs no LF. */
function afterEmptyLine(text: ByteString, at: number): number {
  const feed = text[at] === '\r' ? at + 1 : at;
  if (text[feed] === '\n') return feed + 1;
  return feed === text.length ? feed : at;
}

/**
 * Strips the header. `stored` is the text as stored, in field M or in a file.
 *
 * As in the C reader, the text ends at the first NUL, one line of any content before an empty line is a header, and a text
 * without a line end is all instructions. Also accepted, where that reader loops: any number of header lines, folded or not,
 * with LF or CRLF; no header at all; no empty line after it.
 */
export function stripHeader(stored: ByteString): StrippedList {
  const nul = stored.indexOf('\0');
  const text = nul < 0 ? stored : stored.slice(0, nul);
  const second = text.indexOf('\n') + 1;
  if (second === 0) return { instructions: text, headerLines: 0 };
  const third = afterEmptyLine(text, second);
  const body = third > second ? { at: third, lines: 2 } : headerEnd(text);
  const instructions = text.slice(body.at);
  // Where the header's last line ends in CRLF, all lines do; otherwise no byte is changed.
  const crlf = text[body.at - 2] === '\r';
  return {
    instructions: crlf ? instructions.replaceAll('\r\n', '\n') : instructions,
    headerLines: body.lines,
  };
}

/** Where the header ends: after the empty line, or before the first line that is not a header line. */
function headerEnd(text: ByteString): { readonly at: number; readonly lines: number } {
  let at = 0;
  let lines = 0;
  for (; at < text.length; lines++) {
    const next = afterEmptyLine(text, at);
    if (next > at) return { at: next, lines: lines + 1 };
    HEADER_LINE.lastIndex = at;
    if (!HEADER_LINE.test(text)) break;
    const feed = text.indexOf('\n', at);
    at = feed < 0 ? text.length : feed + 1;
  }
  return { at, lines };
}

/** The first content type, or an empty line before any. */
const TYPE_OR_END = /(?:^|\n)(?:\r?\n|content-type[ \t]*:(?:[ \t]|\r?\n[ \t])*([^\s;]*))/i;

/**
 * Whether a stored text is a delivery list by its content type. `head` is the start of the text, with at least its header.
 * Name and type in any case; parameters and folding are allowed.
 */
export function isDeliveryList(head: ByteString): boolean {
  const found = TYPE_OR_END.exec(head);
  return found?.[1]?.toLowerCase() === DELIVERY_LIST_TYPE && found.index < headerEnd(head).at;
}
