/**
 * Splits a stream of bytes into lines, independent of how it is cut into reads. It holds at most one line.
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

export interface LineReader {
  feed(bytes: Buffer): Feed;
}

/** @param limit longest line accepted, in bytes without its line end */
export function createLineReader(limit = 4096): LineReader {
  let rest = '';

  function feed(bytes: Buffer): Feed {
    const text = bytes.toString('latin1');
    const lines: string[] = [];
    let from = 0;
    for (let lf = text.indexOf('\n'); lf >= 0; lf = text.indexOf('\n', from)) {
      const line = withoutCr(rest + text.slice(from, lf));
      if (line.length > limit) return { lines, partial: false, overlong: true };
      lines.push(line);
      rest = '';
      from = lf + 1;
    }
    rest += text.slice(from);
    return { lines, partial: rest.length > 0, overlong: withoutCr(rest).length > limit };
  }

  return { feed };
}

function withoutCr(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}
