/**
 * A connection to the intake as plain data: its state, the events that come in, the effects that go out.
 */
import type { ByteString } from '../../platform/bytes.ts';
import type { DsnRequest } from '../../smtp/dsn-request.ts';
import type { Reply } from '../reply.ts';
import type { Command } from './commands.ts';
import type { StateName } from './states.ts';

/** What holds for every connection of a listener. */
export interface Policy {
  readonly protocol: 'smtp' | 'lmtp';
  /** what we call ourselves */
  readonly hostname: string;
  /** largest message, bytes */
  readonly size: number;
  /** recipients of one transaction */
  readonly maxRecipients: number;
  /** STARTTLS is offered */
  readonly tls: boolean;
  /** only users may hand in mail */
  readonly login: boolean;
}

export interface Session {
  readonly state: StateName;
  readonly policy: Policy;
  readonly secure: boolean;
  /** the intake is shutting down: this connection ends with its message */
  readonly stopping: boolean;
  /** what the client calls itself; null before EHLO, HELO or LHLO */
  readonly client: ByteString | null;
  /** it said EHLO or LHLO */
  readonly extended: boolean;
  /** null: not logged in */
  readonly user: string | null;
  /** given by AUTH LOGIN before the password */
  readonly candidate: string | null;
  /** null: no transaction; '' is the null sender */
  readonly sender: ByteString | null;
  readonly smtputf8: boolean;
  /** as accepted, in order; the same one may be there twice */
  readonly recipients: readonly ByteString[];
  /** what the sender asks for in reports (RFC 3461) */
  readonly dsn: DsnRequest;
  /** part of the message has been read, or may be */
  readonly messageBegun: boolean;
  /** the last BDAT */
  readonly chunk: { readonly size: number; readonly last: boolean };
  /** commands so far */
  readonly commands: number;
  /** refused commands since the last message */
  readonly errors: number;
  /** failed logins */
  readonly guesses: number;
}

/** Who may hand over a message, and for whom. */
export interface Envelope {
  readonly sender: ByteString;
  readonly recipients: readonly ByteString[];
  /** null: nothing was asked for */
  readonly dsn: DsnRequest | null;
  /** what the client calls itself */
  readonly client: ByteString;
  /** RFC 3848: ESMTP, ESMTPSA, LMTP ... */
  readonly protocol: string;
}

export type LoginResult = 'accepted' | 'failed' | 'throttled';

export type SessionEvent =
  | { readonly type: 'connected'; readonly full: boolean }
  | Command
  /** an answer to 334 */
  | { readonly type: 'response'; readonly text: ByteString }
  | { readonly type: 'verified'; readonly user: string; readonly result: LoginResult }
  | { readonly type: 'secured' }
  /** CRLF.CRLF behind DATA */
  | { readonly type: 'message-end' }
  /** the last octet of a chunk */
  | { readonly type: 'chunk-end' }
  /** what is to be said of the message, once for each accepted RCPT where LMTP is spoken */
  | { readonly type: 'stored'; readonly reply: Reply }
  /** the client has closed its side, and all it said has been answered */
  | { readonly type: 'client-done' }
  /** the connection is gone, or the client closed it where nothing can be answered */
  | { readonly type: 'connection-lost' }
  /** the deadline of the state has passed */
  | { readonly type: 'timeout' }
  /** the intake shuts down; messages being received may be finished */
  | { readonly type: 'stop' }
  /** they may not be finished any more */
  | { readonly type: 'stop-now' };

export type SessionEffect =
  | { readonly type: 'reply'; readonly reply: Reply }
  /** a transaction has begun */
  | { readonly type: 'sender'; readonly sender: ByteString }
  | { readonly type: 'begin-message'; readonly envelope: Envelope }
  /** so many octets of a chunk follow */
  | { readonly type: 'read-octets'; readonly count: number }
  | { readonly type: 'end-message' }
  /** the rest of the message never comes */
  | { readonly type: 'abort-message' }
  | { readonly type: 'verify'; readonly user: string; readonly password: string }
  | { readonly type: 'start-tls' }
  /** close our side when all is sent */
  | { readonly type: 'end' }
  | { readonly type: 'destroy' };

export interface Step {
  readonly session: Session;
  readonly effects: readonly SessionEffect[];
  /** ids of the rows taken, in order */
  readonly rows: readonly string[];
}

export type EventName = SessionEvent['type'];

export const NOTHING_ASKED: DsnRequest = { ret: null, envid: null, recipients: new Map() };

export function beginSession(policy: Policy): Session {
  return {
    state: 'connecting',
    policy,
    secure: false,
    stopping: false,
    client: null,
    extended: false,
    user: null,
    candidate: null,
    sender: null,
    smtputf8: false,
    recipients: [],
    dsn: NOTHING_ASKED,
    messageBegun: false,
    chunk: { size: 0, last: false },
    commands: 0,
    errors: 0,
    guesses: 0,
  };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What rows work on: a copy of the session that actions may change, and the effects so far. */
export interface Draft {
  readonly session: Mutable<Session>;
  readonly event: SessionEvent;
  readonly effects: SessionEffect[];
}
