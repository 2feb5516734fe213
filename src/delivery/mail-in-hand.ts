/**
 * A mail while its deliveries are under way: usually one control message, several when a server crashed while it
 * rewrote one. Turns verdicts into status changes, has them recorded, and ends the mail when nothing is left to
 * do. One owner per mail, finalised once (R064). Called by the queue run; the room does the writing.
 */
import type { ByteString } from '../control/job.ts';
import { isPending } from '../control/job.ts';
import { statusDigit, statusText } from '../outcome/status-line.ts';
import type { MergedRecipient } from '../plan/merge.ts';
import { mergeLists } from '../plan/merge.ts';
import type { MessageNumber, QueuedJob, Room, StatusChange } from '../room/room.ts';
import type { Verdict } from '../session/verdict.ts';
import type { JudgeDetails } from './errand.ts';

/** What became of one recipient, for logs and tables. */
export interface OutcomeRecord extends JudgeDetails {
  readonly control: MessageNumber;
  /** number of the payload */
  readonly msgid: MessageNumber;
  readonly recipient: ByteString;
  /** domain, literal or relays */
  readonly destination: string;
  readonly verdict: Verdict;
  readonly status: 2 | 4 | 5;
  /** the text of the status line */
  readonly text: ByteString;
}

export interface MailEvents {
  /** Nobody hears of an outcome before it is durable. */
  outcome(record: OutcomeRecord): void;
  /** An outcome could not be made durable: what was just accepted may be sent a second time. */
  notWritten(mail: MailInHand, error: unknown): void;
}

export class MailInHand {
  /** the control messages that name this payload */
  readonly lists: readonly QueuedJob[];
  readonly recipients: readonly MergedRecipient[];
  readonly #room: Room;
  /** Unix seconds */
  readonly #now: () => number;
  readonly #events: MailEvents;
  readonly #writes: Promise<void>[] = [];
  readonly #statuses: number[];
  #allWritten = true;

  constructor(
    lists: readonly [QueuedJob, ...QueuedJob[]],
    room: Room,
    now: () => number,
    events: MailEvents,
  ) {
    this.lists = lists;
    this.recipients = mergeLists(lists.map(({ job }) => job));
    this.#statuses = this.recipients.map(({ status }) => status);
    this.#room = room;
    this.#now = now;
    this.#events = events;
  }

  /** The job with the recipients of all its lists: what the indices of this class mean. */
  whole(): QueuedJob {
    const [first] = this.lists;
    if (first === undefined) throw new Error('a mail has a list');
    const recipients = this.recipients.map(({ places: _, ...recipient }) => recipient);
    return { ...first, job: { ...first.job, recipients } };
  }

  /** Indices of the recipients that are still to be delivered. */
  pending(): readonly number[] {
    return this.recipients.flatMap((recipient, index) => (isPending(recipient) ? [index] : []));
  }

  judge(indices: readonly number[], destination: string, verdict: Verdict, details: JudgeDetails): void {
    const status = statusDigit(verdict);
    const [first] = this.lists;
    if (first === undefined) throw new Error('a mail has a list');
    const text = statusText(verdict, first.job.dialect);
    const judged = indices.flatMap((index) => this.recipients[index] ?? []);
    for (const index of indices) this.#statuses[index] = status;
    const { control, job } = first;
    this.#write(
      judged.flatMap((recipient) => changesFor(recipient, status, text)),
      () => {
        for (const { address } of judged) {
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
   * queue or an outcome could not be written.
   */
  async close(): Promise<boolean> {
    await Promise.all(this.#writes);
    if (!this.#allWritten || !this.#statuses.every((status) => status === 2 || status === 5)) return false;
    for (const { control } of this.lists) await this.#room.finish(control);
    return true;
  }

  #write(changes: readonly ListChange[], then: () => void): void {
    const now = this.#now();
    const written = this.lists.map(async ({ control }, list) => {
      const own = changes.filter((change) => change.list === list).map(({ list: _, ...change }) => change);
      if (own.length > 0) await this.#room.record(control, own, now);
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
