/**
 * Decides which charset unlabelled bytes are in: UTF-8 when they are valid UTF-8, otherwise the configured legacy charset
 * when it has a character for each of them, otherwise `unknown-8bit` (RFC 1428). Text is labelled, never converted.
 *
 * iconv-lite provides the legacy charsets. The bundle loads it when the first byte is decoded by it, not at start-up.
 */
import iconv from 'iconv-lite';
import type { ByteString } from '../platform/bytes.ts';

/** Decodes bytes piece by piece; null as soon as the bytes so far cannot be in this charset. */
export interface Decoder {
  write(piece: Uint8Array): string | null;
  end(): string | null;
}

export interface Charset {
  /** as in a MIME label */
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

/** The last resort: every byte becomes the character of the same number. */
export const unknown8bit: Charset = {
  name: 'unknown-8bit',
  decoder: () => ({ write: (piece) => Buffer.from(piece).toString('latin1'), end: () => '' }),
  encode: (text) => Buffer.from(text, 'latin1'),
};

export type CharsetLookup =
  | { readonly kind: 'charset'; readonly charset: Charset }
  | { readonly kind: 'unknown'; readonly reason: string };

/** The default of the setting `charset`, which need not be looked up. */
const DEFAULT = 'windows-1252';

/** A legacy charset by its name (`iso-8859-15`, `windows-1251`, `euc-jp`). */
export function findCharset(name: string): CharsetLookup {
  if (name !== DEFAULT && !(/^[\w.:+-]{1,40}$/.test(name) && iconv.encodingExists(name))) {
    return {
      kind: 'unknown',
      reason: `unknown charset "${name}"; use a name such as iso-8859-1 or windows-1252`,
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

/** Reads a text piece by piece; `result` is the charset it can be labelled with. */
export interface Utf8Detector {
  write(piece: Buffer): void;
  result(): { readonly eightBit: boolean; readonly charset: Charset };
}

/** Pure ASCII counts as UTF-8. Decoding starts with the first piece that has a byte from 0x80 on. */
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

/** A byte from 0x80 on takes two in UTF-8: comparing lengths is ten times faster than looking at each byte. */
export function hasEightBit(text: ByteString): boolean {
  return Buffer.byteLength(text, 'utf8') !== text.length;
}

/** The charset of a short text, and the decoded text. */
export function decodeUnlabelled(
  text: ByteString,
  legacy: Charset,
): { readonly charset: Charset; readonly text: string } {
  const bytes = Buffer.from(text, 'latin1');
  for (const charset of [utf8, legacy]) {
    const decoded = decodeAll(bytes, charset);
    if (decoded !== null) return { charset, text: decoded };
  }
  return { charset: unknown8bit, text };
}

export function isUtf8(text: ByteString): boolean {
  return !hasEightBit(text) || decodeAll(Buffer.from(text, 'latin1'), utf8) !== null;
}

function decodeAll(bytes: Uint8Array, charset: Charset): string | null {
  const decoder = charset.decoder();
  const text = decoder.write(bytes);
  const tail = text === null ? null : decoder.end();
  return text === null || tail === null ? null : text + tail;
}

/** iconv-lite puts U+FFFD where a charset has no character; no legacy charset has a byte for U+FFFD itself. */
function decodable(text: string): string | null {
  return text.includes('\ufffd') ? null : text;
}

/** `TextDecoder` throws on invalid UTF-8; here that is a result. */
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
