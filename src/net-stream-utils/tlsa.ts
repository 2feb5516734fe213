/**
 * Whether a server's certificates match TLSA records, for the usages that SMTP has: DANE-EE (3) and DANE-TA (2) of RFC 7672 3.
 * Records are taken as usable; which ones are is for the caller to say.
 */
import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import type { TlsaRecord, TlsOptions } from './connection.ts';

type Dane = NonNullable<TlsOptions['dane']>;

/** Longest chain that is looked at; a server may send any number of certificates. */
const LONGEST_CHAIN = 10;

/** `leaf`: the peer's certificate, with those it showed behind it as `issuerCertificate`. */
export function matchesTlsa(leaf: X509Certificate | undefined, { records, names }: Dane): boolean {
  if (leaf === undefined) return false;
  const ownCertificates = records.filter(({ usage }) => usage === 3);
  // RFC 7672 3.1.1: under DANE-EE neither the name nor the time of validity counts.
  if (ownCertificates.some((record) => matches(record, leaf))) return true;
  const anchors = records.filter(({ usage }) => usage === 2);
  return anchors.length > 0 && names.some((name) => isFor(leaf, name)) && isSigned(leaf, anchors);
}

/** RFC 7672 3.2.3: a wildcard stands for a whole first label. */
function isFor(certificate: X509Certificate, name: string): boolean {
  return certificate.checkHost(name, { partialWildcards: false }) !== undefined;
}

function matches({ selector, matchingType, data }: TlsaRecord, certificate: X509Certificate): boolean {
  const bytes = selector === 0 ? certificate.raw : keyOf(certificate);
  return data === (matchingType === 0 ? bytes.toString('hex') : digest(matchingType, bytes));
}

function keyOf(certificate: X509Certificate): Buffer {
  return certificate.publicKey.export({ type: 'spki', format: 'der' });
}

function digest(matchingType: number, bytes: Buffer): string {
  return createHash(matchingType === 1 ? 'sha256' : 'sha512')
    .update(bytes)
    .digest('hex');
}

/** A path of valid signatures leads from the leaf to a certificate that a record names. */
function isSigned(leaf: X509Certificate, anchors: readonly TlsaRecord[]): boolean {
  const chain = [...shown(leaf)];
  for (const [index, certificate] of chain.entries()) {
    if (!isCurrent(certificate)) return false;
    // A server's certificate may be its own anchor if it has signed itself.
    const isAnchor = index === 0 ? certificate.checkIssued(certificate) : certificate.ca;
    if (isAnchor && anchors.some((anchor) => matches(anchor, certificate))) return true;
    if (anchors.some((anchor) => isSignedBy(certificate, anchor))) return true;
    const issuer = chain[index + 1];
    if (issuer === undefined || !isIssuedBy(certificate, issuer)) return false;
  }
  return false;
}

function* shown(leaf: X509Certificate): Generator<X509Certificate> {
  let certificate: X509Certificate | undefined = leaf;
  for (let length = 0; certificate !== undefined && length < LONGEST_CHAIN; length++) {
    yield certificate;
    const issuer: X509Certificate | undefined = certificate.issuerCertificate;
    certificate = issuer?.fingerprint256 === certificate.fingerprint256 ? undefined : issuer;
  }
}

function isCurrent({ validFrom, validTo }: X509Certificate): boolean {
  const now = Date.now();
  return Date.parse(validFrom) <= now && now <= Date.parse(validTo);
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** A record with a whole certificate or key names an anchor that the server need not show (RFC 7671 5.2). */
function isSignedBy(certificate: X509Certificate, { selector, matchingType, data }: TlsaRecord): boolean {
  if (matchingType !== 0) return false;
  const bytes = Buffer.from(data, 'hex');
  try {
    if (selector === 1)
      return certificate.verify(createPublicKey({ key: bytes, format: 'der', type: 'spki' }));
    const anchor = new X509Certificate(bytes);
    return isCurrent(anchor) && isIssuedBy(certificate, anchor);
  } catch {
    // Neither a certificate nor a key: it matches nothing.
    return false;
  }
}
