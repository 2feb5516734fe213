/**
 * What the guard names of the table mean. Each looks at the draft and changes nothing.
 */
import type { Capabilities } from './capabilities.ts';
import type { Draft, Exchange, Mechanism, Session } from './session.ts';
import { obstacle } from './transaction.ts';

export type Guard = (draft: Draft) => boolean;

export const GUARDS = {
  tlsPossible: (draft) =>
    !draft.secure &&
    !draft.tlsDeclined &&
    (draft.policy.tls === 'opportunistic' || draft.policy.tls === 'require') &&
    draft.capabilities.starttls,
  tlsMissing: (draft) => !draft.secure && draft.policy.tls === 'require',
  tlsOptional: (draft) => draft.policy.tls === 'opportunistic',

  authPossible: (draft) => authOwed(draft) && mayShowCredentials(draft) && chooseMechanism(draft) !== null,
  authOnlyInClear: (draft) => authOwed(draft) && !mayShowCredentials(draft),
  authMissing: (draft) => authOwed(draft),
  /** LOGIN asks twice, CRAM-MD5 once, XOAUTH2 once more to explain an error; a server that asks on is playing */
  authGoesOn: (draft) => draft.authSteps < 3,

  obstructed: (draft) =>
    draft.event.type === 'offer' && obstacle(draft.event.transaction, draft.capabilities) !== null,

  recipientsLeft: ({ current }) => current !== null && current.answered < current.width,
  noneAccepted: ({ current }) => current !== null && current.accepted.length === 0,
  chunking: (draft) => draft.capabilities.chunking,
  /** RFC 5321 4.5.3.1.10: a limit of the transaction, not a judgement on the recipient. The first one cannot be too many. */
  tooManyRecipients: ({ event, current }) =>
    event.type === 'reply' &&
    current !== null &&
    current.accepted.length > 0 &&
    (event.reply.code === 452 || event.reply.enhanced?.endsWith('.5.3') === true),

  followed: (draft) => draft.following !== null,
  /** the only command that is answered 3yz is DATA, and it is the last one sent ahead */
  dataInFlight: (draft) => draft.awaited === 0 && draft.current !== null && dataSent(draft.current),
  nothingAwaited: (draft) => draft.awaited === 0,
  reused: (draft) => draft.transactions > 0,
  allJudged: ({ current }) => current !== null && unjudged(current).length === 0,
} as const satisfies Record<string, Guard>;

export type GuardName = keyof typeof GUARDS;

function authOwed(draft: Session): boolean {
  return draft.policy.credentials && !draft.authenticated;
}

function mayShowCredentials(draft: Session): boolean {
  return draft.secure || draft.policy.authInClear;
}

/** Under TLS the plain ones are the simplest that work; in clear the one that hides the password comes first. */
const PREFERENCE: { readonly [where in 'secure' | 'clear']: readonly Mechanism[] } = {
  secure: ['PLAIN', 'LOGIN', 'CRAM-MD5', 'XOAUTH2'],
  clear: ['CRAM-MD5', 'PLAIN', 'LOGIN', 'XOAUTH2'],
};

export function chooseMechanism(session: Session): Mechanism | null {
  const preferred = PREFERENCE[session.secure ? 'secure' : 'clear'];
  return preferred.find((mechanism) => session.capabilities.auth.includes(mechanism)) ?? null;
}

/** DATA comes after MAIL and the RCPTs; under CHUNKING there is none. */
export function commandCount(exchange: Exchange, peer: Capabilities): number {
  return 1 + exchange.width + (peer.chunking ? 0 : 1);
}

function dataSent(exchange: Exchange): boolean {
  return exchange.sent === exchange.width + 2;
}

/** Recipients this transaction names that have neither a verdict nor a place in a later transaction. */
export function unjudged(exchange: Exchange): readonly number[] {
  const settled = new Set([...exchange.refused, ...exchange.postponed]);
  return Array.from({ length: exchange.width }, (_, index) => index).filter((index) => !settled.has(index));
}
