/**
 * The control messages of one payload, copied into memory in place of a queue. Nothing is written anywhere: what a run would
 * have written is kept for whoever asks.
 */
import { applyChanges } from '../delivery-list/apply.ts';
import { isSettled, type Job, type MessageNumber, type StatusChange } from '../delivery-list/job.ts';
import type { ControlMessages } from '../queue/due.ts';
import type { PayloadResult, Queue, QueueScan, Recorded } from '../queue/queue.ts';

/** What a run would have made of a job. */
export interface JobAfter {
  readonly job: Job;
  /** time of the last outcome, Unix seconds; null: there was none, and the control message stays as it is */
  readonly now: number | null;
  /** the job ends: control message and payload are removed */
  readonly finished: boolean;
}

export class CopiedQueue implements Queue {
  readonly name = 'a copy';
  readonly #lists: ControlMessages;
  readonly #payload: PayloadResult;
  readonly #envelopeOnly: boolean;
  readonly #after = new Map<MessageNumber, JobAfter>();

  /** `envelopeOnly`: no message is sent, so a recipient that is accepted keeps its line. */
  constructor(lists: ControlMessages, payload: PayloadResult, envelopeOnly = false) {
    this.#lists = lists;
    this.#payload = payload;
    this.#envelopeOnly = envelopeOnly;
    for (const { control, job } of lists) this.#after.set(control, { job, now: null, finished: false });
  }

  after(control: MessageNumber): JobAfter {
    const after = this.#after.get(control);
    if (after === undefined) throw new Error(`this copy has no job ${control}`);
    return after;
  }

  /** As they were copied: a run scans again only while they are active. */
  async scan(): Promise<QueueScan> {
    return { jobs: this.#lists, orphans: [], quarantined: [] };
  }

  claim(): Promise<QueueScan> {
    return this.scan();
  }

  async readPayload(): Promise<PayloadResult> {
    return this.#payload;
  }

  async record(control: MessageNumber, changes: readonly StatusChange[], now: number): Promise<Recorded> {
    const kept = this.#envelopeOnly ? changes.filter(({ status }) => status !== 2) : changes;
    if (kept.length > 0) {
      const { job, finished } = this.after(control);
      this.#after.set(control, { job: applyChanges(job, kept), now, finished });
    }
    return 'recorded';
  }

  async finish(control: MessageNumber): Promise<void> {
    const after = this.after(control);
    this.#after.set(control, { ...after, finished: after.job.recipients.every(isSettled) });
  }

  async flush(): Promise<void> {}

  async enqueue(): Promise<never> {
    throw new Error('a replay cannot enqueue messages');
  }

  async close(): Promise<void> {}
}
