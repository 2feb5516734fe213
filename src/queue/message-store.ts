/**
 * What one kind of queue is made of: how its messages are read, rewritten and removed. Everything that is the same for
 * all kinds (journal, group commit, flush timer, retries, retention of journal records) is in write-behind-queue.ts, which
 * never calls `recover`, `scan`, `refresh`, `rewrite`, `remove` and `close` at the same time.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import type { JournalKey, JournalRecord } from './journal.ts';
import type { FinishedJob, PendingJob } from './pending-job.ts';
import type { ActivePayloads, Queue, QueueScan } from './queue.ts';
import type { Schedule } from './schedule.ts';

export interface MessageStore<J extends PendingJob> extends Pick<Queue, 'name' | 'readPayload' | 'enqueue'> {
  /** Added by `finish` and `recover`; `remove` deletes those of which nothing is left. */
  readonly finished: Set<FinishedJob>;
  /** All jobs in the store. */
  jobs(): Iterable<J>;
  /** The job that an outcome under this number belongs to; undefined when it is gone. */
  find(control: MessageNumber): J | undefined;
  /** How journal records name the job. */
  journalKey(job: J): JournalKey;
  /** Whether a restart without any journal record of the job would lose none of its outcomes. */
  isSafe(job: J): boolean;
  /** Whether records under this number are still needed although all its outcomes are written. */
  needsRecords(control: MessageNumber): boolean;

  /**
   * Apply the records of an interrupted run to what lies in the store; called once, before anything else, and again after
   * an error. `secure` makes the records themselves durable and has to be awaited before anything is concluded from them.
   */
  recover(records: readonly JournalRecord[], secure: () => Promise<void>): Promise<void>;
  scan(active: ActivePayloads, schedule: Schedule | null): Promise<QueueScan>;
  /** Called before a flush that has something to rewrite or to remove. */
  refresh(): Promise<void>;
  /**
   * Bring the control messages of these jobs up to date, durably, and raise `written` accordingly. Resolves to a sentence
   * for each job that could not be rewritten; rejects when no job can be. A job that another program removed stays removed.
   */
  rewrite(jobs: readonly J[]): Promise<readonly string[]>;
  /** Remove what is left of the removable finished jobs: control messages durably first, then their payloads. */
  remove(): Promise<readonly string[]>;

  /** False, after a warning, when another program added recipients that are still pending. */
  mayFinish(job: J): boolean;
  /** An outcome was recorded durably. */
  recorded(control: MessageNumber): void;
  /**
   * The journal durably says that the job is finished, or could not be written: `journalError` is then not null. Makes
   * the finished job removable.
   */
  finishRecorded(job: J, finished: FinishedJob, journalError: unknown): Promise<void>;
  /** `flushed`: the messages were brought up to date before. */
  close(flushed: boolean): Promise<void>;
}
