/**
 * A room with one job in it, held in memory: what `replay` gives to the queue run instead of a spool. It writes
 * nothing anywhere; what became of the job is in the story that is told.
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
    throw new Error('nothing is enqueued in a replay');
  }

  async close(): Promise<void> {}
}
