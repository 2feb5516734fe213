/**
 * A room with one job in it, held in memory: what `replay` gives to the queue run instead of a spool. It writes
 * nothing anywhere; what became of the job is in the story that is told.
 */
import type { PayloadRead, QueuedJob, Room } from '../queue/queue.ts';

export class OneJobRoom implements Room {
  readonly name = 'a copy';
  readonly #queued: QueuedJob;
  readonly #payload: PayloadRead;

  constructor(queued: QueuedJob, payload: PayloadRead) {
    this.#queued = queued;
    this.#payload = payload;
  }

  async scan() {
    return { jobs: [this.#queued], orphans: [], setAside: [] };
  }

  async readPayload(): Promise<PayloadRead> {
    return this.#payload;
  }

  async record(): Promise<void> {}

  async finish(): Promise<void> {}

  async settle(): Promise<void> {}

  async enqueue(): Promise<never> {
    throw new Error('nothing is enqueued in a replay');
  }

  async close(): Promise<void> {}
}
