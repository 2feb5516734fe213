/**
 * Makes a message fit the wire. Header lines over 998 bytes are folded, and a MIME part that has such lines or NULs in
 * its body gets a transfer encoding that carries them (RFC 5321 4.5.3.1.6, RFC 2045 2.7 and 2.8). For a server without
 * 8BITMIME, parts with 8-bit bytes get one too and header fields become encoded words (RFC 6152 3). Only what does not
 * fit is touched. What a signature of its author covers (multipart/signed) keeps its bytes, NULs excepted; where no encoding
 * is allowed or known, long lines are cut, as Postfix does.
 *
 * Two passes: the first finds out what each part needs, the second writes it. Input has CRLF line ends only.
 */
import type { ByteString } from '../../platform/bytes.ts';
import { type Charset, hasEightBit, type Utf8Detector, utf8Detector } from '../charset.ts';
import { encodeField, foldField } from '../header-text.ts';
import { type LineFilter, LONGEST_LINE } from '../lines.ts';
import { type Entity, isIdentity, mimeReader, type Segment } from './mime-reader.ts';
import { type BodyEncoder, ENCODERS, MENDERS, type TransferEncoding } from './transfer-encoding.ts';

/** What the peer takes: bytes from 0x80 on, or none. */
export type WireLimit = '8bit' | '7bit';

interface PartPlan {
  readonly encoding: TransferEncoding;
  readonly encoder: () => BodyEncoder;
  /** for a text that is labelled nowhere */
  readonly charset: string;
}

/** By the number of the part; a part that is not in it keeps its body. */
export type EncodingPlan = ReadonlyMap<number, PartPlan>;

/** More parts than this keep their bodies, so that memory and time stay bounded. */
const MOST_PLANNED = 10_000;

/** RFC 2046 5.2 allows these no encoding; every reader undoes that of the others of `message/`. */
const NEVER_ENCODED = /^(?:multipart\/|message\/(?:rfc822|global|partial|external-body)$)/;

export interface EncodingPlanner {
  write(piece: ByteString): void;
  result(): EncodingPlan;
}

/** The first pass. */
export function encodingPlanner(limit: WireLimit, legacy: Charset): EncodingPlanner {
  const plan = new Map<number, PartPlan>();
  let facts = bodyFacts(legacy);
  const ignore = (): void => {};
  const reader = mimeReader({
    field: ignore,
    headerEnd: () => {
      facts = bodyFacts(legacy);
    },
    body: (segment, entity) => {
      if (plan.size < MOST_PLANNED) facts.write(segment, entity);
    },
    bodyEnd: (entity) => {
      const planned = plan.size < MOST_PLANNED && facts.unfit(limit) ? planFor(entity, facts) : null;
      if (planned !== null) plan.set(entity.number, planned);
    },
    delimiter: ignore,
    margin: ignore,
    signed: ignore,
  });
  return {
    write: reader.write,
    result: () => {
      reader.end();
      return plan;
    },
  };
}

interface BodyFacts {
  write(segment: Segment, entity: Entity): void;
  unfit(limit: WireLimit): boolean;
  /** quoted-printable is shorter than base64 */
  readable(): boolean;
  charset(): string;
}

function bodyFacts(legacy: Charset): BodyFacts {
  let long = false;
  let nul = false;
  let eightBit = false;
  let length = 0;
  let escapes = 0;
  let detector: Utf8Detector | null = null;
  return {
    write: ({ text, ends }, entity) => {
      long ||= !ends;
      length += text.length;
      const odd = text.match(/[^\t -~]/g)?.length ?? 0;
      if (odd === 0) return;
      escapes += odd;
      nul ||= text.includes('\0');
      eightBit ||= hasEightBit(text);
      if (!eightBit || entity.has.has('content-type')) return;
      detector ??= utf8Detector(legacy);
      detector.write(Buffer.from(text, 'latin1'));
    },
    unfit: (limit) => long || nul || (eightBit && limit === '7bit'),
    readable: () => escapes * 6 <= length,
    charset: () => detector?.result().charset.name ?? 'utf-8',
  };
}

function planFor(entity: Entity, facts: BodyFacts): PartPlan | null {
  const { type, encoding } = entity;
  const charset = facts.charset();
  if (encoding === 'quoted-printable' || encoding === 'base64')
    return { encoding, encoder: MENDERS[encoding], charset };
  if (!isIdentity(encoding) || NEVER_ENCODED.test(type)) return null;
  const chosen = /^(text|message)\//.test(type) && facts.readable() ? 'quoted-printable' : 'base64';
  return { encoding: chosen, encoder: ENCODERS[chosen], charset };
}

/** The second pass, over the same bytes. */
export function partEncoder(plan: EncodingPlan, limit: WireLimit, legacy: Charset): LineFilter {
  let out: ByteString[] = [];
  let encoder: BodyEncoder | null = null;
  const cut = lineCutter();
  const reader = mimeReader({
    field: (text, name, number) => out.push(wireField(text, name, plan.get(number), limit, legacy)),
    headerEnd: (entity) => {
      const planned = plan.get(entity.number);
      encoder = planned?.encoder() ?? null;
      out.push(planned === undefined ? '\r\n' : `${missingFields(entity, planned)}\r\n`);
    },
    body: (segment) => out.push(encoder === null ? cut(segment) : encoder.write(segment)),
    bodyEnd: (_, delimited) => {
      if (encoder !== null) out.push(encoder.end(delimited));
    },
    delimiter: (text) => out.push(`${text}\r\n`),
    margin: (segment) => out.push(cut(marginSegment(segment, limit))),
    signed: (segment) => out.push(lineOf(segment)),
  });
  const flush = (): ByteString => {
    const text = out.join('');
    out = [];
    return text;
  };
  return {
    write: (piece) => {
      reader.write(piece);
      return flush();
    },
    end: () => {
      reader.end();
      return flush();
    },
  };
}

function wireField(
  text: ByteString,
  name: string,
  planned: PartPlan | undefined,
  limit: WireLimit,
  legacy: Charset,
): ByteString {
  const plain = withoutNul(text);
  if (name === 'content-transfer-encoding') return `${relabelled(plain, planned, limit)}\r\n`;
  const sent = limit === '7bit' && hasEightBit(plain) ? encodeField(plain, name, legacy) : plain;
  return `${foldField(sent)}\r\n`;
}

const TOO_WIDE: Readonly<Record<WireLimit, RegExp>> = {
  '8bit': /^\s*binary\s*$/i,
  '7bit': /^\s*(?:binary|8bit)\s*$/i,
};

/** A body that stays as it is has been found to fit the limit, whatever it was called. */
function relabelled(field: ByteString, planned: PartPlan | undefined, limit: WireLimit): ByteString {
  const colon = field.indexOf(':');
  const fitting = TOO_WIDE[limit].test(field.slice(colon + 1)) ? limit : null;
  const encoding = planned?.encoding ?? fitting;
  return encoding === null ? field : `${field.slice(0, colon)}: ${encoding}`;
}

function missingFields({ has, root }: Entity, { encoding, charset }: PartPlan): ByteString {
  const fields: readonly (readonly [string, string, string])[] = [
    ['mime-version', 'MIME-Version', root ? '1.0' : ''],
    ['content-type', 'Content-Type', `text/plain; charset=${charset}`],
    ['content-transfer-encoding', 'Content-Transfer-Encoding', encoding],
  ];
  return fields
    .filter(([key, , value]) => value !== '' && !has.has(key))
    .map(([, name, value]) => `${name}: ${value}\r\n`)
    .join('');
}

/** A blank, lest what it kept apart be taken for a delimiter. */
function withoutNul(text: ByteString): ByteString {
  return text.replaceAll('\0', ' ');
}

function lineOf({ text, ends }: Segment): ByteString {
  return ends ? `${withoutNul(text)}\r\n` : withoutNul(text);
}

function marginSegment({ text, ends }: Segment, limit: WireLimit): Segment {
  return { text: limit === '7bit' ? text.replace(/[\x80-\xff]/g, '?') : text, ends };
}

/** Lines that fit, of segments one after the other. What was cut goes on behind a blank, lest it be taken for a delimiter. */
function lineCutter(): (segment: Segment) => ByteString {
  let isCut = false;
  return ({ text, ends }) => {
    const whole = withoutNul(text);
    const middle = isCut && whole.length === LONGEST_LINE ? LONGEST_LINE / 2 : 0;
    const begin = middle === 0 ? '' : `${whole.slice(0, middle)}\r\n `;
    isCut = !ends;
    return `${begin}${whole.slice(middle)}\r\n${ends ? '' : ' '}`;
  };
}
