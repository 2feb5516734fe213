/**
 * What the action names of the table mean: changes to the draft, and effects for the client. Failures get their scope,
 * stage and text here. Nothing is written or read here.
 */
import type { ByteString } from '../../platform/bytes.ts';
import { NO_CAPABILITIES, readCapabilities } from '../capabilities.ts';
import { mappedEnhancedCode } from '../enhanced-code.ts';
import type { Failure, FailureScope, Outcome } from '../outcome.ts';
import type { Reply } from '../reply.ts';
import type { Transaction } from '../transaction.ts';
import { commandLine, mailCommand, rcptCommand, unsupportedRequirement } from '../transaction.ts';
import { extensionInDoubt } from './extensions.ts';
import { chooseMechanism, commandCount, readReply, undecided } from './guards.ts';
import { describeEvent, UNSUPPORTED } from './messages.ts';
import type { Draft, SessionPolicy, TransactionState } from './session.ts';

type Action = (draft: Draft) => void;

export const ACTIONS = {
  sendEhlo: (draft) => {
    const { lmtp, ehloName } = draft.session.policy;
    send(draft, commandLine(`${lmtp ? 'LHLO' : 'EHLO'} ${ehloName}`), 1);
  },
  sendHelo: (draft) => send(draft, commandLine(`HELO ${draft.session.policy.ehloName}`), 1),
  sendStarttls: (draft) => send(draft, 'STARTTLS\r\n', 1),
  sendRset: (draft) => send(draft, 'RSET\r\n', 1),
  sendLoneDot: (draft) => send(draft, '.\r\n', 1),
  /** the reply to QUIT is ignored: the outcome does not depend on it */
  sendQuit: (draft) => {
    send(draft, 'QUIT\r\n', 1);
    draft.effects.push({ type: 'end' });
  },

  readCapabilities: (draft) => {
    const { secure, policy } = draft.session;
    // RFC 8689 2: what is offered in clear text promises nothing.
    const without = [...(policy.without ?? []), ...(secure ? [] : (['REQUIRETLS'] as const))];
    draft.session.capabilities = readCapabilities(replyOf(draft).text, without);
  },
  startTls: (draft) => draft.effects.push({ type: 'start-tls' }),
  markTlsDeclined: (draft) => {
    draft.session.tlsDeclined = true;
  },
  /** RFC 3207 4.2: what the server said before TLS must be discarded */
  discardPlaintextState: (draft) => {
    draft.session.secure = true;
    draft.session.capabilities = NO_CAPABILITIES;
    draft.session.pendingReplies = 0;
  },

  startAuth: (draft) => {
    const mechanism = chooseMechanism(draft.session);
    if (mechanism === null) throw new Error('AUTH without a mechanism');
    draft.session.mechanism = mechanism;
    draft.session.authSteps = 0;
    authenticate(draft, null);
  },
  authWithoutInitialResponse: (draft) => {
    draft.session.withoutInitialResponse = true;
    draft.session.authSteps = 0;
    authenticate(draft, null);
  },
  answerChallenge: (draft) => authenticate(draft, replyOf(draft).text),
  /** RFC 4954 4: a lone asterisk; the server answers 501 */
  cancelAuth: (draft) => {
    send(draft, '*\r\n', 1);
    draft.session.authSteps++;
  },
  refuseMechanism: (draft) => {
    const { session } = draft;
    if (session.mechanism === null) throw new Error('AUTH has not begun');
    session.refusedMechanisms = [...session.refusedMechanisms, session.mechanism];
    if (replyOf(draft).code === 535) session.failedLogins++;
  },
  blameMechanism: (draft) => {
    const { mechanism, refusedMechanisms } = draft.session;
    if (mechanism === null) throw new Error('AUTH has not begun');
    draft.effects.push({ type: 'mechanisms-refused', mechanisms: [...refusedMechanisms, mechanism] });
  },
  markAuthenticated: (draft) => {
    draft.session.authenticated = true;
    const mechanisms = draft.session.refusedMechanisms;
    if (mechanisms.length > 0) draft.effects.push({ type: 'mechanisms-refused', mechanisms });
  },

  signalReady: (draft) => draft.effects.push({ type: 'ready' }),
  startTransaction: (draft) => {
    if (draft.event.type !== 'start-transaction') throw new Error('a transaction begins only with its event');
    draft.session.current = beginTransaction(draft, draft.event.transaction);
  },
  sendEnvelope: (draft) => {
    const current = currentOf(draft);
    const isSent = current.sent > 0 && draft.session.capabilities.pipelining;
    if (!isSent) draft.session.current = sendCommands(draft, current);
  },
  acceptRecipient: (draft) => answered(draft, 'accepted'),
  keepForNextTransaction: (draft) => answered(draft, 'remaining'),
  refuseRecipient: (draft) => {
    const current = currentOf(draft);
    answered(draft, 'refused');
    recordOutcome(draft, current, [nextRecipient(current)], failureOf(draft, 'recipient'));
  },

  sendBdat: (draft) => send(draft, commandLine(`BDAT ${currentOf(draft).transaction.size} LAST`), 0),
  sendBody: (draft) =>
    draft.effects.push({
      type: 'send-body',
      transaction: currentOf(draft).transaction.id,
      stuffed: !draft.session.capabilities.chunking,
    }),
  sendEndOfData: (draft) => send(draft, draft.session.capabilities.chunking ? '' : '.\r\n', 1),
  /** RFC 2920 3.1: the next envelope may be sent together with the end of this message */
  pipelineNext: (draft) => {
    if (draft.event.type !== 'body-sent' || draft.event.pipelined === null) return;
    draft.session.pipelined = sendCommands(draft, beginTransaction(draft, draft.event.pipelined));
  },
  startPipelined: (draft) => {
    draft.session.current = draft.session.pipelined;
    draft.session.pipelined = null;
  },
  requeue: (draft) => {
    draft.effects.push({ type: 'requeue', transaction: currentOf(draft).transaction.id });
    draft.session.current = null;
  },
  requeuePipelined: (draft) => {
    if (draft.session.pipelined === null) return;
    draft.effects.push({ type: 'requeue', transaction: draft.session.pipelined.transaction.id });
    draft.session.pipelined = null;
  },

  recordDelivered: (draft) => {
    const current = currentOf(draft);
    recordOutcome(draft, current, current.accepted, successOf(draft));
  },
  /** of an envelope alone: the answer to RCPT is all there is */
  recordAccepted: (draft) => {
    const current = currentOf(draft);
    recordOutcome(draft, current, current.accepted.slice(-1), successOf(draft));
  },
  failMessage: (draft) => {
    const current = currentOf(draft);
    recordOutcome(draft, current, undecided(current), failureOf(draft, 'message'));
    decideAll(draft);
  },
  convertMessage: (draft) =>
    draft.effects.push({ type: 'convert-message', transaction: currentOf(draft).transaction.id }),
  /**
   * A server without any extension may be a filter in front of the real one, seen at the first contact: what it lacks is not
   * final.
   */
  failUnsupported: (draft) => {
    const { session } = draft;
    const { transaction, lacks } = currentOf(draft);
    if (lacks === null) throw new Error('the server supports this message');
    const { detail, text } = UNSUPPORTED[lacks](transaction.size, session.capabilities.maxSize);
    const permanent = session.capabilities !== NO_CAPABILITIES;
    const enhanced = `${permanent ? 5 : 4}.${detail}`;
    failHost(draft, { stage: 'mail', permanent, code: null, enhanced, text });
    session.current = null;
  },
  /** RFC 1047: here, and only here, a retry may deliver a second copy; the text says so */
  failMaybeDelivered: (draft) => {
    const current = currentOf(draft);
    recordOutcome(draft, current, undecided(current), {
      ...failureOf(draft, 'message'),
      maybeDelivered: true,
    });
    decideAll(draft);
  },
  /** the message may have arrived when all of it was sent and nothing came back (RFC 1047) */
  refuseExtension: (draft) => {
    const extension = extensionInDoubt(draft);
    if (extension === null) throw new Error('no extension is in use');
    const failure = failureOf(draft, 'host');
    const maybeDelivered = draft.stage === 'dot' && failure.code === null;
    draft.effects.push({ type: 'extension-refused', extension, failure: { ...failure, maybeDelivered } });
  },
  refuseEhlo: (draft) =>
    draft.effects.push({ type: 'extension-refused', extension: 'EHLO', failure: failureOf(draft, 'host') }),
  limitRecipients: (draft) => {
    const extension = `RCPTMAX ${currentOf(draft).accepted.length}` as const;
    draft.effects.push({ type: 'extension-refused', extension, failure: failureOf(draft, 'host') });
  },
  countTransaction: (draft) => {
    draft.session.transactions++;
  },
  endTransaction: (draft) => {
    const { transaction, rcptCount, remaining } = currentOf(draft);
    const unsent = transaction.recipients.slice(rcptCount).map(({ id }) => id);
    draft.effects.push({
      type: 'transaction-done',
      transaction: transaction.id,
      remaining: [...remaining, ...unsent],
    });
    draft.session.transactions++;
    draft.session.current = null;
  },

  failHost: (draft) => failHost(draft, {}),
  failNeeded: (draft) => {
    const lacks = extensionInDoubt(draft) === 'SMTPUTF8' ? 'smtputf8' : 'requiretls';
    failHost(draft, { permanent: true, enhanced: `5.${UNSUPPORTED[lacks](0, 0).detail}` });
  },
  failTlsMissing: (draft) =>
    failHost(draft, {
      code: null,
      ...(draft.session.policy.requireTls === true
        ? {
            permanent: true,
            enhanced: '5.7.10',
            text: 'offers no STARTTLS, and the sender of the message demands TLS (REQUIRETLS)',
          }
        : { enhanced: '4.7.4', text: 'offers no STARTTLS, and TLS is required for this host' }),
    }),
  failAuthMissing: (draft) =>
    failHost(draft, { code: null, enhanced: '4.7.0', text: missingMechanism(draft.session.policy) }),
  failAuthNeedsTls: (draft) =>
    failHost(draft, {
      code: null,
      enhanced: '4.7.0',
      text: 'offers no TLS, and credentials are not sent in clear unless auth-in-clear names the host',
    }),
  failStarttls: (draft) => draft.effects.push({ type: 'tls-unusable', failure: failureOf(draft, 'host') }),

  destroy: (draft) => draft.effects.push({ type: 'destroy' }),
} as const satisfies Record<string, Action>;

export type ActionName = keyof typeof ACTIONS;

function send(draft: Draft, bytes: ByteString, replies: number): void {
  if (bytes !== '') draft.effects.push({ type: 'write', bytes });
  draft.session.pendingReplies += replies;
}

function missingMechanism({ mechanism }: SessionPolicy): ByteString {
  return mechanism === undefined
    ? 'offers no way to authenticate that we know'
    : `does not offer ${mechanism}, which auth-mechanism names for this host`;
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
  draft.session.pendingReplies++;
}

function beginTransaction(draft: Draft, transaction: Transaction): TransactionState {
  const limit = Math.min(
    draft.session.policy.recipients,
    draft.session.capabilities.rcptMax ?? Number.POSITIVE_INFINITY,
  );
  return {
    transaction,
    lacks: unsupportedRequirement(transaction, draft.session.capabilities),
    rcptCount: Math.min(transaction.recipients.length, limit),
    sent: 0,
    answered: 0,
    accepted: [],
    refused: [],
    remaining: [],
  };
}

/** Sends the commands that may be sent now: the whole envelope where PIPELINING is offered, else the next command. */
function sendCommands(draft: Draft, state: TransactionState): TransactionState {
  const { capabilities } = draft.session;
  const { transaction, rcptCount, sent } = state;
  const count = commandCount(state, capabilities);
  const end = capabilities.pipelining ? count : Math.min(sent + 1, count);
  let bytes = sent === 0 ? mailCommand(transaction, capabilities) : '';
  for (let index = Math.max(sent, 1); index < end; index++)
    bytes += index <= rcptCount ? rcptCommand(transaction, index - 1, capabilities) : 'DATA\r\n';
  send(draft, bytes, end - sent);
  return { ...state, sent: end };
}

function answered(draft: Draft, list: 'accepted' | 'refused' | 'remaining'): void {
  const state = currentOf(draft);
  draft.session.current = {
    ...state,
    answered: state.answered + 1,
    [list]: [...state[list], nextRecipient(state)],
  };
}

/** The recipient whose RCPT is answered by the next reply. */
function nextRecipient({ transaction, answered: index }: TransactionState): number {
  const recipient = transaction.recipients[index];
  if (recipient === undefined) throw new Error('a reply to RCPT without a recipient');
  return recipient.id;
}

function decideAll(draft: Draft): void {
  const state = currentOf(draft);
  draft.session.current = { ...state, refused: [...state.refused, ...undecided(state)] };
}

function recordOutcome(
  { effects }: Draft,
  { transaction: { id } }: TransactionState,
  recipients: readonly number[],
  outcome: Outcome,
): void {
  if (recipients.length > 0) effects.push({ type: 'outcome', transaction: id, recipients, outcome });
}

function successOf(draft: Draft): Outcome {
  const { code, enhanced, text } = replyOf(draft);
  return { kind: 'delivered', code, enhanced: enhanced ?? '2.0.0', text, peer: draft.session.peer };
}

function failHost(draft: Draft, details: Partial<Failure>): void {
  draft.effects.push({ type: 'host-failed', failure: { ...failureOf(draft, 'host'), ...details } });
}

/** The failure this event means: 5yz for a message or recipient is permanent, unless the reply is read otherwise. */
function failureOf(draft: Draft, scope: FailureScope): { readonly kind: 'failed' } & Failure {
  const reply = draft.event.type === 'reply' ? draft.event.reply : null;
  const meaning = readReply(draft)?.meaning;
  const permanent =
    meaning === undefined
      ? scope !== 'host' && reply !== null && reply.code >= 500
      : meaning === 'host, permanent';
  const stage = draft.stage;
  const tlsFailed = draft.event.type === 'tls-failed';
  return {
    kind: 'failed',
    scope,
    stage,
    permanent,
    code: reply?.code ?? null,
    enhanced:
      enhancedOf(reply, permanent) ??
      mappedEnhancedCode(tlsFailed ? 'handshake' : stage, reply?.code ?? null, permanent),
    text: reply?.text ?? describeEvent(draft.event, stage),
    peer: draft.session.peer,
    maybeDelivered: false,
  };
}

/** The server's own code, with the class digit that follows from what we do about it (5yz for a host is temporary). */
function enhancedOf(reply: Reply | null, permanent: boolean): string | null {
  if (reply === null || reply.enhanced === null) return null;
  return `${permanent ? 5 : 4}${reply.enhanced.slice(1)}`;
}

function currentOf(draft: Draft): TransactionState {
  if (draft.session.current === null) throw new Error('no transaction is in progress');
  return draft.session.current;
}

function replyOf(draft: Draft): Reply {
  if (draft.event.type !== 'reply') throw new Error('this row needs a reply');
  return draft.event.reply;
}
