/** Reads a message header: field by field, unfolded, up to the first empty line. Nothing is decoded or checked. */
import { type ByteString, trimmed } from '../platform/bytes.ts';

export interface HeaderField {
  /** as written, without the colon and the blanks that obsolete syntax allows before it (RFC 5322 4.5) */
  readonly name: ByteString;
  /** everything after the colon, unfolded, not trimmed */
  readonly value: ByteString;
}

/** In order. Lines end in LF or CRLF; a line that is neither a field nor a continuation is skipped. */
export function headerFields(header: ByteString): readonly HeaderField[] {
  const fields: HeaderField[] = [];
  let name: ByteString | null = null;
  let value = '';
  for (let start = 0; start < header.length; ) {
    const feed = header.indexOf('\n', start);
    const next = feed < 0 ? header.length : feed + 1;
    let end = feed < 0 ? header.length : feed;
    if (end > start && header[end - 1] === '\r') end -= 1;
    if (end === start) break;
    const line = header.slice(start, end);
    start = next;
    if (line[0] === ' ' || line[0] === '\t') {
      value += line;
      continue;
    }
    if (name !== null) fields.push({ name, value });
    const colon = line.indexOf(':');
    name = colon < 0 ? null : trimWhitespace(line.slice(0, colon));
    value = line.slice(colon + 1);
  }
  if (name !== null) fields.push({ name, value });
  return fields;
}

/** Without surrounding blanks, tabs and line ends. */
export function trimWhitespace(value: ByteString): ByteString {
  return trimmed(value, ' \t\n\v\f\r');
}
