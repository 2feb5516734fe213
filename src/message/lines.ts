/**
 * Filters that normalize line ends, cut long lines, and remove header fields that must not leave this site. The output of a
 * filter does not depend on how its input is cut into pieces; it has no bare CR or LF and ends in CRLF (R026, R030, C18 to
 * C20). A filter holds a few kilobytes at most. Dot-stuffing is done in the SMTP session.
 */
import type { ByteString } from '../platform/bytes.ts';

/** For one text; not to be used after `end`. */
export interface LineFilter {
  write(piece: Buffer): Buffer;
  end(): Buffer;
}

const LF = 0x0a;
const CR = 0x0d;
const TAB = 0x09;
const BLANK = 0x20;
const CRLF = Buffer.from('\r\n');
const NOTHING = Buffer.alloc(0);

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
    end: () => concatenate([header(ends.write(fields.end())), header(ends.end())]),
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
  const pass = (text: ByteString): Buffer => {
    if (text !== '') isFirst = false;
    return Buffer.from(isStrict(text) ? text : apart(text.replaceAll('\0', '')), 'latin1');
  };

  return {
    write: (piece) => {
      if (!inHeader) return piece;
      const strictEnd = piece.indexOf('\n\r\n');
      const text = held + piece.toString('latin1', 0, strictEnd < 0 ? piece.length : strictEnd + 3);
      const end = (isFirst ? FIRST_HEADER_END : HEADER_END).exec(text);
      if (end !== null) {
        inHeader = false;
        const header = text.slice(0, end.index + end[0].length);
        if (held === '' && isStrict(header)) return piece;
        return concatenate([pass(header), piece.subarray(header.length - held.length)]);
      }
      const from = undecided(text);
      held = text
        .slice(from)
        .replace(/\0/g, '')
        .replace(/\r{3,}/g, '\r\r');
      return pass(text.slice(0, from));
    },
    end: () => pass(inHeader ? held : ''),
  };
}

function isStrict(text: ByteString): boolean {
  return !text.includes('\0') && !/\r(?!\n)/.test(text);
}

/** From where on the next bytes may tell what the text means: from the last line end or CR, where less than a line follows. */
function undecided(text: ByteString): number {
  let from = Math.max(text.lastIndexOf('\n'), text.lastIndexOf('\r'));
  if (from < 0 || text.length - from > LONGEST_LINE) return text.length;
  while (from > 0 && /[\r\n\0]/.test(text.charAt(from - 1))) from--;
  return from;
}

function lineEnds(): LineFilter {
  let last = LF;
  return {
    write: (piece) => {
      const out = hasOnlyCrlf(piece) ? piece : withCrlf(piece);
      last = out[out.length - 1] ?? last;
      return out;
    },
    end: () => (last === LF ? NOTHING : CRLF),
  };
}

/** A regular expression takes half the memory of `replaceAll` for the same result. */
function withCrlf(piece: Buffer): Buffer {
  const text = piece.toString('latin1');
  const lines = text.includes('\r') ? text.replace(/\r/g, '') : text;
  return Buffer.from(lines.replace(/\n/g, '\r\n'), 'latin1');
}

/** Most mail needs no change, and checking is several times faster than copying. */
function hasOnlyCrlf(piece: Buffer): boolean {
  for (let at = piece.indexOf(LF); at >= 0; at = piece.indexOf(LF, at + 1))
    if (piece[at - 1] !== CR) return false;
  for (let at = piece.indexOf(CR); at >= 0; at = piece.indexOf(CR, at + 1))
    if (piece[at + 1] !== LF) return false;
  return true;
}

/**
 * Decides at the start of each header line whether to pass or drop it. Holds back the start of a line until its CRLF comes,
 * which `lineEnds` guarantees.
 */
function withoutPrivateFields(): (piece: Buffer) => Buffer {
  let state: 'line start' | 'in line' | 'body' = 'line start';
  let dropping = false;
  let held: Buffer = NOTHING;

  return (piece) => {
    if (state === 'body') return piece;
    const bytes = held.length > 0 ? Buffer.concat([held, piece]) : piece;
    held = NOTHING;
    const kept: Buffer[] = [];
    /** start of the bytes not yet copied to `kept` */
    let from = 0;
    for (let at = 0; at < bytes.length; ) {
      const feed = bytes.indexOf(LF, at);
      const end = feed < 0 ? bytes.length : feed + 1;
      if (state === 'line start' && feed < 0 && end - at < LONGEST_LINE) {
        held = bytes.subarray(at);
        kept.push(bytes.subarray(from, at));
        from = end;
        break;
      }
      const line = bytes.subarray(at, end);
      if (state === 'line start') {
        if (line[0] === CR && feed >= 0) state = 'body';
        // A continuation is treated like the field it continues.
        else if (line[0] !== BLANK && line[0] !== TAB) dropping = isPrivate(line);
      }
      if (state === 'body') dropping = false;
      if (dropping) {
        kept.push(bytes.subarray(from, at));
        from = end;
      }
      if (state === 'body') break;
      state = feed < 0 ? 'in line' : 'line start';
      at = end;
    }
    kept.push(bytes.subarray(from));
    return concatenate(kept);
  };
}

function isPrivate(line: Buffer): boolean {
  return PRIVATE.test(line.toString('latin1', 0, LONGEST_LINE));
}

/**
 * Format 1 (and 0 with `flowColumn`): CRLF, LF and CR each end one line (C20). No byte is lost (C19): a line over 998 bytes
 * is cut after its last blank, or between two characters when it has none.
 */
export function plainLines(flowColumn: number | null): LineFilter {
  /** the unfinished last line; a CR at its end may be half of a CRLF */
  let open = '';

  const write = (piece: Buffer): Buffer => {
    const text = open + piece.toString('latin1');
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
    return Buffer.from(out + cut.slice(0, last), 'latin1');
  };

  return {
    write,
    end: () => (open === '' ? NOTHING : write(Buffer.from(open.endsWith('\r') ? '\n' : '\r\n'))),
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

/** One buffer from several, copied only when more than one is not empty. */
export function concatenate(pieces: readonly Buffer[]): Buffer {
  const nonEmpty = pieces.filter((piece) => piece.length > 0);
  const [first] = nonEmpty;
  if (first === undefined) return NOTHING;
  return nonEmpty.length === 1 ? first : Buffer.concat(nonEmpty);
}

/** The output of a filter for all pieces of a text. */
export async function* filtered(chunks: AsyncIterable<Buffer>, filter: LineFilter): AsyncGenerator<Buffer> {
  for await (const piece of chunks) {
    const out = filter.write(piece);
    if (out.length > 0) yield out;
  }
  const rest = filter.end();
  if (rest.length > 0) yield rest;
}
