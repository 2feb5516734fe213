/**
 * The client side of AUTH (RFC 4954), for the mechanisms of mechanisms.ts. The only place where credentials become bytes; they
 * go to the socket and nowhere else (R017).
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { ByteString } from '../platform/bytes.ts';
import type { Credentials } from '../routing/hosts.ts';
import type { Mechanism } from './mechanisms.ts';

/** Bytes of a command line with its CRLF: a longer initial response waits for the server's 334 (RFC 4954 3). */
const MAX_LINE = 512;

/** Who logs in. */
export interface Login extends Credentials {
  /** AUTH is sent alone: the server does not take an initial response with it */
  readonly withoutInitialResponse?: boolean;
  /** printable, without commas, never used twice (RFC 5802 5.1) */
  readonly nonce: string;
}

/**
 * The line to send, without CRLF: `AUTH ...` before any challenge, else the response to the server's last 334. `*` cancels the
 * exchange when the mechanism has no further response (RFC 4954 4). `challenges` are all of this exchange, as they came.
 */
export function authCommand(
  mechanism: Mechanism,
  challenges: readonly ByteString[],
  login: Login,
): ByteString {
  const { initial, later } = RESPONSES[mechanism];
  const first = initial === null ? null : base64(initial(login));
  const line = first === null ? null : `AUTH ${mechanism} ${first}`;
  const fits = line !== null && line.length + 2 <= MAX_LINE && login.withoutInitialResponse !== true;
  if (challenges.length === 0) return fits ? line : `AUTH ${mechanism}`;
  if (first !== null && !fits && challenges.length === 1) return first;
  return later(fits || first === null ? challenges : challenges.slice(1), login, first) ?? '*';
}

/** For one exchange. */
export function newNonce(): string {
  return randomBytes(18).toString('base64');
}

interface MechanismResponses {
  /** the initial response before base64; null: the server speaks first */
  readonly initial: ((login: Login) => string) | null;
  /** the response to the last of the challenges behind it; null: there is none */
  readonly later: (
    challenges: readonly ByteString[],
    login: Login,
    initial: ByteString | null,
  ) => ByteString | null;
}

const RESPONSES: { readonly [mechanism in Mechanism]: MechanismResponses } = {
  'SCRAM-SHA-256': scram('sha256'),
  'SCRAM-SHA-1': scram('sha1'),
  'CRAM-MD5': {
    initial: null,
    later: ([challenge = '', ...more], { user, password }) =>
      more.length === 0
        ? base64(`${user} ${createHmac('md5', password).update(bytesOf(challenge)).digest('hex')}`)
        : null,
  },
  PLAIN: {
    initial: ({ user, password }) => `\0${user}\0${password}`,
    /** some servers overlook the initial response and ask for it */
    later: ({ length }, _, initial) => (length === 1 ? initial : null),
  },
  /** user name, then password: every server asks in this order, in whatever words (R084, R089) */
  LOGIN: {
    initial: null,
    later: ({ length }, { user, password }) => [base64(user), base64(password)][length - 1] ?? null,
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

/** A server that asks for more would keep us computing (seconds). */
const MOST_ITERATIONS = 200_000;

/** RFC 5802, without channel binding. A server that cannot prove itself at the end is not answered any more. */
function scram(hash: 'sha256' | 'sha1'): MechanismResponses {
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const bare = ({ user, nonce }: Login): string => `n=${saslName(user.normalize('NFKC'))},r=${nonce}`;
  return {
    initial: (login) => `n,,${bare(login)}`,
    later: ([first = '', last, ...more], login) => {
      const serverFirst = bytesOf(first).toString('utf8');
      const [, nonce = '', salt = '', count = ''] =
        /^r=([^,]+),s=([^,]+),i=([1-9]\d{0,8})/.exec(serverFirst) ?? [];
      const iterations = Number(count);
      if (!nonce.startsWith(login.nonce) || iterations === 0 || iterations > MOST_ITERATIONS) return null;
      const length = hash === 'sha256' ? 32 : 20;
      const salted = pbkdf2Sync(login.password.normalize('NFKC'), bytesOf(salt), iterations, length, hash);
      const final = `c=biws,r=${nonce}`;
      const signed = `${bare(login)},${serverFirst},${final}`;
      if (last !== undefined) {
        const proof = hmac(hmac(salted, 'Server Key'), signed).toString('base64');
        return more.length === 0 && bytesOf(last).toString('utf8').startsWith(`v=${proof}`) ? '' : null;
      }
      const key = hmac(salted, 'Client Key');
      const signature = hmac(createHash(hash).update(key).digest(), signed);
      const proof = Buffer.from(key.map((byte, at) => byte ^ (signature[at] ?? 0)));
      return base64(`${final},p=${proof.toString('base64')}`);
    },
  };
}

function bytesOf(challenge: ByteString): Buffer {
  return Buffer.from(challenge, 'base64');
}

/** RFC 5801 4: comma and equals sign separate fields. */
function saslName(name: string): string {
  return name.replaceAll('=', '=3D').replaceAll(',', '=2C');
}

/** never wrapped (R091) */
function base64(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('base64');
}
