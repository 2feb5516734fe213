/**
 * A spool directory as a room (its states: techdoc/spool-states.md). Made by open.ts; called by the queue run and the
 * commands. Outcomes go to the journal first, and a second later at most into the control messages (checkpoint.ts).
 * Nothing is removed before the journal says durably that it may be.
 */
import type { MessageNumber, StatusChange } from '../../delivery-list/job.ts';
import type { Clock, Timer } from '../../platform/clock.ts';
import { describeError, QueueError } from '../../platform/system-errors.ts';
import { removeIfExists } from '../../storage/atomic-file.ts';
import type { Ownership } from '../../storage/disk.ts';
import { groupCommit } from '../../storage/group-commit.ts';
import type { JournalRecord } from '../journal.ts';
import {
  hasNoPendingRecipients,
  hasOtherPendingRecipients,
  isDirty,
  type PendingJob,
} from '../pending-job.ts';
import type { ActivePayloads, PayloadResult, QuarantinedMessage, Queue, QueueScan } from '../queue.ts';
import { createEnqueue } from './enqueue.ts';
import { fingerprintOf, payloadFingerprint } from './fingerprint.ts';
import { type FinishedJob, Flusher, type FlusherDeps } from './flush.ts';
import { readPayload } from './payload.ts';
import { quarantine } from './quarantine.ts';
import { replayJournal } from './recovery.ts';
import { AppliedRequests } from './requests/apply.ts';
import { type SortedScan, sortIndex } from './scan.ts';
import { NO_ACTIVE_PAYLOADS } from './spool-index.ts';

/** The control messages tell the whole truth this many milliseconds after an outcome, at the latest. */
const CHECKPOINT = 1000;

export interface SpoolQueueDeps extends Omit<FlusherDeps, 'syncSpool'> {
  readonly clock: Clock;
  readonly owner: Ownership;
  /** gives up the claim on the spool */
  readonly release: () => void;
  /** a full sentence for people */
  readonly warn: (text: string) => void;
}

export class SpoolQueue implements Queue {
  readonly name: string;
  readonly enqueue: Queue['enqueue'];
  readonly #parts: SpoolQueueDeps;
  readonly #syncSpool: () => Promise<void>;
  readonly #writer: Flusher;
  readonly #checkpoint: () => Promise<void>;
  readonly #requests: AppliedRequests;
  #timer: Timer | null = null;

  constructor(parts: SpoolQueueDeps) {
    this.name = parts.layout.spool;
    this.#parts = parts;
    this.#syncSpool = groupCommit(() => parts.disk.syncDirectory(parts.layout.spool));
    const withSync = { ...parts, syncSpool: this.#syncSpool };
    this.#writer = new Flusher(withSync);
    this.#checkpoint = groupCommit(() => this.#runCheckpoint());
    this.#requests = new AppliedRequests(withSync);
    this.enqueue = createEnqueue(withSync);
  }

  async scan(inHand: ActivePayloads = NO_ACTIVE_PAYLOADS): Promise<QueueScan> {
    await this.#checkpoint().catch((error) => this.#parts.warn(describeError(error)));
    const requests = await this.#requests.apply(inHand);
    const { shelf, warn } = this.#parts;
    const { jobs, orphans, unreadable } = sortIndex(shelf, warn, requests, inHand);
    return { jobs, orphans, quarantined: await this.#setAside(unreadable) };
  }

  async readPayload(payload: MessageNumber): Promise<PayloadResult> {
    const { disk, layout, shelf } = this.#parts;
    return readPayload(disk, layout, shelf, payload);
  }

  async record(control: MessageNumber, changes: readonly StatusChange[], now: number): Promise<void> {
    const held = this.#parts.shelf.get(control);
    if (held?.kind !== 'control') {
      this.#parts.warn(
        `Job ${control} is not in the spool any more; what became of its recipients is not written.`,
      );
      return;
    }
    for (const change of changes) held.changes.push(change);
    held.now = now;
    this.#checkpointSoon();
    try {
      const { msgid } = held.base;
      const payload = this.#factsAsRead(msgid);
      await this.#parts.journal.append({ record: 'status', control, msgid, payload, now, changes });
    } catch (error) {
      await this.#writeWithoutJournal(held, error);
    }
    this.#requests.retried(control);
  }

  async finish(control: MessageNumber): Promise<void> {
    const held = this.#parts.shelf.get(control);
    if (held?.kind !== 'control') return;
    if (!hasNoPendingRecipients(held)) {
      this.#keep(control);
      return;
    }
    const { msgid } = held.base;
    const over: FinishedJob = { key: { control, msgid, payload: this.#factsNow(msgid) }, controlGone: false };
    this.#writer.over.add(over);
    this.#checkpointSoon();
    // Where the journal cannot say it, the directory itself still can.
    const recipients = held.base.recipients.map(({ address }) => address);
    const inJournal = await this.#parts.journal.append({ record: 'finish', ...over.key, recipients }).then(
      () => true,
      () => false,
    );
    try {
      this.#removeControl(held, over);
      if (!inJournal) await this.#syncSpool();
    } catch (error) {
      // A removal that is not durable yet is made so, and its records are kept until then, by the next checkpoint.
      if (!over.controlGone) this.#writer.over.delete(over);
      throw new QueueError(
        `The control message ${control} of a finished job could not be removed from ${this.name}: ${describeError(error)}. ` +
          'Its recipients are not tried again; the next run removes it.',
        { cause: error },
      );
    }
  }

  async flush(): Promise<void> {
    await this.#checkpoint();
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      this.#timer?.cancel();
      this.#parts.journal.close();
      this.#parts.release();
    }
  }

  /** Do what the journal of an interrupted run says, once, before anything else. */
  async recover(records: readonly JournalRecord[]): Promise<void> {
    // What the killed run left unsynced is made durable before anything is concluded from it.
    await this.#parts.journal.secure();
    await this.#syncSpool();
    replayJournal(records, { ...this.#parts, over: this.#writer.over });
    await this.#checkpoint();
  }

  #factsNow(msgid: MessageNumber): string | null {
    return payloadFingerprint(this.#parts.disk, this.#parts.layout, msgid);
  }

  /** As it was when it was read for its delivery, if it was: outcomes are many, and are about those bytes. */
  #factsAsRead(msgid: MessageNumber): string | null {
    const read = this.#parts.shelf.get(msgid);
    return read?.kind === 'payload' ? fingerprintOf(read.status) : this.#factsNow(msgid);
  }

  /** The journal could not be written: the control message can say it as well. */
  async #writeWithoutJournal(held: PendingJob, error: unknown): Promise<void> {
    await this.#checkpoint().catch((second) => this.#parts.warn(describeError(second)));
    if (!isDirty(held)) return;
    throw new QueueError(
      `What became of recipients of job ${held.control} could not be written to ${this.name}: ${describeError(error)}. ` +
        'It is kept in memory and written as soon as the disk takes it; if this process ends before, they may get the mail a second time.',
      { cause: error },
    );
  }

  /** Remove the control message of a job that is over, unless another program has added to it meanwhile. */
  #removeControl(held: PendingJob, over: FinishedJob): void {
    const { shelf, disk, layout } = this.#parts;
    const item = shelf.refresh(held.control);
    if (item?.kind === 'refused') throw new QueueError(item.reason);
    if (
      item !== null &&
      (item.kind !== 'control' || hasStrangers(item, held) || !hasNoPendingRecipients(item))
    ) {
      this.#writer.over.delete(over);
      this.#keep(held.control);
      return;
    }
    removeIfExists(disk, layout.message(held.control));
    shelf.forget(held.control);
    over.controlGone = true;
  }

  #keep(control: MessageNumber): void {
    this.#parts.warn(
      `Another program changed the control message ${control} while its mail was on its way; it stays in the spool.`,
    );
  }

  #checkpointSoon(): void {
    this.#timer ??= this.#parts.clock.after(CHECKPOINT, () => {
      this.#timer = null;
      this.#checkpoint().catch((error) => {
        this.#parts.warn(describeError(error));
        this.#checkpointSoon();
      });
    });
  }

  #runCheckpoint(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    return this.#writer.run();
  }

  async #setAside(unreadable: SortedScan['unreadable']): Promise<QueueScan['quarantined']> {
    const done: QuarantinedMessage[] = [];
    for (const { number, status, reason } of unreadable) {
      try {
        const path = await quarantine(this.#parts, number, status, reason);
        done.push({ number, reason, path });
      } catch (error) {
        this.#parts.warn(
          `Message ${number} is no readable delivery list (${reason}) and could not be set aside: ${describeError(error)}.`,
        );
      }
    }
    if (done.length > 0) await this.#syncSpool();
    return done;
  }
}

/** Whether somebody waits in this control message whom the finished job did not know. */
function hasStrangers(item: PendingJob, finished: PendingJob): boolean {
  if (item === finished) return false;
  return hasOtherPendingRecipients(
    item.base,
    finished.base.recipients.map(({ address }) => address),
  );
}
