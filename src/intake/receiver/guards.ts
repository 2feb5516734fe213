/** What the guard names of the table mean. A guard reads the draft and changes nothing. */
import type { ByteString } from '../../platform/bytes.ts';
import { BOUNDS } from './bounds.ts';
import type { Draft, Session } from './session.ts';

type Guard = (draft: Draft) => boolean;

/** Where TLS is offered, a password is asked for under TLS only. */
export function offersLogin({ session: { policy, secure, user } }: Draft): boolean {
  return policy.login && user === null && (secure || !policy.tls);
}

export function offersTls({ session: { policy, secure } }: Draft): boolean {
  return policy.tls && !secure;
}

export const GUARDS = {
  full: ({ event }) => event.type === 'connected' && event.full,
  isLmtp: ({ session }) => session.policy.protocol === 'lmtp',
  isSmtp: ({ session }) => session.policy.protocol === 'smtp',
  stopping: ({ session }) => session.stopping,

  neverIntroduced: ({ session }) => session.client === null,
  messageBegun: ({ session }) => session.messageBegun,
  noSender: ({ session }) => session.sender === null,
  noRecipients: ({ session }) => session.recipients.length === 0,
  tooManyErrors: ({ session }) => session.errors >= BOUNDS.errors.value,
  tooManyGuesses: ({ session }) => session.guesses >= BOUNDS.guesses.value,
  loginOverdue: ({ session }) => loginMissing(session) && session.commands > BOUNDS.beforeLogin.value,

  noTls: ({ session }) => !session.policy.tls,
  secure: ({ session }) => session.secure,
  early: ({ event }) => event.type === 'STARTTLS' && event.early,

  noUsers: ({ session }) => !session.policy.login,
  loginNeedsTls: offersTls,
  loggedIn: ({ session }) => session.user !== null,
  loginMissing: ({ session }) => loginMissing(session),
  plain: ({ event }) => event.type === 'AUTH' && event.mechanism === 'PLAIN',
  plainInitial: ({ event }) => event.type === 'AUTH' && event.mechanism === 'PLAIN' && event.initial !== null,
  login: ({ event }) => event.type === 'AUTH' && event.mechanism === 'LOGIN',
  loginInitial: ({ event }) => event.type === 'AUTH' && event.mechanism === 'LOGIN' && event.initial !== null,
  cancelled: ({ event }) => event.type === 'response' && event.text.trim() === '*',
  notPlain: (draft) => plainResponse(responseOf(draft)) === null,
  notBase64: (draft) => decoded(responseOf(draft)) === null,
  accepted: ({ event }) => event.type === 'verified' && event.result === 'accepted',
  throttled: ({ event }) => event.type === 'verified' && event.result === 'throttled',

  tooLarge: ({ event, session }) => event.type === 'MAIL' && event.size > session.policy.size,
  unsupported: (draft) => unsupportedParameter(draft) !== null,
  badSender: ({ event }) => event.type === 'MAIL' && event.sender.kind === 'unusable',
  senderNeedsUtf8: ({ event }) =>
    event.type === 'MAIL' && event.sender.kind === 'address' && event.sender.smtputf8 && !event.smtputf8,
  badRecipient: ({ event }) => event.type === 'RCPT' && event.recipient?.kind === 'unusable',
  recipientNeedsUtf8: ({ event, session }) =>
    event.type === 'RCPT' &&
    event.recipient?.kind === 'address' &&
    event.recipient.smtputf8 &&
    !session.smtputf8,
  tooManyRecipients: ({ session }) => session.recipients.length >= session.policy.maxRecipients,
  lastChunk: ({ session }) => session.chunk.last,
} as const satisfies Record<string, Guard>;

export type GuardName = keyof typeof GUARDS;

/** The parameter of MAIL that is not offered; null: all are. RFC 8689 2: REQUIRETLS is an offer of TLS sessions alone. */
export function unsupportedParameter({ event, session }: Draft): string | null {
  if (event.type !== 'MAIL') return null;
  return event.unsupported ?? (event.dsn.requireTls === true && !session.secure ? 'REQUIRETLS' : null);
}

function loginMissing({ policy, user }: Session): boolean {
  return policy.login && user === null;
}

/** What the client answered to 334, or sent along with AUTH (`=` is an empty one, RFC 4954 4). */
export function responseOf({ event }: Draft): ByteString {
  if (event.type === 'response') return event.text.trim();
  if (event.type === 'AUTH') return event.initial === '=' ? '' : (event.initial ?? '');
  throw new Error('this row needs a response');
}

/** Base64 of UTF-8; null: it is something else. */
export function decoded(text: ByteString): string | null {
  return /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? Buffer.from(text, 'base64').toString('utf8') : null;
}

/** RFC 4616: authorization identity, user, password. Some clients give the user as the first only. */
export function plainResponse(text: ByteString): { readonly user: string; readonly password: string } | null {
  const [identity, user, password, more] = decoded(text)?.split('\0') ?? [];
  if (password === undefined || more !== undefined) return null;
  return { user: user || identity || '', password };
}
