/**
 * The header that Citadel writes over a native message when it goes out as mail (formats.md 2.1, 2.2), in each era's
 * order. Called by outgoing.ts. Writes no body, looks at none, and leaves out field V, the blind copies (R031), and
 * field P: only the server of final delivery writes a Return-Path (RFC 5321 4.4).
 *
 * Mended against the C module: nothing is cut at 99 bytes (C23), zones with half hours are right (C22), a line break
 * in a field cannot start a header, names are escaped and encoded, and an anonymous post names its author
 * nowhere (C35): neither in From nor in a Reply-To that is the author's own.
 */
import type { ByteString } from '../platform/bytes.ts';
import type { Charset } from './charset.ts';
import { rfc5322Date } from './dates.ts';
import {
  encodeAddressList,
  encodeDisplayName,
  encodeUnstructured,
  headerLine,
  oneLine,
} from './header-text.ts';
import { trimWhitespace } from './headers.ts';
import { ANONYMOUS, type FieldOrder, field, isAnonymous, type NativeHead } from './native.ts';

export interface RenderOptions {
  /** which era's order of header fields */
  readonly order: FieldOrder;
  /** this site's domain (`c_fqdn`): right side of addresses and ids that have none */
  readonly fqdn: string;
  /** this server's Citadel name (`c_nodename`), which stands for `fqdn` in field N; '' when unknown */
  readonly nodeName: string;
  /** what bytes are in that are not UTF-8 */
  readonly legacy: Charset;
  /** minutes east of Greenwich for `Date:` */
  readonly zoneMinutes: number;
}

export type Fields = Pick<NativeHead, 'anonymous' | 'fields'>;

type Writer = (value: ByteString, message: Fields, options: RenderOptions) => ByteString | null;

/** Letter -> header line; null: nothing to write. Blank values never get here. */
const WRITERS: Readonly<Record<string, { readonly name: string; readonly write: Writer }>> = {
  T: {
    name: 'Date',
    write: (value, _, options) => rfc5322Date(Number.parseInt(value, 10), options.zoneMinutes),
  },
  R: {
    name: 'To',
    write: (value, _, options) => encodeAddressList(withDomain(value, options.fqdn), options.legacy),
  },
  W: { name: 'References', write: (value) => references(value) },
  K: { name: 'Reply-To', write: (value, message, options) => replyTo(value, message, options) },
  L: { name: 'List-ID', write: (value, _, options) => encodeAddressList(value, options.legacy) },
  Y: { name: 'CC', write: (value, _, options) => encodeAddressList(value, options.legacy) },
  U: { name: 'Subject', write: (value, _, options) => encodeUnstructured(value, options.legacy) },
};

const ORDERS: Readonly<Record<FieldOrder, string>> = {
  '2012': 'KLRTUWY',
  '2016': 'TRWKLYU',
  '2023': 'TRWKLYU',
};

/** The header of a native message up to and with `From:`; CRLF lines, no empty line behind them. */
export function renderHeader(message: Fields, options: RenderOptions): ByteString {
  let header = '';
  for (const letter of ORDERS[options.order]) {
    const value = field(message, letter);
    const writer = WRITERS[letter];
    const text = value === null || writer === undefined ? null : writer.write(value, message, options);
    if (text !== null && writer !== undefined) header += headerLine(writer.name, text);
  }
  if (field(message, 'U') === null) header += 'Subject: (no subject)\r\n';
  header += headerLine('Message-ID', messageId(message, options));
  return header + headerLine('From', from(message, options));
}

/** What formats 0 and 1 lack in every era: readers had to guess the charset. Ends with the empty line. */
export function mimeHeader(label: { readonly eightBit: boolean; readonly charset: Charset }): ByteString {
  const encoding = label.eightBit ? '8bit' : '7bit';
  return `MIME-Version: 1.0\r\nContent-Type: text/plain; charset=${label.charset.name}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`;
}

/** A local name gets our domain; an address has one, and a group (`undisclosed:;`) needs none. */
function withDomain(value: ByteString, fqdn: string): ByteString {
  return /[@:]/.test(value) ? value : `${trimWhitespace(value)}@${fqdn}`;
}

function references(value: ByteString): ByteString | null {
  const ids = oneLine(value)
    .split('|')
    .map((id) => trimWhitespace(id.replace(/[<>]/g, '')))
    .filter((id) => id !== '');
  return ids.length === 0 ? null : ids.map((id) => `<${id}>`).join(' ');
}

function replyTo(value: ByteString, message: Fields, options: RenderOptions): ByteString | null {
  return isAnonymous(message) && namesAuthor(value, message)
    ? null
    : encodeAddressList(value, options.legacy);
}

function namesAuthor(value: ByteString, message: Fields): boolean {
  const text = value.toLowerCase();
  return ['A', 'F', 'P'].some((letter) => {
    const author = field(message, letter);
    return author !== null && text.includes(author.toLowerCase());
  });
}

function messageId(message: Fields, options: RenderOptions): ByteString {
  const id = oneLine(field(message, 'I') ?? 'unknown').replace(/[<>]/g, '');
  return id.includes('@') ? `<${id}>` : `<${id}@${node(message, options)}>`;
}

function from(message: Fields, options: RenderOptions): ByteString {
  if (message.anonymous === ANONYMOUS.only) return '"----" <x@x.org>';
  if (message.anonymous === ANONYMOUS.option) return '"anonymous" <x@x.org>';
  const author = field(message, 'A') ?? '';
  const address = oneLine(field(message, 'F') ?? '').replace(/[<>]/g, '');
  const local = author.toLowerCase().replace(/[^a-z0-9]/g, '_') || 'unknown';
  const name = author === '' ? '' : `${encodeDisplayName(author, options.legacy)} `;
  return `${name}<${address || `${local}@${node(message, options)}`}>`;
}

/** Field N, unless it is our own server's name or missing (2016 put the mail address here, 2023 nothing). */
function node(message: Fields, options: RenderOptions): string {
  const name = oneLine(field(message, 'N') ?? '');
  return name === '' || name === options.nodeName ? options.fqdn : name;
}
