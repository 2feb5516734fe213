/**
 * The forms in which a control message may lie in a room, and how to write a changed one back in the form it came
 * in. Called by the rooms when they scan and when they record. Never looks at the instructions themselves.
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

/** A header longer than this is no control message's. */
const HEAD = 65_536;

/** What the first byte says. Needs one byte; no text starts with 0xFF. */
export function storedForm(head: Buffer): 'native' | 'text' {
  return head[0] === MAGIC ? 'native' : 'text';
}

/** The control message in these bytes, or null when they are something else (a payload, or nothing readable). */
export function storedControl(bytes: Buffer): StoredControl | null {
  const text = storedForm(bytes) === 'native' ? nativeText(bytes) : bytes;
  if (text === null || !isDeliveryList(text.toString('latin1', 0, HEAD))) return null;
  const whole = text.toString('latin1');
  return { form: text === bytes ? textForm(whole) : 'native', text: whole };
}

/** The delivery list in these bytes, header included; null when they are no control message. */
export function controlTextOf(bytes: Buffer): ByteString | null {
  return storedControl(bytes)?.text ?? null;
}

/**
 * The bytes to store for a rewritten control message. `text` is the whole list with its one header line, as
 * serialise.ts writes it; `original` are the bytes it replaces, whose other headers or fields stay.
 */
export function wrapControlText(text: ByteString, form: ControlForm, original: Buffer): Buffer {
  switch (form) {
    case 'bare':
      return Buffer.from(text, 'latin1');
    case 'rfc822':
      return Buffer.from(underHeader(original.toString('latin1'), text), 'latin1');
    case 'native':
      return writeNative(controlMessage(original, text), '2016');
  }
}

function nativeText(bytes: Buffer): Buffer | null {
  const read = readNative(bytes);
  return read.kind === 'message' ? read.message.text : null;
}

function textForm(text: ByteString): 'rfc822' | 'bare' {
  return [...headerFields(text)].length > 1 ? 'rfc822' : 'bare';
}

/** The header of `original`, an empty line, the instructions of `text`; line ends as in that header. */
function underHeader(original: ByteString, text: ByteString): ByteString {
  const lines = original.split('\n', stripHeader(original).headerLines);
  const header = lines.filter((line) => line !== '' && line !== '\r');
  const eol = lines[0]?.endsWith('\r') ? '\r\n' : '\n';
  const instructions = stripHeader(text).instructions;
  return `${header.join('\n')}\n${eol}${eol === '\n' ? instructions : instructions.replaceAll('\n', eol)}`;
}

/** Citadel's own marks of a control message: without J a journaling server would file each rewrite (formats.md 1.9). */
function controlMessage(original: Buffer, text: ByteString): NativeMessage {
  const read = readNative(original);
  const before = read.kind === 'message' ? read.message : { anonymous: 0x41, format: 4, fields: new Map() };
  const fields = new Map(before.fields).set('A', 'Citadel').set('J', 'do not journal').set('U', 'QMSG');
  return { anonymous: before.anonymous, format: 4, fields, text: Buffer.from(text, 'latin1') };
}

/** The stored bytes of a payload. Small ones come whole; large ones are read as they are sent, as often as asked. */
export interface StoredMessage {
  /** length of the stored form in bytes */
  readonly size: number;
  /** the whole stored form when it is small, else null */
  readonly bytes: Buffer | null;
  /** a fresh pass over the stored form */
  stream(): AsyncIterable<Buffer>;
}
