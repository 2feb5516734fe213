/**
 * Which charset bytes without a label are in: UTF-8 when they are valid UTF-8, else the configured legacy charset
 * when it has a character for each of them, else `unknown-8bit` (RFC 1428). Called by words.ts for header fields
 * and by outgoing.ts for bodies. Bodies are never converted: the label is all that is added.
 *
 * iconv-lite knows the legacy charsets. It is loaded when a charset is asked for by name, not at start.
 */
import type { ByteString } from '../platform/bytes.ts';

/** Bytes piece by piece into text; null as soon as the bytes so far cannot be in this charset. */
export interface Decoder {
  write(piece: Uint8Array): string | null;
  end(): string | null;
}

export interface Charset {
  /** as it goes into a MIME label */
  readonly name: string;
  decoder(): Decoder;
  encode(text: string): Uint8Array;
}

export const utf8: Charset = {
  name: 'utf-8',
  decoder: () => {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return { write: (piece) => attempt(decoder, piece, true), end: () => attempt(decoder, undefined, false) };
  },
  encode: (text) => Buffer.from(text, 'utf8'),
};

/** The last resort: every byte is itself. Readers are told that nobody knows what it means. */
export const unknown8bit: Charset = {
  name: 'unknown-8bit',
  decoder: () => ({ write: (piece) => Buffer.from(piece).toString('latin1'), end: () => '' }),
  encode: (text) => Buffer.from(text, 'latin1'),
};

export type CharsetLookup =
  | { readonly kind: 'charset'; readonly charset: Charset }
  | { readonly kind: 'unknown'; readonly reason: string };

/** A legacy charset by its name (`iso-8859-15`, `windows-1251`, `euc-jp`). */
export async function loadCharset(name: string): Promise<CharsetLookup> {
  const { default: iconv } = await import('iconv-lite');
  if (!/^[\w.:+-]{1,40}$/.test(name) || !iconv.encodingExists(name)) {
    return {
      kind: 'unknown',
      reason: `no charset "${name}" is known here; use a name like iso-8859-1 or windows-1252`,
    };
  }
  const charset: Charset = {
    name,
    decoder: () => {
      const decoder = iconv.getDecoder(name, { stripBOM: false });
      return {
        write: (piece) => decodable(decoder.write(Buffer.from(piece))),
        end: () => decodable(decoder.end() ?? ''),
      };
    },
    encode: (text) => iconv.encode(text, name, { addBOM: false }),
  };
  return { kind: 'charset', charset };
}

/** Told piece by piece what a text is made of; `result` names the charset it can be labelled with. */
export interface Utf8Detector {
  write(piece: Buffer): void;
  result(): { readonly eightBit: boolean; readonly charset: Charset };
}

/** Pure ASCII counts as UTF-8. Decoding starts with the first byte from 0x80 on: ASCII before it changes nothing. */
export function utf8Detector(legacy: Charset): Utf8Detector {
  let candidates: { readonly charset: Charset; readonly decoder: Decoder }[] | null = null;
  return {
    write: (piece) => {
      if (candidates === null) {
        if (!hasEightBit(piece.toString('latin1'))) return;
        candidates = [utf8, legacy].map((charset) => ({ charset, decoder: charset.decoder() }));
      }
      candidates = candidates.filter(({ decoder }) => decoder.write(piece) !== null);
    },
    result: () => {
      if (candidates === null) return { eightBit: false, charset: utf8 };
      const fit = candidates.find(({ decoder }) => decoder.end() !== null);
      return { eightBit: true, charset: fit?.charset ?? unknown8bit };
    },
  };
}

/** A byte from 0x80 on takes two in UTF-8: counting them so is ten times faster than looking at each. */
export function hasEightBit(text: ByteString): boolean {
  return Buffer.byteLength(text, 'utf8') !== text.length;
}

/** The charset of a short text, and the text. */
export function decodeUnlabelled(
  text: ByteString,
  legacy: Charset,
): { readonly charset: Charset; readonly text: string } {
  const bytes = Buffer.from(text, 'latin1');
  for (const charset of [utf8, legacy]) {
    const decoded = decodeWhole(bytes, charset);
    if (decoded !== null) return { charset, text: decoded };
  }
  return { charset: unknown8bit, text };
}

export function isUtf8(text: ByteString): boolean {
  return !hasEightBit(text) || decodeWhole(Buffer.from(text, 'latin1'), utf8) !== null;
}

function decodeWhole(bytes: Uint8Array, charset: Charset): string | null {
  const decoder = charset.decoder();
  const body = decoder.write(bytes);
  const tail = body === null ? null : decoder.end();
  return body === null || tail === null ? null : body + tail;
}

/** iconv-lite puts U+FFFD where a charset has no character; no legacy charset has a byte for U+FFFD itself. */
function decodable(text: string): string | null {
  return text.includes('\ufffd') ? null : text;
}

/** `TextDecoder` says "not UTF-8" by throwing, once; here that is an answer. */
function attempt(
  decoder: InstanceType<typeof TextDecoder>,
  piece: Uint8Array | undefined,
  more: boolean,
): string | null {
  try {
    return decoder.decode(piece, { stream: more });
  } catch {
    return null;
  }
}
