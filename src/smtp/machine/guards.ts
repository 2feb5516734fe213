/**
 * What the guard names of the table mean. Each looks at the draft and changes nothing.
 */
import type { Capabilities } from '../capabilities.ts';
import { unsupportedRequirement } from '../transaction.ts';
import type { Draft, Mechanism, Session, TransactionState } from './session.ts';

export type Guard = (draft: Draft) => boolean;

export const GUARDS = {
  tlsPossible: (draft) =>
    !draft.session.secure &&
    !draft.session.tlsDeclined &&
    (draft.session.policy.tls === 'opportunistic' || draft.session.policy.tls === 'require') &&
    draft.session.capabilities.starttls,
  tlsMissing: (draft) => !draft.session.secure && draft.session.policy.tls === 'require',
  tlsOptional: (draft) => draft.session.policy.tls === 'opportunistic',

  authPossible: (draft) =>
    authOwed(draft.session) && mayShowCredentials(draft.session) && chooseMechanism(draft.session) !== null,
  authOnlyInClear: (draft) => authOwed(draft.session) && !mayShowCredentials(draft.session),
  authMissing: (draft) => authOwed(draft.session),
  /** LOGIN asks twice, CRAM-MD5 once, XOAUTH2 once more to explain an error; a server that asks on is playing */
  authGoesOn: (draft) => draft.session.authSteps < 3,

  /** without a password, or without TLS where STARTTLS failed; 538 is its older form for the latter */
  loginDemanded: ({ event }) =>
    event.type === 'reply' && (event.reply.code === 530 || event.reply.code === 538),

  obstructed: (draft) =>
    draft.event.type === 'offer' &&
    unsupportedRequirement(draft.event.transaction, draft.session.capabilities) !== null,

  recipientsLeft: ({ session: { current } }) => current !== null && current.answered < current.rcptCount,
  noneAccepted: ({ session: { current } }) => current !== null && current.accepted.length === 0,
  chunking: (draft) => draft.session.capabilities.chunking,
  /** RFC 5321 4.5.3.1.10: a limit of the transaction, not a judgement on the recipient. The first one cannot be too many. */
  tooManyRecipients: ({ event, session: { current } }) =>
    event.type === 'reply' &&
    current !== null &&
    current.accepted.length > 0 &&
    (event.reply.code === 452 || event.reply.enhanced?.endsWith('.5.3') === true),

  followed: (draft) => draft.session.following !== null,
  /** the only command that is answered 3yz is DATA, and it is the last one sent ahead */
  dataInFlight: (draft) =>
    draft.session.awaited === 0 && draft.session.current !== null && dataSent(draft.session.current),
  nothingAwaited: (draft) => draft.session.awaited === 0,
  reused: (draft) => draft.session.transactions > 0,
  allJudged: ({ session: { current } }) => current !== null && undecided(current).length === 0,
} as const satisfies Record<string, Guard>;

export type GuardName = keyof typeof GUARDS;

function authOwed({ policy, authenticated }: Session): boolean {
  return policy.credentials && !authenticated;
}

function mayShowCredentials({ secure, policy }: Session): boolean {
  return secure || policy.authInClear;
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
export function commandCount(exchange: TransactionState, peer: Capabilities): number {
  return 1 + exchange.rcptCount + (peer.chunking ? 0 : 1);
}

function dataSent(exchange: TransactionState): boolean {
  return exchange.sent === exchange.rcptCount + 2;
}

/** Recipients this transaction names that have neither a verdict nor a place in a later transaction. */
export function undecided(exchange: TransactionState): readonly number[] {
  const settled = new Set([...exchange.refused, ...exchange.postponed]);
  const named = exchange.transaction.recipients.slice(0, exchange.rcptCount);
  return named.flatMap(({ id }) => (settled.has(id) ? [] : [id]));
}
