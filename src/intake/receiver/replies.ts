/**
 * What the receiver says of commands and of the connection: every reply that the table names. Printed into
 * techdoc/intake-states.md. What is said of messages comes from transaction-handler.ts.
 */
import type { Reply } from '../reply.ts';
import { SYNTAX } from './commands.ts';
import { offersLogin, offersTls, unsupportedParameter } from './guards.ts';
import type { Draft } from './session.ts';

type Text = string | ((draft: Draft) => string);
type Entry = readonly [code: number, status: string | null, text: Text];

export const REPLIES = {
  greeting: [
    220,
    null,
    ({ session: { policy } }) =>
      `${policy.hostname} ${policy.protocol === 'lmtp' ? 'LMTP' : 'ESMTP'} spoolroom`,
  ],
  hello: [250, null, (draft) => greets(draft)],
  capabilities: [250, null, (draft) => [greets(draft), ...capabilities(draft)].join('\n')],
  ok: [250, '2.0.0', 'OK'],
  reset: [250, '2.0.0', 'Flushed'],
  noVerify: [252, '2.0.0', 'Addresses are not verified; send the message'],
  help: [214, '2.0.0', 'RFC 5321 says how to talk to this server'],
  bye: [221, '2.0.0', 'Bye'],

  senderOk: [250, '2.1.0', 'Accepted'],
  recipientOk: [250, '2.1.5', 'Accepted'],
  startData: [354, null, 'End data with <CR><LF>.<CR><LF>'],
  chunkOk: [250, '2.0.0', ({ session: { chunk } }) => `${chunk.size} octets received`],
  answer: [0, null, 'what the intake says of the message, with LMTP once for each recipient'],

  startTls: [220, '2.0.0', 'Ready to start TLS'],
  askResponse: [334, null, ''],
  askUser: [334, null, 'VXNlcm5hbWU6'],
  askPassword: [334, null, 'UGFzc3dvcmQ6'],
  loggedIn: [235, '2.7.0', 'Authentication successful'],

  unknown: [500, '5.5.1', 'Command not recognized'],
  tooLong: [500, '5.5.2', 'Line too long'],
  badSyntax: [
    501,
    '5.5.4',
    ({ event }) => (event.type === 'bad-syntax' ? `Syntax: ${SYNTAX[event.verb]}` : 'Syntax error'),
  ],
  badChunkSize: [501, '5.5.4', `Syntax: ${SYNTAX.BDAT}`],
  badResponse: [501, '5.5.2', 'This is not an answer to the challenge'],
  cancelled: [501, '5.7.0', 'Authentication cancelled'],
  notOffered: [502, '5.5.1', 'This command is not offered here'],
  wrongHello: [
    500,
    '5.5.1',
    ({ session: { policy } }) =>
      policy.protocol === 'lmtp' ? 'Say LHLO: this is LMTP' : 'Say EHLO: this is SMTP',
  ],
  helloFirst: [
    503,
    '5.5.1',
    ({ session: { policy } }) => `Say ${policy.protocol === 'lmtp' ? 'LHLO' : 'EHLO or HELO'} first`,
  ],
  nestedMail: [503, '5.5.1', 'A transaction is open already'],
  needMail: [503, '5.5.1', 'Need MAIL before RCPT'],
  needRecipients: [503, '5.5.1', 'Need MAIL and RCPT before DATA'],
  needTransaction: [503, '5.5.1', 'Need MAIL and RCPT before BDAT'],
  finishChunks: [503, '5.5.1', 'Send the rest of the message by BDAT, or RSET'],
  tlsActive: [503, '5.5.1', 'TLS is active already'],
  loggedInAlready: [503, '5.5.1', 'Logged in already'],
  badMechanism: [504, '5.5.4', 'This mechanism is not offered here'],
  loginFirst: [530, '5.7.0', 'Authentication required'],
  tlsFirst: [538, '5.7.11', 'Passwords are not taken in clear: STARTTLS first'],
  loginFailed: [535, '5.7.8', 'Wrong user name or password'],
  loginThrottled: [454, '4.7.0', 'Too many failed logins; try again later'],

  tooLarge: [
    552,
    '5.3.4',
    ({ session: { policy } }) => `A message larger than ${policy.size} bytes is not taken`,
  ],
  unsupported: [
    555,
    '5.5.4',
    (draft) => (draft.event.type === 'MAIL' ? `${unsupportedParameter(draft)} is not offered here` : ''),
  ],
  badSender: [553, '5.1.7', ({ event }) => (event.type === 'MAIL' ? why(event.sender) : '')],
  badRecipient: [553, '5.1.3', ({ event }) => (event.type === 'RCPT' ? why(event.recipient) : '')],
  needSmtputf8: [553, '5.6.7', 'An address that is not ASCII needs SMTPUTF8'],
  tooManyRecipients: [452, '4.5.3', 'Too many recipients; send the rest in another transaction'],

  tooManyConnections: [421, '4.3.2', 'Too many connections; try again later'],
  shuttingDown: [421, '4.3.2', 'Shutting down; try again later'],
  timeout: [421, '4.4.2', 'Nothing was heard for too long'],
  tooManyErrors: [421, '4.7.0', 'Too many errors'],
  tooManyGuesses: [421, '4.7.0', 'Too many wrong passwords'],
  loginOverdue: [421, '4.7.0', 'Too many commands without a login'],
  noHttp: [421, '4.7.0', 'This is a mail server'],
  earlyTls: [554, '5.5.0', 'Wait for the answer to STARTTLS'],
} as const satisfies Record<string, Entry>;

export type ReplyName = keyof typeof REPLIES;

export function replyNamed(name: ReplyName, draft: Draft): Reply {
  const [code, status, text]: Entry = REPLIES[name];
  return { code, status, text: typeof text === 'string' ? text : text(draft) };
}

function greets({ session: { policy, client } }: Draft): string {
  return `${policy.hostname} greets ${client}`;
}

function capabilities(draft: Draft): readonly string[] {
  const { policy } = draft.session;
  return [
    'PIPELINING',
    '8BITMIME',
    'SMTPUTF8',
    'ENHANCEDSTATUSCODES',
    'DSN',
    ...(offersLogin(draft) ? ['AUTH LOGIN PLAIN'] : []),
    ...(offersTls(draft) ? ['STARTTLS'] : []),
    ...(draft.session.secure ? ['REQUIRETLS'] : []),
    `SIZE ${policy.size}`,
    'CHUNKING',
  ];
}

function why(mailbox: { readonly kind: string; readonly why?: string } | null): string {
  return mailbox?.why ?? '';
}
