/**
 * Renders a stored message into the bytes that are sent. A message in memory is rendered at once. A large one is streamed:
 * one pass measures it (size, header, charset), and it is rendered again, piece by piece, each time it is sent. Lines that
 * SMTP cannot carry are encoded, which takes two more passes. A message without a text is never sent as an empty one (R036,
 * C21).
 */
import type { ByteString } from '../platform/bytes.ts';
import { type Charset, type Utf8Detector, unknown8bit, utf8Detector } from './charset.ts';
import { FLOW_COLUMN, filtered, type LineFilter, plainLines, rfc822Lines } from './lines.ts';
import { field, isAnonymous, type NativeHead, readNativeHead } from './native.ts';
import { mimeHeader, type RenderOptions, renderHeader } from './render.ts';
import { isMailbox, senderFromHeaders } from './sender.ts';
import type { StoredMessage } from './stored.ts';
import { storedForm } from './stored.ts';
import { type MessageSummary, summarizeMessage } from './summary.ts';
import { type Content, encodedContent, fittedLarge, fittedWhole } from './wire/content.ts';

/** A message ready for SMTP: lines end in CRLF, the last one too; not dot-stuffed. */
export interface OutgoingMessage {
  readonly kind: 'outgoing';
  /** bytes as they will be sent, before dot-stuffing */
  readonly size: number;
  /** it has a byte from 0x80 on */
  readonly eightBit: boolean;
  /** a part has another transfer encoding than it came with: a signature over its bytes no longer holds */
  readonly reencoded: boolean;
  /** Envelope sender the message suggests; null: none, or an anonymous post. */
  suggestedSender(): ByteString | null;
  /** from the first 256 KiB of the header */
  readonly headers: MessageSummary;
  /** all of it, when the stored message was in memory */
  readonly text: ByteString | null;
  /** damage found in the stored form, for people */
  readonly problems: readonly string[];
  /** from the start each time */
  chunks(): AsyncIterable<Buffer>;
  /**
   * The same message for a server without 8BITMIME (RFC 6152 3), with its own size; made at the first call, which
   * rejects when the message cannot be read. null when
   * its 8-bit bytes cannot be encoded: they are in an address, or its author's signature covers them.
   */
  sevenBit(): Promise<OutgoingMessage | null>;
}

/** The message cannot be sent; `reason` is a clause for logs and status lines. */
export interface Unsendable {
  readonly kind: 'unsendable';
  readonly reason: string;
}

export type PrepareResult = OutgoingMessage | Unsendable;

/** The most that is read of the fields before the text. Bytes; Citadel's own are a few hundred. */
const MAX_FIELDS = 1_048_576;

const NUL = 0;

/** How a stored message is rendered: where its text is, which header it gets, and which filter the text passes. */
interface RenderPlan {
  /** offset of the text in the stored form */
  readonly start: number;
  /** the text ends at the first NUL */
  readonly untilNul: boolean;
  /** fields of a native message, null for text */
  readonly native: NativeHead | null;
  /** formats 0 and 1: the text has no MIME header, so one is written */
  readonly plain: boolean;
  readonly filter: () => LineFilter;
}

/** Synchronous when the message is in memory. */
export function prepareOutgoing(
  stored: StoredMessage,
  options: RenderOptions,
): PrepareResult | Promise<PrepareResult> {
  return stored.bytes === null ? prepareStreamed(stored, options) : prepareBuffered(stored.bytes, options);
}

function prepareBuffered(bytes: Buffer, options: RenderOptions): PrepareResult {
  const plan = planFor(bytes);
  if (typeof plan === 'string') return { kind: 'unsendable', reason: plan };
  const nul = plan.untilNul ? bytes.indexOf(NUL, plan.start) : -1;
  const stored = plan.untilNul ? bytes.subarray(plan.start, nul < 0 ? bytes.length : nul) : bytes;
  const text = stored.toString('latin1');
  const detector = plan.plain ? utf8Detector(options.legacy) : null;
  detector?.write(stored);
  const filter = plan.filter();
  const rendered = headOf(plan, detector, options) + filter.write(text) + filter.end();
  const cutOff = plan.untilNul && nul < 0;
  return prepared(plan, fittedWhole(rendered, options.legacy), { cutOff, legacy: options.legacy });
}

async function prepareStreamed(stored: StoredMessage, options: RenderOptions): Promise<PrepareResult> {
  const plan = planFor(await readHead(stored), stored.size);
  if (typeof plan === 'string') return { kind: 'unsendable', reason: plan };
  const detector = plan.plain ? utf8Detector(options.legacy) : null;
  if (detector !== null) for await (const piece of textOf(stored, plan)) detector.write(piece);
  const head = headOf(plan, detector, options);
  let cutOff = plan.untilNul;
  const ended = (): void => {
    cutOff = false;
  };
  const content = await fittedLarge(() => renderStream(stored, plan, head, ended), options.legacy);
  return prepared(plan, content, { cutOff, legacy: options.legacy });
}

/** A message composed here: lines end in CRLF, the last one too. */
export function outgoingFrom(bytes: Buffer): OutgoingMessage {
  const content = fittedWhole(bytes.toString('latin1'), unknown8bit);
  return outgoing(content, { suggestedSender: () => null, problems: [], legacy: unknown8bit });
}

/** A string says why the message cannot be sent. `head` has at least the fields of a native message, up to `M`. */
function planFor(head: Buffer, size = head.length): RenderPlan | string {
  if (head.length === 0) return 'the stored message is empty';
  if (storedForm(head) === 'text') {
    return { start: 0, untilNul: false, native: null, plain: false, filter: rfc822Lines };
  }
  const native = readNativeHead(head);
  if (typeof native === 'string') return native;
  if (native.textStart === null) {
    const why =
      head.length < size ? `has no text within its first ${head.length} bytes` : 'has no text (field M)';
    return `the stored message ${why}`;
  }
  const filter = filterFor(native.format);
  if (filter === null) return `the stored message has the unknown format type ${native.format}`;
  return { start: native.textStart, untilNul: true, native, plain: native.format !== 4, filter };
}

function filterFor(format: number): (() => LineFilter) | null {
  if (format === 0) return () => plainLines(FLOW_COLUMN);
  if (format === 1) return () => plainLines(null);
  return format === 4 ? rfc822Lines : null;
}

function headOf(plan: RenderPlan, detector: Utf8Detector | null, options: RenderOptions): ByteString {
  if (plan.native === null) return '';
  const header = renderHeader(plan.native, options);
  return detector === null ? header : header + mimeHeader(detector.result());
}

function prepared(
  plan: RenderPlan,
  content: Content,
  { cutOff, legacy }: { readonly cutOff: boolean; readonly legacy: Charset },
): PrepareResult {
  if (content.size === 0) return { kind: 'unsendable', reason: 'the stored message has no content to send' };
  const found = plan.native?.problems ?? [];
  const problems = cutOff ? [...found, 'the stored message is cut off: its text does not end in NUL'] : found;
  return outgoing(content, {
    suggestedSender: () => senderOf(plan.native, content.header),
    problems,
    legacy,
  });
}

function outgoing(
  content: Content,
  about: Pick<OutgoingMessage, 'suggestedSender' | 'problems'> & { readonly legacy: Charset },
): OutgoingMessage {
  const { size, eightBit, reencoded, header, text, chunks } = content;
  let encoded: Promise<OutgoingMessage | null> | null = null;
  const encode = async (): Promise<OutgoingMessage | null> => {
    const narrow = await encodedContent(content, '7bit', about.legacy);
    if (narrow.eightBit) return null;
    return outgoing({ ...narrow, reencoded: reencoded || narrow.reencoded }, about);
  };
  const message: OutgoingMessage = {
    kind: 'outgoing',
    size,
    eightBit,
    reencoded,
    suggestedSender: about.suggestedSender,
    headers: summarizeMessage(header),
    problems: about.problems,
    text,
    chunks,
    sevenBit: () => {
      encoded ??= eightBit ? encode() : Promise.resolve(message);
      return encoded;
    },
  };
  return message;
}

/** Field F when it is an address, else the sender in the header; none for anonymous posts (C35). */
function senderOf(native: NativeHead | null, header: ByteString): ByteString | null {
  if (native === null) return senderFromHeaders(header);
  if (isAnonymous(native)) return null;
  const author = field(native, 'F');
  if (author !== null && isMailbox(author)) return author;
  return author === null && field(native, 'A') === null ? null : senderFromHeaders(header);
}

/** The start of a large stored message: up to `M` of a native message, or the first piece of a text. */
async function readHead(stored: StoredMessage): Promise<Buffer> {
  let pieces: Buffer[] = [];
  let length = 0;
  let wanted = 1;
  for await (const piece of stored.stream()) {
    pieces.push(piece);
    length += piece.length;
    if (length < wanted) continue;
    const head = Buffer.concat(pieces);
    if (length > MAX_FIELDS || isHeadComplete(head)) return head;
    pieces = [head];
    // Doubling keeps reading many small pieces linear.
    wanted = length * 2;
  }
  return Buffer.concat(pieces);
}

function isHeadComplete(head: Buffer): boolean {
  if (storedForm(head) === 'text') return true;
  const native = readNativeHead(head);
  return typeof native !== 'string' && native.textStart !== null;
}

async function* renderStream(
  stored: StoredMessage,
  plan: RenderPlan,
  head: ByteString,
  ended: () => void,
): AsyncGenerator<Buffer> {
  if (head !== '') yield Buffer.from(head, 'latin1');
  yield* filtered(textOf(stored, plan, ended), plan.filter());
}

/** The pieces of the text. `ended` is called when its NUL was found. */
async function* textOf(
  stored: StoredMessage,
  plan: RenderPlan,
  ended = (): void => {},
): AsyncGenerator<Buffer> {
  let skip = plan.start;
  for await (const piece of stored.stream()) {
    const part = piece.subarray(Math.min(skip, piece.length));
    skip -= piece.length - part.length;
    const nul = plan.untilNul ? part.indexOf(NUL) : -1;
    if (nul >= 0) {
      ended();
      yield part.subarray(0, nul);
      return;
    }
    if (part.length > 0) yield part;
  }
}
