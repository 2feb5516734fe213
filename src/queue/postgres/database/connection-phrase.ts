/** Why a database cannot be reached, as a phrase for people that says what to do about it. */
import { describeError } from '../../../platform/system-errors.ts';

const UNKNOWN_CA =
  'its certificate is signed by nobody who is trusted here. Name the file with the certificate of its CA in the address: sslrootcert=FILE';

/** By Node's code, or by what the message of an error without one has. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/UNABLE_TO_|SELF_SIGNED_CERT|CERT_SIGNATURE_FAILURE|CERT_UNTRUSTED/, UNKNOWN_CA],
  [
    /ERR_TLS_CERT_ALTNAME_INVALID/,
    'its certificate is for other names. Use one of these in the address, or give the server a certificate for this one',
  ],
  [/CERT_HAS_EXPIRED/, 'its certificate has expired. Give the server a new one'],
  [/CERT_NOT_YET_VALID/, 'its certificate is not valid yet. Compare the clocks of both machines'],
  [
    /does not support SSL/,
    'it does not offer TLS. Set ssl = on there, or, where nobody can listen on the way to it, sslmode=disable in the address',
  ],
  [
    /valid client certificate|ALERT_CERTIFICATE_REQUIRED|ALERT_UNKNOWN_CA|certificate authentication failed/i,
    'it wants a certificate of this client. Name one that it knows in the address: sslcert=FILE and sslkey=FILE',
  ],
];

export function connectionPhrase(error: unknown): string {
  // Several addresses of one name were tried.
  const first = error instanceof AggregateError ? (error.errors[0] ?? error) : error;
  const described = describeError(first).replace(/\.$/, '');
  const code = first instanceof Error && 'code' in first ? String(first.code) : '';
  const advice = ADVICE.find(([what]) => what.test(`${code} ${described}`))?.[1];
  return advice === undefined ? described : `${advice} (${described})`;
}
