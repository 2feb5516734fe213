/**
 * Citadel's native serialized message: 0xFF, two type bytes, fields of one letter and a value that ends in NUL,
 * last field `M`. Reads and writes single messages and reads files that hold several. Called by stored.ts,
 * outgoing.ts and render.ts. Every field is bounded by the end of the bytes (the C readers ran past it), and
 * messages are told apart by their fields: a 0xFF inside a text is a letter of that text (formats.md 1.7).
 */
import type { ByteString } from '../platform/bytes.ts';
import { trimWhitespace } from './headers.ts';

/** Types from the second byte; 0 also occurs and means normal. */
export const ANONYMOUS = { only: 0x42, option: 0x43 } as const;

export interface NativeMessage {
  /** second byte: 'A' normal, 'B' and 'C' anonymous, 0 from converted mail */
  readonly anonymous: number;
  /** third byte: 0 flowed text, 1 fixed lines, 4 RFC 822 */
  readonly format: number;
  /** all fields but `M`, by letter, in the order of the bytes; of a repeated letter the last value */
  readonly fields: ReadonlyMap<string, ByteString>;
  /** field `M`; null when the message has none */
  readonly text: Buffer | null;
}

export type NativeRead =
  | {
      readonly kind: 'message';
      readonly message: NativeMessage;
      /** offset of the first byte behind the message and the NULs that follow it */
      readonly end: number;
      /** what a person should know: sentences with offsets */
      readonly problems: readonly string[];
    }
  | { readonly kind: 'unreadable'; readonly problem: string };

/** Everything before the text, and where the text begins. */
export interface NativeHead {
  readonly anonymous: number;
  readonly format: number;
  readonly fields: ReadonlyMap<string, ByteString>;
  /** offset of the first byte of `M`'s value; null when no `M` was met */
  readonly textStart: number | null;
  /** offset at which reading stopped: `textStart`, the next message's 0xFF, or the end of the bytes */
  readonly end: number;
  readonly problems: readonly string[];
}

export const MAGIC = 0xff;
const NUL = 0;
const TEXT = 0x4d;
const PREAMBLE = 3;

/** Which letters each era's writer knew, in its order. `M` comes last in all of them. */
const LETTERS = {
  '2012': 'IPTAFONHRDBCEWJGKLQSVXZYU',
  '2016': 'IPTAFONHRDBCEWJKLSVYU012',
  '2023': 'IPTAFORBEWJKLVYU012',
} as const;

export type FieldOrder = keyof typeof LETTERS;

/** Field `f` of a message, null when absent or blank. */
export function field(
  message: { readonly fields: NativeMessage['fields'] },
  letter: string,
): ByteString | null {
  const value = message.fields.get(letter);
  return value === undefined || trimWhitespace(value) === '' ? null : value;
}

/** Read up to `M`. A string says why these bytes are no native message. */
export function readNativeHead(bytes: Buffer, offset = 0): NativeHead | string {
  if (bytes[offset] !== MAGIC) return `no native message at offset ${offset}: the first byte is not 0xFF`;
  const anonymous = bytes[offset + 1];
  const format = bytes[offset + 2];
  if (anonymous === undefined || format === undefined) {
    return `no native message at offset ${offset}: it ends within its first three bytes`;
  }
  const fields = new Map<string, ByteString>();
  const problems: string[] = [];
  let at = offset + PREAMBLE;
  while (at < bytes.length) {
    const letter = bytes[at];
    if (letter === MAGIC) break;
    if (letter === TEXT) return { anonymous, format, fields, textStart: at + 1, end: at + 1, problems };
    // NULs between fields: found in messages of buggy writers, skipped since 2016.
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
 * One message. What follows it is left alone: `end` says where. A message without `M` is a message (its text lay
 * in a table that did not come with it); a text that ends without its NUL is taken as far as it goes.
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

export interface Concatenation {
  readonly messages: readonly NativeMessage[];
  /** offset at which reading stopped: the length of the bytes when all of it was understood */
  readonly end: number;
  readonly problems: readonly string[];
}

/** Several messages one behind the other, as in Citadel's network spool files. Stops where no message begins. */
export function readConcatenation(bytes: Buffer): Concatenation {
  const messages: NativeMessage[] = [];
  const problems: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const read = readNative(bytes, at);
    if (read.kind === 'unreadable') {
      problems.push(`${read.problem}; ${bytes.length - at} bytes were not read`);
      break;
    }
    messages.push(read.message);
    problems.push(...read.problems);
    at = read.end;
  }
  return { messages, end: at, problems };
}

/**
 * The bytes of a message, fields in the order of an era's writer. Letters that writer did not know (it would have
 * lost them) follow in the order they were read, then `M`. A NUL inside a value would end the field and start
 * another one; it becomes a blank.
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
