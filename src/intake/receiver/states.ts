/**
 * The states of a connection to the intake: what is known of the client so far, and what its next bytes are. A state that
 * does not say how bytes are read and what bounds the waiting does not compile. Printed into techdoc/intake-states.md.
 */

export interface State {
  /**
   * what the client's next bytes are: command lines, an answer to 334, a message behind DATA, octets of a chunk, bytes to
   * be ignored; `nothing`: they wait until something else has happened
   */
  readonly reads: 'commands' | 'responses' | 'data' | 'octets' | 'nothing' | 'ignored';
  /** the bound on waiting for the client; null: we wait for something else */
  readonly deadline: 'idle' | 'closing' | null;
  /** completes "the client ..." */
  readonly phrase: string;
}

export const STATES = {
  connecting: { reads: 'nothing', deadline: null, phrase: 'has connected' },
  fresh: { reads: 'commands', deadline: 'idle', phrase: 'has been greeted and has not introduced itself' },
  ready: { reads: 'commands', deadline: 'idle', phrase: 'has introduced itself; no transaction is open' },
  mail: { reads: 'commands', deadline: 'idle', phrase: 'has named a sender' },
  rcpt: { reads: 'commands', deadline: 'idle', phrase: 'has named a sender and recipients' },
  data: { reads: 'data', deadline: 'idle', phrase: 'is sending a message behind DATA' },
  chunk: { reads: 'octets', deadline: 'idle', phrase: 'is sending a chunk of a message' },
  chunks: {
    reads: 'commands',
    deadline: 'idle',
    phrase: 'has sent chunks of a message, but not the last one',
  },
  discard: { reads: 'octets', deadline: 'idle', phrase: 'is sending a chunk that belongs to no transaction' },
  storing: { reads: 'nothing', deadline: null, phrase: 'waits until its message is durable' },
  'auth-plain': { reads: 'responses', deadline: 'idle', phrase: 'is asked for user and password' },
  'auth-user': { reads: 'responses', deadline: 'idle', phrase: 'is asked for the user' },
  'auth-password': { reads: 'responses', deadline: 'idle', phrase: 'is asked for the password' },
  verifying: { reads: 'nothing', deadline: null, phrase: 'waits for the answer to its password' },
  handshake: { reads: 'nothing', deadline: 'idle', phrase: 'is negotiating TLS' },
  closing: { reads: 'ignored', deadline: 'closing', phrase: 'has had our last reply' },
  closed: { reads: 'ignored', deadline: null, phrase: 'is gone' },

  // left at once, by `always` rows
  choose: { reads: 'nothing', deadline: null, phrase: '(the state follows from what is known)' },
  'plain-given': { reads: 'nothing', deadline: null, phrase: '(user and password are read)' },
  'user-given': { reads: 'nothing', deadline: null, phrase: '(the user is read)' },
  error: { reads: 'nothing', deadline: null, phrase: '(one more refused command)' },
  guessed: { reads: 'nothing', deadline: null, phrase: '(one more failed login)' },
  answered: { reads: 'nothing', deadline: null, phrase: '(a message is over)' },
} as const satisfies Record<string, State>;

export type StateName = keyof typeof STATES;
