/**
 * What a room keeps about reports to senders, beside its jobs: which were sent, and those that wait to be picked up.
 * The reporter of delivery/ calls it; `directory/reported.ts` implements it. Promises resolve when the thing is durable.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import type { ByteString } from '../platform/bytes.ts';

/** A recipient whose sender has heard of it, or must not hear of it. A delay and a failure are told apart. */
export interface Notified {
  readonly address: ByteString;
  readonly what: 'failure' | 'delay';
}

/** A job, as its numbers say; both are used again after it. */
export interface JobKey {
  readonly control: MessageNumber;
  readonly msgid: MessageNumber;
}

export interface DsnStore {
  notified(job: JobKey): Promise<readonly Notified[]>;
  /** Adds to what is known of the job. */
  recordNotified(job: JobKey, told: readonly Notified[]): Promise<void>;
  /** The job is over. */
  forget(job: JobKey): Promise<void>;
  /** Keep a report for a local reader; where it lies, for people. `name` is letters, digits and `-`. */
  saveForPickup(report: Uint8Array, name: string): Promise<string>;
}
