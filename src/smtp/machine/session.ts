/**
 * What a session is: its state, the events that come in, the effects that go out. Types, the initial value and
 * the names of events; all plain data, so that a transcript can hold them as they are.
 */
import type { ByteString } from '../../platform/bytes.ts';
import type { TlsPolicy } from '../../routing/hosts.ts';
import type { Capabilities } from '../capabilities.ts';
import { NO_CAPABILITIES } from '../capabilities.ts';
import type { Failure, Outcome, Peer } from '../outcome.ts';
import type { Reply } from '../reply.ts';
import type { Transaction } from '../transaction.ts';
import type { StateName } from './states.ts';

export interface SessionPolicy {
  /** what we call ourselves in EHLO (R098) */
  readonly ehloName: string;
  readonly tls: TlsPolicy;
  /** there are credentials for this host: authenticate or fail */
  readonly credentials: boolean;
  /** the host was named as one to which credentials may go in clear */
  readonly authInClear: boolean;
  /** most recipients in one transaction; the peer may allow fewer (RFC 9422) */
  readonly recipients: number;
  /** LMTP (RFC 2033): LHLO, and one reply per recipient after the dot, so `recipients` must be 1 */
  readonly lmtp?: true;
}

/** A transaction on the wire and how far it has come. Recipients are indices into `transaction.recipients`. */
export interface TransactionState {
  readonly transaction: Transaction;
  /** how many of its recipients this transaction names; the rest is postponed */
  readonly rcptCount: number;
  /** commands written so far: MAIL, each RCPT, DATA */
  readonly sent: number;
  /** RCPTs answered so far */
  readonly answered: number;
  readonly accepted: readonly number[];
  /** refused ones: they have their verdict already */
  readonly refused: readonly number[];
  readonly postponed: readonly number[];
}

export interface Session {
  readonly state: StateName;
  readonly policy: SessionPolicy;
  readonly peer: Peer;
  readonly secure: boolean;
  /** the peer refused STARTTLS and the policy allows to go on without */
  readonly tlsDeclined: boolean;
  readonly authenticated: boolean;
  readonly mechanism: Mechanism | null;
  readonly authSteps: number;
  readonly capabilities: Capabilities;
  /** replies the peer owes us */
  readonly awaited: number;
  /** transactions ended on this session; above 0 it is a reused one */
  readonly transactions: number;
  readonly current: TransactionState | null;
  /** its envelope travelled with the end of the current message (RFC 2920 3.1) */
  readonly following: TransactionState | null;
}

export type Mechanism = 'PLAIN' | 'LOGIN' | 'CRAM-MD5' | 'XOAUTH2';

export type SessionEvent =
  | { readonly type: 'reply'; readonly reply: Reply }
  /** a line that is not SMTP */
  | { readonly type: 'garbage'; readonly text: ByteString }
  /** the peer spoke before it was asked */
  | { readonly type: 'early'; readonly text: ByteString }
  /** the deadline of the state passed */
  | { readonly type: 'silence'; readonly seconds: number }
  /** the connection is gone; the text says how, for people */
  | { readonly type: 'lost'; readonly text: ByteString }
  | { readonly type: 'tls-failed'; readonly text: ByteString }
  | { readonly type: 'secured' }
  | { readonly type: 'offer'; readonly transaction: Transaction }
  | { readonly type: 'leave' }
  /** the whole body is written, its end is not */
  | { readonly type: 'body-sent'; readonly following: Transaction | null }
  /** the payload could not be read to its end */
  | { readonly type: 'payload-lost'; readonly text: ByteString };

export type SessionEffect =
  | { readonly type: 'write'; readonly bytes: ByteString }
  /** the driver, which holds the credentials, answers; `challenge` is null for the initial response */
  | {
      readonly type: 'authenticate';
      readonly mechanism: Mechanism;
      readonly step: number;
      readonly challenge: ByteString | null;
    }
  | { readonly type: 'start-tls' }
  /** send the body of the transaction; `stuffed` is false under BDAT */
  | { readonly type: 'send-body'; readonly transaction: number; readonly stuffed: boolean }
  | {
      readonly type: 'verdict';
      readonly transaction: number;
      readonly recipients: readonly number[];
      readonly verdict: Outcome;
    }
  /** the transaction is over; `postponed` recipients were not judged and want another transaction */
  | { readonly type: 'transaction-done'; readonly transaction: number; readonly postponed: readonly number[] }
  /** not begun as far as its recipients are concerned: give it to a fresh session, nothing is held against the host */
  | { readonly type: 'hand-back'; readonly transaction: number }
  /** trouble that reaches the host: the recipients without verdict go to the next one */
  | { readonly type: 'host-failed'; readonly failure: Failure }
  /** STARTTLS broke the connection and clear text is allowed: connect again without it */
  | { readonly type: 'tls-unusable'; readonly failure: Failure }
  | { readonly type: 'ready' }
  /** QUIT is written: let the peer close, hold nothing up for it */
  | { readonly type: 'end' }
  | { readonly type: 'destroy' };

export interface Step {
  readonly session: Session;
  readonly effects: readonly SessionEffect[];
  /** ids of the rows taken, in order */
  readonly rows: readonly string[];
}

/** A session as it is when the connection stands: the peer speaks first. */
export function beginSession(policy: SessionPolicy, peer: Peer): Session {
  return {
    state: 'greeting',
    policy,
    peer,
    secure: policy.tls === 'implicit',
    tlsDeclined: false,
    authenticated: false,
    mechanism: null,
    authSteps: 0,
    capabilities: NO_CAPABILITIES,
    awaited: 1,
    transactions: 0,
    current: null,
    following: null,
  };
}

/** What rows work on: a copy of the session that actions may change, and the effects so far. */
export interface Draft {
  readonly session: Mutable<Session>;
  readonly effects: SessionEffect[];
  readonly event: SessionEvent;
  /** the state in which the event came: where things went wrong, if they did */
  readonly stage: StateName;
}
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Events as the table calls them: replies by class, 421 apart because it may come at any point and ends the session. */
export type EventName = '2yz' | '3yz' | '4yz' | '5yz' | '421' | Exclude<SessionEvent['type'], 'reply'>;

export function eventName(event: SessionEvent): EventName {
  if (event.type !== 'reply') return event.type;
  if (event.reply.code === 421) return '421';
  return CLASSES[Math.trunc(event.reply.code / 100) - 2] ?? 'garbage';
}
const CLASSES = ['2yz', '3yz', '4yz', '5yz'] as const;
