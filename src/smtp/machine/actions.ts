/**
 * What the action names of the table mean: changes to the draft and effects for the driver. Failures get their
 * reach, stage and words here; nothing is sent from here and nothing read.
 */
import type { ByteString } from '../../platform/bytes.ts';
import { NO_CAPABILITIES, readCapabilities } from '../capabilities.ts';
import { mappedEnhancedCode } from '../enhanced-code.ts';
import type { Failure, FailureScope, Outcome } from '../outcome.ts';
import type { Reply } from '../reply.ts';
import type { Transaction } from '../transaction.ts';
import { commandLine, mailCommand, rcptCommand, unsupportedRequirement } from '../transaction.ts';
import { chooseMechanism, commandCount, undecided } from './guards.ts';
import { describeEvent, UNSUPPORTED } from './messages.ts';
import type { Draft, SessionEffect, TransactionState } from './session.ts';

export type Action = (draft: Draft) => void;

export const ACTIONS = {
  sayEhlo: (draft) => {
    const { lmtp, ehloName } = draft.session.policy;
    say(draft, commandLine(`${lmtp ? 'LHLO' : 'EHLO'} ${ehloName}`), 1);
  },
  sayHelo: (draft) => say(draft, commandLine(`HELO ${draft.session.policy.ehloName}`), 1),
  sayStarttls: (draft) => say(draft, 'STARTTLS\r\n', 1),
  sayRset: (draft) => say(draft, 'RSET\r\n', 1),
  sayLoneDot: (draft) => say(draft, '.\r\n', 1),
  /** QUIT belongs to manners, not to the result: nobody waits for its answer (c-module-behaviour 11.4) */
  sayQuit: (draft) => {
    say(draft, 'QUIT\r\n', 1);
    draft.effects.push({ type: 'end' });
  },

  readCapabilities: (draft) => {
    draft.session.capabilities = readCapabilities(replyOf(draft).text);
  },
  startTls: (draft) => draft.effects.push({ type: 'start-tls' }),
  declineTls: (draft) => {
    draft.session.tlsDeclined = true;
  },
  /** RFC 3207 4.2: what was learnt in clear does not count */
  forgetPlaintext: (draft) => {
    draft.session.secure = true;
    draft.session.capabilities = NO_CAPABILITIES;
    draft.session.awaited = 0;
  },

  beginAuth: (draft) => {
    const mechanism = chooseMechanism(draft.session);
    if (mechanism === null) throw new Error('AUTH without a mechanism');
    draft.session.mechanism = mechanism;
    authenticate(draft, null);
  },
  answerChallenge: (draft) => authenticate(draft, replyOf(draft).text),
  noteAuthenticated: (draft) => {
    draft.session.authenticated = true;
  },

  announceReady: (draft) => draft.effects.push({ type: 'ready' }),
  takeTransaction: (draft) => {
    if (draft.event.type !== 'offer') throw new Error('a transaction is taken only when one is offered');
    draft.session.current = beginExchange(draft, draft.event.transaction);
  },
  sayEnvelope: (draft) => {
    draft.session.current = sendAhead(draft, exchangeOf(draft));
  },
  acceptRecipient: (draft) => answered(draft, 'accepted'),
  postponeRecipient: (draft) => answered(draft, 'postponed'),
  refuseRecipient: (draft) => {
    const recipient = awaitedRecipient(exchangeOf(draft));
    answered(draft, 'refused');
    verdict(draft, [recipient], failed(draft, 'recipient'));
  },

  sayBdat: (draft) => say(draft, commandLine(`BDAT ${exchangeOf(draft).transaction.size} LAST`), 0),
  sendBody: (draft) =>
    draft.effects.push({
      type: 'send-body',
      transaction: exchangeOf(draft).transaction.id,
      stuffed: !draft.session.capabilities.chunking,
    }),
  sayEndOfBody: (draft) => say(draft, draft.session.capabilities.chunking ? '' : '.\r\n', 1),
  /** RFC 2920 3.1: the next envelope may travel in the same write as the end of this message */
  sayFollowing: (draft) => {
    if (draft.event.type !== 'body-sent' || draft.event.following === null) return;
    draft.session.following = sendAhead(draft, beginExchange(draft, draft.event.following));
  },
  takeFollowing: (draft) => {
    draft.session.current = draft.session.following;
    draft.session.following = null;
  },
  handBack: (draft) => {
    draft.effects.push({ type: 'hand-back', transaction: exchangeOf(draft).transaction.id });
    draft.session.current = null;
  },
  handBackFollowing: (draft) => {
    if (draft.session.following === null) return;
    draft.effects.push({ type: 'hand-back', transaction: draft.session.following.transaction.id });
    draft.session.following = null;
  },

  deliver: (draft) => {
    const reply = replyOf(draft);
    verdict(draft, exchangeOf(draft).accepted, {
      kind: 'delivered',
      code: reply.code,
      enhanced: reply.enhanced ?? '2.0.0',
      text: reply.text,
      peer: draft.session.peer,
    });
  },
  failMessage: (draft) => {
    verdict(draft, undecided(exchangeOf(draft)), failed(draft, 'message'));
    judgeAll(draft);
  },
  failObstructed: (draft) => {
    const { transaction } = exchangeOf(draft);
    const met = unsupportedRequirement(transaction, draft.session.capabilities);
    if (met === null) throw new Error('no obstacle is in the way');
    const words = UNSUPPORTED[met](transaction.size, draft.session.capabilities.maxSize);
    verdict(draft, undecided(exchangeOf(draft)), {
      ...failed(draft, 'message'),
      stage: 'mail',
      permanent: true,
      ...words,
    });
    judgeAll(draft);
  },
  /** the one window in which a second copy can arise, and the words say so (RFC 1047) */
  failMaybeDelivered: (draft) => {
    verdict(draft, undecided(exchangeOf(draft)), { ...failed(draft, 'message'), maybeDelivered: true });
    judgeAll(draft);
  },
  endTransaction: (draft) => {
    const { transaction, rcptCount, postponed } = exchangeOf(draft);
    const beyond = transaction.recipients.slice(rcptCount).map(({ id }) => id);
    draft.effects.push({
      type: 'transaction-done',
      transaction: transaction.id,
      postponed: [...postponed, ...beyond],
    });
    draft.session.transactions++;
    draft.session.current = null;
  },

  failHost: (draft) => hostFailed(draft, {}),
  failTlsMissing: (draft) =>
    hostFailed(draft, {
      code: null,
      enhanced: '4.7.4',
      text: 'offers no STARTTLS, and TLS is required for this host',
    }),
  failAuthMissing: (draft) =>
    hostFailed(draft, { code: null, enhanced: '4.7.0', text: 'offers no way to authenticate that we know' }),
  failAuthInClear: (draft) =>
    hostFailed(draft, {
      code: null,
      enhanced: '4.7.0',
      text: 'offers no TLS, and credentials are not sent in clear unless auth-in-clear names the host',
    }),
  failTls: (draft) => draft.effects.push({ type: 'tls-unusable', failure: failed(draft, 'host') }),

  destroy: (draft) => draft.effects.push({ type: 'destroy' }),
} as const satisfies Record<string, Action>;

export type ActionName = keyof typeof ACTIONS;

function say(draft: Draft, bytes: ByteString, replies: number): void {
  if (bytes !== '') draft.effects.push({ type: 'write', bytes });
  draft.session.awaited += replies;
}

function authenticate(draft: Draft, challenge: ByteString | null): void {
  if (draft.session.mechanism === null) throw new Error('AUTH has not begun');
  draft.effects.push({
    type: 'authenticate',
    mechanism: draft.session.mechanism,
    step: draft.session.authSteps,
    challenge,
  });
  draft.session.authSteps++;
  draft.session.awaited++;
}

function beginExchange(draft: Draft, transaction: Transaction): TransactionState {
  const most = Math.min(
    draft.session.policy.recipients,
    draft.session.capabilities.rcptMax ?? Number.POSITIVE_INFINITY,
  );
  return {
    transaction,
    rcptCount: Math.min(transaction.recipients.length, most),
    sent: 0,
    answered: 0,
    accepted: [],
    refused: [],
    postponed: [],
  };
}

/** Write what may be written now: the whole envelope where PIPELINING is offered, else the one command whose turn it is. */
function sendAhead(draft: Draft, exchange: TransactionState): TransactionState {
  const peer = draft.session.capabilities;
  const count = commandCount(exchange, peer);
  const until = peer.pipelining ? count : Math.min(exchange.sent + 1, count);
  let bytes = '';
  for (let index = exchange.sent; index < until; index++) bytes += commandAt(draft, exchange, index);
  say(draft, bytes, until - exchange.sent);
  return { ...exchange, sent: until };
}

function commandAt(draft: Draft, exchange: TransactionState, index: number): ByteString {
  if (index === 0) return mailCommand(exchange.transaction, draft.session.capabilities);
  if (index <= exchange.rcptCount)
    return rcptCommand(exchange.transaction, index - 1, draft.session.capabilities);
  return 'DATA\r\n';
}

function answered(draft: Draft, list: 'accepted' | 'refused' | 'postponed'): void {
  const exchange = exchangeOf(draft);
  draft.session.current = {
    ...exchange,
    answered: exchange.answered + 1,
    [list]: [...exchange[list], awaitedRecipient(exchange)],
  };
}

/** The recipient whose RCPT is answered next. */
function awaitedRecipient({ transaction, answered: at }: TransactionState): number {
  const recipient = transaction.recipients[at];
  if (recipient === undefined) throw new Error('a reply to RCPT without a recipient');
  return recipient.id;
}

function judgeAll(draft: Draft): void {
  const exchange = exchangeOf(draft);
  draft.session.current = { ...exchange, refused: [...exchange.refused, ...undecided(exchange)] };
}

function verdict(draft: Draft, recipients: readonly number[], value: Outcome): void {
  if (recipients.length === 0) return;
  const effect: SessionEffect = {
    type: 'verdict',
    transaction: exchangeOf(draft).transaction.id,
    recipients,
    verdict: value,
  };
  draft.effects.push(effect);
}

function hostFailed(draft: Draft, words: Partial<Failure>): void {
  draft.effects.push({ type: 'host-failed', failure: { ...failed(draft, 'host'), ...words } });
}

/** The failure this event means: 5yz to message or recipient is permanent, all else is tried again. */
function failed(draft: Draft, scope: FailureScope): { readonly kind: 'failed' } & Failure {
  const reply = draft.event.type === 'reply' ? draft.event.reply : null;
  const permanent = scope !== 'host' && reply !== null && reply.code >= 500;
  const stage = draft.stage;
  return {
    kind: 'failed',
    scope,
    stage,
    permanent,
    code: reply?.code ?? null,
    enhanced: enhancedOf(reply, permanent) ?? mappedEnhancedCode(stage, reply?.code ?? null, permanent),
    text: reply?.text ?? describeEvent(draft.event, stage),
    peer: draft.session.peer,
    maybeDelivered: false,
  };
}

/** The remote's own code, unless its class contradicts what we make of the reply (5yz to the host is tried again). */
function enhancedOf(reply: Reply | null, permanent: boolean): string | null {
  if (reply === null || reply.enhanced === null) return null;
  return `${permanent ? 5 : 4}${reply.enhanced.slice(1)}`;
}

function exchangeOf(draft: Draft): TransactionState {
  if (draft.session.current === null) throw new Error('no transaction is under way');
  return draft.session.current;
}

function replyOf(draft: Draft): Reply {
  if (draft.event.type !== 'reply') throw new Error('this row needs a reply');
  return draft.event.reply;
}
