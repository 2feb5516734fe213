/**
 * The MIME parts of a report: how each is labelled and encoded, and how they become one body. Called by compose.ts.
 * Everything but a whole original leaves as 7-bit text, so that a return path without 8BITMIME takes it.
 */
import { hasEightBit } from '../message/charset.ts';
import type { ByteString } from '../platform/bytes.ts';
import { quotedPrintable } from './quoted-printable.ts';

export interface Part {
  readonly type: string;
  readonly description: string;
  readonly encoding: '7bit' | '8bit' | 'quoted-printable';
  /** encoded, CRLF line ends */
  readonly body: ByteString;
}

/** RFC 5321 4.5.3.1.6, without CRLF. */
const LONGEST_LINE = 998;

/** Text that may be encoded. Line ends are CRLF. */
export function textPart(type: string, description: string, text: ByteString): Part {
  const plain = !hasEightBit(text) && text.split('\r\n').every((line) => line.length <= LONGEST_LINE);
  return plain
    ? { type, description, encoding: '7bit', body: text }
    : { type, description, encoding: 'quoted-printable', body: quotedPrintable(text) };
}

/** A message as it is: RFC 2046 5.2.1 allows no encoding of it. */
export function messagePart(type: string, description: string, text: ByteString): Part {
  return { type, description, encoding: hasEightBit(text) ? '8bit' : '7bit', body: text };
}

export function multipart(parts: readonly Part[], boundary: string): ByteString {
  const shown = parts.map(
    ({ type, description, encoding, body }) =>
      `--${boundary}\r\nContent-Type: ${type}\r\nContent-Description: ${description}\r\n` +
      `Content-Transfer-Encoding: ${encoding}\r\n\r\n${body.endsWith('\r\n') ? body : `${body}\r\n`}\r\n`,
  );
  return `${shown.join('')}--${boundary}--\r\n`;
}
