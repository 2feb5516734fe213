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

/** A fast path, because nearly every numeric field is one digit. NaN for anything else. */
function singleDigit(field: ByteString): number {
  const code = field.length === 1 ? field.charCodeAt(0) : 0;
  return code >= 48 && code <= 57 ? code - 48 : Number.NaN;
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
  const digit = singleDigit(field);
  return Number.isNaN(digit) ? Number(BigInt.asIntN(32, leadingNumber(field))) : digit;
}

/** Whether the field is exactly the number that was read from it; for warnings. */
export function isPlainNumber(field: ByteString, read: number): boolean {
  return field === '' || !Number.isNaN(singleDigit(field)) || field === String(read);
}
