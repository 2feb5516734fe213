/**
 * The recipients a message names in its own header, as `enqueue -t` takes them (what sendmail's -t does). Bytes stay
 * bytes; whether an entry is an address is not judged here.
 */
import type { ByteString } from '../platform/bytes.ts';
import { headerFields, trimWhitespace } from './headers.ts';

const NAMING = new Set(['to', 'cc', 'bcc']);

/** Entries of To, Cc and Bcc in order, each once; groups are opened. `header` may be the whole message. */
export function headerRecipients(header: ByteString): readonly ByteString[] {
  const entries: ByteString[] = [];
  for (const { name, value } of headerFields(header)) {
    if (NAMING.has(name.trim().toLowerCase())) entries.push(...listEntries(value));
  }
  return [...new Set(entries)];
}

const CLOSING: { readonly [open: string]: string } = { '"': '"', '(': ')', '<': '>', '[': ']' };

/** RFC 5322 3.4: entries end at commas and semicolons that stand in no quotes, comments or brackets; `Name:` opens a group. */
function listEntries(value: ByteString): readonly ByteString[] {
  const entries: ByteString[] = [];
  let entry = '';
  let closing: string | null = null;
  for (let at = 0; at < value.length; at++) {
    const char = value.charAt(at);
    if (closing !== null) {
      entry += char === '\\' ? value.slice(at, at + 2) : char;
      if (char === '\\') at++;
      else if (char === closing) closing = null;
    } else if (char === ',' || char === ';') {
      entries.push(entry);
      entry = '';
    } else if (char === ':') {
      entry = '';
    } else {
      closing = CLOSING[char] ?? null;
      entry += char;
    }
  }
  return [...entries, entry].map(trimWhitespace).filter((each) => each !== '');
}

/** A header without its Bcc fields, every other byte as it was. */
export function withoutBcc(header: ByteString): ByteString {
  return header.replace(/(?<=^|\n)bcc[ \t]*:[^\n]*(?:\n|$)(?:[ \t][^\n]*(?:\n|$))*/gi, '');
}
