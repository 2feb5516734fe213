/**
 * CRC-32 (the polynomial of zlib and Ethernet) over bytes. `zlib.crc32` exists since Node 20.15 only, and loading zlib would
 * cost every start more than this table.
 */
import type { ByteString } from '../platform/bytes.ts';

/** The sums of single bytes. That of two different bits together is that of one XOR that of the other. */
const TABLE = new Int32Array(256);
for (let bit = 128, sum = 1; bit > 0; bit >>= 1) {
  sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  for (let byte = 0; byte < 256; byte += 2 * bit) TABLE[byte + bit] = sum ^ (TABLE[byte] ?? 0);
}

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
