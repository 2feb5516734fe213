/**
 * The certificates of `fixtures/certificates/` as PEM text, for servers that speak TLS and clients that trust
 * their CA. See the README there for what each one is.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
  /** SHA-256, hex with colons, as Node and OpenSSL print it */
  readonly fingerprint: string;
}

function pem(file: string): string {
  return readFileSync(new URL(`../../fixtures/certificates/${file}`, import.meta.url), 'latin1');
}

function serverCertificate(name: string): ServerCertificate {
  const cert = pem(`${name}.crt`);
  return { cert, key: pem(`${name}.key`), fingerprint: new X509Certificate(cert).fingerprint256 };
}

/** PEM of the CA that signed `mail` and `expired` */
export const testCa = pem('ca.crt');

export const certificates = {
  /** mail.example, *.hosts.example, localhost, 127.0.0.1, ::1 */
  mail: serverCertificate('mail'),
  /** the same names, expired */
  expired: serverCertificate('expired'),
  /** mail.example, signed by nobody else */
  selfSigned: serverCertificate('self-signed'),
} as const;
