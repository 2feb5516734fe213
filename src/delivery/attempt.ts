/**
 * One attempt to deliver a message to its recipients of one destination: a single object from planning to the last outcome.
 * Holds the state of the pure delivery machine beside what the machine must not see: the message and the timers.
 *
 * A recipient is known by its id everywhere: its position among the recipients of the message.
 */
import { hasEightBit } from '../message/charset.ts';
import type { OutgoingMessage } from '../message/outgoing.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Timer } from '../platform/clock.ts';
import type { FixedDelay } from '../platform/timers.ts';
import type { QueuedJob } from '../queue/queue.ts';
import type { Destination } from '../routing/hosts.ts';
import type { MessageDsn, RecipientDsn } from '../smtp/dsn-request.ts';
import type { Failure, Outcome } from '../smtp/outcome.ts';
import type { MessageRequirements, Transaction, TransactionRecipient } from '../smtp/transaction.ts';
import { type TlsWish, tlsWish } from '../tls-policy/wish.ts';
import type { ConnectionTarget } from './connections/target.ts';
import type { Delivery, DeliveryEffect } from './delivery.ts';
import { beginDelivery } from './delivery.ts';
import type { TlsUse } from './tls-use.ts';

/** A message ready to go, with the envelope sender it goes under. */
export interface PreparedMessage {
  readonly outgoing: OutgoingMessage;
  /** '' is the null sender */
  readonly sender: ByteString;
}

interface LoadedMessage extends PreparedMessage {
  /** of any host; a report may ask more of some (`beginTransaction`) */
  readonly requirements: MessageRequirements;
}

/** What MAIL FROM says of a message. */
export interface MessageFacts extends Pick<MessageRequirements, 'size' | 'eightBit'> {
  /** '' is the null sender */
  readonly sender: ByteString;
}

export interface OutcomeDetails {
  /** from the start of the attempt */
  readonly milliseconds: number;
  /** null: clear text, or no session */
  readonly tls: TlsUse | null;
  /** the server takes DSN parameters, and reports itself what was asked for; absent: no session */
  readonly dsn?: boolean;
}

/** The message as its attempts see it. */
export interface AttemptedMessage {
  /** the job with all its recipients; their positions are the ids */
  readonly job: QueuedJob;
  /** what its sender asked for; absent: nothing */
  readonly dsn?: MessageDsn | null;
  /**
   * Read when the attempt's turn has come and dropped afterwards; a failure when it cannot be sent; `unavailable` when it
   * cannot be read now, and the attempt does not count.
   */
  load(): Promise<PreparedMessage | Failure | 'unavailable'>;
  /** Whether the end of the message may be sent now; absent: always. Asked before the last bytes leave. */
  mayEnd?(): boolean;
  /**
   * Each recipient gets one outcome. `destination` is its name, for people. Returns what is recorded: a transient failure is
   * the last one when the message is too old for another attempt.
   */
  recordOutcome(
    destination: string,
    recipients: readonly number[],
    outcome: Outcome,
    details: OutcomeDetails,
  ): Outcome;
  /** The recipients wait because their hosts asked us to send less: nothing was tried. */
  holdBack(destination: string, recipients: readonly number[], reason: Failure): void;
  /** Every recipient of the attempt has its outcome, or stays as it was: the run is stopping, or the message is unavailable. */
  attemptDone(attempt: DeliveryAttempt): void;
}

export type AcquireConnection = Extract<DeliveryEffect, { type: 'acquire-connection' }>;

const NO_REPORT: RecipientDsn = { notify: 'NEVER', orcpt: null };

export class DeliveryAttempt {
  readonly message: AttemptedMessage;
  readonly destination: Destination;
  readonly recipients: readonly TransactionRecipient[];
  /** the attempt itself, as those that an event concerns */
  readonly alone: readonly DeliveryAttempt[] = [this];
  delivery: Delivery;
  /** the worker that carries it out, or did so last */
  worker: { expire(attempt: DeliveryAttempt): void } | null = null;
  /** the connection it waits for while the host has none to spare */
  waitingFor: {
    readonly target: ConnectionTarget;
    readonly wanted: AcquireConnection;
    /** it waits for its turn, not for a connection */
    readonly early: boolean;
  } | null = null;
  /** its turns in groups of hosts whose sessions or messages are spread over time; null: it had none */
  turns: Set<string> | null = null;
  /** number of the transaction in progress */
  transaction = 0;
  /** monotonic milliseconds */
  started = 0;
  /** the throttled group of hosts that lets it through */
  admittedTo: string | null = null;
  /** what it asks of its hosts, known once it is loaded; a report is not lost for want of TLS (RFC 8689 5) */
  tlsWish: TlsWish | null = null;
  isDone = false;
  /** its message, and what that requires of a server; null: it is not loaded */
  loaded: LoadedMessage | null = null;
  /** an address of its recipients needs SMTPUTF8 */
  readonly #smtpUtf8: boolean;
  #loading: Promise<Failure | 'unavailable' | null> | null = null;
  #limit: FixedDelay<DeliveryAttempt> | null = null;
  readonly #timers: Timer[] = [];

  constructor(
    message: AttemptedMessage,
    destination: Destination,
    recipients: readonly TransactionRecipient[],
    smtpUtf8: boolean,
  ) {
    this.message = message;
    this.destination = destination;
    this.recipients = recipients;
    this.#smtpUtf8 = smtpUtf8;
    this.delivery = beginDelivery(recipients.map(({ id }) => id));
  }

  /** Reads the message, once; null when it can be sent. */
  load(): Promise<Failure | 'unavailable' | null> {
    this.#loading ??= this.message.load().then((loaded) => {
      if (loaded === 'unavailable' || 'scope' in loaded) return loaded;
      const { outgoing, sender } = loaded;
      this.loaded = this.#withRequirements(loaded);
      const wish = tlsWish(this.message.dsn?.requireTls === true, outgoing.headers.tlsRequired);
      this.tlsWish = wish === 'required' && sender === '' ? null : wish;
      return null;
    });
    return this.#loading;
  }

  #withRequirements({ outgoing, sender }: PreparedMessage): LoadedMessage {
    const { size, eightBit } = outgoing;
    const smtpUtf8 = this.#smtpUtf8 || hasEightBit(sender);
    const demandsTls = sender !== '' && this.message.dsn?.requireTls === true;
    const requireTls = demandsTls ? ({ requireTls: 'demanded' } as const) : {};
    return { outgoing, sender, requirements: { size, eightBit, smtpUtf8, ...requireTls } };
  }

  get outgoing(): OutgoingMessage {
    return this.#loaded().outgoing;
  }

  /** of the form it would be sent in now; null: it is not loaded */
  get facts(): MessageFacts | null {
    if (this.loaded === null) return null;
    const { outgoing, sender } = this.loaded;
    return { size: outgoing.size, eightBit: outgoing.eightBit, sender };
  }

  /** A transaction for the pending recipients, under a number never used before in this run. */
  beginTransaction(number: number, { envelopeOnly }: Pick<Transaction, 'envelopeOnly'>): Transaction {
    const { sender, requirements } = this.#loaded();
    this.transaction = number;
    const recipients = this.#pending();
    const isReport = sender === '';
    const requireTls = isReport && this.#offersTls() ? 'offered' : requirements.requireTls;
    return {
      id: number,
      sender,
      // A message from the null sender is a report, or must not cause one (RFC 3461 6.1).
      recipients: isReport ? recipients.map((each) => ({ ...each, dsn: NO_REPORT })) : recipients,
      size: requirements.size,
      eightBit: requirements.eightBit,
      smtpUtf8: requirements.smtpUtf8,
      dsn: isReport ? null : (this.message.dsn ?? null),
      ...(requireTls === undefined ? {} : { requireTls }),
      ...(envelopeOnly === true ? { envelopeOnly } : {}),
    };
  }

  /** A report says REQUIRETLS where its connection is as the RFC has it: there a policy demands that. */
  #offersTls(): boolean {
    if (this.message.dsn?.requireTls !== true) return false;
    const { hosts, host } = this.delivery;
    const demands = hosts[host]?.protection?.demands;
    return demands === 'dane' || demands === 'pkix';
  }

  #pending(): readonly TransactionRecipient[] {
    const pending = new Set(this.delivery.pending);
    if (pending.size === this.recipients.length) return this.recipients;
    return this.recipients.filter(({ id }) => pending.has(id));
  }

  /** From now on the 7-bit form of the message is sent, if it has one; a failure when it cannot be read. */
  async useSevenBit(): Promise<Failure | null> {
    const { outgoing, sender } = this.#loaded();
    try {
      const sevenBit = await outgoing.sevenBit();
      if (sevenBit !== null) this.loaded &&= this.#withRequirements({ outgoing: sevenBit, sender });
      return null;
    } catch (error) {
      return unreadable(error);
    }
  }

  /** As if it had not begun: none of its recipients has an outcome. */
  restart(): void {
    this.#cancelTimers();
    this.delivery = beginDelivery(this.delivery.pending);
  }

  /** It has the connection that it waited for, behind another message; false: it did not wait. */
  stopWaiting(): boolean {
    if (this.waitingFor === null) return false;
    this.waitingFor = null;
    // Its time is limited anew when its turn has come: the old deadline would cut off the message before it.
    this.#cancelTimers();
    return true;
  }

  /** Until its turn, if it is known: that it waits for its turn does not count as time for its delivery. */
  pause(timer: Timer | null): void {
    this.#cancelTimers();
    if (timer !== null) this.addTimer(timer);
  }

  /** Its time begins, which it had not before. */
  limitTime(limit: FixedDelay<DeliveryAttempt>): void {
    this.#limit = limit;
    limit.add(this);
  }

  /** Cancelled when the attempt is done. */
  addTimer(timer: Timer): void {
    this.#timers.push(timer);
  }

  /** Releases the message and the timers, and tells the message. Only the first call counts. */
  finish(): void {
    if (this.isDone) return;
    this.isDone = true;
    this.#cancelTimers();
    this.loaded = null;
    this.message.attemptDone(this);
  }

  #cancelTimers(): void {
    this.#limit?.delete(this);
    this.#limit = null;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.length = 0;
  }

  #loaded(): LoadedMessage {
    if (this.loaded === null) throw new Error('the message of this attempt is not loaded');
    return this.loaded;
  }
}

/** The message could be read when it was loaded, and cannot any more. */
function unreadable(error: unknown): Failure {
  const reason = error instanceof Error ? error.message : String(error);
  return {
    scope: 'message',
    stage: 'payload',
    permanent: false,
    code: null,
    enhanced: '4.3.0',
    text: `the message could not be read to its end: ${reason}`,
    peer: null,
    maybeDelivered: false,
  };
}
