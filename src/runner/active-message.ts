/**
 * A mail while its deliveries are under way: usually one control message, several when a server crashed while it
 * rewrote one. Turns verdicts into status changes, has them recorded and the sender told, and ends the mail when
 * nothing is left to do. One owner per mail, finalised once (R064). Called by the queue run; the room does the writing.
 */
import type { OutcomeDetails } from '../delivery/attempt.ts';
import type { MessageNumber, StatusChange } from '../delivery-list/job.ts';
import { isPending, isSettled } from '../delivery-list/job.ts';
import { expired } from '../dsn/notice.ts';
import type { DsnSender, RecipientResult } from '../dsn/reporter.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { ControlMessages } from '../queue/due.ts';
import type { MergedRecipient } from '../queue/merge.ts';
import { mergeLists } from '../queue/merge.ts';
import type { Queue, QueuedJob } from '../queue/queue.ts';
import type { Schedule } from '../queue/schedule.ts';
import { isExpired } from '../queue/schedule.ts';
import type { Outcome } from '../smtp/outcome.ts';
import { statusDigit, statusText } from '../smtp/status-text.ts';

/** What became of one recipient, for logs and tables. */
export interface OutcomeRecord extends OutcomeDetails {
  readonly control: MessageNumber;
  /** number of the payload */
  readonly msgid: MessageNumber;
  readonly recipient: ByteString;
  /** domain, literal or relays */
  readonly destination: string;
  readonly verdict: Outcome;
  readonly status: 2 | 4 | 5;
  /** the text of the status line */
  readonly text: ByteString;
}

export interface MessageEvents {
  /** Nobody hears of an outcome before it is durable. */
  outcome(record: OutcomeRecord): void;
  /** An outcome could not be made durable: what was just accepted may be sent a second time. */
  notWritten(mail: ActiveMessage, error: unknown): void;
}

export interface MessageDeps {
  readonly room: Queue;
  /** Unix seconds */
  readonly now: () => number;
  readonly schedule: Schedule;
  /** null: nobody is told, as in a replay */
  readonly reporter: DsnSender | null;
}

export class ActiveMessage {
  /** the control messages that name this payload */
  readonly lists: ControlMessages;
  readonly recipients: readonly MergedRecipient[];
  readonly #ports: MessageDeps;
  readonly #events: MessageEvents;
  readonly #writes: Promise<void>[] = [];
  readonly #fates: RecipientResult[];
  #allWritten = true;

  constructor(lists: ControlMessages, ports: MessageDeps, events: MessageEvents) {
    this.lists = lists;
    this.recipients = mergeLists(lists.map(({ job }) => job));
    this.#fates = this.recipients.map(({ address, status, text }) => ({
      address,
      status,
      text,
      failure: null,
    }));
    this.#ports = ports;
    this.#events = events;
  }

  /** The job with the recipients of all its lists: what the indices of this class mean. */
  mergedJob(): QueuedJob {
    const [first] = this.lists;
    const recipients = this.recipients.map(({ address, status, text }) => ({ address, status, text }));
    return { ...first, job: { ...first.job, recipients } };
  }

  /** Indices of the recipients that are still to be delivered. */
  pending(): readonly number[] {
    return this.recipients.flatMap((recipient, index) => (isPending(recipient) ? [index] : []));
  }

  recordOutcome(
    indices: readonly number[],
    destination: string,
    given: Outcome,
    details: OutcomeDetails,
  ): void {
    const [{ job }] = this.lists;
    const verdict = this.#lastTry(given);
    const status = statusDigit(verdict);
    const text = statusText(verdict, job.dialect);
    const failure = given.kind === 'failed' ? given : null;
    const judged = indices.flatMap((index) => this.recipients[index] ?? []);
    for (const index of indices) {
      const address = this.recipients[index]?.address ?? '';
      this.#fates[index] = { address, status, text, failure };
    }
    this.#write(
      judged.flatMap((recipient) => changesFor(recipient, status, text)),
      () => {
        for (const { address, places } of judged) {
          const { control } = this.lists[places[0]?.list ?? 0] ?? this.lists[0];
          const what = { control, msgid: job.msgid, recipient: address, destination };
          this.#events.outcome({ ...what, verdict, status, text, ...details });
        }
      },
    );
  }

  /** Where one list calls a recipient settled and another does not, the settled one is right. */
  reconcile(): void {
    const changes = this.recipients.flatMap((recipient) => {
      const { status, text, places } = recipient;
      if (status !== 2 && status !== 5) return [];
      const behind = places.filter(
        ({ list, index }) => this.lists[list]?.job.recipients[index]?.status !== status,
      );
      return changesFor({ ...recipient, places: behind }, status, text);
    });
    if (changes.length > 0) this.#write(changes, () => {});
  }

  /**
   * All deliveries are over. Resolves true when the mail is done and removed, false when recipients stay in the
   * queue, an outcome could not be written, or the sender could not be told (which is not begun after `signal`).
   */
  async close(signal: AbortSignal): Promise<boolean> {
    await Promise.all(this.#writes);
    if (!this.#allWritten) return false;
    const { room, reporter } = this.#ports;
    const settled = { lists: this.lists, fates: this.#fates };
    const told = (await reporter?.tell(settled, signal)) ?? true;
    if (!told || !this.#fates.every(isSettled)) return false;
    for (const { control } of this.lists) await room.finish(control);
    await reporter?.forget(settled);
    return true;
  }

  /** A failure that might pass is the last one when the mail is too old for another try. */
  #lastTry(verdict: Outcome): Outcome {
    const { now, schedule } = this.#ports;
    const [{ job }] = this.lists;
    const over = verdict.kind === 'failed' && !verdict.permanent && isExpired(job, now(), schedule);
    return over ? { kind: 'failed', ...expired(verdict) } : verdict;
  }

  #write(changes: readonly ListChange[], then: () => void): void {
    const now = this.#ports.now();
    const written = this.lists.map(async ({ control }, list) => {
      const own: StatusChange[] = [];
      for (const { list: of, index, address, status, text } of changes)
        if (of === list) own.push({ index, address, status, text });
      if (own.length > 0) await this.#ports.room.record(control, own, now);
    });
    const failed = (error: unknown): void => {
      this.#allWritten = false;
      this.#events.notWritten(this, error);
    };
    this.#writes.push(Promise.all(written).then(then, failed));
  }
}

/** A change, and which of the lists it belongs to. */
interface ListChange extends StatusChange {
  readonly list: number;
}

function changesFor(
  { address, places }: MergedRecipient,
  status: 2 | 4 | 5,
  text: ByteString,
): readonly ListChange[] {
  return places.map(({ list, index }) => ({ list, index, address, status, text }));
}
