/**
 * A message while it is being delivered: its recipients, the attempts it needs, what became of each recipient, and its end.
 * Usually one control message names it; several do where a server crashed while it rewrote one. Their recipients are merged,
 * and an outcome is recorded in each control message that names the recipient.
 *
 * A recipient's id is its position in `recipients`; attempts, transactions and outcomes carry it.
 */
import type { AttemptedMessage, DeliveryAttempt, OutcomeDetails } from '../delivery/attempt.ts';
import type { MessageNumber, Recipient, StatusChange } from '../delivery-list/job.ts';
import { isPending, isSettled } from '../delivery-list/job.ts';
import type { Signer } from '../dkim/signer.ts';
import type { RecipientResult } from '../dsn/finished-message.ts';
import { expired } from '../dsn/notice.ts';
import type { DsnSender } from '../dsn/sender.ts';
import type { OutgoingMessage } from '../message/outgoing.ts';
import type { ByteString } from '../platform/bytes.ts';
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
import { type Failure, NO_SERVER, type Outcome } from '../smtp/outcome.ts';
import { statusDigit, statusText } from '../smtp/status-text.ts';
import { AttemptPlan, groupPending, type PlanDeps, type PlannedMessage } from './attempt-plan.ts';
import { envelopeSender, type LoadDeps, type LoadedMessage, type loadMessage } from './load-message.ts';

/** What became of one recipient, for logs and tables. */
export interface OutcomeRecord extends Pick<OutcomeDetails, 'milliseconds' | 'tls'> {
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

export interface MessageDeps extends PlanDeps, LoadDeps {
  /** null: nothing is signed */
  readonly signer: Signer | null;
  readonly queue: Queue;
  readonly routing: RoutingRules;
  /** Unix seconds */
  readonly now: () => number;
  readonly schedule: Schedule;
  /** null: senders are told nothing */
  readonly dsnSender: DsnSender | null;
  readonly load: typeof loadMessage;
  /** a full sentence for people */
  readonly warn: (text: string) => void;
}

type Result = Omit<RecipientResult, 'address'>;

/** Of a recipient that was not tried. */
const NO_RESULT = { failure: null, relayed: null } as const;
const NO_SESSION: OutcomeDetails = { milliseconds: 0, tls: null };

export class ActiveMessage implements PlannedMessage, LoadedMessage {
  /** the control messages that name this payload */
  readonly controlMessages: ControlMessages;
  readonly recipients: readonly Recipient[];
  /** what its sender asked for in reports */
  readonly dsn: DsnRequest | null;
  readonly #positions: MessageRecipients['positions'];
  readonly #deps: MessageDeps;
  readonly #events: MessageEvents;
  /** by id: what became of recipients in this run; the same object for all that have their outcome together */
  readonly #results: (Result | undefined)[];
  #job: QueuedJob | null = null;
  #warnOnce: MessageDeps['warn'] | null = null;
  /** resolves when every outcome so far is durable, or could not be made so; null: there is none yet */
  #written: Promise<unknown> | null = null;
  #isWritten = true;
  #isLost = false;
  #facts: MessageFacts;
  /** by `eightBit`, in which the forms of a message differ; null: there is none yet */
  #signatures: Map<boolean, Promise<ByteString>> | null = null;
  /** of a message that is old enough to be given up: when it was first tried, Unix seconds; null: it does not matter */
  #firstAttempt: number | null = null;
  #plan: AttemptPlan | null = null;

  constructor(controlMessages: ControlMessages, deps: MessageDeps, events: MessageEvents) {
    this.controlMessages = controlMessages;
    const { recipients, positions } = recipientsOf(controlMessages.map(({ job }) => job));
    this.recipients = recipients;
    this.#results = new Array(recipients.length);
    this.#positions = positions;
    this.#deps = deps;
    this.#events = events;
    const first = controlMessages[0];
    this.dsn = deps.dsnSender?.request(first) ?? null;
    const { submitted, envelopeFrom } = first.job;
    this.#facts = { submitted, sender: envelopeSender(envelopeFrom), messageId: null, size: null };
  }

  /** The envelope sender; '' is the null sender; null: the message names it, and was not read. */
  get sender(): ByteString | null {
    return this.#facts.sender;
  }

  /** The job with the recipients of all its control messages. */
  get job(): QueuedJob {
    const first = this.controlMessages[0];
    if (this.controlMessages.length === 1) return first;
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
    if (this.#isExpired()) await this.#learnFirstAttempt();
    if (this.controlMessages.some(({ request }) => request === 'give-up')) {
      this.refuse(this.pending(), cancelled());
      return;
    }
    const groups = await groupPending(this, this.#deps);
    await new Promise<void>((done) => {
      this.#plan = new AttemptPlan(this, groups, this.#deps, start, done);
      this.#plan.startMore();
    });
  }

  attemptDone(attempt: DeliveryAttempt): void {
    this.#plan?.ended(attempt);
  }

  /** Ids of the recipients that are still to be delivered to. */
  pending(): readonly number[] {
    return this.recipients.flatMap((recipient, id) => (isPending(recipient) ? [id] : []));
  }

  destinationOf({ domain }: Address): Destination {
    return destinationOf(domain, this.#facts.sender ?? '', this.#deps.routing);
  }

  refuse(ids: readonly number[], failure: Failure): void {
    this.recordOutcome('', ids, { kind: 'failed', ...failure }, NO_SESSION);
  }

  /** A message's first failure is never its last, however old the message is. */
  async #learnFirstAttempt(): Promise<void> {
    const { now, dsnSender } = this.#deps;
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
      this.warn(
        `When job ${queued.control} was first tried could not be recorded: ${describeError(error)}. It is tried again and not given up.`,
      );
    }
  }

  /** Whether it may be sent to its end: where several processes share the queue, nobody else may have it. */
  mayEnd(): boolean {
    const { msgid } = this.controlMessages[0].job;
    return !this.#isLost && this.#deps.queue.mayDeliver?.(msgid) !== false;
  }

  async load(): ReturnType<AttemptedMessage['load']> {
    if (!this.mayEnd()) return 'unavailable';
    const loaded = await this.#deps.load(this.controlMessages[0], this.#deps, this);
    if (typeof loaded === 'object' && 'outgoing' in loaded) {
      const { sender, outgoing } = loaded;
      const { submitted } = this.#facts;
      this.#facts = { submitted, sender, messageId: messageIdOf(outgoing.headers), size: outgoing.size };
    }
    return loaded;
  }

  /** Once: the message is read again for each attempt, and what is wrong with it is the same each time. */
  warn(text: string): void {
    this.#warnOnce ??= warnOnce(this.#deps.warn);
    this.#warnOnce(text);
  }

  /** Once for all attempts: a large message is not hashed again for each destination. */
  sign(message: OutgoingMessage): Promise<ByteString> | null {
    const { signer, now } = this.#deps;
    if (signer === null) return null;
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

  recordOutcome(
    destination: string,
    ids: readonly number[],
    given: Outcome,
    details: OutcomeDetails,
  ): Outcome {
    const { dialect, msgid } = this.controlMessages[0].job;
    const outcome = this.#expireOutcome(given);
    const status = statusDigit(outcome);
    // What a server has accepted is a fact; anything else is said by the process that has the message now.
    if (status !== 2 && !this.mayEnd()) return outcome;
    const text = statusText(outcome, dialect);
    const failure = given.kind === 'failed' ? given : null;
    // RFC 3461 5.2.2: nobody behind this server reports a success.
    const relayed = given.kind === 'delivered' && details.dsn !== true ? given : null;
    const result = { status, text, failure, relayed };
    const { milliseconds, tls } = details;
    const message = this.#facts;
    const changes: StatusChange[][] = this.controlMessages.map(() => []);
    const records: OutcomeRecord[] = [];
    this.#noteBounces(ids, given);
    for (const id of ids) {
      const { address } = this.#recipient(id);
      this.#results[id] = result;
      const places = this.#positions(id);
      for (const { list, index } of places) changes[list]?.push({ index, address, status, text });
      const { control } = this.controlMessages[places[0]?.list ?? 0] ?? this.controlMessages[0];
      const recipient = address;
      records.push({
        control,
        msgid,
        message,
        recipient,
        destination,
        outcome,
        status,
        text,
        milliseconds,
        tls,
      });
    }
    this.#write(changes, () => {
      for (const record of records) this.#events.outcome(record);
    });
    return outcome;
  }

  #noteBounces(ids: readonly number[], outcome: Outcome): void {
    const { suppressed } = this.#deps;
    if (suppressed === null || suppressed === undefined) return;
    if (outcome.kind === 'delivered' && suppressed.isEmpty) return;
    for (const id of ids) {
      const address = recipientAddress(this.#recipient(id).address);
      if (address.kind === 'unusable') continue;
      if (outcome.kind === 'delivered') suppressed.delivered(address.command);
      else suppressed.bounced(address.command, outcome);
    }
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
    await this.#written;
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
    let id = 0;
    for (const recipient of this.recipients) {
      const { status, text, failure, relayed } = this.#results[id++] ?? { ...recipient, ...NO_RESULT };
      yield { address: recipient.address, status, text, failure, relayed };
    }
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
    const written = this.controlMessages.map(({ control }, list) =>
      this.#record(control, changes[list] ?? [], now),
    );
    const failed = (error: unknown): void => {
      this.#isWritten = false;
      this.#events.notWritten(this, error);
    };
    const done = allOf(written).then(then, failed);
    this.#written = this.#written === null ? done : Promise.all([this.#written, done]);
  }

  async #record(control: MessageNumber, changes: readonly StatusChange[], now: number): Promise<void> {
    if (changes.length > 0 && (await this.#deps.queue.record(control, changes, now)) === 'lost') this.#lose();
  }

  #lose(): void {
    if (!this.#isLost) this.#events.lost(this);
    this.#isLost = true;
  }
}

/** As `Promise.all`, which makes a dozen objects: nearly always there is but one. */
function allOf(promises: readonly Promise<void>[]): Promise<unknown> {
  const only = promises[0];
  return only !== undefined && promises.length === 1 ? only : Promise.all(promises);
}

/** An administrator gave the message up. */
function cancelled(): Failure {
  const text = 'delivery was cancelled by the administrator of this server';
  return { scope: 'message', stage: 'routing', permanent: true, enhanced: '5.0.0', text, ...NO_SERVER };
}
