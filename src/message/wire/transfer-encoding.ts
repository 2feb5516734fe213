/**
 * The transfer encodings of RFC 2045 section 6 and how to mend a body that breaks its own: quoted-printable (6.7)
 * and base64 (6.8), line by line. The output is 7-bit, has no NUL and no line over 76 characters of its own making.
 */
import { type ByteString, hexByte } from '../../platform/bytes.ts';
import type { Segment } from './mime-reader.ts';

/** One pass over one body. After `end` it is used up. */
export interface BodyEncoder {
  write(segment: Segment): ByteString;
  /** `delimited`: the last CRLF was not part of the body */
  end(delimited: boolean): ByteString;
}

export type TransferEncoding = 'quoted-printable' | 'base64';

/** For a body that is not encoded yet. */
export const ENCODERS: Readonly<Record<TransferEncoding, () => BodyEncoder>> = {
  'quoted-printable': () => quotedPrintableLines((line, ends) => escapedEnd(escaped(line), ends)),
  base64,
};

/** For a body that is encoded, but has lines over 998 bytes, 8-bit bytes or NULs all the same. */
export const MENDERS: Readonly<Record<TransferEncoding, () => BodyEncoder>> = {
  'quoted-printable': () => quotedPrintableLines((line) => line.replace(/[^\t -~]/g, escapedByte)),
  base64: mendedBase64,
};

/** Characters of an encoded line, without the `=` that ends it. */
const LONGEST = 75;

function quotedPrintableLines(encode: (line: ByteString, ends: boolean) => ByteString): BodyEncoder {
  let column = 0;
  const write = ({ text, ends }: Segment): ByteString => {
    let rest = encode(text, ends);
    let out = '';
    while (column + rest.length > LONGEST) {
      const cut = wholeUnits(rest, LONGEST - column);
      out += `${rest.slice(0, cut)}=\r\n`;
      // What begins a line here did not begin one before: it must not be taken for a delimiter.
      rest = rest.slice(cut).replace(/^-/, '=2D');
      column = 0;
    }
    column = ends ? 0 : column + rest.length;
    return out + rest + (ends ? '\r\n' : '');
  };
  return { write, end: () => '' };
}

/** As far as `room` reaches without cutting an escape in two. */
function wholeUnits(text: ByteString, room: number): number {
  const start = text.lastIndexOf('=', room - 1);
  return start >= 0 && start > room - 3 ? start : room;
}

function escaped(line: ByteString): ByteString {
  return line.replace(/[^\t -<>-~]/g, escapedByte);
}

/** A blank at the end of a line would be lost on the way. */
function escapedEnd(line: ByteString, ends: boolean): ByteString {
  return ends ? line.replace(/[\t ]$/, escapedByte) : line;
}

function escapedByte(char: string): ByteString {
  return `=${hexByte(char)}`;
}

/** Bytes that make lines of 76 characters; many at once are faster. */
const GROUP = 57 * 128;

function base64(): BodyEncoder {
  let held = '';
  let lineEnd = '';
  return {
    write: ({ text, ends }) => {
      held += lineEnd + text;
      lineEnd = ends ? '\r\n' : '';
      if (held.length < GROUP) return '';
      const out = base64Lines(held.slice(0, GROUP));
      held = held.slice(GROUP);
      return out;
    },
    end: (delimited) => base64Lines(held + (delimited ? '' : lineEnd)),
  };
}

function base64Lines(bytes: ByteString): ByteString {
  return Buffer.from(bytes, 'latin1')
    .toString('base64')
    .replace(/.{1,76}/g, '$&\r\n');
}

/** Long lines are cut and lose what no decoder reads (RFC 2045 6.8); the others stay as they are. */
function mendedBase64(): BodyEncoder {
  let column = 0;
  let long = false;
  const write = ({ text, ends }: Segment): ByteString => {
    long ||= !ends;
    let rest = long ? text.replace(/[^A-Za-z0-9+/=]/g, '') : text.replace(/[^\t -~]/g, ' ');
    let out = '';
    for (; long && column + rest.length > 76; column = 0) {
      out += `${rest.slice(0, 76 - column)}\r\n`;
      rest = rest.slice(76 - column);
    }
    column = ends ? 0 : column + rest.length;
    long = long && !ends;
    return out + rest + (ends ? '\r\n' : '');
  };
  return { write, end: () => '' };
}
