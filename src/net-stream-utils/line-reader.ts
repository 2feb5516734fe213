/**
 * Splits a stream of bytes into lines, independent of how it is cut into reads. It holds at most one line, and no more of it than
 * the limit and what was read last.
 *
 * Only LF ends a line; one CR before it is dropped. A CR and its LF may come in two reads, which must not make an empty line, as
 * it did in the C module (techdoc/c-module.md). A lone CR is an ordinary byte of the line.
 */

export interface Feed {
  /** complete lines, without CRLF or LF, one character per byte */
  readonly lines: readonly string[];
  /** bytes of an unfinished line remain */
  readonly partial: boolean;
  /** the line after `lines` is longer than the limit; the reader must not be used any more */
  readonly overlong: boolean;
}

export interface Taken {
  /** without CRLF or LF, one character per byte; cut off where it is overlong; null: its end is yet to come */
  readonly line: string | null;
  /** where the bytes behind the line begin */
  readonly end: number;
  /** longer than the limit */
  readonly overlong: boolean;
}

export interface LineReader {
  /** All lines of these bytes, one character per byte. */
  feed(bytes: string): Feed;
  /**
   * One line from these bytes on: for protocols in which a line decides what the bytes behind it are. The rest of an overlong
   * line is thrown away.
   */
  take(bytes: Buffer, from: number): Taken;
}

const LF = 10;

/** @param limit longest line accepted, in bytes without its line end */
export function createLineReader(limit = 4096): LineReader {
  let rest = '';

  function take(bytes: Buffer, from: number): Taken {
    const lf = bytes.indexOf(LF, from);
    const end = lf < 0 ? bytes.length : lf;
    // One byte more than the limit may be a CR to be dropped, and two show that the line is too long.
    const room = limit + 2 - rest.length;
    if (room > 0) rest += bytes.toString('latin1', from, Math.min(end, from + room));
    const line = withoutCr(rest);
    const overlong = line.length > limit;
    if (lf < 0) return { line: null, end, overlong };
    rest = '';
    return { line, end: lf + 1, overlong };
  }

  function feed(bytes: string): Feed {
    const lines: string[] = [];
    const text = rest + bytes;
    let from = 0;
    for (let lf = text.indexOf('\n', rest.length); lf >= 0; lf = text.indexOf('\n', from)) {
      const line = text.slice(from, text[lf - 1] === '\r' ? lf - 1 : lf);
      if (line.length > limit) return { lines, partial: false, overlong: true };
      lines.push(line);
      from = lf + 1;
    }
    rest = text.slice(from);
    return { lines, partial: rest !== '', overlong: withoutCr(rest).length > limit };
  }

  return { feed, take };
}

function withoutCr(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}
