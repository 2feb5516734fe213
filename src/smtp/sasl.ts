/**
 * The client side of AUTH (RFC 4954): PLAIN, LOGIN, CRAM-MD5, OAUTHBEARER (RFC 7628), XOAUTH2. The only place where credentials become bytes; they
 * go to the socket and nowhere else (R017).
 */
import { createHmac } from 'node:crypto';
import type { ByteString } from '../platform/bytes.ts';
import type { Credentials } from '../routing/hosts.ts';
import type { Mechanism } from './machine/session.ts';

/** Bytes of a command line with its CRLF: a longer initial response waits for the server's 334 (RFC 4954 3). */
const MAX_LINE = 512;

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
  const { initial, later } = MECHANISMS[mechanism];
  const first = initial === null ? null : base64(initial(credentials));
  const line = first === null ? null : `AUTH ${mechanism} ${first}`;
  const fits = line !== null && line.length + 2 <= MAX_LINE;
  if (challenge === null) return fits ? line : `AUTH ${mechanism}`;
  if (first !== null && !fits && step === 1) return first;
  return later(fits || first === null ? step : step - 1, challenge, credentials, first) ?? '*';
}

interface MechanismResponses {
  /** the initial response before base64; null: the server speaks first */
  readonly initial: ((credentials: Credentials) => string) | null;
  /** the response to the challenge number `step` behind it, from 1; null: there is none */
  readonly later: (
    step: number,
    challenge: ByteString,
    credentials: Credentials,
    initial: ByteString | null,
  ) => ByteString | null;
}

const MECHANISMS: { readonly [mechanism in Mechanism]: MechanismResponses } = {
  PLAIN: {
    initial: ({ user, password }) => `\0${user}\0${password}`,
    /** some servers overlook the initial response and ask for it */
    later: (step, _, __, initial) => (step === 1 ? initial : null),
  },
  /** user name, then password: every server asks in this order, in whatever words (R084, R089) */
  LOGIN: {
    initial: null,
    later: (step, _, { user, password }) => [base64(user), base64(password)][step - 1] ?? null,
  },
  'CRAM-MD5': {
    initial: null,
    later: (step, challenge, { user, password }) =>
      step === 1
        ? base64(
            `${user} ${createHmac('md5', password).update(Buffer.from(challenge, 'base64')).digest('hex')}`,
          )
        : null,
  },
  /** RFC 7628; the password is the token. A challenge carries an error and is answered by one byte 0x01. */
  OAUTHBEARER: {
    initial: ({ user, password }) => `n,a=${saslName(user)},\x01auth=Bearer ${password}\x01\x01`,
    later: () => base64('\x01'),
  },
  /** the password is the token; a challenge carries an error and needs an empty response */
  XOAUTH2: {
    initial: ({ user, password }) => `user=${user}\x01auth=Bearer ${password}\x01\x01`,
    later: () => '',
  },
};

/** RFC 5801 4: comma and equals sign separate fields. */
function saslName(name: string): string {
  return name.replaceAll('=', '=3D').replaceAll(',', '=2C');
}

/** never wrapped (R091) */
function base64(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('base64');
}
