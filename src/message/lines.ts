/**
 * Filters that normalize line ends, cut long lines, and remove header fields that must not leave this site. The output of a
 * filter does not depend on how its input is cut into pieces; it has no bare CR or LF and ends in CRLF (R026, R030, C18 to
 * C20). A filter holds a few kilobytes at most. Dot-stuffing is done in the SMTP session.
 */
import type { ByteString } from '../platform/bytes.ts';

/** For one text; not to be used after `end`. */
export interface LineFilter {
  write(piece: ByteString): ByteString;
  end(): ByteString;
}

/** Longest line of RFC 5322 2.1.1, without its CRLF. */
export const LONGEST_LINE = 998;

/** Format 0: the first blank after this many bytes ends the line, as in the C module. */
export const FLOW_COLUMN = 72;

/**
 * Fields that are removed: blind copies (R031, C34), the path that only the final server writes (RFC 5321 4.4), and a length
 * that no longer fits. Obsolete syntax allows blanks before the colon, and editors begin a file with a byte order mark.
 */
const NAMES = 'bcc|resent-bcc|envelope-to|return-path|content-length';
const FIELD = `(?:${NAMES})[ \\t]*(?::|$)`;
const PRIVATE = new RegExp(`^(?:\\xef\\xbb\\xbf)?${FIELD}`, 'i');

const NOT_STRICT = /\0|\r(?!\n)/;
const HEADER_END = /\n[\r\0]*\n/;
/** Also where the text begins with it. */
const FIRST_HEADER_END = /(?:^|\n)[\r\0]*\n/;
/** A line end, or CRs alone, and whether a private field or another one begins behind them. */
const ENDS = new RegExp(`\\n\\r*|\\r+(?![\\r\\n])(?=(${FIELD})?)(?=([!-9;-~]+[ \\t]*:)?)`, 'gi');

/**
 * RFC 822 text and format 4: every CR is removed and every LF becomes CRLF, as in the C module; private header fields are
 * removed with their continuation lines. All other bytes are kept.
 */
export function rfc822Lines(): LineFilter {
  const fields = privateFieldsApart();
  const ends = lineEnds();
  const header = withoutPrivateFields();
  return {
    write: (piece) => header(ends.write(fields.write(piece))),
    end: () => header(ends.write(fields.end()) + ends.end()),
  };
}

/**
 * In the header: drops NULs, as receivers may, who must not see another field name than we do; and where a private field begins behind
 * a CR alone, with which some programs end a line, puts it on a line of its own. Holds back what may be such a beginning.
 */
function privateFieldsApart(): LineFilter {
  let inHeader = true;
  let isFirst = true;
  let held = '';
  /** such a field has begun, and ends with the line, at an empty one, or where another one begins */
  let inField = false;

  const apart = (text: ByteString): ByteString =>
    text.replace(ENDS, (end, isPrivate?: string, isField?: string) => {
      const begins = !end.startsWith('\n') && isPrivate !== undefined;
      const isEnd = end.startsWith('\n') || (inField && (end.length > 1 || isField !== undefined));
      if (begins || isEnd) inField = begins;
      if (begins || end.startsWith('\n')) return '\n';
      return isEnd ? '\n'.repeat(Math.min(end.length, 2)) : end;
    });
  const pass = (text: ByteString): ByteString => {
    if (text !== '') isFirst = false;
    return NOT_STRICT.test(text) ? apart(text.replaceAll('\0', '')) : text;
  };

  return {
    write: (piece) => {
      if (!inHeader) return piece;
      const text = held + piece;
      const end = (isFirst ? FIRST_HEADER_END : HEADER_END).exec(text);
      if (end !== null) {
        inHeader = false;
        const header = text.slice(0, end.index + end[0].length);
        return NOT_STRICT.test(header) ? pass(header) + text.slice(header.length) : text;
      }
      const from = undecided(text);
      held = text
        .slice(from)
        .replace(/\0/g, '')
        .replace(/\r{3,}/g, '\r\r');
      return pass(text.slice(0, from));
    },
    end: () => (inHeader ? pass(held) : ''),
  };
}

/** From where on the next bytes may tell what the text means: from the last line end or CR, where less than a line follows. */
function undecided(text: ByteString): number {
  let from = Math.max(text.lastIndexOf('\n'), text.lastIndexOf('\r'));
  if (from < 0 || text.length - from > LONGEST_LINE) return text.length;
  while (from > 0 && /[\r\n\0]/.test(text.charAt(from - 1))) from--;
  return from;
}

function lineEnds(): LineFilter {
  let last = '\n';
  return {
    write: (piece) => {
      const out = hasOnlyCrlf(piece) ? piece : withCrlf(piece);
      if (out !== '') last = out.charAt(out.length - 1);
      return out;
    },
    end: () => (last === '\n' ? '' : '\r\n'),
  };
}

/** What `replace` returns is made of pieces still, and copied once more when it is read. */
function withCrlf(text: ByteString): ByteString {
  const lines = text.includes('\r') ? text.replace(/\r/g, '') : text;
  return lines.split('\n').join('\r\n');
}

/** Much mail needs no change. In long texts this is several times faster than a regular expression. */
function hasOnlyCrlf(text: ByteString): boolean {
  for (let from = 0; ; ) {
    const cr = text.indexOf('\r', from);
    const feed = text.indexOf('\n', from);
    if (cr < 0 || feed < 0) return cr === feed;
    if (cr !== feed - 1) return false;
    from = feed + 1;
  }
}

/**
 * Decides at the start of each header line whether to pass or drop it. Holds back the start of a line until its CRLF comes,
 * which `lineEnds` guarantees.
 */
function withoutPrivateFields(): (piece: ByteString) => ByteString {
  let state: 'line start' | 'in line' | 'body' = 'line start';
  let dropping = false;
  let held = '';

  return (piece) => {
    if (state === 'body') return piece;
    const text = held + piece;
    held = '';
    let kept = '';
    /** start of what is not yet in `kept` */
    let from = 0;
    for (let at = 0; at < text.length; ) {
      const feed = text.indexOf('\n', at);
      const end = feed < 0 ? text.length : feed + 1;
      if (state === 'line start' && feed < 0 && end - at < LONGEST_LINE) {
        held = text.slice(at);
        return kept + text.slice(from, at);
      }
      if (state === 'line start') {
        const first = text.charAt(at);
        if (first === '\r' && feed >= 0) state = 'body';
        // A continuation is treated like the field it continues.
        else if (first !== ' ' && first !== '\t')
          dropping = PRIVATE.test(text.slice(at, Math.min(end, at + LONGEST_LINE)));
      }
      if (state === 'body') break;
      if (dropping) {
        kept += text.slice(from, at);
        from = end;
      }
      state = feed < 0 ? 'in line' : 'line start';
      at = end;
    }
    return kept + text.slice(from);
  };
}

/**
 * Format 1 (and 0 with `flowColumn`): CRLF, LF and CR each end one line (C20). No byte is lost (C19): a line over 998 bytes
 * is cut after its last blank, or between two characters when it has none.
 */
export function plainLines(flowColumn: number | null): LineFilter {
  /** the unfinished last line; a CR at its end may be half of a CRLF */
  let open = '';

  const write = (piece: ByteString): ByteString => {
    const text = open + piece;
    const cr = text.endsWith('\r') ? '\r' : '';
    const lines = text
      .slice(0, text.length - cr.length)
      .replaceAll('\r\n', '\n')
      .replaceAll('\r', '\n')
      .split('\n');
    const unfinished = lines.pop() ?? '';
    let out = '';
    for (const line of lines) out += `${cutLine(line, flowColumn)}\r\n`;
    const cut = cutLine(unfinished, flowColumn);
    const last = cut.lastIndexOf('\n') + 1;
    open = cut.slice(last) + cr;
    return out + cut.slice(0, last);
  };

  return {
    write,
    end: () => (open === '' ? '' : write(open.endsWith('\r') ? '\n' : '\r\n')),
  };
}

/** The line with CRLF wherever it must be cut. The part after the last cut may still grow, so its last byte is not considered. */
function cutLine(line: ByteString, flowColumn: number | null): ByteString {
  if (line.length <= (flowColumn ?? LONGEST_LINE)) return line;
  const lines: ByteString[] = [];
  let rest = line;
  for (;;) {
    const blank = flowColumn === null ? -1 : rest.indexOf(' ', flowColumn);
    const flows = blank >= 0 && blank < LONGEST_LINE && blank < rest.length - 1;
    if (!flows && rest.length <= LONGEST_LINE) break;
    const cut = flows ? blank : cutPosition(rest);
    lines.push(rest.slice(0, cut));
    rest = rest.slice(flows ? cut + 1 : cut);
  }
  return [...lines, rest].join('\r\n');
}

/** Where to cut a line of more than 998 bytes. */
function cutPosition(line: ByteString): number {
  const blank = line.lastIndexOf(' ', LONGEST_LINE - 1);
  return blank > 0 ? blank + 1 : characterEnd(line);
}

/** The last position within 998 bytes that is not inside a UTF-8 character. */
export function characterEnd(line: ByteString): number {
  let cut = LONGEST_LINE;
  while (cut > LONGEST_LINE - 3 && isContinuation(line.charCodeAt(cut))) cut -= 1;
  return cut;
}

/** A continuation byte of UTF-8; in other charsets the line is cut a byte or two early, which does no harm. */
function isContinuation(byte: number): boolean {
  return byte >= 0x80 && byte < 0xc0;
}

/** The output of a filter for all pieces of a text. */
export async function* filtered(chunks: AsyncIterable<Buffer>, filter: LineFilter): AsyncGenerator<Buffer> {
  for await (const piece of chunks) {
    const text = piece.toString('latin1');
    const out = filter.write(text);
    if (out !== '') yield out === text ? piece : Buffer.from(out, 'latin1');
  }
  const rest = filter.end();
  if (rest !== '') yield Buffer.from(rest, 'latin1');
}
