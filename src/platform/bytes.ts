/** Bytes as text. */

/**
 * One character per byte, U+0000 to U+00FF ("latin1" in Node). Delivery lists and SMTP lines are bytes in no declared
 * charset; kept this way they compare, slice and match fast and are never damaged. Only `output/text.ts` decodes them for
 * people.
 */
export type ByteString = string;
