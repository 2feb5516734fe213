/**
 * A queue with one job, in memory, in place of the spool. Nothing is written anywhere: the result of a replay is its timeline.
 */
import type { PayloadResult, Queue, QueuedJob } from '../queue/queue.ts';

export class SingleJobQueue implements Queue {
  readonly name = 'a copy';
  readonly #queued: QueuedJob;
  readonly #payload: PayloadResult;

  constructor(queued: QueuedJob, payload: PayloadResult) {
    this.#queued = queued;
    this.#payload = payload;
  }

  async scan() {
    return { jobs: [this.#queued], orphans: [], quarantined: [] };
  }

  async readPayload(): Promise<PayloadResult> {
    return this.#payload;
  }

  async record(): Promise<void> {}

  async finish(): Promise<void> {}

  async flush(): Promise<void> {}

  async enqueue(): Promise<never> {
    throw new Error('a replay cannot enqueue messages');
  }

  async close(): Promise<void> {}
}
