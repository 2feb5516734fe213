/** Byte strings: their type, how text becomes one, and what is done to any of them. */

/**
 * One character per byte, U+0000 to U+00FF ("latin1" in Node). Delivery lists and SMTP lines have no declared charset;
 * in this form they are never damaged, and comparing and matching them is fast. Only `output/text.ts` decodes them for people.
 */
export type ByteString = string;

/** Of text in UTF-8, as command lines and files have it. */
export function bytesOf(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/**
 * Without these characters at both ends. `trim()` would also remove 0xA0, which can end a UTF-8 character, and a regular
 * expression takes quadratic time over blanks inside.
 */
export function trimmed(text: ByteString, characters = ' \t'): ByteString {
  let from = 0;
  let to = text.length;
  while (from < to && characters.includes(text.charAt(from))) from++;
  while (to > from && characters.includes(text.charAt(to - 1))) to--;
  return text.slice(from, to);
}

/** The same text in memory of its own. A part of a string keeps the whole of it alive, which may be much longer. */
export function detached(text: ByteString): ByteString {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** Two hexadecimal digits in capitals, as quoted-printable (RFC 2045 6.7) and parameters (RFC 2231 4) have them. */
export function hexByte(char: ByteString): string {
  return char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0');
}
