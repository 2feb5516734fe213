/**
 * Dot-stuffing (RFC 5321 4.5.2), both ways: a line that starts with a dot gets one more on its way out (R026, C18) and loses
 * one on its way in, where a lone dot ends the message. Only CRLF ends a line; a dot behind a bare LF or CR is an ordinary
 * byte, so that no two servers disagree on where a message ends. Works on chunks cut anywhere, in linear time.
 */

import type { ByteString } from '../platform/bytes.ts';

const CR = 13;
const LF = 10;
const DOT = 46;

/** Where a chunk begins. The message itself begins at the start of a line. */
export type LinePosition = 'line-start' | 'after-cr' | 'inside';

export interface Stuffed {
  readonly bytes: Buffer;
  readonly position: LinePosition;
}

/** Stuffs a whole message. */
export function stuffText(text: ByteString): ByteString {
  const first = text.startsWith('.') ? '.' : '';
  return first + text.replaceAll('\r\n.', '\r\n..');
}

/** Stuffs one chunk. Most have no dot to double and are returned uncopied. */
export function stuffDots(chunk: Buffer, position: LinePosition): Stuffed {
  const after = positionAfter(chunk, position);
  const dots = dotsToDouble(chunk, position);
  return { bytes: dots.length === 0 ? chunk : doubled(chunk, dots), position: after };
}

function dotsToDouble(chunk: Buffer, position: LinePosition): readonly number[] {
  const found: number[] = [];
  if (chunk[0] === DOT && position === 'line-start') found.push(0);
  if (chunk[0] === LF && chunk[1] === DOT && position === 'after-cr') found.push(1);
  for (let at = chunk.indexOf('\r\n.'); at >= 0; at = chunk.indexOf('\r\n.', at + 2)) found.push(at + 2);
  return found;
}

function doubled(chunk: Buffer, dots: readonly number[]): Buffer {
  const out = Buffer.allocUnsafe(chunk.length + dots.length);
  let read = 0;
  let written = 0;
  for (const dot of dots) {
    written += chunk.copy(out, written, read, dot + 1);
    out[written++] = DOT;
    read = dot + 1;
  }
  chunk.copy(out, written, read);
  return out;
}

function positionAfter(chunk: Buffer, position: LinePosition): LinePosition {
  const last = chunk[chunk.length - 1];
  if (last === undefined) return position;
  if (last === CR) return 'after-cr';
  if (last !== LF) return 'inside';
  const before = chunk.length > 1 ? chunk[chunk.length - 2] === CR : position === 'after-cr';
  return before ? 'line-start' : 'inside';
}

/** Where a chunk of an arriving message begins: as above, or behind the dot that a line starts with. */
export type StuffedPosition = LinePosition | 'after-dot' | 'after-dot-cr';

export interface Unstuffed {
  /** the message's own bytes; each is a part of the chunk or a copy */
  readonly pieces: readonly Buffer[];
  /** where the bytes behind CRLF.CRLF begin; null: the message goes on */
  readonly end: number | null;
  readonly position: StuffedPosition;
}

const LONE_CR = Buffer.from('\r');

/** One chunk as it came behind DATA, whose position is `line-start` at first. */
export function unstuffDots(chunk: Buffer, position: StuffedPosition): Unstuffed {
  const kept = new Kept(chunk);
  // A dot and a CR that came before are the end of the message, or else the CR belongs to it.
  const withheld = position === 'after-dot-cr' && chunk.length > 0 && chunk[0] !== LF ? [LONE_CR] : [];
  let at = position;
  for (let read = 0; ; ) {
    const byte = chunk[read];
    if (byte === undefined) {
      const end = at === 'after-dot-cr' ? read - 1 : read;
      return { pieces: [...withheld, ...kept.until(end)], end: null, position: at };
    }
    switch (at) {
      case 'line-start':
        if (byte === DOT) kept.skip(read++);
        at = byte === DOT ? 'after-dot' : 'inside';
        break;
      case 'after-dot':
        at = byte === CR ? 'after-dot-cr' : 'inside';
        if (byte === CR) read++;
        break;
      case 'after-dot-cr':
        if (byte === LF) {
          const pieces = [...withheld, ...kept.until(read - 1)];
          return { pieces, end: read + 1, position: 'line-start' };
        }
        at = 'inside';
        break;
      case 'after-cr':
        at = byte === LF ? 'line-start' : 'inside';
        if (byte === LF) read++;
        break;
      case 'inside': {
        const line = chunk.indexOf('\r\n.', read);
        at = line < 0 ? positionAfter(chunk.subarray(read), 'inside') : 'line-start';
        read = line < 0 ? chunk.length : line + 2;
        break;
      }
    }
  }
}

/** The bytes of a chunk without those that are skipped; copied only when there are such. */
class Kept {
  readonly #chunk: Buffer;
  #copy: Buffer | null = null;
  #copied = 0;
  #from = 0;

  constructor(chunk: Buffer) {
    this.#chunk = chunk;
  }

  skip(at: number): void {
    this.#copy ??= Buffer.allocUnsafe(this.#chunk.length);
    this.#copied += this.#chunk.copy(this.#copy, this.#copied, this.#from, at);
    this.#from = at + 1;
  }

  until(end: number): readonly Buffer[] {
    if (this.#copy === null) return end > 0 ? [this.#chunk.subarray(0, end)] : [];
    if (end > this.#from) this.#copied += this.#chunk.copy(this.#copy, this.#copied, this.#from, end);
    return this.#copied > 0 ? [this.#copy.subarray(0, this.#copied)] : [];
  }
}
