/**
 * The bytes of a message that goes out and what a pass over them finds. Bytes that do not fit the wire (lines over 998
 * bytes, NULs) are encoded before anything else is done with them.
 */
import { type ByteString, detached } from '../../platform/bytes.ts';
import { type Charset, hasEightBit } from '../charset.ts';
import { filtered, LONGEST_LINE } from '../lines.ts';
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
  readonly text: ByteString | null;
  /** a fresh pass each time */
  chunks(): AsyncIterable<Buffer>;
}

/** As much of the header as is kept for facts and sender. */
const KEPT_HEADER = 262_144;

const HEADER_END = '\r\n\r\n';

export function fittedWhole(text: ByteString, legacy: Charset): Content {
  const found = surveyed(text);
  return found.fits ? wholeContent(text, found, false) : encodedWhole(text, '8bit', legacy);
}

export async function fittedLarge(chunks: () => AsyncIterable<Buffer>, legacy: Charset): Promise<Content> {
  const found = await surveyedPieces(chunks());
  return found.fits
    ? { ...found, reencoded: false, text: null, chunks }
    : encodedLarge(chunks, '8bit', legacy);
}

/** With each part encoded that does not fit the limit, as far as it may be encoded. */
export function encodedContent(
  content: Content,
  limit: WireLimit,
  legacy: Charset,
): Content | Promise<Content> {
  return content.text === null
    ? encodedLarge(content.chunks, limit, legacy)
    : encodedWhole(content.text, limit, legacy);
}

function encodedWhole(text: ByteString, limit: WireLimit, legacy: Charset): Content {
  const planner = encodingPlanner(limit, legacy);
  planner.write(text);
  const plan = planner.result();
  const encoder = partEncoder(plan, limit, legacy);
  const encoded = encoder.write(text) + encoder.end();
  return wholeContent(encoded, surveyed(encoded), plan.size > 0);
}

async function encodedLarge(
  chunks: () => AsyncIterable<Buffer>,
  limit: WireLimit,
  legacy: Charset,
): Promise<Content> {
  const planner = encodingPlanner(limit, legacy);
  for await (const piece of chunks()) planner.write(piece.toString('latin1'));
  const plan = planner.result();
  const encoded = (): AsyncIterable<Buffer> => filtered(chunks(), partEncoder(plan, limit, legacy));
  const found = await surveyedPieces(encoded());
  return { ...found, reencoded: plan.size > 0, text: null, chunks: encoded };
}

function wholeContent(text: ByteString, { size, eightBit, header }: Survey, reencoded: boolean): Content {
  const chunks = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from(text, 'latin1');
  };
  return { size, eightBit, reencoded, header, text, chunks };
}

interface Survey extends Pick<Content, 'size' | 'eightBit' | 'header'> {
  /** no NUL, and no line over 998 bytes */
  readonly fits: boolean;
}

function surveyed(text: ByteString): Survey {
  const survey = surveyor();
  survey.write(text);
  return survey.result();
}

async function surveyedPieces(pieces: AsyncIterable<Buffer>): Promise<Survey> {
  const survey = surveyor();
  for await (const piece of pieces) survey.write(piece.toString('latin1'));
  const found = survey.result();
  return { ...found, header: detached(found.header) };
}

/** Watches the bytes go by. */
function surveyor(): { write(piece: ByteString): void; result(): Survey } {
  let size = 0;
  let eightBit = false;
  let header = '';
  let inBody = false;
  /** the end of the header may be spread over two pieces; a message may begin with it */
  let seam = '\r\n';
  let fits = true;
  /** bytes since the last LF */
  let open = 0;
  const writeHeader = (piece: ByteString): void => {
    const across = (seam + piece.slice(0, 3)).indexOf(HEADER_END);
    const at = across < 0 ? piece.indexOf(HEADER_END) : across - seam.length;
    inBody = across >= 0 || at >= 0;
    const end = inBody ? at + HEADER_END.length : piece.length;
    header += piece.slice(0, Math.min(end, KEPT_HEADER - header.length));
    seam = (seam + piece.slice(-3)).slice(-3);
  };
  return {
    write: (piece) => {
      size += piece.length;
      eightBit ||= hasEightBit(piece);
      if (!inBody) writeHeader(piece);
      fits &&= !piece.includes('\0');
      open = fits ? openLine(piece, open) : 0;
      fits &&= open <= LONGEST_LINE + 1;
    },
    result: () => ({ size, eightBit, header, fits }),
  };
}

/** Bytes behind the last LF; over 999 as soon as a line with its CR is. `open` such bytes came before. Looks at few of them. */
function openLine(piece: ByteString, open: number): number {
  let start = -open;
  while (piece.length - start > LONGEST_LINE + 1) {
    const limit = start + LONGEST_LINE + 1;
    const feed = limit < 0 ? -1 : piece.lastIndexOf('\n', limit);
    if (feed < start || feed < 0) return LONGEST_LINE + 2;
    start = feed + 1;
  }
  const last = piece.lastIndexOf('\n');
  return last < 0 || last < start ? piece.length - start : piece.length - last - 1;
}
