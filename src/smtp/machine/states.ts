/**
 * The states of a session: the reply we wait for, or what we are doing. A state without deadline, phrase and the C module's
 * name does not compile. Printed into techdoc/delivery-states.md.
 */

export interface State {
  /** name of the setting `timeout.*` that bounds it, restarted at each step; null: no waiting in this state */
  readonly deadline: Deadline | null;
  /** completes "while we were ..." */
  readonly phrase: string;
  /** the C module's name for the state, where it has one */
  readonly citadel: string | null;
}

export type Deadline =
  | 'greeting'
  | 'ehlo'
  | 'starttls'
  | 'handshake'
  | 'auth'
  | 'idle'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'body'
  | 'dot'
  | 'rset'
  | 'quit';

export const STATES = {
  greeting: { deadline: 'greeting', phrase: 'waiting for the greeting', citadel: 'greeting' },
  ehlo: { deadline: 'ehlo', phrase: 'waiting for the answer to EHLO', citadel: 'EHLO' },
  helo: { deadline: 'ehlo', phrase: 'waiting for the answer to HELO', citadel: 'HELO' },
  capabilities: {
    deadline: null,
    phrase: 'choosing the next command by what the server offers',
    citadel: null,
  },
  starttls: { deadline: 'starttls', phrase: 'waiting for the answer to STARTTLS', citadel: null },
  handshake: { deadline: 'handshake', phrase: 'negotiating TLS', citadel: null },
  auth: { deadline: 'auth', phrase: 'authenticating', citadel: 'AUTH' },
  ready: { deadline: 'idle', phrase: 'idle between two messages', citadel: null },
  conversion: {
    deadline: 'body',
    phrase: 'making a form of the message for a server without 8BITMIME',
    citadel: null,
  },
  mail: { deadline: 'mail', phrase: 'waiting for the answer to MAIL FROM', citadel: 'MAIL' },
  rcpt: { deadline: 'rcpt', phrase: 'waiting for the answer to RCPT TO', citadel: 'RCPT' },
  envelope: { deadline: null, phrase: 'choosing what follows an answer about the envelope', citadel: null },
  data: { deadline: 'data', phrase: 'waiting for the answer to DATA', citadel: 'DATA' },
  body: { deadline: 'body', phrase: 'sending the message', citadel: 'sending text' },
  dot: { deadline: 'dot', phrase: 'waiting for the answer to the end of the message', citadel: 'final dot' },
  'between-transactions': { deadline: null, phrase: 'choosing what follows a message', citadel: null },
  drain: { deadline: 'rset', phrase: 'reading answers to commands sent ahead', citadel: null },
  rset: { deadline: 'rset', phrase: 'waiting for the answer to RSET', citadel: null },
  quit: { deadline: 'quit', phrase: 'closing the connection', citadel: 'QUIT' },
  closed: { deadline: null, phrase: 'closed', citadel: null },
} as const satisfies Record<string, State>;

export type StateName = keyof typeof STATES;
