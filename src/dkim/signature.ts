/**
 * The DKIM-Signature field (RFC 6376 3.5): which fields it covers, its text, and the data that is signed. Relaxed/relaxed;
 * no `l=` (anybody could append to the body), no `x=` (a retry may come days later).
 */
import { headerFields } from '../message/headers.ts';
import type { ByteString } from '../platform/bytes.ts';
import { relaxedField } from './canonical.ts';

export type Algorithm = 'rsa-sha256' | 'ed25519-sha256';

/** Named once more than they occur, so that nobody can add another one (RFC 6376 8.15). */
const OVERSIGNED = [
  'from',
  'subject',
  'to',
  'cc',
  'date',
  'reply-to',
  'message-id',
  'in-reply-to',
  'references',
  'mime-version',
  'content-type',
  'content-transfer-encoding',
  'content-disposition',
  'content-id',
  'content-description',
];

/** Named as often as they occur. */
const COVERED = [
  ...['sender', 'list-id', 'list-unsubscribe', 'list-unsubscribe-post'],
  ...['tls-required', 'tls-report-domain', 'tls-report-submitter'],
];

export interface SigningIdentity {
  /** d=, an A-label domain in lower case */
  readonly domain: string;
  /** s= */
  readonly selector: string;
  readonly algorithm: Algorithm;
}

interface Field {
  readonly name: ByteString;
  readonly value: ByteString;
}

/** Names for h=, in the order in which the fields are hashed. */
export function signedNames(header: ByteString): readonly string[] {
  const counts = new Map<string, number>();
  for (const { name } of fieldsOf(header)) counts.set(name, (counts.get(name) ?? 0) + 1);
  const times = (name: string, count: number): string[] => Array.from({ length: count }, () => name);
  return [
    ...OVERSIGNED.flatMap((name) => times(name, (counts.get(name) ?? 0) + 1)),
    ...COVERED.flatMap((name) => times(name, counts.get(name) ?? 0)),
  ];
}

/** Domains that have signed the message already, in lower case. */
export function signingDomains(header: ByteString): ReadonlySet<string> {
  const domains = fieldsOf(header)
    .filter(({ name }) => name === 'dkim-signature')
    .flatMap(({ value }) => /(?:^|;)\s*d\s*=\s*([^;\s]+)/i.exec(value)?.[1]?.toLowerCase() ?? []);
  return new Set(domains);
}

/** The field up to its empty `b=`, folded; `time` is Unix seconds, `bodyHash` base64. */
export function unsignedField(
  { domain, selector, algorithm }: SigningIdentity,
  names: readonly string[],
  bodyHash: string,
  time: number,
): ByteString {
  const tags = `v=1; a=${algorithm}; c=relaxed/relaxed; d=${domain}; s=${selector}; t=${time};`;
  return `DKIM-Signature: ${tags}\r\n\th=${folded(names)};\r\n\tbh=${bodyHash};\r\n\tb=`;
}

/** The named fields as they are signed, the last ones first (RFC 6376 5.4.2). */
export function coveredFields(header: ByteString, names: readonly string[]): readonly ByteString[] {
  const fields = new Map<string, Field[]>();
  for (const field of fieldsOf(header)) {
    const same = fields.get(field.name);
    if (same === undefined) fields.set(field.name, [field]);
    else same.push(field);
  }
  return names.flatMap((name) => {
    const field = fields.get(name)?.pop();
    return field === undefined ? [] : [relaxedField(field.name, field.value)];
  });
}

/** The bytes that the key signs: the fields it covers, then the signature field itself (RFC 6376 3.7). */
export function signedData(covered: readonly ByteString[], unsigned: ByteString): ByteString {
  const colon = unsigned.indexOf(':');
  return [...covered, relaxedField(unsigned.slice(0, colon), unsigned.slice(colon + 1))].join('\r\n');
}

/** The complete field with its CRLF. */
export function signedField(unsigned: ByteString, signature: Buffer): ByteString {
  const base64 = signature.toString('base64');
  return `${unsigned}${(base64.match(/.{1,72}/g) ?? []).join('\r\n\t ')}\r\n`;
}

/** Separated by colons. */
function folded(names: readonly string[]): string {
  let text = '';
  let column = 0;
  for (const [at, name] of names.entries()) {
    const word = at === names.length - 1 ? name : `${name}:`;
    if (column + word.length > 70) {
      text += '\r\n\t ';
      column = 0;
    }
    text += word;
    column += word.length;
  }
  return text;
}

function fieldsOf(header: ByteString): readonly Field[] {
  return headerFields(header).map(({ name, value }) => ({
    name: name.toLowerCase(),
    value,
  }));
}
