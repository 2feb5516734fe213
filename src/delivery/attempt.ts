/**
 * A delivery under way: the pure machine's state beside what the machine must not see, the message, the job's
 * answerable part and the transaction on the wire. Held by one slot of the dispatcher at a time.
 */
import { hasEightBit } from '../message/charset.ts';
import type { OutgoingMessage } from '../message/outgoing.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Timer } from '../platform/clock.ts';
import type { QueuedJob } from '../queue/queue.ts';
import type { Destination } from '../routing/hosts.ts';
import type { Failure, Outcome } from '../smtp/outcome.ts';
import type { MessageRequirements, Transaction } from '../smtp/transaction.ts';
import type { Delivery, DeliveryEffect, DeliveryEvent } from './delivery.ts';
import { beginDelivery } from './delivery.ts';

/** A message ready to go, with the envelope sender it goes under. */
export interface PreparedMessage {
  readonly outgoing: OutgoingMessage;
  /** '' is the null sender */
  readonly sender: ByteString;
}

/** What the queue run asks to be delivered: recipients of one job with one destination. */
export interface DeliveryAttempt {
  /** the job, and which of its recipients these are */
  readonly queued: QueuedJob;
  readonly indices: readonly number[];
  readonly destination: Destination;
  /** what goes between the brackets of RCPT TO */
  readonly recipients: readonly ByteString[];
  readonly smtpUtf8: boolean;
  /** The message, read when its turn has come and dropped afterwards; a failure when it cannot be sent. */
  load(): Promise<PreparedMessage | Failure>;
  /** Recipients by index into `recipients`; each is judged once. */
  recordOutcome(recipients: readonly number[], verdict: Outcome, details: OutcomeDetails): void;
  /** Nothing more comes: every recipient is judged, or left as it was because the run is stopping. */
  done(): void;
}

export interface OutcomeDetails {
  readonly milliseconds: number;
  readonly tls: string | null;
}

export class RunningAttempt {
  readonly order: DeliveryAttempt;
  delivery: Delivery;
  letter: PreparedMessage | null = null;
  /** id of the transaction on the wire, and which of the order's recipients it names */
  transaction = 0;
  batch: readonly number[] = [];
  deadline: Timer | null = null;
  /** its session may not start before then */
  sessionStart: Timer | null = null;
  /** monotonic milliseconds */
  started = 0;
  finished = false;
  /** who carries it, or carried it last */
  slot: { tell(errand: RunningAttempt, event: DeliveryEvent): void } | null = null;
  /** the session it waits for while its host has none to spare */
  waitingFor: {
    readonly endpoint: string;
    readonly wanted: Extract<DeliveryEffect, { type: 'obtain' }>;
  } | null = null;
  #loading: Promise<Failure | null> | null = null;

  constructor(order: DeliveryAttempt) {
    this.order = order;
    this.delivery = beginDelivery(order.recipients.length);
  }

  /** The message, read once; null when all is well. */
  load(): Promise<Failure | null> {
    this.#loading ??= this.order.load().then((loaded) => {
      if ('scope' in loaded) return loaded;
      this.letter = loaded;
      return null;
    });
    return this.#loading;
  }

  get message(): OutgoingMessage {
    if (this.letter === null) throw new Error('the message of this errand is not loaded');
    return this.letter.outgoing;
  }

  demands({ outgoing, sender }: PreparedMessage): MessageRequirements {
    const smtpUtf8 = this.order.smtpUtf8 || hasEightBit(sender);
    return { size: outgoing.size, eightBit: outgoing.eightBit, smtpUtf8 };
  }

  /** A transaction with these recipients, under a number never used before. */
  begin(id: number, recipients: readonly number[]): Transaction {
    if (this.letter === null) throw new Error('a transaction needs its message');
    this.transaction = id;
    this.batch = recipients;
    return {
      id,
      sender: this.letter.sender,
      recipients: recipients.map((index) => this.order.recipients[index] ?? ''),
      ...this.demands(this.letter),
      // What has the null sender is a report or wants none, and must not cause one (RFC 3461 6.1).
      dsn: this.letter.sender === '' ? { notify: 'NEVER' } : null,
    };
  }

  /** From places in the transaction to recipients of the order (R082). */
  named(places: readonly number[]): readonly number[] {
    return places.map((place) => {
      const recipient = this.batch[place];
      if (recipient === undefined)
        throw new Error(`transaction ${this.transaction} has no recipient ${place}`);
      return recipient;
    });
  }
}
