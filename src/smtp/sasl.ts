/**
 * The client side of AUTH (RFC 4954): PLAIN, LOGIN, CRAM-MD5, XOAUTH2. The only place where credentials become bytes; they
 * go to the socket and nowhere else (R017).
 */
import { createHmac } from 'node:crypto';
import type { ByteString } from '../platform/bytes.ts';
import type { Credentials } from '../routing/hosts.ts';
import type { Mechanism } from './machine/session.ts';

/**
 * The line to send, without CRLF: `AUTH ...` when `challenge` is null, else the response to the server's 334. `*` cancels the
 * exchange when the mechanism has no further response (RFC 4954 4).
 */
export function authCommand(
  mechanism: Mechanism,
  step: number,
  challenge: ByteString | null,
  credentials: Credentials,
): ByteString {
  const response = RESPONSES[mechanism](step, challenge, credentials);
  if (challenge !== null) return response ?? '*';
  return response === null ? `AUTH ${mechanism}` : `AUTH ${mechanism} ${response}`;
}

type Response = (step: number, challenge: ByteString | null, credentials: Credentials) => ByteString | null;

const RESPONSES: { readonly [mechanism in Mechanism]: Response } = {
  PLAIN: (step, _, { user, password }) => (step === 0 ? base64(`\0${user}\0${password}`) : null),
  /** user name, then password: every server asks in this order (R084, R089) */
  LOGIN: (step, _, { user, password }) => [null, base64(user), base64(password)][step] ?? null,
  'CRAM-MD5': (step, challenge, { user, password }) =>
    step === 1 && challenge !== null
      ? base64(
          `${user} ${createHmac('md5', password).update(Buffer.from(challenge, 'base64')).digest('hex')}`,
        )
      : null,
  /** the password is the token; a second 334 carries an error and needs an empty response */
  XOAUTH2: (step, _, { user, password }) =>
    step === 0 ? base64(`user=${user}\x01auth=Bearer ${password}\x01\x01`) : '',
};

/** never wrapped (R091) */
function base64(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('base64');
}
