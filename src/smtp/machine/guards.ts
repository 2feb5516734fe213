/**
 * What the guard names of the table mean. A guard reads the draft and changes nothing.
 */
import type { Capabilities } from '../capabilities.ts';
import { MECHANISMS, type Mechanism } from '../mechanisms.ts';
import { HOST_TROUBLE, type Reading, readingOf } from '../reply-readings.ts';
import { type UnsupportedRequirement, unsupportedRequirement } from '../transaction.ts';
import { extensionInDoubt, neededExtensionInDoubt } from './extensions.ts';
import type { Draft, Session, TransactionState } from './session.ts';
import { isOurDoing } from './session.ts';

type Guard = (draft: Draft) => boolean;

export const GUARDS = {
  saysHelo: ({ session: { policy } }) => policy.without?.includes('EHLO') === true,
  /**
   * Old servers, and filters before them, end the session at EHLO. HELO gives neither TLS nor a login; and a 421 that says
   * why is about the host.
   */
  ehloInDoubt: ({ event, session: { policy, secure } }) => {
    if (isOurDoing(event) || policy.lmtp || policy.credentials || policy.tls === 'require') return false;
    if (policy.without?.includes('EHLO') || (secure && policy.tls !== 'implicit')) return false;
    return event.type !== 'reply' || (event.reply.enhanced === null && !HOST_TROUBLE.test(event.reply.text));
  },

  tlsAvailable: (draft) =>
    !draft.session.secure &&
    !draft.session.tlsDeclined &&
    (draft.session.policy.tls === 'opportunistic' || draft.session.policy.tls === 'require') &&
    draft.session.capabilities.starttls,
  tlsMissing: (draft) => !draft.session.secure && draft.session.policy.tls === 'require',
  tlsOptional: (draft) => draft.session.policy.tls === 'opportunistic' && !isOurDoing(draft.event),

  /** clear text is allowed */
  tlsUnproven: (draft) =>
    draft.session.secure && draft.session.policy.tls === 'opportunistic' && !isOurDoing(draft.event),

  authAvailable: (draft) =>
    authNeeded(draft.session) && mayShowCredentials(draft.session) && chooseMechanism(draft.session) !== null,
  authNeedsTls: (draft) => authNeeded(draft.session) && !mayShowCredentials(draft.session),
  authMissing: (draft) => authNeeded(draft.session),
  /** RFC 4954 4: a syntax error in AUTH with its initial response, which a server may not know */
  initialResponseInDoubt: ({ event, session: { mechanism, authSteps, withoutInitialResponse } }) =>
    event.type === 'reply' &&
    event.reply.code === 501 &&
    authSteps === 1 &&
    !withoutInitialResponse &&
    MECHANISMS.some(({ name, initialResponse }) => name === mechanism && initialResponse),
  /** RFC 4954 4: 503 to any AUTH behind one that succeeded; some servers know us by our address */
  alreadyAuthenticated: ({ event }) =>
    event.type === 'reply' && event.reply.code === 503 && ALREADY_AUTHENTICATED.test(event.reply.text),
  /** LOGIN and SCRAM ask twice, PLAIN and CRAM-MD5 once, OAuth once more to explain an error; a server that asks on is misbehaving */
  authMayContinue: ({ session }) => session.authSteps < mostResponses(session),
  /** nothing is left to answer: the exchange is cancelled, once */
  authGoesOn: ({ session }) => session.authSteps === mostResponses(session),
  /**
   * A mechanism may be refused, for now or for good, because the server does not know it, finds it too weak, or cannot do it with
   * the passwords it keeps. A wrong password is tried by one more mechanism only: servers lock out who fails too often.
   */
  anotherMechanism: (draft) => {
    const { session, event } = draft;
    if (session.mechanism === null || isOurDoing(event)) return false;
    const isWrongPassword = event.type === 'reply' && event.reply.code === 535;
    const refusedMechanisms = [...session.refusedMechanisms, session.mechanism];
    return (
      (!isWrongPassword || session.failedLogins === 0) &&
      chooseMechanism({ ...session, refusedMechanisms }) !== null
    );
  },

  aboutHost: (draft) => readReply(draft)?.meaning.startsWith('host') === true,

  needsSevenBit: (draft) => unsupported(draft) === 'eight-bit',
  envelopeUnsupported: (draft) => {
    const lacks = unsupported(draft);
    return lacks === 'smtputf8' || lacks === 'requiretls';
  },
  /** what is refused all the same has its outcome; the rest is for another host */
  messageUnsupported: ({ session: { current } }) =>
    current !== null && current.lacks !== null && undecided(current).length > 0,

  extensionInDoubt: (draft) => extensionInDoubt(draft) !== null,
  neededExtensionInDoubt: (draft) => neededExtensionInDoubt(draft),

  recipientsLeft: ({ session: { current } }) => current !== null && current.answered < current.rcptCount,
  noneAccepted: ({ session: { current } }) => current !== null && current.accepted.length === 0,
  envelopeOnly: ({ session: { current } }) => current?.transaction.envelopeOnly === true,
  /** a recipient that is accepted has its outcome: no message follows, and the server could take one */
  rcptDecides: ({ session: { current } }) => current !== null && rcptDecides(current),
  chunking: (draft) => draft.session.capabilities.chunking,
  needsAnotherTransaction: (draft) => readReply(draft)?.meaning === 'another transaction',
  /** said with the end of the session, or just before it */
  tooManyRecipients: (draft) => {
    const { current } = draft.session;
    if (current === null || current.accepted.length === 0 || isOurDoing(draft.event)) return false;
    return current.remaining.length > 0 || readReply(draft)?.meaning === 'another transaction';
  },
  recipientsInDoubt: ({ session: { current }, event }) =>
    current !== null &&
    current.accepted.length > 0 &&
    !isOurDoing(event) &&
    !(event.type === 'reply' && HOST_TROUBLE.test(event.reply.text)),

  nextPipelined: (draft) => draft.session.pipelined !== null,
  /** DATA is the only command answered with 3yz, and the last one pipelined */
  dataInFlight: (draft) =>
    draft.session.pendingReplies === 0 && draft.session.current !== null && dataSent(draft.session.current),
  noReplyPending: (draft) => draft.session.pendingReplies === 0,
  sessionReused: (draft) => draft.session.transactions > 0,
  /** the server ends a reused session without an answer for any recipient of this transaction */
  sessionUsedUp: ({ event, session: { transactions, current } }) =>
    transactions > 0 && current?.answered === 0 && !isOurDoing(event),
  allDecided: ({ session: { current } }) => current !== null && undecided(current).length === 0,
} as const satisfies Record<string, Guard>;

export type GuardName = keyof typeof GUARDS;

function authNeeded({ policy, authenticated }: Session): boolean {
  return policy.credentials && !authenticated;
}

function mayShowCredentials({ secure, policy }: Session): boolean {
  return secure || policy.authInClear;
}

function unsupported({ event, session }: Draft): UnsupportedRequirement | null {
  if (event.type !== 'start-transaction') return null;
  return unsupportedRequirement(event.transaction, session.capabilities);
}

/** The reading of the reply that differs from its class; null: there is none. */
export function readReply({ event, stage, session: { current, policy } }: Draft): Reading | null {
  if (event.type !== 'reply') return null;
  const accepted = current !== null && current.accepted.length > 0;
  return readingOf(event.reply, stage, { accepted, relay: policy.relay === true });
}

const MOST_RESPONSES = 3;

/** AUTH alone is one more. */
function mostResponses({ withoutInitialResponse }: Session): number {
  return MOST_RESPONSES + (withoutInitialResponse ? 1 : 0);
}

const ALREADY_AUTHENTICATED = /\balready (?:authenticated|authorized|logged[- ]?in)\b/i;

/**
 * The next one to try of those that the server offers, the strongest first; null: none is left. After a login that failed, one
 * that works with every form in which a server may keep passwords.
 */
export function chooseMechanism(session: Session): Mechanism | null {
  const { policy, capabilities, refusedMechanisms, failedLogins } = session;
  const offered = MECHANISMS.filter(({ name }) => capabilities.auth.includes(name));
  const fitting = offered.filter(({ credentials }) => credentials === 'password');
  const any = fitting.length > 0 ? fitting : offered;
  const { mechanism, mechanismsLast = [] } = policy;
  const named = mechanism === undefined ? any : offered.filter(({ name }) => name === mechanism);
  const left = named.filter(({ name }) => !refusedMechanisms.includes(name));
  const plain = failedLogins > 0 ? left.find(({ hidesPassword }) => !hidesPassword) : undefined;
  const first = left.find(({ name }) => !mechanismsLast.includes(name));
  return (plain ?? first ?? left[0])?.name ?? null;
}

/** MAIL, each RCPT, and DATA, which CHUNKING replaces and which does not follow an envelope alone. */
export function commandCount(state: TransactionState, capabilities: Capabilities): number {
  const withoutData = capabilities.chunking || state.transaction.envelopeOnly || state.lacks !== null;
  return 1 + state.rcptCount + (withoutData ? 0 : 1);
}

function dataSent(state: TransactionState): boolean {
  return state.sent === state.rcptCount + 2;
}

function rcptDecides({ transaction, lacks }: TransactionState): boolean {
  return transaction.envelopeOnly === true && lacks === null;
}

/** Recipients of this transaction that have no outcome and are not left for a later transaction. */
export function undecided(state: TransactionState): readonly number[] {
  const verified = rcptDecides(state) ? state.accepted : [];
  const decided = new Set([...state.refused, ...state.remaining, ...verified]);
  const named = state.transaction.recipients.slice(0, state.rcptCount);
  return named.flatMap(({ id }) => (decided.has(id) ? [] : [id]));
}
