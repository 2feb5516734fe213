/** What the tests of this folder share: stored messages in memory, whole or in pieces, and rendering them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type Charset, findCharset } from '../../src/message/charset.ts';
import { type NativeMessage, writeNative } from '../../src/message/native.ts';
import { type OutgoingMessage, type PrepareResult, prepareOutgoing } from '../../src/message/outgoing.ts';
import type { RenderOptions } from '../../src/message/render.ts';
import type { StoredMessage } from '../../src/message/stored.ts';

export async function charset(name: string): Promise<Charset> {
  const found = findCharset(name);
  assert.equal(found.kind, 'charset');
  return found.charset;
}

export const OPTIONS: RenderOptions = {
  order: '2016',
  fqdn: 'citref.example',
  nodeName: 'citref',
  legacy: await charset('windows-1252'),
  zoneMinutes: 0,
};

export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
export const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

export function fixture(name: string): Buffer {
  return readFileSync(new URL(`../../fixtures/messages/${name}`, import.meta.url));
}

export function whole(bytes: Buffer): StoredMessage {
  return { size: bytes.length, bytes, stream: () => cut(bytes, []) };
}

/** The same as a large message: its bytes only come as pieces, cut at the given offsets. */
export function inPieces(bytes: Buffer, cuts: readonly number[]): StoredMessage {
  return { size: bytes.length, bytes: null, stream: () => cut(bytes, cuts) };
}

export async function* cut(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  const ends = [...cuts, bytes.length].map((end) => Math.min(end, bytes.length)).sort((a, b) => a - b);
  let start = 0;
  for (const end of ends) {
    // A copy, so that nobody lives on bytes the reader may use again.
    yield Buffer.from(bytes.subarray(start, end));
    start = end;
  }
}

export function outgoing(prepared: PrepareResult | Promise<PrepareResult>): OutgoingMessage {
  assert.ok(!(prepared instanceof Promise), 'a whole message is prepared at once');
  assert.equal(prepared.kind, 'outgoing', prepared.kind === 'unsendable' ? prepared.reason : '');
  return prepared;
}

export function render(bytes: Buffer, options: Partial<RenderOptions> = {}): string {
  return outgoing(prepareOutgoing(whole(bytes), { ...OPTIONS, ...options })).text ?? '';
}

export async function collect(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

/** A native message; values are bytes as a string. */
export function native(
  fields: Readonly<Record<string, string>>,
  text: string | null,
  format = 1,
  anonymous = 0x41,
): Buffer {
  const message: NativeMessage = {
    anonymous,
    format,
    fields: new Map(Object.entries(fields)),
    text: text === null ? null : latin1(text),
  };
  return writeNative(message, '2016');
}

/** The header of a text as a list of `Name: value`, folding undone. */
export function headerOf(text: string): string[] {
  return text
    .slice(0, text.indexOf('\r\n\r\n'))
    .replaceAll(/\r\n(?=[ \t])/g, '')
    .split('\r\n');
}

export function bodyOf(text: string): string {
  return text.slice(text.indexOf('\r\n\r\n') + 4);
}
