/**
 * The forms in which messages are stored (techdoc/stored-messages.md), and how a changed control message is written back in
 * the form it had. The instructions of a delivery list are not interpreted here.
 */
import { isDeliveryList, stripHeader } from '../delivery-list/header.ts';
import type { ByteString } from '../platform/bytes.ts';
import { headerFields } from './headers.ts';
import { MAGIC, type NativeMessage, readNative, writeNative } from './native.ts';

/** `native`: serialized message. `rfc822`: text with several header fields. `bare`: the one header line Citadel stores. */
export type ControlForm = 'native' | 'rfc822' | 'bare';

export interface StoredControl {
  readonly form: ControlForm;
  /** header and instructions: field M, or the whole text */
  readonly text: ByteString;
}

/** Bytes. A longer header is not that of a control message, so this much of a message tells whether it is one. */
export const MAX_HEADER = 65_536;

/** Decided by the first byte: no text starts with 0xFF. */
export function storedForm(head: Buffer): 'native' | 'text' {
  return head[0] === MAGIC ? 'native' : 'text';
}

/** The control message in these bytes; null when they are anything else. */
export function storedControl(bytes: Buffer): StoredControl | null {
  const text = storedForm(bytes) === 'native' ? nativeText(bytes) : bytes;
  if (text === null) return null;
  const head = headOf(text);
  if (!isDeliveryList(head)) return null;
  const list = head.length < text.length ? text.toString('latin1') : head;
  return { form: text === bytes ? textForm(list) : 'native', text: list };
}

/** The header and what follows in the same piece. Most headers end soon, and a large message need not be decoded for them. */
function headOf(text: Buffer): ByteString {
  const longest = Math.min(text.length, MAX_HEADER);
  for (let length = 512; ; length *= 8) {
    const head = text.toString('latin1', 0, Math.min(length, longest));
    if (length >= longest || /\n\r?\n/.test(head)) return head;
  }
}

/** The delivery list in these bytes with its header; null when they are not a control message. */
export function controlTextOf(bytes: Buffer): ByteString | null {
  return storedControl(bytes)?.text ?? null;
}

/**
 * The bytes to store for a rewritten control message. `text` is the list with its one header line, as `serialiseJob` writes
 * it; `original` are the bytes it replaces, whose other header fields or native fields are kept.
 */
export function wrapControlText(text: ByteString, form: ControlForm, original: Buffer): Buffer {
  switch (form) {
    case 'bare':
      return Buffer.from(text, 'latin1');
    case 'rfc822':
      return Buffer.from(withHeaderOf(original.toString('latin1'), text), 'latin1');
    case 'native':
      return writeNative(controlMessage(original, text), '2016');
  }
}

function nativeText(bytes: Buffer): Buffer | null {
  const read = readNative(bytes);
  return read.kind === 'message' ? read.message.text : null;
}

const ONE_HEADER_LINE = /^[^\n]*\n\r?\n/;

function textForm(text: ByteString): 'rfc822' | 'bare' {
  return ONE_HEADER_LINE.test(text) || headerFields(text).length === 1 ? 'bare' : 'rfc822';
}

/** The header of `original`, an empty line, the instructions of `text`; line ends as in that header. */
function withHeaderOf(original: ByteString, text: ByteString): ByteString {
  const lines = original.split('\n', stripHeader(original).headerLines);
  const header = lines.filter((line) => line !== '' && line !== '\r');
  const eol = lines[0]?.endsWith('\r') ? '\r\n' : '\n';
  const instructions = stripHeader(text).instructions;
  return `${header.join('\n')}\n${eol}${eol === '\n' ? instructions : instructions.replaceAll('\n', eol)}`;
}

/** With Citadel's marks of a control message; without J a journaling server would file each rewrite. */
function controlMessage(original: Buffer, text: ByteString): NativeMessage {
  const read = readNative(original);
  const before = read.kind === 'message' ? read.message : { anonymous: 0x41, format: 4, fields: new Map() };
  const fields = new Map(before.fields).set('A', 'Citadel').set('J', 'do not journal').set('U', 'QMSG');
  return { anonymous: before.anonymous, format: 4, fields, text: Buffer.from(text, 'latin1') };
}

/** The stored bytes of a payload. A small one is in memory; a large one is streamed each time it is sent. */
export interface StoredMessage {
  /** length of the stored form in bytes */
  readonly size: number;
  /** the stored form when it is small, else null */
  readonly bytes: Buffer | null;
  /** a fresh pass over the stored form */
  stream(): AsyncIterable<Buffer>;
}

/** A message of which these are all bytes. */
export function inMemory(bytes: Buffer): StoredMessage {
  async function* stream(): AsyncGenerator<Buffer> {
    yield bytes;
  }
  return { size: bytes.length, bytes, stream };
}
