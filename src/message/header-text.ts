/**
 * Writes field values as header text: no CR or LF passes, bytes from 0x80 on become RFC 2047 encoded words, names are
 * quoted, and long lines are folded. Text that is already encoded passes unchanged.
 */
import { type ByteString, hexByte } from '../platform/bytes.ts';
import { type Charset, decodeUnlabelled } from './charset.ts';
import { trimWhitespace } from './headers.ts';
import { characterEnd, LONGEST_LINE } from './lines.ts';

const eightBit = /[\x80-\xff]/;

/** RFC 2047 allows encoded words of 75 and lines of 76 characters; this leaves room for the field's name. */
const MAX_ENCODED_WORD = 62;

/** Makes one line: each run of CR, LF and NUL, with the indentation after it, becomes one blank. */
export function oneLine(value: ByteString): ByteString {
  return /[\r\n\0]/.test(value) ? trimWhitespace(value.replace(/[\r\n\0]+[ \t]*/g, ' ')) : value;
}

/** `Name: value` with CRLF at the end, folded where a line would be over 998 bytes. */
export function headerLine(name: string, value: ByteString): ByteString {
  return `${foldField(`${name}: ${value}`)}\r\n`;
}

/** Folds each line of a field that is over 998 bytes. */
export function foldField(field: ByteString): ByteString {
  return field.split('\r\n').map(foldLine).join('\r\n');
}

/** Unstructured text (Subject): everything from the first to the last word with 8-bit bytes is encoded. */
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

/** The tokens of an address list: quoted string, comment, address in brackets, separator, anything else. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"?|\([^()\\]*(?:\\.[^()\\]*)*\)?|<[^>]*>?|[,;:]|[^"(<,;:]+/g;

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
  for (const [part] of text.matchAll(TOKEN)) {
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

/** One encoded word a line; no character is split between two (RFC 2047 section 5). */
function encodedWords(value: ByteString, legacy: Charset): ByteString {
  const { charset, text } = decodeUnlabelled(value, legacy);
  const room = Math.floor((MAX_ENCODED_WORD - `=?${charset.name}?B??=`.length) / 4) * 3;
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

const ADDRESSES =
  /^(?:resent-)?(?:from|sender|reply-to|to|cc)$|^(?:mail-followup-to|mail-reply-to|errors-to)$/;
const PARAMETERS = /^content-(?:type|disposition)$/;

/** A field as 7-bit text; `name` in lower case. Addresses in UTF-8 are kept, because they have no 7-bit form. */
export function encodeField(text: ByteString, name: string, legacy: Charset): ByteString {
  const start = /^[ \t]/.test(text) ? 1 : text.indexOf(':') + 1;
  const value = trimWhitespace(text.slice(start));
  const begin = /^[ \t]/.test(text) ? '' : text.slice(0, start);
  if (ADDRESSES.test(name)) return `${begin} ${encodeAddressList(value, legacy)}`;
  const plain = PARAMETERS.test(name) ? encodeParameters(value, legacy) : value;
  return `${begin} ${encodeUnstructured(plain, legacy)}`;
}

/** Parameter values as in RFC 2231 section 4. */
function encodeParameters(value: ByteString, legacy: Charset): ByteString {
  return value.replace(/([^\s;=*"]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^\s;"]+)/gs, (whole, name, raw) => {
    if (!eightBit.test(raw)) return whole;
    const text = raw.startsWith('"') ? unquoted(raw) : raw;
    const { charset } = decodeUnlabelled(text, legacy);
    return `${name}*=${charset.name}''${text.replace(/[^A-Za-z0-9._~-]/g, (char: string) => `%${hexByte(char)}`)}`;
  });
}

/** The field in which one goes whose own name has no place in a line. */
const OVERLONG = 'X-Overlong-Field';

/**
 * Folds a header line over 998 bytes: before the last blank that fits, else after the last separator that fits, else after
 * the field's name, else between two characters. No line is left blank.
 */
function foldLine(line: ByteString): ByteString {
  if (line.length <= LONGEST_LINE) return line;
  const lines: ByteString[] = [];
  let rest = line;
  let least = /^[^\s:]+[ \t]*:[ \t]*/.exec(line)?.[0].length ?? 1;
  const name = /^[^\s:]+:/.exec(line)?.[0] ?? '';
  if (name.length > LONGEST_LINE) return foldLine(`${OVERLONG}: ${line}`);
  while (rest.length > LONGEST_LINE) {
    const cuts = [
      lastOf(rest, [' ', '\t'], LONGEST_LINE),
      lastOf(rest, [',', ';', '>'], LONGEST_LINE - 1) + 1,
      rest.length - least < LONGEST_LINE ? least : 0,
    ];
    const cut = cuts.find((at, rank) => at > least || (rank === 2 && at > 1)) ?? characterEnd(rest);
    const before = rest.slice(0, cut).replace(/[ \t]+$/, '');
    if (before !== '') lines.push(before);
    rest = ` ${rest.slice(cut).replace(/^[ \t]+/, '')}`;
    least = 1;
  }
  if (rest !== ' ' || lines.length === 0) lines.push(rest);
  return lines.join('\r\n');
}

function lastOf(line: ByteString, chars: readonly string[], from: number): number {
  return Math.max(...chars.map((char) => line.lastIndexOf(char, from)));
}
