/**
 * Reads and writes Citadel's native serialized message: 0xFF, two type bytes, then fields of one letter and a value that ends
 * in NUL, field `M` last (techdoc/stored-messages.md). No field is read past the end of the bytes, as the C readers did. A
 * 0xFF inside a text does not begin a message.
 */
import type { ByteString } from '../platform/bytes.ts';
import { trimWhitespace } from './headers.ts';

/** Values of the second byte for anonymous posts. */
export const ANONYMOUS = { only: 0x42, option: 0x43 } as const;

export interface NativeMessage {
  /** second byte: 'A' or 0 named author, 'B' and 'C' anonymous */
  readonly anonymous: number;
  /** third byte: 0 flowed text, 1 fixed lines, 4 RFC 822 */
  readonly format: number;
  /** all fields except `M`, by letter, in order; a repeated letter has its last value */
  readonly fields: ReadonlyMap<string, ByteString>;
  /** field `M`; null when the message has none */
  readonly text: Buffer | null;
}

export type NativeRead =
  | {
      readonly kind: 'message';
      readonly message: NativeMessage;
      /** offset of the first byte after the message and the NULs that follow it */
      readonly end: number;
      /** damage that was found: sentences with offsets, for people */
      readonly problems: readonly string[];
    }
  | { readonly kind: 'unreadable'; readonly problem: string };

/** The fields before the text, and where the text begins. */
export interface NativeHead {
  readonly anonymous: number;
  readonly format: number;
  readonly fields: ReadonlyMap<string, ByteString>;
  /** offset of the first byte of `M`'s value; null when there is no `M` */
  readonly textStart: number | null;
  /** offset at which reading ended: `textStart`, the next message's 0xFF, or the end of the bytes */
  readonly end: number;
  readonly problems: readonly string[];
}

export const MAGIC = 0xff;
const NUL = 0;
const TEXT = 0x4d;
const PREFIX_LENGTH = 3;

/** The letters each Citadel version writes, in its order. `M` is last in all of them. */
const LETTERS = {
  '2012': 'IPTAFONHRDBCEWJGKLQSVXZYU',
  '2016': 'IPTAFONHRDBCEWJKLSVYU012',
  '2023': 'IPTAFORBEWJKLVYU012',
} as const;

export type FieldOrder = keyof typeof LETTERS;

/** A field of a message; null when absent or blank. */
export function field(
  message: { readonly fields: NativeMessage['fields'] },
  letter: string,
): ByteString | null {
  const value = message.fields.get(letter);
  return value === undefined || trimWhitespace(value) === '' ? null : value;
}

/** Reads up to `M`. A string says why these bytes are not a native message. */
export function readNativeHead(bytes: Buffer, offset = 0): NativeHead | string {
  if (bytes[offset] !== MAGIC) return `not a native message at offset ${offset}: the first byte is not 0xFF`;
  const anonymous = bytes[offset + 1];
  const format = bytes[offset + 2];
  if (anonymous === undefined || format === undefined) {
    return `not a native message at offset ${offset}: it ends within its first three bytes`;
  }
  const fields = new Map<string, ByteString>();
  const problems: string[] = [];
  let at = offset + PREFIX_LENGTH;
  while (at < bytes.length) {
    const letter = bytes[at];
    if (letter === MAGIC) break;
    if (letter === TEXT) return { anonymous, format, fields, textStart: at + 1, end: at + 1, problems };
    // Some writers leave NULs between fields; Citadel skips them since 2016.
    if (letter !== NUL) {
      const end = bytes.indexOf(NUL, at + 1);
      if (end < 0) problems.push(`field at offset ${at} is cut off: the bytes end before its NUL`);
      const stop = end < 0 ? bytes.length : end;
      fields.set(String.fromCharCode(letter ?? 0), bytes.toString('latin1', at + 1, stop));
      at = stop;
    }
    at += 1;
  }
  return { anonymous, format, fields, textStart: null, end: Math.min(at, bytes.length), problems };
}

/**
 * One message; `end` is where it ends. A message without `M` is valid (Citadel keeps long texts in another table); a text that
 * ends without its NUL is read up to the end of the bytes.
 */
export function readNative(bytes: Buffer, offset = 0): NativeRead {
  const head = readNativeHead(bytes, offset);
  if (typeof head === 'string') return { kind: 'unreadable', problem: head };
  const { anonymous, format, fields, textStart } = head;
  const message = { anonymous, format, fields };
  if (textStart === null) {
    const problems = [...head.problems, `message at offset ${offset} has no field M: its text is missing`];
    return { kind: 'message', message: { ...message, text: null }, end: head.end, problems };
  }
  const nul = bytes.indexOf(NUL, textStart);
  const cut = `text at offset ${textStart} is cut off: the bytes end before its NUL`;
  const problems = nul < 0 ? [...head.problems, cut] : head.problems;
  const stop = nul < 0 ? bytes.length : nul;
  const text = bytes.subarray(textStart, stop);
  return { kind: 'message', message: { ...message, text }, end: afterNuls(bytes, stop), problems };
}

/**
 * The bytes of a message, fields in the order of a Citadel version. Letters that version does not know follow in the order
 * they were read, then `M`. A NUL inside a value would start another field; it becomes a blank.
 */
export function writeNative(message: NativeMessage, order: FieldOrder): Buffer {
  const known = [...LETTERS[order]].filter((letter) => message.fields.has(letter));
  const others = [...message.fields.keys()].filter((letter) => !known.includes(letter));
  const fields = [...known, ...others].map(
    (letter) => `${letter}${withoutNul(message.fields.get(letter) ?? '')}\0`,
  );
  const parts = [
    Buffer.from([MAGIC, message.anonymous, message.format]),
    Buffer.from(fields.join(''), 'latin1'),
  ];
  if (message.text !== null)
    parts.push(Buffer.from(`M${withoutNul(message.text.toString('latin1'))}\0`, 'latin1'));
  return Buffer.concat(parts);
}

export function isAnonymous(message: { readonly anonymous: number }): boolean {
  return message.anonymous === ANONYMOUS.only || message.anonymous === ANONYMOUS.option;
}

function withoutNul(value: ByteString): ByteString {
  return value.includes('\0') ? value.replaceAll('\0', ' ') : value;
}

function afterNuls(bytes: Buffer, offset: number): number {
  let at = offset;
  while (bytes[at] === NUL) at += 1;
  return at;
}
