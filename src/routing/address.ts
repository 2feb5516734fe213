/**
 * Turns a recipient of a delivery list into the address for RCPT TO. Plain and bracketed forms give the same as in the C
 * module; quoted local parts, comments, `%`, `!` and international domains are kept, where it changed them
 * (techdoc/c-module.md). An entry that is not an address becomes a reason, never a guess: nothing is cut, joined or
 * completed, and no control byte or blank outside quotes reaches the command.
 */
import { hasEightBit } from '../message/charset.ts';
import { type ByteString, trimmed } from '../platform/bytes.ts';

export interface Address {
  readonly kind: 'address';
  /** dot-string or quoted string, ASCII or UTF-8 bytes */
  readonly local: ByteString;
  /** ASCII: a host name with A-labels, or an address literal in its brackets */
  readonly domain: string;
  /** the local part needs SMTPUTF8 */
  readonly smtputf8: boolean;
  /** for people: the quoted text, else the comment, else the text outside the brackets, else `local` */
  readonly display: ByteString;
  /** for `RCPT TO:<...>` */
  readonly command: ByteString;
}

export interface InvalidAddress {
  readonly kind: 'unusable';
  /** a sentence without its full stop, for the status line */
  readonly reason: string;
}

export type RecipientAddress = Address | InvalidAddress;

/** No C writer makes a longer line. It bounds the scan for closing quotes and parentheses. */
const MAX_ENTRY = 4096;
/** RFC 5321 4.5.3.1.2: a domain; 4.5.3.1.6: an address that fits a command line of 1000 bytes. */
const MAX_DOMAIN = 255;
const MAX_ADDRESS = 980;

const BLANKS = ' \t\r\n';
/** RFC 2047 2: a name, though it has the shape of a local part. */
const ENCODED_WORD = /^=\?.*\?=$/;
const DOT_STRING = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\x80-\xff-]+$/;
const QUOTED_STRING = /^"(?:[ !#-[\]-~\x80-\xff]|\\[ -~])*"$/;
const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?';
const HOST_LABEL = new RegExp(`^${LABEL}$`);
/** A dot-string, `@` and a host name, in ASCII and with nothing about them: nearly all are, and one look is enough. */
const PLAIN = new RegExp(`^[A-Za-z0-9!#$%&'*+/=?^_\`{|}~.-]+@${LABEL}(?:\\.${LABEL})*$`);
const LITERAL = /^\[(?:(?:\d{1,3}\.){3}\d{1,3}|IPv6:[0-9A-F:.]+)\]$/i;

function unusable(reason: string): InvalidAddress {
  return { kind: 'unusable', reason };
}

/** The parts of an entry. `spec` and `outside` have no comments. */
interface EntryParts {
  /** the text between the brackets, or all of it when there are none */
  readonly spec: ByteString;
  /** where it ends in the entry, without blanks and comments behind it */
  readonly specEnd: number;
  readonly outside: ByteString | null;
  readonly quoted: ByteString | null;
  readonly comment: ByteString | null;
}

/** Where the quoted string or the comment ends that starts at a place; -1: nowhere. */
interface Closings {
  quote(from: number): number;
  parenthesis(from: number): number;
}

/** All of them at once: to look for each by itself takes the square of the time, minutes for a list of parentheses. Comments nest. */
function closingsIn(raw: ByteString): Closings {
  const quotes = new Int32Array(raw.length);
  const parentheses = new Int32Array(raw.length);
  /** at each place, how many parentheses are open behind it, and whether a backslash is before it */
  const depths = new Int32Array(raw.length);
  const escaped = new Uint8Array(raw.length);
  let depth = 0;
  for (let at = 0; at < raw.length; at++) {
    const char = raw[at];
    const isPlain = escaped[at] === 0;
    if (isPlain && char === '(') depth++;
    else if (isPlain && char === ')') depth--;
    else if (isPlain && char === '\\') escaped[at + 1] = 1;
    depths[at] = depth;
  }
  /** by depth, the next place with it */
  const places = new Map<number, number>();
  let quote = -1;
  for (let at = raw.length - 1; at >= 0; at--) {
    const here = depths[at] ?? 0;
    quotes[at] = quote;
    parentheses[at] = places.get(here - 1) ?? -1;
    places.set(here, at);
    if (raw[at] === '"' && escaped[at] === 0) quote = at;
  }
  return { quote: (from) => quotes[from] ?? -1, parenthesis: (from) => parentheses[from] ?? -1 };
}

const NO_CLOSINGS: Closings = { quote: () => -1, parenthesis: () => -1 };

/** Null when the brackets are not exactly one pair. An unpaired quote or parenthesis is an ordinary character. */
function splitEntry(raw: ByteString): EntryParts | null {
  let outside = '';
  let inside: ByteString | null = null;
  let open = false;
  let comment: ByteString | null = null;
  const quotes: ByteString[] = [];
  const ends = { inside: 0, outside: 0 };
  const closings = /["(]/.test(raw) ? closingsIn(raw) : NO_CLOSINGS;
  const keep = (piece: ByteString, at: number) => {
    if (open) inside += piece;
    else outside += piece;
    if (trimmed(piece, BLANKS) !== '') ends[open ? 'inside' : 'outside'] = at + piece.length;
  };
  for (let at = 0; at < raw.length; at++) {
    const char = raw.charAt(at);
    const quoteEnd = char === '"' ? closings.quote(at) : -1;
    const commentEnd = char === '(' ? closings.parenthesis(at) : -1;
    if (quoteEnd > 0) {
      keep(raw.slice(at, quoteEnd + 1), at);
      if (!open) quotes.push(raw.slice(at + 1, quoteEnd));
      at = quoteEnd;
    } else if (commentEnd > 0) {
      comment = raw.slice(at + 1, commentEnd);
      at = commentEnd;
    } else if (char === '<') {
      if (inside !== null) return null;
      inside = '';
      open = true;
    } else if (char === '>') {
      if (!open) return null;
      open = false;
    } else {
      keep(char, at);
    }
  }
  if (open) return null;
  const quoted = quotes.length === 1 ? (quotes[0] ?? null) : null;
  return {
    spec: inside ?? outside,
    specEnd: inside === null ? ends.outside : ends.inside,
    outside: inside === null ? null : trimmed(outside),
    quoted,
    comment,
  };
}

/** The text of UTF-8 bytes, or null when they are not UTF-8. */
function utf8Text(bytes: ByteString): string | null {
  if (!hasEightBit(bytes)) return bytes;
  const text = Buffer.from(bytes, 'latin1').toString('utf8');
  return Buffer.from(text, 'utf8').toString('latin1') === bytes ? text : null;
}

/** A domain in A-labels by the rules of WHATWG URL (UTS 46), or null. */
function toALabels(text: string): string | null {
  const url = `http://${text}/`;
  return /[\0-,/:-@[-^`{-\x7f]/.test(text) || !URL.canParse(url) ? null : new URL(url).hostname;
}

function hostName(domain: ByteString): { readonly name: string } | InvalidAddress {
  const text = utf8Text(domain);
  if (text === null) return unusable('its domain is neither ASCII nor UTF-8');
  const ascii = text === domain ? text : toALabels(text);
  const name = ascii?.endsWith('.') ? ascii.slice(0, -1) : ascii;
  if (!name || name.length > MAX_DOMAIN || !name.split('.').every((label) => HOST_LABEL.test(label))) {
    return unusable('its domain is not a host name');
  }
  return { name };
}

function literal(domain: ByteString): { readonly name: string } | InvalidAddress {
  const host = domain.replace(/^\[IPv6:/i, '[').replace(/^\[([\d.]*)\]$/, '$1');
  return LITERAL.test(domain) && URL.canParse(`http://${host}/`)
    ? { name: domain }
    : unusable('the text in its square brackets is not an IP address');
}

function checkedLocal(local: ByteString): InvalidAddress | null {
  if (local === '') return unusable('there is nothing before its @');
  if (!DOT_STRING.test(local) && !QUOTED_STRING.test(local)) {
    return unusable('the part before its @ has blanks or characters that need quotes');
  }
  return utf8Text(local) === null ? unusable('it is neither ASCII nor UTF-8') : null;
}

/**
 * The entry with our domain, where it names a local user by a name without one (`root`, `Root <root>`, `root (Cron)`); else as
 * it is. All other bytes are kept.
 */
export function withLocalDomain(raw: ByteString, domain: ByteString): ByteString {
  const parts = splitEntry(raw);
  const spec = trimmed(parts?.spec ?? '', BLANKS);
  if (parts === null || !DOT_STRING.test(spec) || ENCODED_WORD.test(spec)) return raw;
  return `${raw.slice(0, parts.specEnd)}@${domain}${raw.slice(parts.specEnd)}`;
}

/** The address in one `remote|` line. `raw` may have a display name, comments and brackets. */
export function recipientAddress(raw: ByteString): RecipientAddress {
  if (raw.length > MAX_DOMAIN || !PLAIN.test(raw)) return writtenAddress(raw);
  const at = raw.indexOf('@');
  const local = raw.slice(0, at);
  const domain = raw.slice(at + 1);
  return { kind: 'address', local, domain, smtputf8: false, display: local, command: raw };
}

function writtenAddress(raw: ByteString): RecipientAddress {
  const entry = trimmed(raw, BLANKS);
  if (entry === '') return unusable('the recipient has no address');
  if (entry.length > MAX_ENTRY) return unusable('it is longer than any mail address can be');
  const parts = splitEntry(entry);
  if (parts === null) return unusable('its angle brackets do not enclose one address');
  const spec = trimmed(parts.spec);
  const at = spec.lastIndexOf('@');
  if (at < 0) return unusable('it has no domain: there is no @ in it');
  const local = trimmed(spec.slice(0, at));
  const domain = trimmed(spec.slice(at + 1));
  if (domain === '') return unusable('there is no domain after its @');
  const fault = checkedLocal(local);
  if (fault !== null) return fault;
  const host = domain.startsWith('[') ? literal(domain) : hostName(domain);
  if ('kind' in host) return host;
  const command = `${local}@${host.name}`;
  if (command.length > MAX_ADDRESS) return unusable('it is longer than any mail address can be');
  return {
    kind: 'address',
    local,
    domain: host.name,
    smtputf8: hasEightBit(local),
    display: parts.quoted ?? parts.comment ?? (parts.outside || local),
    command,
  };
}
