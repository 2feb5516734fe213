/**
 * Parses numbers as the C readers of delivery lists do: leading blanks, one sign, digits; the rest is ignored, and no digits
 * are 0. Never throws and never returns -0.
 */
import type { ByteString } from '../platform/bytes.ts';

const LEADING_NUMBER = /^[ \t\n\v\f\r]*([+-]?)0*(\d*)/;
const INT64_MAX = 2n ** 63n - 1n;
const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/** The number at the start of `field`, saturating like a signed 64-bit integer. */
function leadingNumber(field: ByteString): bigint {
  const [, sign, digits = ''] = LEADING_NUMBER.exec(field) ?? [];
  // Any 20 digits are beyond 64 bits; a megabyte of digits must not be made into a bigint first.
  const magnitude = digits.length > 19 ? INT64_MAX + 1n : BigInt(digits);
  if (sign === '-') return -magnitude < -INT64_MAX - 1n ? -INT64_MAX - 1n : -magnitude;
  return magnitude > INT64_MAX ? INT64_MAX : magnitude;
}

/** A field that is a number of 32 bits as we write it, and nothing else. NaN for anything else. */
export function plainNumber(field: ByteString): number {
  const number = Number(field) | 0;
  return String(number) === field ? number : Number.NaN;
}

/**
 * A time or a message number. It saturates at plus and minus 2^53-1, so that it can be written back exactly (the C code
 * saturates at 2^63).
 */
export function parseLong(field: ByteString): number {
  const value = leadingNumber(field);
  if (value > SAFE_MAX) return Number.MAX_SAFE_INTEGER;
  if (value < -SAFE_MAX) return Number.MIN_SAFE_INTEGER;
  return Number(value);
}

/** A 32-bit field of the C structs: the low 32 bits of the 64-bit value, as a signed number. */
export function parseInt32(field: ByteString): number {
  return Number(BigInt.asIntN(32, leadingNumber(field)));
}
