/**
 * From a stored message to the bytes that go out. A message that came whole is rendered at once, a large one is surveyed
 * in one pass (size, header, charset) and rendered again, piece by piece, each time it is sent. What does not fit the
 * wire is encoded, in two passes more. Opens nothing itself. A message without a text is never sent as an empty mail (R036, C21): that is a value.
 */
import type { ByteString } from '../platform/bytes.ts';
import { type Charset, type Utf8Detector, unknown8bit, utf8Detector } from './charset.ts';
import { concatenate, FLOW_COLUMN, filtered, type LineFilter, plainLines, rfc822Lines } from './lines.ts';
import { field, isAnonymous, type NativeHead, readNativeHead } from './native.ts';
import { mimeHeader, type RenderOptions, renderHeader } from './render.ts';
import { isMailbox, senderFromHeaders } from './sender.ts';
import type { StoredMessage } from './stored.ts';
import { storedForm } from './stored.ts';
import { type MessageSummary, summarizeMessage } from './summary.ts';
import { type Content, encodedContent, fittedLarge, fittedWhole } from './wire/content.ts';

/** A message ready for SMTP: CRLF line ends only, ends with CRLF, not dot-stuffed (the session does that). */
export interface OutgoingMessage {
  readonly kind: 'outgoing';
  /** bytes as they will be sent, before dot-stuffing */
  readonly size: number;
  /** a byte from 0x80 on anywhere */
  readonly eightBit: boolean;
  /** a part has another transfer encoding than it came with: a signature over its bytes no longer holds */
  readonly reencoded: boolean;
  /** envelope sender the message itself suggests; null: none, or none that may be told (anonymous posts) */
  readonly sender: ByteString | null;
  /** from the first 256 KiB of the header */
  readonly headers: MessageSummary;
  /** the whole, when the stored message came whole */
  readonly bytes: Buffer | null;
  /** what a person should know about the stored form */
  readonly problems: readonly string[];
  /** a fresh pass each time */
  chunks(): AsyncIterable<Buffer>;
  /**
   * The same message for a server without 8BITMIME (RFC 6152 3), with its own size; made at the first call, which
   * rejects when the message cannot be read. null when
   * its 8-bit bytes cannot be encoded: they are in an address, or its author's signature covers them.
   */
  sevenBit(): Promise<OutgoingMessage | null>;
}

/** There is nothing to send; `reason` is a sentence fragment for logs and status lines. */
export interface Unsendable {
  readonly kind: 'unsendable';
  readonly reason: string;
}

export type PrepareResult = OutgoingMessage | Unsendable;

/** Fields before the text of a streamed native message, in bytes. Citadel's own are a few hundred. */
const LONGEST_FIELDS = 1_048_576;

const NUL = 0;

/** How one stored message is rendered: where its text lies, what goes over it, what the text passes through. */
interface Recipe {
  /** offset of the text in the stored form */
  readonly start: number;
  /** the text ends at the first NUL */
  readonly untilNul: boolean;
  /** header of a native message, null for text */
  readonly native: NativeHead | null;
  /** formats 0 and 1: no MIME header in the text, so one is made */
  readonly plain: boolean;
  readonly filter: () => LineFilter;
}

/** Synchronous when `stored.bytes` is there. */
export function prepareOutgoing(
  stored: StoredMessage,
  options: RenderOptions,
): PrepareResult | Promise<PrepareResult> {
  return stored.bytes === null ? prepareLarge(stored, options) : prepareWhole(stored.bytes, options);
}

function prepareWhole(bytes: Buffer, options: RenderOptions): PrepareResult {
  const recipe = recipeFor(bytes);
  if (typeof recipe === 'string') return { kind: 'unsendable', reason: recipe };
  const nul = recipe.untilNul ? bytes.indexOf(NUL, recipe.start) : -1;
  const text = bytes.subarray(recipe.start, nul < 0 ? bytes.length : nul);
  const sniff = recipe.plain ? utf8Detector(options.legacy) : null;
  sniff?.write(text);
  const filter = recipe.filter();
  const head = headOf(recipe, sniff, options);
  const whole = concatenate([head, filter.write(text), filter.end()]);
  const cut = recipe.untilNul && nul < 0;
  return prepared(recipe, fittedWhole(whole, options.legacy), { cut, legacy: options.legacy });
}

async function prepareLarge(stored: StoredMessage, options: RenderOptions): Promise<PrepareResult> {
  const recipe = recipeFor(await readHead(stored), stored.size);
  if (typeof recipe === 'string') return { kind: 'unsendable', reason: recipe };
  const sniff = recipe.plain ? utf8Detector(options.legacy) : null;
  if (sniff !== null) for await (const piece of textOf(stored, recipe)) sniff.write(piece);
  const head = headOf(recipe, sniff, options);
  let cut = recipe.untilNul;
  const ended = (): void => {
    cut = false;
  };
  const content = await fittedLarge(() => rendered(stored, recipe, head, ended), options.legacy);
  return prepared(recipe, content, { cut, legacy: options.legacy });
}

/** A message of our own making: CRLF line ends only, ends with CRLF. */
export function outgoingFrom(bytes: Buffer): OutgoingMessage {
  const content = fittedWhole(bytes, unknown8bit);
  return outgoing(content, { sender: null, problems: [], legacy: unknown8bit });
}

/** A string says why there is nothing to send. `head` holds at least the fields of a native message, up to `M`. */
function recipeFor(head: Buffer, size = head.length): Recipe | string {
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
  if (filter === null)
    return `the stored message has format type ${native.format}, which is none of 0, 1 and 4`;
  return { start: native.textStart, untilNul: true, native, plain: native.format !== 4, filter };
}

function filterFor(format: number): (() => LineFilter) | null {
  if (format === 0) return () => plainLines(FLOW_COLUMN);
  if (format === 1) return () => plainLines(null);
  return format === 4 ? rfc822Lines : null;
}

function headOf(recipe: Recipe, sniff: Utf8Detector | null, options: RenderOptions): Buffer {
  if (recipe.native === null) return Buffer.alloc(0);
  const header = renderHeader(recipe.native, options);
  return Buffer.from(sniff === null ? header : header + mimeHeader(sniff.result()), 'latin1');
}

function prepared(
  recipe: Recipe,
  content: Content,
  { cut, legacy }: { readonly cut: boolean; readonly legacy: Charset },
): PrepareResult {
  if (content.size === 0) return { kind: 'unsendable', reason: 'nothing is left of the stored message' };
  const problems = [...(recipe.native?.problems ?? [])];
  if (cut) problems.push('the stored message is cut off: its text does not end in NUL');
  return outgoing(content, { sender: senderOf(recipe.native, content.header), problems, legacy });
}

function outgoing(
  content: Content,
  about: Pick<OutgoingMessage, 'sender' | 'problems'> & { readonly legacy: Charset },
): OutgoingMessage {
  const { size, eightBit, reencoded, header, bytes, chunks } = content;
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
    sender: about.sender,
    headers: summarizeMessage(header),
    problems: about.problems,
    bytes,
    chunks,
    sevenBit: () => {
      encoded ??= eightBit ? encode() : Promise.resolve(message);
      return encoded;
    },
  };
  return message;
}

/** Field F when it is an address, else what the header says; nothing for anonymous posts (C35). */
function senderOf(native: NativeHead | null, header: ByteString): ByteString | null {
  if (native === null) return senderFromHeaders(header);
  if (isAnonymous(native)) return null;
  const author = field(native, 'F');
  if (author !== null && isMailbox(author)) return author;
  return author === null && field(native, 'A') === null ? null : senderFromHeaders(header);
}

/** The start of a large stored message: as far as the fields of a native message need, or any first piece of a text. */
async function readHead(stored: StoredMessage): Promise<Buffer> {
  let pieces: Buffer[] = [];
  let length = 0;
  let wanted = 1;
  for await (const piece of stored.stream()) {
    pieces.push(piece);
    length += piece.length;
    if (length < wanted) continue;
    const head = Buffer.concat(pieces);
    if (length > LONGEST_FIELDS || isHeadComplete(head)) return head;
    pieces = [head];
    // Doubling keeps the reading of many small pieces linear.
    wanted = length * 2;
  }
  return Buffer.concat(pieces);
}

function isHeadComplete(head: Buffer): boolean {
  if (storedForm(head) === 'text') return true;
  const native = readNativeHead(head);
  return typeof native !== 'string' && native.textStart !== null;
}

async function* rendered(
  stored: StoredMessage,
  recipe: Recipe,
  head: Buffer,
  ended: () => void,
): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  yield* filtered(textOf(stored, recipe, ended), recipe.filter());
}

/** The pieces of the text alone. `ended` is called when its NUL was met. */
async function* textOf(
  stored: StoredMessage,
  recipe: Recipe,
  ended = (): void => {},
): AsyncGenerator<Buffer> {
  let skip = recipe.start;
  for await (const piece of stored.stream()) {
    const part = piece.subarray(Math.min(skip, piece.length));
    skip -= piece.length - part.length;
    const nul = recipe.untilNul ? part.indexOf(NUL) : -1;
    if (nul >= 0) {
      ended();
      yield part.subarray(0, nul);
      return;
    }
    if (part.length > 0) yield part;
  }
}
