/** What a session is begun with, and what it tells the one who uses it. */
import type { Connect, Endpoint, TlsOptions } from '#net-stream-utils';
import type { OutgoingMessage } from '../../message/outgoing.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Credentials } from '../../routing/hosts.ts';
import type { Refusable } from '../capabilities.ts';
import type { SessionEvent, SessionPolicy, Step } from '../machine/session.ts';
import type { Deadline } from '../machine/states.ts';
import type { Mechanism } from '../mechanisms.ts';
import type { Failure, Outcome, Peer } from '../outcome.ts';
import type { Transaction } from '../transaction.ts';

export interface SessionOptions {
  /** identifies the session in transcripts */
  readonly number: number;
  readonly endpoint: Endpoint;
  readonly peer: Peer;
  readonly policy: SessionPolicy;
  readonly credentials: Credentials | null;
  readonly tls: TlsOptions;
  /** milliseconds for each state, and for connecting */
  readonly deadlines: { readonly [name in Deadline | 'connect']: number };
}

export interface ClientListener {
  /** connected; the greeting has not arrived yet */
  connected(): void;
  /** idle and able to take a transaction */
  ready(): void;
  body(transaction: number): OutgoingMessage;
  /** whether the end of the message may be sent now; absent: always */
  mayEnd?(transaction: number): boolean;
  /** the transaction whose envelope is to be pipelined with the end of this message, if there is one */
  nextTransaction(): Transaction | null;
  /**
   * The server has no 8BITMIME: call `startTransaction` again, with a 7-bit form of the message or, when there is none, as it
   * is.
   */
  convertMessage(transaction: number): void;
  outcome(transaction: number, recipients: readonly number[], outcome: Outcome): void;
  transactionDone(transaction: number): void;
  requeue(transaction: number): void;
  hostFailed(failure: Failure): void;
  tlsUnusable(failure: Failure): void;
  /** the host offers the extension and cannot do it, or takes so few recipients; what has no outcome is tried again without */
  extensionRefused(extension: Refusable, failure: Failure): void;
  /** the host refused these before it took another one; absent: nobody remembers it */
  mechanismsRefused?(mechanisms: readonly Mechanism[]): void;
  /** no more transactions on this session; QUIT may still be in flight */
  ended(): void;
  /** the connection is closed */
  closed(): void;
  /** every step of the machine, for transcripts */
  trace(event: SessionEvent, step: Step): void;
}

export interface ClientDeps {
  readonly connect: Connect;
  readonly clock: Clock;
}
