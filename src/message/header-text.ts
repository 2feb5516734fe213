/**
 * Field values of a stored message as header text: no CR or LF gets through, bytes from 0x80 on become RFC 2047
 * encoded words, names are quoted, and no line is longer than a server must take. Called by render.ts only.
 * Text that is already encoded passes unchanged.
 */
import type { ByteString } from '../platform/bytes.ts';
import { type Charset, decodeUnlabelled } from './charset.ts';
import { trimWhitespace } from './headers.ts';
import { LONGEST_LINE } from './lines.ts';

const eightBit = /[\x80-\xff]/;

/** RFC 2047 allows words of 75 and lines of 76 characters; this leaves room for the field's name on the first line. */
const WORD = 62;

/** One line: each run of CR, LF or NUL, and the indentation of a folded line behind it, is one blank. */
export function oneLine(value: ByteString): ByteString {
  return /[\r\n\0]/.test(value) ? trimWhitespace(value.replace(/[\r\n\0]+[ \t]*/g, ' ')) : value;
}

/** `Name: value`, folded at blanks (or behind commas) when it would be over 998 bytes, CRLF at the end. */
export function headerLine(name: string, value: ByteString): ByteString {
  const line = `${name}: ${value}`;
  if (line.length <= LONGEST_LINE) return `${line}\r\n`;
  const [first = '', ...others] = line.split('\r\n');
  return [fold(first, name.length + 2), ...others.map((other) => fold(other, 1)), ''].join('\r\n');
}

/** Unstructured text (Subject): from the first to the last word that needs it. */
export function encodeUnstructured(value: ByteString, legacy: Charset): ByteString {
  const text = oneLine(value);
  const first = text.search(eightBit);
  if (first < 0) return text;
  const start = text.lastIndexOf(' ', first) + 1;
  const end = text.indexOf(' ', lastEightBit(text));
  const stop = end < 0 ? text.length : end;
  return text.slice(0, start) + encodedWords(text.slice(start, stop), legacy) + text.slice(stop);
}

/** A display name for `"name" <address>`: a quoted string, or encoded words. */
export function encodeDisplayName(value: ByteString, legacy: Charset): ByteString {
  const name = oneLine(value);
  return eightBit.test(name) ? encodedWords(name, legacy) : `"${name.replace(/["\\]/g, '\\$&')}"`;
}

/** Quoted string, comment, address in brackets, separator, blanks, anything else: the pieces of an address list. */
const piece = /"[^"\\]*(?:\\.[^"\\]*)*"?|\([^()\\]*(?:\\.[^()\\]*)*\)?|<[^>]*>?|[,;:]|[^"(<,;:]+/g;

/**
 * An address list: names and comments are encoded where they need it. An address that is not ASCII has no encoded
 * form (RFC 6532) and stays.
 */
export function encodeAddressList(value: ByteString, legacy: Charset): ByteString {
  const text = oneLine(value);
  if (!eightBit.test(text)) return text;
  let out = '';
  let phrase: ByteString[] = [];
  const flush = (): void => {
    out += encodedPhrase(phrase, legacy);
    phrase = [];
  };
  for (const [part] of text.matchAll(piece)) {
    if (/^[(<,;:]/.test(part)) {
      flush();
      out += part.startsWith('(') ? encodedComment(part, legacy) : part;
    } else {
      phrase.push(part);
    }
  }
  flush();
  return out;
}

function encodedPhrase(parts: readonly ByteString[], legacy: Charset): ByteString {
  const raw = parts.join('');
  const isAddress = parts.some((part) => !part.startsWith('"') && part.includes('@'));
  if (isAddress || !eightBit.test(raw)) return raw;
  const name = parts.map((part) => (part.startsWith('"') ? unquoted(part) : part)).join('');
  const inner = trimWhitespace(raw);
  const start = raw.indexOf(inner);
  return raw.slice(0, start) + encodedWords(trimWhitespace(name), legacy) + raw.slice(start + inner.length);
}

function encodedComment(part: ByteString, legacy: Charset): ByteString {
  return eightBit.test(part) ? `(${encodedWords(unquoted(part), legacy)})` : part;
}

/** Without its first and last delimiter and its backslashes. */
function unquoted(part: ByteString): ByteString {
  return part.slice(1, /[")]$/.test(part) && part.length > 1 ? -1 : part.length).replace(/\\(.)/g, '$1');
}

/** As many words as it takes, one a line; no character is spread over two (RFC 2047 section 5). */
function encodedWords(value: ByteString, legacy: Charset): ByteString {
  const { charset, text } = decodeUnlabelled(value, legacy);
  const room = Math.floor((WORD - `=?${charset.name}?B??=`.length) / 4) * 3;
  const words: string[] = [];
  let word: Uint8Array[] = [];
  let length = 0;
  const flush = (): void => {
    words.push(`=?${charset.name}?B?${Buffer.concat(word).toString('base64')}?=`);
    word = [];
    length = 0;
  };
  for (const character of text) {
    const bytes = charset.encode(character);
    if (length > 0 && length + bytes.length > room) flush();
    word.push(bytes);
    length += bytes.length;
  }
  flush();
  return words.join('\r\n ');
}

function lastEightBit(text: ByteString): number {
  let at = text.length - 1;
  while (at > 0 && text.charCodeAt(at) < 0x80) at -= 1;
  return at;
}

/**
 * Break before the last blank that fits, else behind the last comma that fits, else before the next blank; never
 * within the first `from` bytes. What has none of them stays whole.
 */
function fold(line: ByteString, from: number): ByteString {
  const lines: ByteString[] = [];
  let rest = line;
  let least = from;
  while (rest.length > LONGEST_LINE) {
    const cuts = [
      rest.lastIndexOf(' ', LONGEST_LINE),
      rest.lastIndexOf(',', LONGEST_LINE - 1) + 1,
      rest.indexOf(' ', LONGEST_LINE),
    ];
    const cut = cuts.find((at) => at > least);
    if (cut === undefined) break;
    lines.push(rest.slice(0, cut));
    rest = rest[cut] === ' ' ? rest.slice(cut) : ` ${rest.slice(cut)}`;
    least = 1;
  }
  return [...lines, rest].join('\r\n');
}
