/**
 * A room with one job in it, held in memory: what `replay` gives to the queue run instead of a spool. It writes
 * nothing anywhere; what became of the job is asked from it afterwards.
 */
import type { PayloadRead, QueuedJob, Room, StatusChange } from '../room/room.ts';

export class OneJobRoom implements Room {
  readonly name = 'a copy';
  /** what would have been written, in order */
  readonly changes: StatusChange[] = [];
  /** the job would have been removed */
  finished = false;
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

  async record(_: number, changes: readonly StatusChange[]): Promise<void> {
    this.changes.push(...changes);
  }

  async finish(): Promise<void> {
    this.finished = true;
  }

  async settle(): Promise<void> {}

  async enqueue(): Promise<never> {
    throw new Error('nothing is enqueued in a replay');
  }

  async close(): Promise<void> {}
}
