/**
 * What we answer in AUTH (RFC 4954): PLAIN, LOGIN, CRAM-MD5, XOAUTH2. The one place where credentials become
 * bytes; the session driver writes them to the socket and nowhere else (R017).
 */
import { createHmac } from 'node:crypto';
import type { ByteString } from '../platform/bytes.ts';
import type { Credentials } from '../routing/hosts.ts';
import type { Mechanism } from './machine/session.ts';

/**
 * The line to send, without its CRLF: `AUTH ...` when `challenge` is null, else the answer to the server's 334 text.
 * `*` cancels the exchange when there is nothing more to say (RFC 4954 4).
 */
export function authCommand(
  mechanism: Mechanism,
  step: number,
  challenge: ByteString | null,
  who: Credentials,
): ByteString {
  const answer = ANSWERS[mechanism](step, challenge, who);
  if (challenge !== null) return answer ?? '*';
  return answer === null ? `AUTH ${mechanism}` : `AUTH ${mechanism} ${answer}`;
}

type Answer = (step: number, challenge: ByteString | null, who: Credentials) => ByteString | null;

const ANSWERS: { readonly [mechanism in Mechanism]: Answer } = {
  PLAIN: (step, _, { user, password }) => (step === 0 ? base64(`\0${user}\0${password}`) : null),
  /** user name and password in two steps, in the order every server asks for them (R084, R089) */
  LOGIN: (step, _, { user, password }) => [null, base64(user), base64(password)][step] ?? null,
  'CRAM-MD5': (step, challenge, { user, password }) =>
    step === 1 && challenge !== null
      ? base64(
          `${user} ${createHmac('md5', password).update(Buffer.from(challenge, 'base64')).digest('hex')}`,
        )
      : null,
  /** the password is the token; a second 334 carries the error and wants an empty answer */
  XOAUTH2: (step, _, { user, password }) =>
    step === 0 ? base64(`user=${user}\x01auth=Bearer ${password}\x01\x01`) : '',
};

/** never wrapped (R091) */
function base64(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('base64');
}
