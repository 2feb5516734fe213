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
const HEADER_LINE = /^(?:[!-9;-{}~]+[ \t]*:|[ \t])/;

/** The line that starts at `from`, and where the next one starts. LF ends a line; a CR before it is cut off. */
function lineAt(text: ByteString, from: number): { readonly line: ByteString; readonly next: number } {
  const feed = text.indexOf('\n', from);
  const end = feed < 0 ? text.length : feed;
  const cut = end > from && text[end - 1] === '\r' ? end - 1 : end;
  return { line: text.slice(from, cut), next: feed < 0 ? text.length : feed + 1 };
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
  if (!text.includes('\n')) return { instructions: text, headerLines: 0 };
  const first = lineAt(text, 0);
  const second = lineAt(text, first.next);
  const singleLine = first.next < text.length && second.line === '' && second.next > first.next;
  const body = singleLine ? { at: second.next, lines: 2 } : headerEnd(text);
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
  for (let lines = 0; ; lines++) {
    const { line, next } = lineAt(text, at);
    if (next === at) return { at, lines };
    if (line === '') return { at: next, lines: lines + 1 };
    if (!HEADER_LINE.test(line)) return { at, lines };
    at = next;
  }
}

/**
 * Whether a stored text is a delivery list by its content type. `head` is the start of the text, with at least its header.
 * Name and type in any case; parameters and folding are allowed.
 */
export function isDeliveryList(head: ByteString): boolean {
  const block = head.slice(0, headerEnd(head).at);
  const unfolded = block.replace(/\r?\n[ \t]+/g, ' ');
  const field = /(?:^|\n)content-type[ \t]*:[ \t]*([^\s;]*)/i.exec(unfolded);
  return field?.[1]?.toLowerCase() === DELIVERY_LIST_TYPE;
}
