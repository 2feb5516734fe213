/**
 * The envelope sender that a message's own header suggests, for `MAIL FROM`. Only the header is read, and no address is
 * invented: null means that there is none.
 *
 * The search is that of Citadel's C module (techdoc/c-module.md) with the corrections that techdoc/stored-messages.md lists
 * under "The envelope sender".
 */
import type { ByteString } from '../platform/bytes.ts';
import { isUtf8 } from './charset.ts';
import { headerFields, trimWhitespace } from './headers.ts';

const unprintable = /[^\x20-\x7e]+/g;

/**
 * Local part, `@`, domain or literal; bytes from 0x80 on count as letters. A quoted local part with angle brackets is left out,
 * because servers disagree about it.
 */
const MAILBOX =
  /^(?:"[^"\\<>\x00-\x1f\x7f]*(?:\\[^<>\x00-\x1f\x7f-\xff][^"\\<>\x00-\x1f\x7f]*)*"|[^\x00-\x20\x7f<>()[\]\\,;:@"]+)@(?:[^\x00-\x20\x7f<>()[\]\\,;:@"]+|\[[^\x00-\x20\x7f<>()[\]\\]+\])$/;

/** Longest path of RFC 5321 4.5.3.1.3, without brackets. */
const MAX_MAILBOX = 254;

/** Whether the address can be used in `MAIL FROM:<>`. UTF-8 can (with SMTPUTF8), other 8-bit bytes cannot. */
export function isMailbox(address: ByteString): boolean {
  return hasMailboxShape(address) && isUtf8(address);
}

function hasMailboxShape(address: ByteString): boolean {
  return address.length <= MAX_MAILBOX && MAILBOX.test(address);
}

/**
 * The address in the first field with that name (lower case); null when there is none. The result need not be a mailbox
 * (`Joe Six`). `header` may be the whole message.
 */
export function addressInField(header: ByteString, wanted: string): ByteString | null {
  for (const { name, value } of headerFields(header)) {
    if (name.toLowerCase() !== wanted) continue;
    const exact = addressIn(trimWhitespace(value));
    if (hasMailboxShape(exact)) return isUtf8(exact) ? exact : null;
    return trimWhitespace(addressIn(value.replace(unprintable, ' '))) || null;
  }
  return null;
}

/** Whoever resent a message is its sender, before its author (RFC 5322 3.6.6). */
const SENDING = ['resent-sender', 'resent-from', 'from'] as const;

/** The first of these fields whose address is a mailbox. */
export function senderFromHeaders(header: ByteString): ByteString | null {
  const found = SENDING.map((name) => trimWhitespace(addressInField(header, name) ?? ''));
  return found.find(isMailbox) ?? null;
}

function addressIn(value: ByteString): ByteString {
  return inBrackets(withoutComments(value));
}

function withoutComments(value: ByteString): ByteString {
  const open = value.lastIndexOf('(');
  const close = value.lastIndexOf(')');
  if (open < 0 || close < open) return value;
  const before = value.slice(0, open);
  const after = value.slice(close + 1);
  // A comment separates: what is on its two sides must not be joined into another address.
  const gap = before.endsWith('@') || after.startsWith('@') ? '' : ' ';
  return withoutLeadingComments(trimWhitespace(trimWhitespace(before) + gap + trimWhitespace(after)));
}

function withoutLeadingComments(value: ByteString): ByteString {
  let rest = value;
  for (let close = rest.indexOf(')'); rest.startsWith('(') && close >= 0; close = rest.indexOf(')'))
    rest = trimWhitespace(rest.slice(close + 1));
  return rest;
}

/** Between the last `<` and the last `>`, then once more between the last `<` and the first `>`. */
function inBrackets(value: ByteString): ByteString {
  const open = value.lastIndexOf('<');
  const close = value.lastIndexOf('>');
  const once = open >= 0 && close > open ? value.slice(open + 1, close) : value;
  const opens = once.lastIndexOf('<');
  const closes = once.indexOf('>');
  return opens >= 0 && closes > opens ? once.slice(opens + 1, closes) : once;
}
