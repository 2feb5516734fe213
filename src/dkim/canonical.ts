/**
 * The relaxed canonicalisation of RFC 6376 3.4, for header fields and, piece by piece, for bodies. Input has CRLF line ends
 * only, as everything that leaves this program. Bytes stay bytes: only SP and HTAB are white space.
 */
import { type ByteString, trimmed } from '../platform/bytes.ts';

/** One field with its folds, without its final CRLF; the result has none either (RFC 6376 3.4.2). */
export function relaxedField(name: ByteString, value: ByteString): ByteString {
  const unfolded = value.replaceAll('\r\n', '').replace(/[ \t]+/g, ' ');
  return `${trimmed(name).toLowerCase()}:${unfolded.replace(/^ | $/g, '')}`;
}

/** As much of a line without an end as is kept back, in bytes. */
const LONGEST_KEPT = 65_536;

/** The canonical body in pieces (RFC 6376 3.4.4); the same bytes however the input is cut. */
export interface BodyCanonicaliser {
  write(piece: Buffer): ByteString;
  end(): ByteString;
}

/** White space that changes: a single blank, which most of it is, would only be replaced by itself. */
const RUNS = /[ \t]{2,}|\t/g;

export function relaxedBody(): BodyCanonicaliser {
  /** the begun line */
  let kept = '';
  /** line ends that count only when something follows them */
  let ends = 0;
  let isEmpty = true;

  function emit(text: ByteString): ByteString {
    // A regular expression would look at a run of line ends again from each of them.
    let end = text.length;
    while (text.endsWith('\r\n', end)) end -= 2;
    const content = text.slice(0, end);
    if (content === '') {
      ends += text.length / 2;
      return '';
    }
    const out = '\r\n'.repeat(ends) + content;
    ends = (text.length - content.length) / 2;
    isEmpty = false;
    return out;
  }

  return {
    write(piece) {
      const text = kept + piece.toString('latin1');
      const end = text.lastIndexOf('\r\n') + 2;
      const lines = end < 2 ? '' : text.slice(0, end);
      kept = end < 2 ? text : text.slice(end);
      let out = lines === '' ? '' : emit(lines.replace(RUNS, ' ').replaceAll(' \r\n', '\r\n'));
      if (kept.length > LONGEST_KEPT) {
        const long = kept.replace(RUNS, ' ');
        // White space before a line end does not count, and a CR may be half of one.
        const safe = long.replace(/[ \r]+$/, '');
        kept = long.slice(safe.length);
        if (safe !== '') out += emit(safe);
      }
      return out;
    },
    end() {
      const rest = kept.replace(/[ \t]+/g, ' ').replace(/ $/, '');
      const out = rest === '' ? '' : emit(rest);
      return isEmpty ? '' : `${out}\r\n`;
    },
  };
}
