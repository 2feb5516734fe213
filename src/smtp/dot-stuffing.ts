/**
 * Dot-stuffing (RFC 5321 4.5.2) of a body whose line ends are all CRLF: every line that starts with a dot gets one more
 * (R026, C18). Works on chunks that may end anywhere. Not needed with BDAT.
 */

const CR = 13;
const LF = 10;
const DOT = 46;

/** Where a chunk begins. The message itself begins at the start of a line. */
export type LinePosition = 'line-start' | 'after-cr' | 'inside';

export interface Stuffed {
  readonly bytes: Buffer;
  readonly position: LinePosition;
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
