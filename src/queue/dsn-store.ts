/**
 * What a queue keeps about DSNs, beside its jobs: which notifications were sent, when an old job was first tried, and the
 * DSNs that no server took.
 * Promises resolve when the change is durable.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { DsnRequest } from '../smtp/dsn-request.ts';

/** A recipient of whose failure or delay the sender was notified, or must not be notified. */
export interface Notified {
  readonly address: ByteString;
  readonly what: 'failure' | 'delay' | 'success';
}

/** A job, told from any other one that had its numbers. */
export interface JobKey {
  readonly control: MessageNumber;
  readonly msgid: MessageNumber;
  /** when it was submitted, Unix seconds; null when its list does not say */
  readonly submitted: number | null;
}

export interface DsnStore {
  /** Looks which senders asked for something: before the jobs of a scan are delivered. */
  refresh(): void;
  /** What the sender of a job asked for, as of the last `refresh`; null: nothing. */
  request(job: JobKey): DsnRequest | null;
  notified(job: JobKey): Promise<readonly Notified[]>;
  /** Adds to the notifications of the job. */
  recordNotified(job: JobKey, notified: readonly Notified[]): Promise<void>;
  /** When the job was first tried, in Unix seconds; null unless that was recorded. */
  firstAttempt(job: JobKey): Promise<number | null>;
  recordFirstAttempt(job: JobKey, at: number): Promise<void>;
  /** The job is finished. */
  forget(job: JobKey): Promise<void>;
  /** Keeps a DSN for the postmaster; resolves to its path, for people. `name` is letters, digits and `-`. */
  saveForPickup(dsn: Uint8Array, name: string): Promise<string>;
}
