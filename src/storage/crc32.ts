/**
 * CRC-32 (the polynomial of zlib and Ethernet) over bytes. `zlib.crc32` exists since Node 20.15 only, and loading zlib would
 * cost every start more than this table.
 */
import type { ByteString } from '../platform/bytes.ts';

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  return sum;
});

/** The same over bytes in pieces. */
export function crc32OfAll(pieces: Iterable<Uint8Array>): number {
  let sum = -1;
  for (const piece of pieces)
    for (let at = 0; at < piece.length; at++)
      sum = (sum >>> 8) ^ (TABLE[(sum ^ (piece[at] ?? 0)) & 0xff] ?? 0);
  return ~sum >>> 0;
}

/** 32 bits, unsigned. */
export function crc32(bytes: ByteString): number {
  let sum = -1;
  for (let at = 0; at < bytes.length; at++)
    sum = (sum >>> 8) ^ (TABLE[(sum ^ bytes.charCodeAt(at)) & 0xff] ?? 0);
  return ~sum >>> 0;
}
