/**
 * The session's transitions, one row each: in one of these states, on one of these events, when the guard holds,
 * go there and do that. The first row that fits is taken. `proceed` rows belong to states passed through at
 * once. Names only: guards.ts and actions.ts hold what they mean; techdoc/delivery-states.md prints these rows.
 */
import type { ActionName } from './actions.ts';
import type { GuardName } from './guards.ts';
import type { EventName } from './session.ts';
import type { StateName } from './states.ts';

export interface Row {
  readonly id: string;
  readonly in: readonly StateName[];
  readonly on: readonly (EventName | 'proceed')[];
  readonly when?: GuardName;
  readonly to: StateName;
  readonly do: readonly ActionName[];
}

const INTRODUCTION = ['greeting', 'ehlo', 'helo', 'starttls', 'auth'] as const;
const ENVELOPE = ['mail', 'rcpt', 'data', 'discard', 'rset'] as const;
const REFUSAL = ['4yz', '5yz'] as const;
/** the peer is gone, or makes no sense any more */
const TROUBLE = ['lost', 'silence', 'garbage', 'early', 'tls-failed'] as const;

export const SESSION_TABLE: readonly Row[] = [
  // Nothing is said before the complete greeting (smtpclient: "we musn't say anything before").
  { id: 'greeted', in: ['greeting'], on: ['2yz'], to: 'ehlo', do: ['sayEhlo'] },
  {
    id: 'greeting-refused',
    in: ['greeting'],
    on: ['3yz', ...REFUSAL],
    to: 'quit',
    do: ['failHost', 'sayQuit'],
  },

  { id: 'ehlo-ok', in: ['ehlo'], on: ['2yz'], to: 'introduced', do: ['readCapabilities'] },
  { id: 'ehlo-unknown', in: ['ehlo'], on: ['5yz'], to: 'helo', do: ['sayHelo'] },
  { id: 'ehlo-refused', in: ['ehlo'], on: ['3yz', '4yz'], to: 'quit', do: ['failHost', 'sayQuit'] },
  { id: 'helo-ok', in: ['helo'], on: ['2yz'], to: 'introduced', do: [] },
  { id: 'helo-refused', in: ['helo'], on: ['3yz', ...REFUSAL], to: 'quit', do: ['failHost', 'sayQuit'] },

  {
    id: 'tls-wanted',
    in: ['introduced'],
    on: ['proceed'],
    when: 'tlsPossible',
    to: 'starttls',
    do: ['sayStarttls'],
  },
  {
    id: 'tls-missing',
    in: ['introduced'],
    on: ['proceed'],
    when: 'tlsMissing',
    to: 'quit',
    do: ['failTlsMissing', 'sayQuit'],
  },
  {
    id: 'auth-wanted',
    in: ['introduced'],
    on: ['proceed'],
    when: 'authPossible',
    to: 'auth',
    do: ['beginAuth'],
  },
  {
    id: 'auth-in-clear',
    in: ['introduced'],
    on: ['proceed'],
    when: 'authOnlyInClear',
    to: 'quit',
    do: ['failAuthInClear', 'sayQuit'],
  },
  {
    id: 'auth-missing',
    in: ['introduced'],
    on: ['proceed'],
    when: 'authMissing',
    to: 'quit',
    do: ['failAuthMissing', 'sayQuit'],
  },
  { id: 'introduced', in: ['introduced'], on: ['proceed'], to: 'ready', do: ['announceReady'] },

  { id: 'tls-go', in: ['starttls'], on: ['2yz'], to: 'handshake', do: ['startTls'] },
  {
    id: 'tls-declined',
    in: ['starttls'],
    on: ['3yz', ...REFUSAL],
    when: 'tlsOptional',
    to: 'introduced',
    do: ['declineTls'],
  },
  { id: 'tls-refused', in: ['starttls'], on: ['3yz', ...REFUSAL], to: 'quit', do: ['failHost', 'sayQuit'] },
  { id: 'tls-done', in: ['handshake'], on: ['secured'], to: 'ehlo', do: ['forgetPlaintext', 'sayEhlo'] },
  {
    id: 'tls-broken',
    in: ['handshake'],
    on: [...TROUBLE],
    when: 'tlsOptional',
    to: 'closed',
    do: ['failTls', 'destroy'],
  },
  { id: 'tls-fatal', in: ['handshake'], on: [...TROUBLE], to: 'closed', do: ['failHost', 'destroy'] },

  {
    id: 'auth-challenge',
    in: ['auth'],
    on: ['3yz'],
    when: 'authGoesOn',
    to: 'auth',
    do: ['answerChallenge'],
  },
  { id: 'auth-ok', in: ['auth'], on: ['2yz'], to: 'introduced', do: ['noteAuthenticated'] },
  { id: 'auth-refused', in: ['auth'], on: ['3yz', ...REFUSAL], to: 'quit', do: ['failHost', 'sayQuit'] },

  {
    id: 'obstructed',
    in: ['ready'],
    on: ['offer'],
    when: 'obstructed',
    to: 'settled',
    do: ['takeTransaction', 'failObstructed'],
  },
  { id: 'begin', in: ['ready'], on: ['offer'], to: 'mail', do: ['takeTransaction', 'sayEnvelope'] },
  { id: 'leave', in: ['ready'], on: ['leave'], to: 'quit', do: ['sayQuit'] },
  {
    id: 'idle-lost',
    in: ['ready'],
    on: ['2yz', '3yz', ...REFUSAL, '421', ...TROUBLE],
    to: 'closed',
    do: ['destroy'],
  },

  { id: 'mail-ok', in: ['mail'], on: ['2yz'], to: 'envelope', do: [] },
  // We may not speak there as we do, which is no judgement on this mail (RFC 4954 6).
  {
    id: 'login-demanded',
    in: ['mail', 'rcpt'],
    on: [...REFUSAL],
    when: 'loginDemanded',
    to: 'quit',
    do: ['failHost', 'sayQuit'],
  },
  { id: 'mail-refused', in: ['mail'], on: ['3yz', ...REFUSAL], to: 'discard', do: ['failMessage'] },
  { id: 'rcpt-ok', in: ['rcpt'], on: ['2yz'], to: 'envelope', do: ['acceptRecipient'] },
  {
    id: 'rcpt-too-many',
    in: ['rcpt'],
    on: [...REFUSAL],
    when: 'tooManyRecipients',
    to: 'envelope',
    do: ['postponeRecipient'],
  },
  { id: 'rcpt-refused', in: ['rcpt'], on: ['3yz', ...REFUSAL], to: 'envelope', do: ['refuseRecipient'] },

  {
    id: 'next-rcpt',
    in: ['envelope'],
    on: ['proceed'],
    when: 'recipientsLeft',
    to: 'rcpt',
    do: ['sayEnvelope'],
  },
  { id: 'none-accepted', in: ['envelope'], on: ['proceed'], when: 'noneAccepted', to: 'discard', do: [] },
  {
    id: 'chunk',
    in: ['envelope'],
    on: ['proceed'],
    when: 'chunking',
    to: 'body',
    do: ['sayBdat', 'sendBody'],
  },
  { id: 'data', in: ['envelope'], on: ['proceed'], to: 'data', do: ['sayEnvelope'] },

  { id: 'data-go', in: ['data'], on: ['3yz'], to: 'body', do: ['sendBody'] },
  { id: 'data-refused', in: ['data'], on: ['2yz', ...REFUSAL], to: 'discard', do: ['failMessage'] },

  // From here on no other host is tried in this run (R051).
  { id: 'body-sent', in: ['body'], on: ['body-sent'], to: 'dot', do: ['sayEndOfBody', 'sayFollowing'] },
  {
    id: 'body-refused',
    in: ['body'],
    on: ['2yz', '3yz', ...REFUSAL, '421'],
    to: 'closed',
    do: ['failMessage', 'endTransaction', 'destroy'],
  },
  {
    id: 'body-lost',
    in: ['body'],
    on: [...TROUBLE, 'payload-lost'],
    to: 'closed',
    do: ['failMessage', 'endTransaction', 'destroy'],
  },

  { id: 'delivered', in: ['dot'], on: ['2yz'], to: 'settled', do: ['deliver'] },
  { id: 'dot-refused', in: ['dot'], on: ['3yz', ...REFUSAL], to: 'settled', do: ['failMessage'] },
  {
    id: 'dot-421',
    in: ['dot'],
    on: ['421'],
    to: 'closed',
    do: ['failMessage', 'endTransaction', 'handBackFollowing', 'destroy'],
  },
  {
    id: 'dot-lost',
    in: ['dot'],
    on: [...TROUBLE],
    to: 'closed',
    do: ['failMaybeDelivered', 'endTransaction', 'handBackFollowing', 'destroy'],
  },

  {
    id: 'settled-chained',
    in: ['settled'],
    on: ['proceed'],
    when: 'followed',
    to: 'mail',
    do: ['endTransaction', 'takeFollowing'],
  },
  { id: 'settled', in: ['settled'], on: ['proceed'], to: 'ready', do: ['endTransaction', 'announceReady'] },

  {
    id: 'discard-lone-dot',
    in: ['discard'],
    on: ['3yz'],
    when: 'dataInFlight',
    to: 'discard',
    do: ['sayLoneDot'],
  },
  { id: 'discard-more', in: ['discard'], on: ['2yz', '3yz', ...REFUSAL], to: 'discard', do: [] },
  { id: 'discarded', in: ['discard'], on: ['proceed'], when: 'nothingAwaited', to: 'rset', do: ['sayRset'] },
  { id: 'rset-done', in: ['rset'], on: ['2yz', '3yz', ...REFUSAL], to: 'settled', do: [] },

  { id: 'introduction-421', in: [...INTRODUCTION], on: ['421'], to: 'closed', do: ['failHost', 'destroy'] },
  {
    id: 'introduction-lost',
    in: [...INTRODUCTION],
    on: [...TROUBLE],
    to: 'closed',
    do: ['failHost', 'destroy'],
  },
  {
    id: 'envelope-judged',
    in: [...ENVELOPE],
    on: ['421', ...TROUBLE],
    when: 'allJudged',
    to: 'closed',
    do: ['endTransaction', 'destroy'],
  },
  {
    id: 'reused-lost',
    in: ['mail'],
    on: ['421', ...TROUBLE],
    when: 'reused',
    to: 'closed',
    do: ['handBack', 'destroy'],
  },
  {
    id: 'envelope-lost',
    in: [...ENVELOPE],
    on: ['421', ...TROUBLE],
    to: 'closed',
    do: ['failHost', 'destroy'],
  },

  {
    id: 'left',
    in: ['quit'],
    on: ['2yz', '3yz', ...REFUSAL, '421', ...TROUBLE],
    to: 'closed',
    do: ['destroy'],
  },
];
