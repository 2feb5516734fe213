/**
 * A queue that writes behind a journal. An outcome is durable when the journal holds it: one sync serves all outcomes that
 * arrive meanwhile. The control messages follow in a flush, at most a second after the last outcome. One mechanism for all
 * kinds of queue; what a queue is made of is its `MessageStore`.
 *
 * Invariants (techdoc/spool-states.md): nothing is removed before the journal durably says that it may be, and no record is
 * dropped before the control messages durably say the same. What cannot be written is kept and tried again each second.
 */
import type { MessageNumber, StatusChange } from '../delivery-list/job.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import { inTurn } from '../platform/in-turn.ts';
import {
  describeError,
  errorCode,
  isOperationalError,
  QueueError,
  SpoolReplacedError,
} from '../platform/system-errors.ts';
import { groupCommit } from '../storage/group-commit.ts';
import type { Claim } from '../storage/lock.ts';
import { ChangeWarnings } from './change-warnings.ts';
import type { Journal, JournalRecord } from './journal.ts';
import type { MessageStore } from './message-store.ts';
import { controlsOf, type FinishedJob, isDirty, type PendingJob } from './pending-job.ts';
import type { ActivePayloads, PayloadResult, Queue, QueueScan, Recorded } from './queue.ts';
import type { Schedule } from './schedule.ts';

/** Milliseconds for which the directory counts as the one that was opened. */
const HELD_FOR = 50;

/** Milliseconds between an outcome and the flush that writes it into its control message. */
const FLUSH_DELAY = 1000;

/** So many times as long as a flush has taken, the next one waits while outcomes go on to arrive. */
const FLUSH_PAUSE = 10;
const LONGEST_PAUSE = 60_000;

export interface WriteBehindDeps<J extends PendingJob> {
  readonly store: MessageStore<J>;
  readonly journal: Journal;
  /** what the journal of an interrupted run holds */
  readonly records: readonly JournalRecord[];
  readonly clock: Clock;
  /** the lock on the queue */
  readonly claim: Claim;
  /** which has the lock and the journal */
  readonly directory: string;
  /** gets full sentences for people */
  readonly warn: (text: string) => void;
}

export class WriteBehindQueue<J extends PendingJob> implements Queue {
  readonly name: string;
  readonly enqueue: Queue['enqueue'];
  readonly #store: MessageStore<J>;
  readonly #deps: WriteBehindDeps<J>;
  readonly #flush: () => Promise<void>;
  readonly #flushWarnings: ChangeWarnings;
  readonly #inTurn = inTurn();
  #isRecovered = false;
  #isClosed = false;
  /** when the lock was last seen, monotonic milliseconds */
  #heldAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;
  #journalMade: Promise<void> | null = null;
  /** monotonic milliseconds: the last outcome, and before when no flush is needed while outcomes arrive */
  #recordedAt = Number.NEGATIVE_INFINITY;
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(deps: WriteBehindDeps<J>) {
    this.name = deps.store.name;
    this.enqueue = async (payload, job) => {
      this.#assertHeld();
      return deps.store.enqueue(payload, job);
    };
    this.#store = deps.store;
    this.#deps = deps;
    this.#flush = groupCommit(() => this.#inTurn(() => this.#runFlush()));
    this.#flushWarnings = new ChangeWarnings(deps.warn);
  }

  /** Apply the journal of an interrupted run, once, and write its outcomes. After an error the next scan tries again. */
  async recover(): Promise<void> {
    await this.#inTurn(() => this.#replay());
    // An outcome that cannot be written now is safe in the journal, and must not hold up other messages.
    await this.#flushOrWarn();
  }

  async #replay(): Promise<void> {
    if (this.#isRecovered) return;
    const { records, journal } = this.#deps;
    await this.#store.recover(records, () => journal.secure());
    this.#isRecovered = true;
  }

  async scan(active: ActivePayloads = new Set(), schedule: Schedule | null = null): Promise<QueueScan> {
    this.#assertHeld();
    await this.recover();
    return this.#inTurn(() => this.#store.scan(active, schedule));
  }

  /** One process has the whole queue, so everything in it is its own. */
  claim(_most: number, active: ActivePayloads, schedule?: Schedule): Promise<QueueScan> {
    return this.scan(active, schedule);
  }

  async readPayload(payload: MessageNumber): Promise<PayloadResult> {
    await this.#makeJournal();
    if (this.#isClosed) return { kind: 'unavailable', reason: 'the queue is closed' };
    try {
      // Under its number there may be another message now.
      this.#assertHeldLately();
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      // The next scan meets the same error and reports it.
      return { kind: 'unavailable', reason: describeError(error) };
    }
    return this.#store.readPayload(payload);
  }

  /**
   * Before anything is sent, so that its outcome has a place even when the directory is moved away meanwhile. Where it cannot
   * be made, the first outcome meets the same error.
   */
  #makeJournal(): Promise<void> {
    this.#journalMade ??= this.#deps.journal.secure().catch((error: unknown) => {
      if (!isOperationalError(error)) throw error;
      this.#journalMade = null;
      this.#heldAt = Number.NEGATIVE_INFINITY;
    });
    return this.#journalMade;
  }

  async record(control: MessageNumber, changes: readonly StatusChange[], now: number): Promise<Recorded> {
    const job = this.#store.find(control);
    if (job === undefined) {
      this.#deps.warn(
        `Job ${control} is no longer in ${this.name}; the outcomes for its recipients are not written.`,
      );
      return 'recorded';
    }
    for (const change of changes) job.changes.push(change);
    job.now = now;
    this.#recordedAt = this.#deps.clock.monotonic();
    this.#timer ??= this.#flushAfter(FLUSH_DELAY);
    try {
      const key = this.#store.journalKey(job);
      // Field by field, here and below: V8 is slow with a spread behind other fields.
      const { msgid, payload } = key;
      await this.#deps.journal.append({
        record: 'status',
        control: key.control,
        msgid,
        payload,
        now,
        changes,
      });
    } catch (error) {
      await this.#writeWithoutJournal(job, error);
    }
    this.#store.recorded(control);
    return 'recorded';
  }

  /** The control message can hold the outcome as well as the journal. */
  async #writeWithoutJournal(job: J, error: unknown): Promise<void> {
    await this.#flushOrWarn();
    if (this.#store.isSafe(job)) return;
    throw new QueueError(
      `The outcomes for recipients of job ${job.control} could not be written to ${this.name}: ${describeError(error)}. ` +
        'They are kept in memory and written as soon as that is possible; if this process ends before, these recipients ' +
        'may get the message a second time.',
      { cause: error },
    );
  }

  async finish(control: MessageNumber): Promise<void> {
    this.#assertHeldLately();
    const job = this.#store.find(control);
    if (job === undefined || !this.#store.mayFinish(job)) return;
    const key = this.#store.journalKey(job);
    const finished: FinishedJob = { key, removable: false };
    this.#store.finished.add(finished);
    const recipients = job.base.recipients.map(({ address }) => address);
    let journalError: unknown = null;
    try {
      const { msgid, payload } = key;
      await this.#deps.journal.append({ record: 'finish', control: key.control, msgid, payload, recipients });
    } catch (error) {
      journalError = error;
    }
    this.#timer ??= this.#flushAfter(FLUSH_DELAY);
    await this.#store.finishRecorded(job, finished, journalError);
  }

  async flush(): Promise<void> {
    await this.#flush();
    // The 2017 dialect cannot express a job whose recipients are all settled: its outcomes have to be in the journal.
    if ([...this.#store.jobs()].some(isDirty)) await this.#deps.journal.secure();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    let isFlushed = false;
    try {
      await this.flush();
      isFlushed = this.#isRecovered;
    } finally {
      this.#cancelTimer();
      await this.#journalMade;
      try {
        await this.#inTurn(() => this.#store.close(isFlushed));
      } finally {
        this.#deps.journal.close();
        this.#deps.claim.release();
      }
    }
  }

  async #runFlush(): Promise<void> {
    this.#cancelTimer();
    if (!this.#isRecovered) return;
    this.#assertHeld();
    const { clock } = this.#deps;
    const begun = clock.monotonic();
    try {
      const failures = await this.#write();
      await this.#deps.journal.retain(this.#neededRecords());
      if (failures.length > 0) throw new QueueError([...new Set(failures)].join('\n'));
      this.#flushWarnings.clear();
    } catch (error) {
      if (errorCode(error) === null) throw error;
      throw new QueueError(
        `The control messages in ${this.name} could not be brought up to date: ${describeError(error)}. ` +
          'The outcomes for their recipients are kept, and written as soon as the disk allows it.',
        { cause: error },
      );
    } finally {
      const now = clock.monotonic();
      this.#notBefore = now + Math.min(FLUSH_PAUSE * (now - begun), LONGEST_PAUSE);
    }
  }

  /** Returns a sentence for each control message that could not be written or removed. */
  async #write(): Promise<readonly string[]> {
    const store = this.#store;
    if (store.finished.size > 0 || [...store.jobs()].some(isDirty)) await store.refresh();
    const finished = controlsOf(store.finished);
    const dirty = [...store.jobs()].filter((job) => isDirty(job) && !finished.has(job.control));
    const failures = await store.rewrite(dirty);
    return [...failures, ...(await store.remove())];
  }

  /** Which records the journal still has to keep. */
  #neededRecords(): (record: JournalRecord) => boolean {
    const store = this.#store;
    const dirty = new Set([...store.jobs()].filter(isDirty).map(({ control }) => control));
    const finished = controlsOf(store.finished);
    return ({ record, control }) =>
      finished.has(control) || (record === 'status' && dirty.has(control)) || store.needsRecords(control);
  }

  /**
   * While outcomes arrive, flushes take a small part of the time: each writes the whole text of a list, and a list may be long.
   */
  #flushAfter(delay: number): Timer {
    const { clock } = this.#deps;
    return clock.after(delay, () => {
      this.#timer = null;
      const now = clock.monotonic();
      const wait = Math.min(this.#notBefore, this.#recordedAt + FLUSH_DELAY) - now;
      if (wait > 0) {
        this.#timer = this.#flushAfter(wait);
        return;
      }
      void this.#flushOrWarn().then((isDone) => {
        if (!isDone) this.#timer ??= this.#flushAfter(FLUSH_DELAY);
      });
    });
  }

  /** False, after a warning, when something could not be written. */
  async #flushOrWarn(): Promise<boolean> {
    try {
      await this.#flush();
      return true;
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      this.#flushWarnings.warn(describeError(error));
      return false;
    }
  }

  /** Nothing is written to a directory that took the place of ours: the jobs in it are others. */
  #assertHeld(): void {
    if (this.#deps.claim.held()) {
      this.#heldAt = this.#deps.clock.monotonic();
      return;
    }
    this.#heldAt = Number.NEGATIVE_INFINITY;
    throw new SpoolReplacedError(
      `${this.#deps.directory} is not the directory that was opened: it was moved, unmounted or replaced. Nothing more is sent from it, and ` +
        'what is there now is left alone. What was delivered is recorded in the journal of the directory that was opened. Start ' +
        'spoolroom again; it works with the directory that is there then.',
    );
  }

  /** For what is done for each message: one look serves many. */
  #assertHeldLately(): void {
    if (this.#deps.clock.monotonic() - this.#heldAt >= HELD_FOR) this.#assertHeld();
  }

  #cancelTimer(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
