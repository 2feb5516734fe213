/**
 * Writes the header of a native message that goes out as mail (techdoc/stored-messages.md), in the order of a Citadel
 * version. Field V, the blind copies (R031), is left out, and so is field P: only the server of final delivery writes a
 * Return-Path (RFC 5321 4.4).
 *
 * Unlike the C module: nothing is cut at 99 bytes (C23), zones with half hours are right (C22), a line break in a field
 * cannot start another one, names are escaped and encoded, and an anonymous post never names its author (C35), neither in
 * From nor in Reply-To.
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
  /** the Citadel version whose order of header fields is used */
  readonly order: FieldOrder;
  /** this site's domain (`c_fqdn`): completes addresses and ids without one */
  readonly fqdn: string;
  /** this server's Citadel name (`c_nodename`): in field N it means `fqdn`; '' when unknown */
  readonly nodeName: string;
  /** charset of bytes that are not UTF-8 */
  readonly legacy: Charset;
  /** minutes east of Greenwich for `Date:` */
  readonly zoneMinutes: number;
}

export type Fields = Pick<NativeHead, 'anonymous' | 'fields'>;

type Writer = (value: ByteString, message: Fields, options: RenderOptions) => ByteString | null;

/** Letter -> header field; `write` is called for values that are not blank, null writes nothing. */
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

/** The header of a native message up to `From:`; CRLF lines, without the final empty line. */
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

/** The MIME fields that formats 0 and 1 lack, with the final empty line. Without them readers guess the charset. */
export function mimeHeader(label: { readonly eightBit: boolean; readonly charset: Charset }): ByteString {
  const encoding = label.eightBit ? '8bit' : '7bit';
  return `MIME-Version: 1.0\r\nContent-Type: text/plain; charset=${label.charset.name}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`;
}

/** Completes a local name. An address has a domain, and a group (`undisclosed:;`) needs none. */
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

/** Field N; this site's domain when the field is missing or names this server. */
function node(message: Fields, options: RenderOptions): string {
  const name = oneLine(field(message, 'N') ?? '');
  return name === '' || name === options.nodeName ? options.fqdn : name;
}
