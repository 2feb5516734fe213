/**
 * The head of a stored delivery list: recognising one by its content type, and taking the header off. Called by the
 * rooms. Citadel stores exactly one header line; mail programs, the client protocol (MSG2, CRLF) and people leave
 * others, on which servers before 2017 looped for ever (R087, vectors s001-s024). Never looks at the instructions.
 */
import type { ByteString } from '../platform/bytes.ts';

export const DELIVERY_LIST_TYPE = 'application/x-citadel-delivery-list';

export interface StrippedList {
  /** the instruction part; LF line ends when the header ended its lines in CRLF, else as it was */
  readonly instructions: ByteString;
  /** lines taken off, the empty one included: what to add to a line number inside the instructions */
  readonly headerLines: number;
}

/** A header field or the continuation of one. Instructions have a bar before any colon. */
const HEADER_LINE = /^(?:[!-9;-{}~]+[ \t]*:|[ \t])/;

/** End of the line that starts at `from`, and where the next one starts. LF ends a line, a CR before it is cut. */
function lineAt(text: ByteString, from: number): { readonly line: ByteString; readonly next: number } {
  const feed = text.indexOf('\n', from);
  const end = feed < 0 ? text.length : feed;
  const cut = end > from && text[end - 1] === '\r' ? end - 1 : end;
  return { line: text.slice(from, cut), next: feed < 0 ? text.length : feed + 1 };
}

/**
 * Take the header off. `stored` is the text as stored, in field M or in a file.
 * Like the C reader: the text ends at the first NUL; one line of any content before an empty line is a header; a text
 * without a line end is all instructions. Where that reader hung: any number of header lines, folded or not,
 * with LF or CRLF; no header at all; no empty line behind it.
 */
export function stripHeader(stored: ByteString): StrippedList {
  const nul = stored.indexOf('\0');
  const text = nul < 0 ? stored : stored.slice(0, nul);
  if (!text.includes('\n')) return { instructions: text, headerLines: 0 };
  const first = lineAt(text, 0);
  const second = lineAt(text, first.next);
  const lone = first.next < text.length && second.line === '' && second.next > first.next;
  const body = lone ? { at: second.next, lines: 2 } : headerEnd(text);
  const instructions = text.slice(body.at);
  // The C reader's own form keeps its bytes; where the header's last line ends in CRLF, all lines do.
  const crlf = text[body.at - 2] === '\r';
  return {
    instructions: crlf ? instructions.replaceAll('\r\n', '\n') : instructions,
    headerLines: body.lines,
  };
}

/** Where the header block ends: behind the empty line, or before the first line that is no header line. */
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
 * Whether a stored text is a delivery list: its header says so. `head` is the start of the text, at least its whole
 * header block. Name and type in any case, parameters and folding allowed.
 */
export function isDeliveryList(head: ByteString): boolean {
  const block = head.slice(0, headerEnd(head).at);
  const unfolded = block.replace(/\r?\n[ \t]+/g, ' ');
  const field = /(?:^|\n)content-type[ \t]*:[ \t]*([^\s;]*)/i.exec(unfolded);
  return field?.[1]?.toLowerCase() === DELIVERY_LIST_TYPE;
}
