/**
 * The transitions of a session, one row each: in one of these states, on one of these events, when the guard holds, go
 * `to` that state and do those actions. The first row that applies is taken. `always` rows need no event: they belong to
 * states that are left at once. Names only: guards.ts and actions.ts say what they mean. Printed into
 * techdoc/delivery-states.md.
 */
import type { ActionName } from './actions.ts';
import type { GuardName } from './guards.ts';
import type { EventName } from './session.ts';
import type { StateName } from './states.ts';

export interface Row {
  readonly id: string;
  readonly in: readonly StateName[];
  readonly on: readonly (EventName | 'always')[];
  readonly when?: GuardName;
  readonly to: StateName;
  readonly do: readonly ActionName[];
}

const INITIATION = ['greeting', 'ehlo', 'helo', 'starttls', 'auth'] as const;
const ENVELOPE = ['mail', 'rcpt', 'data', 'drain', 'rset'] as const;
const REFUSAL = ['4yz', '5yz'] as const;
/** the connection is lost, or the server no longer follows the protocol */
const BROKEN = ['connection-lost', 'timeout', 'protocol-error', 'early-talker', 'tls-failed'] as const;

export const SESSION_TABLE: readonly Row[] = [
  // RFC 5321 3.1: the client waits for the complete greeting.
  { id: 'greeting-helo', in: ['greeting'], on: ['2yz'], when: 'saysHelo', to: 'helo', do: ['sendHelo'] },
  { id: 'greeting-ok', in: ['greeting'], on: ['2yz'], to: 'ehlo', do: ['sendEhlo'] },
  {
    id: 'greeting-refused',
    in: ['greeting'],
    on: ['3yz', ...REFUSAL],
    to: 'quit',
    do: ['failHost', 'sendQuit'],
  },

  { id: 'ehlo-ok', in: ['ehlo'], on: ['2yz'], to: 'capabilities', do: ['readCapabilities'] },
  { id: 'ehlo-unsupported', in: ['ehlo'], on: ['5yz'], to: 'helo', do: ['sendHelo'] },
  { id: 'ehlo-refused', in: ['ehlo'], on: ['3yz', '4yz'], to: 'quit', do: ['failHost', 'sendQuit'] },
  // The next session says HELO at once.
  {
    id: 'ehlo-lost',
    in: ['ehlo', 'helo'],
    on: ['421', 'connection-lost'],
    when: 'ehloInDoubt',
    to: 'closed',
    do: ['refuseEhlo', 'destroy'],
  },
  { id: 'helo-ok', in: ['helo'], on: ['2yz'], to: 'capabilities', do: [] },
  { id: 'helo-refused', in: ['helo'], on: ['3yz', ...REFUSAL], to: 'quit', do: ['failHost', 'sendQuit'] },

  {
    id: 'starttls',
    in: ['capabilities'],
    on: ['always'],
    when: 'tlsAvailable',
    to: 'starttls',
    do: ['sendStarttls'],
  },
  {
    id: 'tls-missing',
    in: ['capabilities'],
    on: ['always'],
    when: 'tlsMissing',
    to: 'quit',
    do: ['failTlsMissing', 'sendQuit'],
  },
  {
    id: 'auth-start',
    in: ['capabilities'],
    on: ['always'],
    when: 'authAvailable',
    to: 'auth',
    do: ['startAuth'],
  },
  {
    id: 'auth-needs-tls',
    in: ['capabilities'],
    on: ['always'],
    when: 'authNeedsTls',
    to: 'quit',
    do: ['failAuthNeedsTls', 'sendQuit'],
  },
  {
    id: 'auth-missing',
    in: ['capabilities'],
    on: ['always'],
    when: 'authMissing',
    to: 'quit',
    do: ['failAuthMissing', 'sendQuit'],
  },
  { id: 'session-ready', in: ['capabilities'], on: ['always'], to: 'ready', do: ['signalReady'] },

  { id: 'starttls-ok', in: ['starttls'], on: ['2yz'], to: 'handshake', do: ['startTls'] },
  {
    id: 'starttls-declined',
    in: ['starttls'],
    on: ['3yz', ...REFUSAL],
    when: 'tlsOptional',
    to: 'capabilities',
    do: ['markTlsDeclined'],
  },
  {
    id: 'starttls-refused',
    in: ['starttls'],
    on: ['3yz', ...REFUSAL],
    to: 'quit',
    do: ['failHost', 'sendQuit'],
  },
  {
    id: 'tls-established',
    in: ['handshake'],
    on: ['secured'],
    to: 'ehlo',
    do: ['discardPlaintextState', 'sendEhlo'],
  },
  // Some servers and filters close, or say nothing, instead of refusing.
  {
    id: 'tls-failed',
    in: ['starttls', 'handshake'],
    on: ['421', ...BROKEN],
    when: 'tlsOptional',
    to: 'closed',
    do: ['failStarttls', 'destroy'],
  },
  // TLS 1.3: the server judges the handshake after ours has ended, and its alert comes instead of a reply.
  {
    id: 'tls-failed-late',
    in: ['ehlo'],
    on: [...BROKEN],
    when: 'tlsUnproven',
    to: 'closed',
    do: ['failStarttls', 'destroy'],
  },
  {
    id: 'tls-failed-in-session',
    in: ['helo', 'auth', 'mail', 'rcpt', 'data'],
    on: ['tls-failed'],
    when: 'tlsUnproven',
    to: 'closed',
    do: ['failStarttls', 'destroy'],
  },
  {
    id: 'tls-failed-required',
    in: ['handshake'],
    on: [...BROKEN],
    to: 'closed',
    do: ['failHost', 'destroy'],
  },

  {
    id: 'auth-challenge',
    in: ['auth'],
    on: ['3yz'],
    when: 'authMayContinue',
    to: 'auth',
    do: ['answerChallenge'],
  },
  { id: 'auth-ok', in: ['auth'], on: ['2yz'], to: 'capabilities', do: ['markAuthenticated'] },
  {
    id: 'auth-cancel',
    in: ['auth'],
    on: ['3yz'],
    when: 'authGoesOn',
    to: 'auth',
    do: ['cancelAuth'],
  },
  {
    id: 'auth-already',
    in: ['auth'],
    on: ['5yz'],
    when: 'alreadyAuthenticated',
    to: 'capabilities',
    do: ['markAuthenticated'],
  },
  {
    id: 'auth-without-initial-response',
    in: ['auth'],
    on: ['5yz'],
    when: 'initialResponseInDoubt',
    to: 'auth',
    do: ['authWithoutInitialResponse'],
  },
  {
    id: 'auth-next-mechanism',
    in: ['auth'],
    on: [...REFUSAL],
    when: 'anotherMechanism',
    to: 'capabilities',
    do: ['refuseMechanism'],
  },
  // The next session begins with another one.
  {
    id: 'auth-lost',
    in: ['auth'],
    on: ['421', ...BROKEN],
    when: 'anotherMechanism',
    to: 'closed',
    do: ['blameMechanism', 'failHost', 'destroy'],
  },
  { id: 'auth-refused', in: ['auth'], on: ['3yz', ...REFUSAL], to: 'quit', do: ['failHost', 'sendQuit'] },

  // RFC 6152 3: what a server without 8BITMIME gets.
  {
    id: 'convert-message',
    in: ['ready'],
    on: ['start-transaction'],
    when: 'needsSevenBit',
    to: 'conversion',
    do: ['startTransaction', 'convertMessage'],
  },
  // Its addresses cannot even be named here (RFC 6531 3.1), or its way must not lead over here (RFC 8689 4.2.1). Another host of the destination may take the message, and the session
  // goes on with the next one.
  {
    id: 'envelope-unsupported',
    in: ['ready', 'conversion'],
    on: ['start-transaction'],
    when: 'envelopeUnsupported',
    to: 'ready',
    do: ['startTransaction', 'failUnsupported'],
  },
  {
    id: 'start-transaction',
    in: ['ready', 'conversion'],
    on: ['start-transaction'],
    to: 'mail',
    do: ['startTransaction', 'sendEnvelope'],
  },
  {
    id: 'conversion-lost',
    in: ['conversion'],
    on: [...BROKEN],
    to: 'closed',
    do: ['requeue', 'destroy'],
  },
  { id: 'quit', in: ['ready'], on: ['quit'], to: 'quit', do: ['sendQuit'] },
  {
    id: 'idle-closed',
    in: ['ready'],
    on: ['2yz', '3yz', ...REFUSAL, '421', ...BROKEN],
    to: 'closed',
    do: ['destroy'],
  },

  // Nothing is left out that the message needs: another host may take it.
  {
    id: 'needed-extension-refused',
    in: ['mail'],
    on: ['5yz'],
    when: 'neededExtensionInDoubt',
    to: 'quit',
    do: ['failNeeded', 'sendQuit'],
  },
  // A server that offers an extension and then refuses it has not refused the message: again, without the extension.
  {
    id: 'extension-refused',
    in: ['mail', 'rcpt', 'data'],
    on: [...REFUSAL],
    when: 'extensionInDoubt',
    to: 'quit',
    do: ['refuseExtension', 'sendQuit'],
  },
  // What follows BDAT would be taken for commands.
  {
    id: 'bdat-refused',
    in: ['body', 'dot'],
    on: [...REFUSAL, '421'],
    when: 'extensionInDoubt',
    to: 'closed',
    do: ['requeuePipelined', 'refuseExtension', 'destroy'],
  },
  {
    id: 'bdat-unanswered',
    in: ['body', 'dot'],
    on: [...BROKEN],
    when: 'extensionInDoubt',
    to: 'closed',
    do: ['requeuePipelined', 'refuseExtension', 'destroy'],
  },

  { id: 'mail-ok', in: ['mail'], on: ['2yz'], to: 'envelope', do: [] },
  // smtp/reply-readings.ts says which replies these are.
  {
    id: 'host-refused',
    in: ['mail', 'rcpt', 'data'],
    on: [...REFUSAL],
    when: 'aboutHost',
    to: 'quit',
    do: ['failHost', 'sendQuit'],
  },
  { id: 'mail-refused', in: ['mail'], on: ['3yz', ...REFUSAL], to: 'drain', do: ['failMessage'] },
  {
    id: 'rcpt-verified',
    in: ['rcpt'],
    on: ['2yz'],
    when: 'rcptDecides',
    to: 'envelope',
    do: ['acceptRecipient', 'recordAccepted'],
  },
  { id: 'rcpt-ok', in: ['rcpt'], on: ['2yz'], to: 'envelope', do: ['acceptRecipient'] },
  {
    id: 'rcpt-too-many',
    in: ['rcpt'],
    on: [...REFUSAL],
    when: 'needsAnotherTransaction',
    to: 'envelope',
    do: ['keepForNextTransaction'],
  },
  { id: 'rcpt-refused', in: ['rcpt'], on: ['3yz', ...REFUSAL], to: 'envelope', do: ['refuseRecipient'] },

  {
    id: 'next-rcpt',
    in: ['envelope'],
    on: ['always'],
    when: 'recipientsLeft',
    to: 'rcpt',
    do: ['sendEnvelope'],
  },
  {
    id: 'no-recipient-accepted',
    in: ['envelope'],
    on: ['always'],
    when: 'noneAccepted',
    to: 'drain',
    do: [],
  },
  // What the server lacks is not final before it had the chance to refuse the recipients.
  {
    id: 'message-unsupported',
    in: ['envelope'],
    on: ['always'],
    when: 'messageUnsupported',
    to: 'drain',
    do: [],
  },
  {
    id: 'envelope-only',
    in: ['envelope'],
    on: ['always'],
    when: 'envelopeOnly',
    to: 'drain',
    do: [],
  },
  {
    id: 'bdat',
    in: ['envelope'],
    on: ['always'],
    when: 'chunking',
    to: 'body',
    do: ['sendBdat', 'sendBody'],
  },
  { id: 'data', in: ['envelope'], on: ['always'], to: 'data', do: ['sendEnvelope'] },

  { id: 'data-ok', in: ['data'], on: ['3yz'], to: 'body', do: ['sendBody'] },
  { id: 'data-refused', in: ['data'], on: ['2yz', ...REFUSAL], to: 'drain', do: ['failMessage'] },

  // From here on no other host is tried in this run.
  { id: 'body-sent', in: ['body'], on: ['body-sent'], to: 'dot', do: ['sendEndOfData', 'pipelineNext'] },
  {
    id: 'body-refused',
    in: ['body'],
    on: ['2yz', '3yz', ...REFUSAL, '421'],
    to: 'closed',
    do: ['failMessage', 'endTransaction', 'destroy'],
  },
  {
    id: 'body-failed',
    in: ['body'],
    on: [...BROKEN, 'payload-error'],
    to: 'closed',
    do: ['failMessage', 'endTransaction', 'destroy'],
  },

  { id: 'delivered', in: ['dot'], on: ['2yz'], to: 'between-transactions', do: ['recordDelivered'] },
  {
    id: 'dot-refused',
    in: ['dot'],
    on: ['3yz', ...REFUSAL],
    to: 'between-transactions',
    do: ['failMessage'],
  },
  {
    id: 'dot-421',
    in: ['dot'],
    on: ['421'],
    to: 'closed',
    do: ['failMessage', 'endTransaction', 'requeuePipelined', 'destroy'],
  },
  {
    id: 'dot-lost',
    in: ['dot'],
    on: [...BROKEN],
    to: 'closed',
    do: ['failMaybeDelivered', 'endTransaction', 'requeuePipelined', 'destroy'],
  },

  {
    id: 'unsupported-offered',
    in: ['between-transactions'],
    on: ['always'],
    when: 'messageUnsupported',
    to: 'ready',
    do: ['failUnsupported', 'countTransaction'],
  },
  {
    id: 'next-pipelined',
    in: ['between-transactions'],
    on: ['always'],
    when: 'nextPipelined',
    to: 'mail',
    do: ['endTransaction', 'startPipelined'],
  },
  {
    id: 'transaction-done',
    in: ['between-transactions'],
    on: ['always'],
    to: 'ready',
    do: ['endTransaction', 'signalReady'],
  },

  {
    id: 'drain-data',
    in: ['drain'],
    on: ['3yz'],
    when: 'dataInFlight',
    to: 'drain',
    do: ['sendLoneDot'],
  },
  { id: 'drain-reply', in: ['drain'], on: ['2yz', '3yz', ...REFUSAL], to: 'drain', do: [] },
  { id: 'drained', in: ['drain'], on: ['always'], when: 'noReplyPending', to: 'rset', do: ['sendRset'] },
  { id: 'rset-done', in: ['rset'], on: ['2yz', '3yz', ...REFUSAL], to: 'between-transactions', do: [] },

  { id: 'initiation-421', in: [...INITIATION], on: ['421'], to: 'closed', do: ['failHost', 'destroy'] },
  {
    id: 'initiation-lost',
    in: [...INITIATION],
    on: [...BROKEN],
    to: 'closed',
    do: ['failHost', 'destroy'],
  },
  {
    id: 'envelope-decided',
    in: [...ENVELOPE],
    on: ['421', ...BROKEN],
    when: 'allDecided',
    to: 'closed',
    do: ['endTransaction', 'destroy'],
  },
  // The session ends where RFC 5321 4.5.3.1.10 has 452: those that were accepted were not sent anything.
  {
    id: 'too-many-lost',
    in: ['rcpt', 'data'],
    on: ['421', ...BROKEN],
    when: 'tooManyRecipients',
    to: 'closed',
    do: ['limitRecipients', 'destroy'],
  },
  {
    id: 'reused-lost',
    in: ['mail'],
    on: ['421', ...BROKEN],
    when: 'sessionReused',
    to: 'closed',
    do: ['requeue', 'destroy'],
  },
  // A server may count the recipients of a session.
  {
    id: 'session-used-up',
    in: ['rcpt'],
    on: ['421', 'connection-lost'],
    when: 'sessionUsedUp',
    to: 'closed',
    do: ['requeue', 'destroy'],
  },
  {
    id: 'extension-unanswered',
    in: ['mail', 'rcpt', 'data'],
    on: ['421', ...BROKEN],
    when: 'extensionInDoubt',
    to: 'closed',
    do: ['refuseExtension', 'destroy'],
  },
  // Without a word: a limit, or trouble of a host, which the next connection shows.
  {
    id: 'recipients-lost',
    in: ['rcpt'],
    on: ['421', 'connection-lost'],
    when: 'recipientsInDoubt',
    to: 'closed',
    do: ['limitRecipients', 'destroy'],
  },
  {
    id: 'envelope-lost',
    in: [...ENVELOPE],
    on: ['421', ...BROKEN],
    to: 'closed',
    do: ['failHost', 'destroy'],
  },

  {
    id: 'quit-done',
    in: ['quit'],
    on: ['2yz', '3yz', ...REFUSAL, '421', ...BROKEN],
    to: 'closed',
    do: ['destroy'],
  },
];
