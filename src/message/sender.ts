/**
 * Who a message says it is from, for `MAIL FROM`. Called by outgoing.ts; that a job's `envelope_from|` wins is the
 * queue run's work. Never looks into the body and never invents an address: null means "nothing found", and the
 * caller decides between postmaster and the null sender.
 *
 * The search is the C module's (c-module-behaviour 6) where that was right. It departs from it in:
 * the body is not searched (e048); no default sender (e049); `(` loses no byte before it (e011) and a comment
 * in front of the address goes too (e004, e007); folded lines are read whole and uncut (e058, e059); unprintable
 * bytes are dropped around an address (e041) but never out of it, which would make it somebody else's (e042 to
 * e045): an address in UTF-8 stays as it is (RFC 6531), one in any other charset cannot be used.
 */
import type { ByteString } from '../platform/bytes.ts';
import { isUtf8 } from './charset.ts';
import { headerFields, trimWhitespace } from './headers.ts';

const unprintable = /[^\x20-\x7e]+/g;

/** Local part (quoted: without brackets, on which servers disagree), `@`, domain or literal; bytes from 0x80 on are letters. */
const mailbox =
  /^(?:"[^"\\<>\x00-\x1f\x7f]*(?:\\[^<>\x00-\x1f\x7f-\xff][^"\\<>\x00-\x1f\x7f]*)*"|[^\x00-\x20\x7f<>()[\]\\,;:@"]+)@(?:[^\x00-\x20\x7f<>()[\]\\,;:@"]+|\[[^\x00-\x20\x7f<>()[\]\\]+\])$/;

/** Longest path of RFC 5321 4.5.3.1.3, without its brackets. */
const longestMailbox = 254;

/** May this stand between the brackets of `MAIL FROM:<>`? UTF-8 may (it needs SMTPUTF8), other 8-bit bytes may not. */
export function isMailbox(address: ByteString): boolean {
  return hasMailboxShape(address) && isUtf8(address);
}

function hasMailboxShape(address: ByteString): boolean {
  return address.length <= longestMailbox && mailbox.test(address);
}

/**
 * The address in the first `From:` of a header (a whole message will do, its body is not read); null when there
 * is none. The result may be no mailbox at all (`Joe Six`): see `senderFromHeaders`.
 */
export function envelopeSenderFromHeaders(header: ByteString): ByteString | null {
  return addressOfField(header, 'from');
}

function addressOfField(header: ByteString, wanted: string): ByteString | null {
  for (const { name, value } of headerFields(header)) {
    if (name.toLowerCase() !== wanted) continue;
    const exact = addressIn(trimWhitespace(value));
    if (hasMailboxShape(exact)) return isUtf8(exact) ? exact : null;
    return trimWhitespace(addressIn(value.replace(unprintable, ' '))) || null;
  }
  return null;
}

/** Who sent a message on answers for it, before its author does (RFC 5322 3.6.6). */
const SENDING = ['resent-sender', 'resent-from', 'from'] as const;

/** As above, of the last resending if there was one, and only what a server would take as a sender. */
export function senderFromHeaders(header: ByteString): ByteString | null {
  const found = SENDING.map((name) => trimWhitespace(addressOfField(header, name) ?? ''));
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
  // What a comment keeps apart never grows together into somebody else's address.
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
