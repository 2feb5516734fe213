/**
 * A message while it is being delivered: its recipients, the attempts it needs, what became of each recipient, and its end.
 * Usually one control message names it; several do where a server crashed while it rewrote one. Their recipients are merged,
 * and an outcome is recorded in each control message that names the recipient.
 *
 * A recipient's id is its position in `recipients`; attempts, transactions and outcomes carry it.
 */
import { type AttemptedMessage, DeliveryAttempt, type OutcomeDetails } from '../delivery/attempt.ts';
import type { MessageNumber, Recipient, StatusChange } from '../delivery-list/job.ts';
import { isPending, isSettled } from '../delivery-list/job.ts';
import type { Signer } from '../dkim/signer.ts';
import type { RecipientResult } from '../dsn/finished-message.ts';
import { expired } from '../dsn/notice.ts';
import type { DsnSender } from '../dsn/sender.ts';
import type { OutgoingMessage } from '../message/outgoing.ts';
import type { ByteString } from '../platform/bytes.ts';
import { formatTime } from '../platform/clock.ts';
import { describeError, isOperationalError } from '../platform/system-errors.ts';
import { warnOnce } from '../platform/warn-once.ts';
import type { ControlMessages } from '../queue/due.ts';
import { type MessageRecipients, recipientsOf } from '../queue/merge.ts';
import { type MessageFacts, messageIdOf } from '../queue/message-facts.ts';
import type { Queue, QueuedJob } from '../queue/queue.ts';
import type { Schedule } from '../queue/schedule.ts';
import { isExpired } from '../queue/schedule.ts';
import { type Address, recipientAddress } from '../routing/address.ts';
import type { Destination } from '../routing/hosts.ts';
import type { RoutingRules } from '../routing/route.ts';
import { destinationOf } from '../routing/route.ts';
import type { DsnRequest } from '../smtp/dsn-request.ts';
import type { Failure, Outcome } from '../smtp/outcome.ts';
import { statusDigit, statusText } from '../smtp/status-text.ts';
import type { TransactionRecipient } from '../smtp/transaction.ts';
import { envelopeSender, type LoadDeps, type loadMessage } from './load-message.ts';
import { type SuppressionList, suppressedFailure } from './suppression-list.ts';

/** What became of one recipient, for logs and tables. */
export interface OutcomeRecord extends OutcomeDetails {
  readonly control: MessageNumber;
  /** number of the payload */
  readonly msgid: MessageNumber;
  /** the same object for all recipients of a message that have their outcome at once, as `outcome` is */
  readonly message: MessageFacts;
  readonly recipient: ByteString;
  /** domain, literal or relays; '' when the address is not one */
  readonly destination: string;
  readonly outcome: Outcome;
  readonly status: 2 | 4 | 5;
  /** the text of the status line */
  readonly text: ByteString;
}

export interface MessageEvents {
  /** after it is durable */
  outcome(record: OutcomeRecord): void;
  /** An outcome could not be made durable: what was just accepted may be sent a second time. */
  notWritten(message: ActiveMessage, error: unknown): void;
  /** Another process has the message now, or it is gone. */
  lost(message: ActiveMessage): void;
}

export interface MessageDeps extends Omit<LoadDeps, 'sign' | 'sender'> {
  /** null: nothing is signed */
  readonly signer: Signer | null;
  readonly queue: Queue;
  readonly routing: RoutingRules;
  /** Unix seconds */
  readonly now: () => number;
  readonly schedule: Schedule;
  /** resolves in a later turn of the event loop: a long list must not hold up other messages */
  readonly nextTurn: () => Promise<void>;
  /** null: senders are told nothing */
  readonly dsnSender: DsnSender | null;
  /** absent: there are no addresses to which nothing is sent */
  readonly suppressed?: SuppressionList | null;
  readonly load: typeof loadMessage;
  /** most recipients in one transaction */
  readonly limits: { readonly recipients: number };
}

type Result = Omit<RecipientResult, 'address'>;

const NO_SESSION: OutcomeDetails = { milliseconds: 0, tls: null };

/** Recipients that are worked on in one turn of the event loop. */
const RECIPIENTS_A_TURN = 2000;
/** Characters of an address that take as long as another recipient. */
const LONG_ADDRESS = 64;
/** Recipients of one destination that share an attempt, at least: what is done for each transaction is done for all of them. */
const RECIPIENTS_AN_ATTEMPT = 1000;
/** Attempts of one message that are known to the scheduler at a time, so that other messages get their turn. */
const OPEN_ATTEMPTS = 500;

export class ActiveMessage implements AttemptedMessage {
  /** the control messages that name this payload */
  readonly controlMessages: ControlMessages;
  readonly recipients: readonly Recipient[];
  readonly #positions: MessageRecipients['positions'];
  readonly #deps: MessageDeps;
  /** once: the message is read again for each attempt, and what is wrong with it is the same each time */
  readonly #warn: (text: string) => void;
  readonly #events: MessageEvents;
  /** by id: what became of recipients in this run; the same object for all that have their outcome together */
  readonly #results: (Result | undefined)[];
  #job: QueuedJob | null = null;
  readonly #writes: Promise<void>[] = [];
  #isWritten = true;
  #isLost = false;
  #facts: MessageFacts;
  /** by `eightBit`, in which the forms of a message differ; null: there is none yet, as in the two below */
  #signatures: Map<boolean, Promise<ByteString>> | null = null;
  /** of a message that is old enough to be given up: when it was first tried, Unix seconds; null: it does not matter */
  #firstAttempt: number | null = null;
  /** undefined: not asked for yet */
  #dsn: DsnRequest | null | undefined;
  #openAttempts = 0;
  /** with recipients that come after those of an open attempt, and with those whose turn it is */
  #following: Map<DeliveryAttempt, RecipientGroup> | null = null;
  #unfinished: RecipientGroup[] | null = null;
  #startMore: () => void = () => {};

  constructor(controlMessages: ControlMessages, deps: MessageDeps, events: MessageEvents) {
    this.controlMessages = controlMessages;
    const { recipients, positions } = recipientsOf(controlMessages.map(({ job }) => job));
    this.recipients = recipients;
    this.#results = new Array(recipients.length);
    this.#positions = positions;
    this.#deps = deps;
    this.#warn = warnOnce(deps.warn);
    this.#events = events;
    const [{ job }] = controlMessages;
    const sender = envelopeSender(job.envelopeFrom);
    this.#facts = { submitted: job.submitted, sender, messageId: null, size: null };
  }

  /** What its sender asked for in reports. */
  get dsn(): DsnRequest | null {
    if (this.#dsn === undefined) this.#dsn = this.#deps.dsnSender?.request(this.controlMessages[0]) ?? null;
    return this.#dsn;
  }

  /** The job with the recipients of all its control messages. */
  get job(): QueuedJob {
    const [first, ...others] = this.controlMessages;
    if (others.length === 0) return first;
    this.#job ??= {
      ...first,
      job: {
        ...first.job,
        recipients: this.recipients.map(({ address, status, text }) => ({ address, status, text })),
      },
    };
    return this.#job;
  }

  /** Makes each attempt known to `start`, a few hundred at a time; resolves when all of them are done. */
  async attempt(start: (attempt: DeliveryAttempt) => void): Promise<void> {
    await this.#learnFirstAttempt();
    const groups = (await this.#groupPending())[Symbol.iterator]();
    await new Promise<void>((done) => {
      let isStarting = false;
      this.#startMore = () => {
        // An attempt may be done at once.
        if (isStarting) return;
        isStarting = true;
        while (this.#openAttempts < OPEN_ATTEMPTS) {
          const group = this.#unfinished?.pop() ?? groups.next().value;
          if (group === undefined) break;
          this.#openAttempts++;
          start(this.#attemptFor(group));
        }
        isStarting = false;
        if (this.#openAttempts === 0) done();
      };
      this.#startMore();
    });
  }

  /** Ids of the recipients that are still to be delivered to. */
  pending(): readonly number[] {
    return this.recipients.flatMap((recipient, id) => (isPending(recipient) ? [id] : []));
  }

  /** Ids of the pending recipients of each destination. What is not an address fails at once. */
  async #groupPending(): Promise<Iterable<RecipientGroup>> {
    if (this.controlMessages.some(({ request }) => request === 'give-up')) {
      this.recordOutcome('', this.pending(), { kind: 'failed', ...cancelled() }, NO_SESSION);
      return [];
    }
    const groups = new Map<string, RecipientGroup>();
    const invalid = new Map<string, number[]>();
    let grouped = 0;
    for (const id of this.pending()) {
      const address = recipientAddress(this.#recipient(id).address);
      grouped += 1 + this.#recipient(id).address.length / LONG_ADDRESS;
      if (grouped >= RECIPIENTS_A_TURN) {
        grouped = 0;
        this.#failInvalid(invalid);
        await this.#deps.nextTurn();
      }
      if (address.kind === 'unusable') {
        const ids = invalid.get(address.reason) ?? [];
        invalid.set(address.reason, ids);
        ids.push(id);
        continue;
      }
      const entry = this.#deps.suppressed?.find(address.command) ?? null;
      if (entry !== null) {
        const failure = suppressedFailure(entry, formatTime(entry.until));
        this.recordOutcome('', [id], { kind: 'failed', ...failure }, NO_SESSION);
        continue;
      }
      const key = `${this.#destinationOf(address).key} ${address.smtputf8}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { ids: [id], from: 0 });
      else group.ids.push(id);
    }
    this.#failInvalid(invalid);
    return groups.values();
  }

  /**
   * For the first of these recipients of one destination; the others follow when it is done. Made when its turn comes: a list may
   * name a hundred thousand destinations.
   */
  #attemptFor(group: RecipientGroup): DeliveryAttempt {
    const most = Math.max(RECIPIENTS_AN_ATTEMPT, this.#deps.limits.recipients);
    const recipients: TransactionRecipient[] = [];
    let first: Address | null = null;
    const { ids, from } = group;
    group.from += most;
    for (const id of ids.slice(from, group.from)) {
      const raw = this.#recipient(id).address;
      const address = recipientAddress(raw);
      if (address.kind === 'unusable') continue;
      first ??= address;
      const dsn = this.dsn?.recipients.get(raw);
      recipients.push({ id, address: address.command, ...(dsn === undefined ? {} : { dsn }) });
    }
    if (first === null) throw new Error('an attempt needs an address');
    const attempt = new DeliveryAttempt(this, this.#destinationOf(first), recipients, first.smtputf8);
    if (group.from < ids.length) {
      this.#following ??= new Map();
      this.#following.set(attempt, group);
    }
    return attempt;
  }

  #destinationOf({ domain }: { readonly domain: string }): Destination {
    return destinationOf(domain, this.#facts.sender ?? '', this.#deps.routing);
  }

  /** A message's first failure is never its last, however old the message is. */
  async #learnFirstAttempt(): Promise<void> {
    const { now, dsnSender } = this.#deps;
    if (!this.#isExpired()) return;
    const [first] = this.controlMessages;
    const queued = this.controlMessages.find(({ job }) => job.attempted === 0) ?? first;
    try {
      this.#firstAttempt =
        dsnSender === null && queued.job.attempted === 0
          ? now()
          : ((await dsnSender?.firstAttempt(queued)) ?? null);
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      this.#firstAttempt = now();
      this.#warn(
        `When job ${queued.control} was first tried could not be recorded: ${describeError(error)}. It is tried again and not given up.`,
      );
    }
  }

  #failInvalid(byReason: Map<string, number[]>): void {
    for (const [reason, ids] of byReason)
      this.recordOutcome('', ids, { kind: 'failed', ...invalidAddress(reason) }, NO_SESSION);
    byReason.clear();
  }

  /** Whether it may be sent to its end: where several processes share the queue, nobody else may have it. */
  mayEnd(): boolean {
    const [{ job }] = this.controlMessages;
    return !this.#isLost && this.#deps.queue.mayDeliver?.(job.msgid) !== false;
  }

  async load(): ReturnType<AttemptedMessage['load']> {
    if (!this.mayEnd()) return 'unavailable';
    const sign = (message: OutgoingMessage): Promise<ByteString> => this.#signatureFor(message);
    const loaded = await this.#deps.load(this.controlMessages[0], {
      ...this.#deps,
      warn: this.#warn,
      sign,
      sender: this.#facts.sender,
    });
    if (typeof loaded === 'object' && 'outgoing' in loaded) {
      const { sender, outgoing } = loaded;
      const messageId = messageIdOf(outgoing.headers);
      this.#facts = { ...this.#facts, sender, messageId, size: outgoing.size };
    }
    return loaded;
  }

  recordOutcome(
    destination: string,
    ids: readonly number[],
    given: Outcome,
    details: OutcomeDetails,
  ): Outcome {
    const [{ job }] = this.controlMessages;
    const outcome = this.#expireOutcome(given);
    const status = statusDigit(outcome);
    // What a server has accepted is a fact; anything else is said by the process that has the message now.
    if (status !== 2 && !this.mayEnd()) return outcome;
    const text = statusText(outcome, job.dialect);
    const failure = given.kind === 'failed' ? given : null;
    // RFC 3461 5.2.2: nobody behind this server reports a success.
    const relayed = given.kind === 'delivered' && details.dsn !== true ? given : null;
    const message = this.#facts;
    const result = { status, text, failure, relayed };
    const changes: StatusChange[][] = this.controlMessages.map(() => []);
    for (const id of ids) {
      const { address } = this.#recipient(id);
      this.#noteBounce(address, given);
      this.#results[id] = result;
      for (const { list, index } of this.#positions(id))
        changes[list]?.push({ index, address, status, text });
    }
    this.#write(changes, () => {
      for (const id of ids) {
        const { address: recipient } = this.#recipient(id);
        const [place] = this.#positions(id);
        const { control } = this.controlMessages[place?.list ?? 0] ?? this.controlMessages[0];
        const what = { control, msgid: job.msgid, message, recipient, destination };
        this.#events.outcome({ ...what, outcome, status, text, ...details });
      }
    });
    return outcome;
  }

  #noteBounce(entry: ByteString, outcome: Outcome): void {
    const { suppressed } = this.#deps;
    if (suppressed === null || suppressed === undefined) return;
    const address = recipientAddress(entry);
    if (address.kind === 'unusable') return;
    if (outcome.kind === 'delivered') suppressed.delivered(address.command);
    else suppressed.bounced(address.command, outcome);
  }

  /** Nothing was tried, so nothing is written, until the message is too old: then its sender is told. */
  holdBack(destination: string, ids: readonly number[], reason: Failure): void {
    const [{ job }] = this.controlMessages;
    if (!this.mayEnd()) return;
    if (this.#isExpired()) {
      this.recordOutcome(destination, ids, { kind: 'failed', ...reason }, NO_SESSION);
      return;
    }
    const text = statusText({ kind: 'failed', ...reason }, job.dialect);
    const result: Result = { status: 4, text, failure: reason, relayed: null };
    for (const id of ids) this.#results[id] = result;
  }

  /** Once for all attempts: a large message is not hashed again for each destination. */
  #signatureFor(message: OutgoingMessage): Promise<ByteString> {
    const { signer, now } = this.#deps;
    if (signer === null) return Promise.resolve('');
    const { eightBit } = message;
    this.#signatures ??= new Map();
    const signatures = this.#signatures;
    const signature =
      signatures.get(eightBit) ??
      signer.sign(message, now()).catch((error) => {
        signatures.delete(eightBit);
        throw error;
      });
    signatures.set(eightBit, signature);
    return signature;
  }

  attemptDone(attempt: DeliveryAttempt): void {
    const group = this.#following?.get(attempt);
    if (group !== undefined) {
      this.#unfinished ??= [];
      this.#unfinished.push(group);
      this.#following?.delete(attempt);
    }
    this.#openAttempts--;
    this.#startMore();
  }

  /** Where one control message calls a recipient settled and another does not, the settled one is right. */
  reconcile(): void {
    if (this.controlMessages.length === 1) return;
    const changes: StatusChange[][] = this.controlMessages.map(() => []);
    for (const [id, { address, status, text }] of this.recipients.entries()) {
      if (status !== 2 && status !== 5) continue;
      for (const { list, index } of this.#positions(id))
        if (this.controlMessages[list]?.job.recipients[index]?.status !== status)
          changes[list]?.push({ index, address, status, text });
    }
    if (changes.some(({ length }) => length > 0)) this.#write(changes, () => {});
  }

  /**
   * After the last attempt. Resolves true when the message is finished and removed; false when recipients stay in the queue,
   * an outcome could not be written, or the sender could not be told (which is not begun after `signal`).
   */
  async close(signal: AbortSignal): Promise<boolean> {
    await Promise.all(this.#writes);
    if (!this.#isWritten || !this.mayEnd()) return false;
    const { queue, dsnSender } = this.#deps;
    const { controlMessages } = this;
    const finished = {
      dsn: this.dsn,
      controlMessages,
      message: this.#facts,
      results: () => this.#allResults(),
    };
    const told = (await dsnSender?.report(finished, signal)) ?? true;
    if (!told || !this.#isSettled()) return false;
    for (const { control } of this.controlMessages) await queue.finish(control);
    await dsnSender?.forget(finished);
    return true;
  }

  *#allResults(): Generator<RecipientResult> {
    for (const [id, { address, status, text }] of this.recipients.entries())
      yield { address, ...(this.#results[id] ?? { status, text, failure: null, relayed: null }) };
  }

  #isSettled(): boolean {
    return this.recipients.every((recipient, id) => isSettled(this.#results[id] ?? recipient));
  }

  #recipient(id: number): Recipient {
    const recipient = this.recipients[id];
    if (recipient === undefined) throw new Error(`this message has no recipient ${id}`);
    return recipient;
  }

  /** Of jobs with the same message, the youngest counts. */
  #isExpired(): boolean {
    const { now, schedule } = this.#deps;
    return this.controlMessages.every(({ job }) => isExpired(job, now(), schedule, this.#firstAttempt));
  }

  /** A transient failure is the last one when the message is too old for another attempt. */
  #expireOutcome(outcome: Outcome): Outcome {
    const isLast = outcome.kind === 'failed' && !outcome.permanent && this.#isExpired();
    return isLast ? { kind: 'failed', ...expired(outcome) } : outcome;
  }

  /** `changes`: of each control message */
  #write(changes: readonly (readonly StatusChange[])[], then: () => void): void {
    const now = this.#deps.now();
    const written = this.controlMessages.map(async ({ control }, list) => {
      const own = changes[list] ?? [];
      if (own.length > 0 && (await this.#deps.queue.record(control, own, now)) === 'lost') this.#lose();
    });
    const failed = (error: unknown): void => {
      this.#isWritten = false;
      this.#events.notWritten(this, error);
    };
    this.#writes.push(Promise.all(written).then(then, failed));
  }

  #lose(): void {
    if (!this.#isLost) this.#events.lost(this);
    this.#isLost = true;
  }
}

/** The pending recipients of one destination. */
interface RecipientGroup {
  readonly ids: number[];
  /** index of the first that is in no attempt yet */
  from: number;
}

/** An administrator gave the message up. */
function cancelled(): Failure {
  const text = 'delivery was cancelled by the administrator of this server';
  const nothing = { code: null, peer: null, maybeDelivered: false } as const;
  return { scope: 'message', stage: 'routing', permanent: true, enhanced: '5.0.0', text, ...nothing };
}

function invalidAddress(text: string): Failure {
  const nothing = { code: null, peer: null, maybeDelivered: false } as const;
  return { scope: 'recipient', stage: 'routing', permanent: true, enhanced: '5.1.3', text, ...nothing };
}
