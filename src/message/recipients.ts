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
  const fields = headerFields(header).map(({ name, value }) => ({
    name: name.toLowerCase(),
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

/**
 * The value of an address field in pieces: entries, each with the blanks around it, and what stands between them. RFC 5322
 * 3.4: an entry ends at a comma or semicolon outside quotes, comments and brackets; `Name:` opens a group and is none.
 */
function* listPieces(value: ByteString): Generator<{ readonly text: ByteString; readonly isEntry: boolean }> {
  let start = 0;
  let closing: string | null = null;
  for (let at = 0; at < value.length; at++) {
    const char = value.charAt(at);
    if (closing !== null) {
      if (char === '\\') at++;
      else if (char === closing) closing = null;
    } else if (char === ',' || char === ';' || char === ':') {
      yield { text: value.slice(start, at), isEntry: char !== ':' };
      yield { text: char, isEntry: false };
      start = at + 1;
    } else {
      closing = CLOSING[char] ?? null;
    }
  }
  yield { text: value.slice(start), isEntry: true };
}

/** The entries of an address list, without those that are blank. */
export function listEntries(value: ByteString): readonly ByteString[] {
  return [...listPieces(value)]
    .filter(({ isEntry }) => isEntry)
    .map(({ text }) => trimWhitespace(text))
    .filter((entry) => entry !== '');
}

/** An address list with each entry that is not blank changed; all other bytes are kept. */
export function mapEntries(value: ByteString, change: (entry: ByteString) => ByteString): ByteString {
  const changed = (text: ByteString): ByteString => {
    const entry = trimWhitespace(text);
    if (entry === '') return text;
    const at = text.indexOf(entry);
    return text.slice(0, at) + change(entry) + text.slice(at + entry.length);
  };
  return [...listPieces(value)].map(({ text, isEntry }) => (isEntry ? changed(text) : text)).join('');
}

/** A header without its Bcc and Resent-Bcc fields; all other bytes are kept. */
export function withoutBcc(header: ByteString): ByteString {
  return header.replace(/(?<=^|\n)(?:resent-)?bcc[ \t]*:[^\n]*(?:\n|$)(?:[ \t][^\n]*(?:\n|$))*/gi, '');
}
