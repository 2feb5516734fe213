/**
 * The transitions of a receiving connection, one row each: in one of these states, on one of these events, when the guard
 * holds, go `to` that state, do those actions, and say that reply. The first row that applies is taken. `always` rows need
 * no event: they belong to states that are left at once. Names only: guards.ts, actions.ts and replies.ts say what they mean.
 * Printed into techdoc/intake-states.md.
 */
import type { ActionName } from './actions.ts';
import { VERBS } from './commands.ts';
import type { GuardName } from './guards.ts';
import type { ReplyName } from './replies.ts';
import type { EventName } from './session.ts';
import type { StateName } from './states.ts';

export interface Row {
  readonly id: string;
  readonly in: readonly StateName[];
  readonly on: readonly (EventName | 'always')[];
  readonly when?: GuardName;
  /** `same`: the state stays as it is */
  readonly to: StateName | 'same';
  readonly do: readonly ActionName[];
  readonly reply?: ReplyName;
}

const OPEN = ['fresh', 'ready', 'mail', 'rcpt', 'chunks'] as const;
const INTRODUCED = ['ready', 'mail', 'rcpt', 'chunks'] as const;
const TRANSACTION = ['mail', 'rcpt', 'chunks'] as const;
const AUTH = ['auth-plain', 'auth-user', 'auth-password'] as const;
const RECEIVING = ['data', 'chunk'] as const;
const ALIVE = [
  ...OPEN,
  ...AUTH,
  ...RECEIVING,
  'discard',
  'storing',
  'verifying',
  'handshake',
  'closing',
] as const;

/** A command that is refused, and counted. */
function refuse(
  id: string,
  states: readonly StateName[],
  events: readonly (EventName | 'always')[],
  reply: ReplyName,
  when?: GuardName,
): Row {
  return { id, in: states, on: events, ...(when && { when }), to: 'error', do: ['countError'], reply };
}

/** The last reply of a connection. */
function end(
  id: string,
  states: readonly StateName[],
  events: readonly (EventName | 'always')[],
  reply: ReplyName,
  when?: GuardName,
): Row {
  return {
    id,
    in: states,
    on: events,
    ...(when && { when }),
    to: 'closing',
    do: ['abortMessage', 'end'],
    reply,
  };
}

export const INTAKE_TABLE: readonly Row[] = [
  end('too-many-connections', ['connecting'], ['connected'], 'tooManyConnections', 'full'),
  { id: 'greet', in: ['connecting'], on: ['connected'], to: 'fresh', do: [], reply: 'greeting' },

  // Which of the states in which commands are read.
  { id: 'to-chunks', in: ['choose'], on: ['always'], when: 'messageBegun', to: 'chunks', do: [] },
  { id: 'to-fresh', in: ['choose'], on: ['always'], when: 'neverIntroduced', to: 'fresh', do: [] },
  { id: 'to-ready', in: ['choose'], on: ['always'], when: 'noSender', to: 'ready', do: [] },
  { id: 'to-mail', in: ['choose'], on: ['always'], when: 'noRecipients', to: 'mail', do: [] },
  { id: 'to-rcpt', in: ['choose'], on: ['always'], to: 'rcpt', do: [] },

  end('login-overdue', OPEN, VERBS, 'loginOverdue', 'loginOverdue'),

  refuse('no-hello-in-lmtp', OPEN, ['EHLO', 'HELO'], 'wrongHello', 'isLmtp'),
  refuse('no-lhlo-in-smtp', OPEN, ['LHLO'], 'wrongHello', 'isSmtp'),
  {
    id: 'hello-extended',
    in: OPEN,
    on: ['EHLO', 'LHLO'],
    to: 'ready',
    do: ['abortMessage', 'resetTransaction', 'introduce'],
    reply: 'capabilities',
  },
  {
    id: 'hello',
    in: OPEN,
    on: ['HELO'],
    to: 'ready',
    do: ['abortMessage', 'resetTransaction', 'introduce'],
    reply: 'hello',
  },

  refuse('tls-not-offered', OPEN, ['STARTTLS'], 'notOffered', 'noTls'),
  refuse('tls-active', OPEN, ['STARTTLS'], 'tlsActive', 'secure'),
  // RFC 3207 5: what was sent in clear behind STARTTLS may come from somebody else.
  end('tls-too-early', OPEN, ['STARTTLS'], 'earlyTls', 'early'),
  {
    id: 'tls-start',
    in: OPEN,
    on: ['STARTTLS'],
    to: 'handshake',
    do: ['abortMessage', 'resetTransaction', 'startTls'],
    reply: 'startTls',
  },
  { id: 'tls-established', in: ['handshake'], on: ['secured'], to: 'fresh', do: ['secured'] },

  refuse('auth-not-offered', OPEN, ['AUTH'], 'notOffered', 'noUsers'),
  refuse('introduce-first', ['fresh'], ['AUTH', 'MAIL', 'RCPT', 'DATA'], 'helloFirst'),
  refuse('auth-needs-tls', ['ready'], ['AUTH'], 'tlsFirst', 'loginNeedsTls'),
  refuse('auth-twice', INTRODUCED, ['AUTH'], 'loggedInAlready', 'loggedIn'),
  refuse('auth-cancelled', AUTH, ['response'], 'cancelled', 'cancelled'),
  { id: 'auth-plain', in: ['ready'], on: ['AUTH'], when: 'plainInitial', to: 'plain-given', do: [] },
  {
    id: 'auth-plain-ask',
    in: ['ready'],
    on: ['AUTH'],
    when: 'plain',
    to: 'auth-plain',
    do: [],
    reply: 'askResponse',
  },
  { id: 'auth-plain-response', in: ['auth-plain'], on: ['response'], to: 'plain-given', do: [] },
  refuse('auth-plain-malformed', ['plain-given'], ['always'], 'badResponse', 'notPlain'),
  { id: 'auth-plain-verify', in: ['plain-given'], on: ['always'], to: 'verifying', do: ['verifyPlain'] },
  { id: 'auth-login', in: ['ready'], on: ['AUTH'], when: 'loginInitial', to: 'user-given', do: [] },
  {
    id: 'auth-login-ask',
    in: ['ready'],
    on: ['AUTH'],
    when: 'login',
    to: 'auth-user',
    do: [],
    reply: 'askUser',
  },
  { id: 'auth-login-user', in: ['auth-user'], on: ['response'], to: 'user-given', do: [] },
  refuse('auth-user-malformed', ['user-given'], ['always'], 'badResponse', 'notBase64'),
  {
    id: 'auth-login-password',
    in: ['user-given'],
    on: ['always'],
    to: 'auth-password',
    do: ['rememberCandidate'],
    reply: 'askPassword',
  },
  refuse('auth-password-malformed', ['auth-password'], ['response'], 'badResponse', 'notBase64'),
  {
    id: 'auth-login-verify',
    in: ['auth-password'],
    on: ['response'],
    to: 'verifying',
    do: ['verifyPassword'],
  },
  refuse('auth-unknown', ['ready'], ['AUTH'], 'badMechanism'),

  {
    id: 'login-accepted',
    in: ['verifying'],
    on: ['verified'],
    when: 'accepted',
    to: 'choose',
    do: ['logIn'],
    reply: 'loggedIn',
  },
  {
    id: 'login-throttled',
    in: ['verifying'],
    on: ['verified'],
    when: 'throttled',
    to: 'guessed',
    do: ['countGuess'],
    reply: 'loginThrottled',
  },
  {
    id: 'login-failed',
    in: ['verifying'],
    on: ['verified'],
    to: 'guessed',
    do: ['countGuess'],
    reply: 'loginFailed',
  },
  end('too-many-guesses', ['guessed'], ['always'], 'tooManyGuesses', 'tooManyGuesses'),
  { id: 'guess-again', in: ['guessed'], on: ['always'], to: 'choose', do: [] },

  refuse('mail-nested', TRANSACTION, ['MAIL'], 'nestedMail'),
  refuse('mail-needs-login', ['ready'], ['MAIL'], 'loginFirst', 'loginMissing'),
  {
    id: 'mail-too-large',
    in: ['ready'],
    on: ['MAIL'],
    when: 'tooLarge',
    to: 'ready',
    do: [],
    reply: 'tooLarge',
  },
  refuse('mail-unsupported', ['ready'], ['MAIL'], 'unsupported', 'unsupported'),
  {
    id: 'mail-bad-sender',
    in: ['ready'],
    on: ['MAIL'],
    when: 'badSender',
    to: 'ready',
    do: [],
    reply: 'badSender',
  },
  {
    id: 'mail-needs-smtputf8',
    in: ['ready'],
    on: ['MAIL'],
    when: 'senderNeedsUtf8',
    to: 'ready',
    do: [],
    reply: 'needSmtputf8',
  },
  { id: 'mail', in: ['ready'], on: ['MAIL'], to: 'mail', do: ['beginTransaction'], reply: 'senderOk' },

  refuse('between-chunks', ['chunks'], ['RCPT', 'DATA'], 'finishChunks'),
  refuse('rcpt-needs-mail', ['ready'], ['RCPT'], 'needMail'),
  {
    id: 'rcpt-unusable',
    in: ['mail', 'rcpt'],
    on: ['RCPT'],
    when: 'badRecipient',
    to: 'choose',
    do: [],
    reply: 'badRecipient',
  },
  {
    id: 'rcpt-needs-smtputf8',
    in: ['mail', 'rcpt'],
    on: ['RCPT'],
    when: 'recipientNeedsUtf8',
    to: 'choose',
    do: [],
    reply: 'needSmtputf8',
  },
  {
    id: 'rcpt-too-many',
    in: ['rcpt'],
    on: ['RCPT'],
    when: 'tooManyRecipients',
    to: 'rcpt',
    do: [],
    reply: 'tooManyRecipients',
  },
  { id: 'rcpt', in: ['mail', 'rcpt'], on: ['RCPT'], to: 'rcpt', do: ['addRecipient'], reply: 'recipientOk' },

  refuse('data-needs-recipients', ['ready', 'mail'], ['DATA'], 'needRecipients'),
  { id: 'data', in: ['rcpt'], on: ['DATA'], to: 'data', do: ['beginMessage'], reply: 'startData' },
  { id: 'data-end', in: ['data'], on: ['message-end'], to: 'storing', do: ['endMessage'] },

  // RFC 3030 2: whatever is said of a chunk, its octets are read first.
  { id: 'chunk-first', in: ['rcpt'], on: ['BDAT'], to: 'chunk', do: ['beginMessage', 'readChunk'] },
  { id: 'chunk-next', in: ['chunks'], on: ['BDAT'], to: 'chunk', do: ['readChunk'] },
  {
    id: 'chunk-last',
    in: ['chunk'],
    on: ['chunk-end'],
    when: 'lastChunk',
    to: 'storing',
    do: ['endMessage'],
  },
  { id: 'chunk-done', in: ['chunk'], on: ['chunk-end'], to: 'chunks', do: [], reply: 'chunkOk' },
  { id: 'chunk-stray', in: ['fresh', 'ready', 'mail'], on: ['BDAT'], to: 'discard', do: ['readChunk'] },
  refuse('chunk-discarded', ['discard'], ['chunk-end'], 'needTransaction'),
  end('chunk-size-unknown', OPEN, ['bad-chunk-size'], 'badChunkSize'),

  {
    id: 'stored',
    in: ['storing'],
    on: ['stored'],
    to: 'answered',
    do: ['sendAnswer', 'resetTransaction', 'clearErrors'],
  },
  end('answered-stopping', ['answered'], ['always'], 'shuttingDown', 'stopping'),
  { id: 'answered', in: ['answered'], on: ['always'], to: 'choose', do: [] },

  {
    id: 'reset',
    in: OPEN,
    on: ['RSET'],
    to: 'choose',
    do: ['abortMessage', 'resetTransaction'],
    reply: 'reset',
  },
  { id: 'noop', in: OPEN, on: ['NOOP'], to: 'same', do: [], reply: 'ok' },
  { id: 'verify', in: OPEN, on: ['VRFY'], to: 'same', do: [], reply: 'noVerify' },
  { id: 'help', in: OPEN, on: ['HELP'], to: 'same', do: [], reply: 'help' },
  end('quit', OPEN, ['QUIT'], 'bye'),

  refuse('unknown', OPEN, ['unknown'], 'unknown'),
  refuse('bad-syntax', OPEN, ['bad-syntax'], 'badSyntax'),
  refuse('too-long', [...OPEN, ...AUTH], ['too-long'], 'tooLong'),
  end('http', OPEN, ['http'], 'noHttp'),
  end('too-many-errors', ['error'], ['always'], 'tooManyErrors', 'tooManyErrors'),
  { id: 'error', in: ['error'], on: ['always'], to: 'choose', do: [] },

  { id: 'stop-later', in: ['storing', ...RECEIVING], on: ['stop'], to: 'same', do: ['markStopping'] },
  end('stop', [...OPEN, ...AUTH, 'discard', 'verifying'], ['stop'], 'shuttingDown'),
  end('stop-now', RECEIVING, ['stop-now'], 'shuttingDown'),
  end('idle', [...OPEN, ...AUTH, ...RECEIVING, 'discard'], ['timeout'], 'timeout'),

  {
    id: 'client-done',
    in: [...OPEN, ...AUTH],
    on: ['client-done'],
    to: 'closing',
    do: ['abortMessage', 'end'],
  },
  {
    id: 'broken-off',
    in: [...RECEIVING, 'discard'],
    on: ['client-done'],
    to: 'closed',
    do: ['abortMessage', 'destroy'],
  },
  { id: 'overdue', in: ['handshake', 'closing'], on: ['timeout'], to: 'closed', do: ['destroy'] },
  { id: 'stop-handshake', in: ['handshake'], on: ['stop'], to: 'closed', do: ['destroy'] },
  { id: 'lost', in: ALIVE, on: ['connection-lost'], to: 'closed', do: ['abortMessage', 'destroy'] },
];
