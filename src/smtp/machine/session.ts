/**
 * An SMTP session: its state, the events that come in and the effects that go out. All plain data, written to transcripts as
 * they are.
 */
import type { TlsFacts } from '#net-stream-utils';
import type { ByteString } from '../../platform/bytes.ts';
import type { TlsPolicy } from '../../routing/hosts.ts';
import type { Capabilities, Refusable } from '../capabilities.ts';
import { NO_CAPABILITIES } from '../capabilities.ts';
import type { Mechanism } from '../mechanisms.ts';
import type { Failure, Outcome, Peer } from '../outcome.ts';
import type { Reply } from '../reply.ts';
import type { Transaction, UnsupportedRequirement } from '../transaction.ts';
import type { StateName } from './states.ts';

export interface SessionPolicy {
  /** our name in EHLO */
  readonly ehloName: string;
  readonly tls: TlsPolicy;
  /** there are credentials for this host: authenticate, or the host fails */
  readonly credentials: boolean;
  /** `auth-in-clear` allows sending credentials to this host without TLS */
  readonly authInClear: boolean;
  /** the only mechanism that may be used with this host; without it, any that fits the credentials */
  readonly mechanism?: Mechanism;
  /** failed here not long ago where another one worked: tried last */
  readonly mechanismsLast?: readonly Mechanism[];
  /** maximum recipients in one transaction; the server may allow fewer (RFC 9422) */
  readonly recipients: number;
  /** extensions that are not used even where they are offered: a setting says so, or this host refused them */
  readonly without?: readonly Refusable[];
  /** the sender of the message demands TLS (RFC 8689): a server without it is none for this message */
  readonly requireTls?: true;
  /** a relay of our settings: that it takes no mail for others from us is no fault of the message */
  readonly relay?: true;
  /** LMTP (RFC 2033): LHLO, and one reply per recipient after the dot, so `recipients` must be 1 */
  readonly lmtp?: true;
}

/** A transaction in progress. Recipients are known by their ids. */
export interface TransactionState {
  readonly transaction: Transaction;
  /** what the server lacks for the message: only the envelope is sent */
  readonly lacks: UnsupportedRequirement | null;
  /** how many of its recipients get a RCPT in this transaction */
  readonly rcptCount: number;
  /** commands sent so far: MAIL, each RCPT, DATA */
  readonly sent: number;
  /** RCPTs answered so far */
  readonly answered: number;
  readonly accepted: readonly number[];
  /** recipients with an outcome that is not success */
  readonly refused: readonly number[];
  /** refused with "too many recipients": they need another transaction */
  readonly remaining: readonly number[];
}

export interface Session {
  readonly state: StateName;
  readonly policy: SessionPolicy;
  readonly peer: Peer;
  readonly secure: boolean;
  /** the server refused STARTTLS, and the policy allows continuing without TLS */
  readonly tlsDeclined: boolean;
  readonly authenticated: boolean;
  readonly mechanism: Mechanism | null;
  /** responses sent with this mechanism */
  readonly authSteps: number;
  /** the server did not take AUTH with an initial response: it is sent when the server asks for it */
  readonly withoutInitialResponse: boolean;
  /** mechanisms that the server refused in this session */
  readonly refusedMechanisms: readonly Mechanism[];
  /** how many of them with "authentication credentials invalid" */
  readonly failedLogins: number;
  readonly capabilities: Capabilities;
  /** replies the server has yet to send */
  readonly pendingReplies: number;
  /** transactions completed on this session; above 0 it is a reused one */
  readonly transactions: number;
  readonly current: TransactionState | null;
  /** its envelope was sent together with the end of the current message (RFC 2920 3.1) */
  readonly pipelined: TransactionState | null;
}

export type SessionEvent =
  | { readonly type: 'reply'; readonly reply: Reply }
  /** a line that is not SMTP */
  | { readonly type: 'protocol-error'; readonly text: ByteString }
  /** the server sent something before it was its turn */
  | { readonly type: 'early-talker'; readonly text: ByteString }
  /** the deadline of the state has passed */
  | { readonly type: 'timeout'; readonly seconds: number }
  /** the connection broke, or we (`ours`) ended it; the text completes "HOST ..." */
  | { readonly type: 'connection-lost'; readonly text: ByteString; readonly ours?: true }
  /** `code`: of a certificate that was refused (`CloseReason`) */
  | { readonly type: 'tls-failed'; readonly text: ByteString; readonly code?: string }
  /** `tls` is missing in transcripts of earlier releases */
  | { readonly type: 'secured'; readonly tls?: TlsFacts }
  | { readonly type: 'start-transaction'; readonly transaction: Transaction }
  | { readonly type: 'quit' }
  /** the whole body has been written, the end of data has not */
  | { readonly type: 'body-sent'; readonly pipelined: Transaction | null }
  /** the message could not be read completely */
  | { readonly type: 'payload-error'; readonly text: ByteString };

export type SessionEffect =
  | { readonly type: 'write'; readonly bytes: ByteString }
  /** the client, which holds the credentials, answers; `challenge` is null for the initial response */
  | {
      readonly type: 'authenticate';
      readonly mechanism: Mechanism;
      readonly step: number;
      readonly challenge: ByteString | null;
    }
  | { readonly type: 'start-tls' }
  /** send the body of the transaction; `stuffed` is false under BDAT */
  | { readonly type: 'send-body'; readonly transaction: number; readonly stuffed: boolean }
  /** the server has no 8BITMIME: start the transaction again with a 7-bit form, or as it is when there is none */
  | { readonly type: 'convert-message'; readonly transaction: number }
  | {
      readonly type: 'outcome';
      readonly transaction: number;
      readonly recipients: readonly number[];
      readonly outcome: Outcome;
    }
  /** the transaction has ended; `remaining` recipients have no outcome and need another transaction */
  | { readonly type: 'transaction-done'; readonly transaction: number; readonly remaining: readonly number[] }
  /** no recipient has an outcome: start it again on a fresh connection, and do not count this as a failure of the host */
  | { readonly type: 'requeue'; readonly transaction: number }
  /** a failure of the whole host: recipients without an outcome go to the next one */
  | { readonly type: 'host-failed'; readonly failure: Failure }
  /** TLS could not be negotiated and clear text is allowed: connect again without TLS */
  | { readonly type: 'tls-unusable'; readonly failure: Failure }
  /**
   * The server offers the extension and cannot do it, or takes fewer recipients than were named, which says nothing about the
   * message: connect again and do without
   */
  | {
      readonly type: 'extension-refused';
      readonly extension: Refusable;
      readonly failure: Failure;
    }
  /** these were refused before the one that worked, or ended the session */
  | { readonly type: 'mechanisms-refused'; readonly mechanisms: readonly Mechanism[] }
  | { readonly type: 'ready' }
  /** QUIT has been sent: the server closes the connection, and nothing waits for that */
  | { readonly type: 'end' }
  | { readonly type: 'destroy' };

export interface Step {
  readonly session: Session;
  readonly effects: readonly SessionEffect[];
  /** ids of the rows taken, in order */
  readonly rows: readonly string[];
}

/** A session just after connecting: the server speaks first. */
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
    withoutInitialResponse: false,
    refusedMechanisms: [],
    failedLogins: 0,
    capabilities: NO_CAPABILITIES,
    pendingReplies: 1,
    transactions: 0,
    current: null,
    pipelined: null,
  };
}

/** What rows work on: a copy of the session that actions may change, and the effects so far. */
export interface Draft {
  readonly session: Mutable<Session>;
  readonly effects: SessionEffect[];
  readonly event: SessionEvent;
  /** the state in which the event arrived: the stage of a failure */
  readonly stage: StateName;
}
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Event names of the table: replies by class; 421 separately, because it may come at any time and ends the session. */
export type EventName = '2yz' | '3yz' | '4yz' | '5yz' | '421' | Exclude<SessionEvent['type'], 'reply'>;

/** We were in haste and ended the session, which says nothing about what the server can do. */
export function isOurDoing(event: SessionEvent): boolean {
  return event.type === 'connection-lost' && event.ours === true;
}

export function eventName(event: SessionEvent): EventName {
  if (event.type !== 'reply') return event.type;
  if (event.reply.code === 421) return '421';
  return CLASSES[Math.trunc(event.reply.code / 100) - 2] ?? 'protocol-error';
}
const CLASSES = ['2yz', '3yz', '4yz', '5yz'] as const;
