/**
 * The bytes of a message that goes out and what a pass over them finds. Bytes that do not fit the wire (lines over 998
 * bytes, NULs) are encoded before anything else is done with them.
 */
import { isAscii } from 'node:buffer';
import type { ByteString } from '../../platform/bytes.ts';
import type { Charset } from '../charset.ts';
import { concatenate, filtered, LONGEST_LINE } from '../lines.ts';
import { encodingPlanner, partEncoder, type WireLimit } from './encode-parts.ts';

/** CRLF line ends only. */
export interface Content {
  readonly size: number;
  /** a byte from 0x80 on anywhere */
  readonly eightBit: boolean;
  /** a part has another transfer encoding than it came with: a signature over its bytes no longer holds */
  readonly reencoded: boolean;
  /** its first 256 KiB */
  readonly header: ByteString;
  /** the whole, when it is in memory */
  readonly bytes: Buffer | null;
  /** a fresh pass each time */
  chunks(): AsyncIterable<Buffer>;
}

/** As much of the header as is kept for facts and sender. */
const KEPT_HEADER = 262_144;

const NUL = 0x00;
const LF = 0x0a;
const HEADER_END = '\r\n\r\n';

export function fittedWhole(bytes: Buffer, legacy: Charset): Content {
  const found = surveyed(bytes);
  return found.fits ? wholeContent(bytes, found, false) : encodedWhole(bytes, '8bit', legacy);
}

export async function fittedLarge(chunks: () => AsyncIterable<Buffer>, legacy: Charset): Promise<Content> {
  const survey = surveyor();
  for await (const piece of chunks()) survey.write(piece);
  const found = survey.result();
  return found.fits
    ? { ...found, reencoded: false, bytes: null, chunks }
    : encodedLarge(chunks, '8bit', legacy);
}

/** With each part encoded that does not fit the limit, as far as it may be encoded. */
export function encodedContent(
  content: Content,
  limit: WireLimit,
  legacy: Charset,
): Content | Promise<Content> {
  return content.bytes === null
    ? encodedLarge(content.chunks, limit, legacy)
    : encodedWhole(content.bytes, limit, legacy);
}

function encodedWhole(bytes: Buffer, limit: WireLimit, legacy: Charset): Content {
  const planner = encodingPlanner(limit, legacy);
  planner.write(bytes);
  const plan = planner.result();
  const encoder = partEncoder(plan, limit, legacy);
  const encoded = concatenate([encoder.write(bytes), encoder.end()]);
  return wholeContent(encoded, surveyed(encoded), plan.size > 0);
}

async function encodedLarge(
  chunks: () => AsyncIterable<Buffer>,
  limit: WireLimit,
  legacy: Charset,
): Promise<Content> {
  const planner = encodingPlanner(limit, legacy);
  for await (const piece of chunks()) planner.write(piece);
  const plan = planner.result();
  const encoded = (): AsyncIterable<Buffer> => filtered(chunks(), partEncoder(plan, limit, legacy));
  const survey = surveyor();
  for await (const piece of encoded()) survey.write(piece);
  return { ...survey.result(), reencoded: plan.size > 0, bytes: null, chunks: encoded };
}

function wholeContent(bytes: Buffer, { size, eightBit, header }: Survey, reencoded: boolean): Content {
  const chunks = async function* (): AsyncGenerator<Buffer> {
    yield bytes;
  };
  return { size, eightBit, reencoded, header, bytes, chunks };
}

interface Survey extends Pick<Content, 'size' | 'eightBit' | 'header'> {
  /** no NUL, and no line over 998 bytes */
  readonly fits: boolean;
}

function surveyed(bytes: Buffer): Survey {
  const survey = surveyor();
  survey.write(bytes);
  return survey.result();
}

/** Watches the bytes go by. */
function surveyor(): { write(piece: Buffer): void; result(): Survey } {
  let size = 0;
  let eightBit = false;
  let header = '';
  let inBody = false;
  /** the end of the header may be spread over two pieces; a message may begin with it */
  let seam = '\r\n';
  let fits = true;
  /** bytes since the last LF */
  let open = 0;
  const writeHeader = (bytes: Buffer): void => {
    const within = bytes.indexOf(HEADER_END);
    const piece = bytes.toString('latin1', 0, within < 0 ? bytes.length : within + 4);
    const text = seam + piece;
    const end = text.indexOf(HEADER_END);
    const part = end < 0 ? piece : text.slice(seam.length, Math.max(seam.length, end + 4));
    header += part.slice(0, KEPT_HEADER - header.length);
    inBody = end >= 0;
    seam = text.slice(-3);
  };
  return {
    write: (piece) => {
      size += piece.length;
      eightBit ||= !isAscii(piece);
      if (!inBody) writeHeader(piece);
      fits &&= !piece.includes(NUL);
      open = fits ? openLine(piece, open) : 0;
      fits &&= open <= LONGEST_LINE + 1;
    },
    result: () => ({ size, eightBit, header, fits }),
  };
}

/** Bytes behind the last LF; over 999 as soon as a line with its CR is. `open` such bytes came before. Looks at few of them. */
function openLine(piece: Buffer, open: number): number {
  let start = -open;
  while (piece.length - start > LONGEST_LINE + 1) {
    const limit = start + LONGEST_LINE + 1;
    const feed = limit < 0 ? -1 : piece.lastIndexOf(LF, limit);
    if (feed < start || feed < 0) return LONGEST_LINE + 2;
    start = feed + 1;
  }
  const last = piece.lastIndexOf(LF);
  return last < 0 || last < start ? piece.length - start : piece.length - last - 1;
}
