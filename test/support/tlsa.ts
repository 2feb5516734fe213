/** TLSA records of certificates. */
import { createHash, X509Certificate } from 'node:crypto';
import type { TlsaRecord } from '#net-stream-utils';

/** `tlsaOf('3 1 1', certificate)`: the record that names this certificate. */
export function tlsaOf(parameters: string, pem: string): TlsaRecord {
  const [usage = 0, selector = 0, matchingType = 0] = parameters.split(' ').map(Number);
  const certificate = new X509Certificate(pem);
  const bytes =
    selector === 0 ? certificate.raw : certificate.publicKey.export({ type: 'spki', format: 'der' });
  const digest = (name: string): string => createHash(name).update(bytes).digest('hex');
  const data = [bytes.toString('hex'), digest('sha256'), digest('sha512')][matchingType] ?? '';
  return { usage, selector, matchingType, data };
}
