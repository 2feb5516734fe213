/**
 * Bytes as text for people: the one place where bytes from lists, messages and servers are decoded. What is not UTF-8 is read
 * in the configured legacy charset. No control character gets through.
 */
import type { Charset } from '../message/charset.ts';
import { decodeUnlabelled } from '../message/charset.ts';
import type { ByteString } from '../platform/bytes.ts';

export type DecodeText = (bytes: ByteString) => string;

export function textDecoder(legacy: Charset): DecodeText {
  return (bytes) => (PLAIN.test(bytes) ? bytes : escapeControl(decodeUnlabelled(bytes, legacy).text));
}

const PLAIN = /^[ -~]*$/;

/** Control characters, invisible characters and those that change the direction of writing become visible: `\n`, `\x1b`, `\u{200b}`. */
export function escapeControl(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) => {
    const code = (char.codePointAt(0) ?? 0).toString(16);
    return SHORT_ESCAPES[char] ?? (code.length > 2 ? `\\u{${code}}` : `\\x${code.padStart(2, '0')}`);
  });
}

/** The same for text of several lines. */
export function escapeLines(text: string): string {
  return text.split('\n').map(escapeControl).join('\n');
}

const SHORT_ESCAPES: { readonly [char: string]: string } = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `0.42 s`, `3 min`, `4 h 30 min`, `5 d` */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return hours % 24 === 0 ? `${hours / 24} d` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** The same for a time that is known in whole seconds: `3 s`. */
export function wholeDuration(seconds: number): string {
  return seconds < 10 ? `${seconds} s` : duration(seconds * 1000);
}

/** `1 job`, `2 jobs` */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
