/** Quoted-printable (RFC 2045 6.7) of text with CRLF line ends, for the parts of a report. Called by parts.ts. */
import type { ByteString } from '../platform/bytes.ts';

/** Characters of an encoded line, without its soft line break. */
const LONGEST = 75;

export function quotedPrintable(bytes: ByteString): ByteString {
  return bytes.split('\r\n').map(encodeLine).join('\r\n');
}

function encodeLine(line: ByteString): ByteString {
  let out = '';
  let length = 0;
  for (let at = 0; at < line.length; at++) {
    const unit = encodeByte(line.charAt(at), at === line.length - 1);
    if (length + unit.length > LONGEST) {
      out += '=\r\n';
      length = 0;
    }
    out += unit;
    length += unit.length;
  }
  return out;
}

/** A blank at the end of a line would be lost on the way. */
function encodeByte(char: string, last: boolean): string {
  if (/[!-<>-~]/.test(char) || (!last && /[ \t]/.test(char))) return char;
  return `=${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}
