/**
 * What a room keeps about reports to senders, beside its jobs: which were sent, and those that wait to be picked up.
 * The reporter of delivery/ calls it; `directory/reported.ts` implements it. Promises resolve when the thing is durable.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import type { ByteString } from '../platform/bytes.ts';

/** A recipient whose sender has heard of it, or must not hear of it. A delay and a failure are told apart. */
export interface Told {
  readonly address: ByteString;
  readonly what: 'failure' | 'delay';
}

/** A job, as its numbers say; both are used again after it. */
export interface JobNumbers {
  readonly control: MessageNumber;
  readonly msgid: MessageNumber;
}

export interface ReportPlace {
  told(job: JobNumbers): Promise<readonly Told[]>;
  /** Adds to what is known of the job. */
  note(job: JobNumbers, told: readonly Told[]): Promise<void>;
  /** The job is over. */
  forget(job: JobNumbers): Promise<void>;
  /** Keep a report for a local reader; where it lies, for people. `name` is letters, digits and `-`. */
  leave(report: Uint8Array, name: string): Promise<string>;
}
