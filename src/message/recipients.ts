/** The recipients in a message's header, for `enqueue -t` (sendmail's -t). Entries are not checked to be addresses. */
import type { ByteString } from '../platform/bytes.ts';
import { type HeaderField, headerFields, trimWhitespace } from './headers.ts';

const ORIGINAL = new Set(['to', 'cc', 'bcc']);
const RESENT = new Set(['resent-to', 'resent-cc', 'resent-bcc']);

/** Servers write these between one resending and an older one below it ... */
const TRACE = new Set(['received', 'return-path']);
/** ... and a resending has each of these once (RFC 5322 3.6.6). */
const ONCE = new Set(['resent-from', 'resent-sender', 'resent-date', 'resent-message-id']);

/**
 * Entries of To, Cc and Bcc in order, without duplicates; the members of a group are listed. Of a resent message, those of
 * the last resending instead. `header` may be the whole message.
 */
export function headerRecipients(header: ByteString): readonly ByteString[] {
  const fields = [...headerFields(header)].map(({ name, value }) => ({
    name: trimWhitespace(name).toLowerCase(),
    value,
  }));
  const resent = lastResending(fields);
  const naming = resent.some(({ name }) => RESENT.has(name)) ? RESENT : ORIGINAL;
  const entries = (naming === RESENT ? resent : fields)
    .filter(({ name }) => naming.has(name))
    .flatMap(({ value }) => listEntries(value));
  return [...new Set(entries)];
}

/** The topmost Resent fields, up to where an older resending begins. */
function lastResending(fields: readonly HeaderField[]): readonly HeaderField[] {
  const block: HeaderField[] = [];
  for (const field of fields) {
    const older = ONCE.has(field.name) && block.some(({ name }) => name === field.name);
    if (older || (block.length > 0 && TRACE.has(field.name))) break;
    if (field.name.startsWith('resent-')) block.push(field);
  }
  return block;
}

const CLOSING: { readonly [open: string]: string } = { '"': '"', '(': ')', '<': '>', '[': ']' };

/** The entries of an address list. RFC 5322 3.4: they end at commas and semicolons outside quotes, comments and brackets; `Name:` opens a group. */
export function listEntries(value: ByteString): readonly ByteString[] {
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

/** A header without its Bcc and Resent-Bcc fields; all other bytes are kept. */
export function withoutBcc(header: ByteString): ByteString {
  return header.replace(/(?<=^|\n)(?:resent-)?bcc[ \t]*:[^\n]*(?:\n|$)(?:[ \t][^\n]*(?:\n|$))*/gi, '');
}
