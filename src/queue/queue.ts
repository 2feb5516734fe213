/**
 * A room: where jobs lie. The queue run sees nothing of files or of the client protocol, only this interface;
 * `directory/` and `citadel/` implement it, and test/queue/suite.ts holds both to the same behaviour; what differs by nature
 * is data there.
 *
 * Promises resolve when the thing is durable, never before.
 */
import type { Job, MessageNumber, StatusChange } from '../delivery-list/job.ts';
import type { StoredMessage } from '../message/stored.ts';
import type { ByteString } from '../platform/bytes.ts';

/**
 * What an administrator asked for a job: not to try it until it is released, to try it once whatever its time says, to
 * take it out of the spool.
 */
export type JobRequest = 'hold' | 'retry' | 'remove';

/** A control message as found in the room. */
export interface QueuedJob {
  /** number of the control message */
  readonly control: MessageNumber;
  readonly job: Job;
  /** what a person should know about how it was read, with line numbers */
  readonly warnings: readonly string[];
  /** absent: nothing is asked */
  readonly request?: JobRequest;
  readonly requestedBy?: Requester;
}

/** Who asks something for a job, and when (Unix seconds). */
export interface Requester {
  readonly by: string;
  readonly at: number;
}

export interface QueueScan {
  /** ascending by control number */
  readonly jobs: readonly QueuedJob[];
  /** payloads no control message names, ascending */
  readonly orphans: readonly MessageNumber[];
  /** control messages that nobody can read, set aside in this scan, once each */
  readonly quarantined: readonly QuarantinedMessage[];
}

export interface QuarantinedMessage {
  readonly number: MessageNumber;
  readonly reason: string;
  /** where it lies now; absent: where it lay */
  readonly path?: string;
}

export type PayloadResult =
  | { readonly kind: 'found'; readonly message: StoredMessage }
  /** missing, empty or unreadable; `reason` is a full sentence fragment for logs and status lines */
  | { readonly kind: 'missing' | 'empty' | 'unreadable'; readonly reason: string };

export interface NewJob {
  readonly bounceto: ByteString;
  readonly envelopeFrom: ByteString | null;
  readonly sourceRoom: ByteString | null;
  readonly recipients: readonly ByteString[];
  /** Unix seconds */
  readonly submitted: number;
}

/** The payloads that are being delivered. */
export type ActivePayloads = Pick<ReadonlySet<MessageNumber>, 'has'>;

export interface Queue {
  /** for people: the directory or the server */
  readonly name: string;
  /**
   * What lies there now. Sets unreadable control messages aside, and removes jobs for which that was asked. What is asked
   * for a job whose payload is in hand waits until it is not any more.
   */
  scan(inHand?: ActivePayloads): Promise<QueueScan>;
  readPayload(payload: MessageNumber): Promise<PayloadResult>;
  /**
   * Record outcomes of a job in hand. Resolves when they are durable (group commit); the control message
   * follows at most a second later. `now` is Unix seconds, the base of `attempted|`. Never removes a job.
   * A job that another program changed meanwhile is merged, one it removed is not brought back.
   */
  record(control: MessageNumber, changes: readonly StatusChange[], now: number): Promise<void>;
  /** The job is over: its control message goes, then (unless another job names it) its payload. */
  finish(control: MessageNumber): Promise<void>;
  /** Resolves when the control messages alone tell the whole truth. */
  flush(): Promise<void>;
  /** A new job: payload first, control message after it, both durable on return. */
  enqueue(
    payload: AsyncIterable<Uint8Array> | Uint8Array,
    job: NewJob,
  ): Promise<{ readonly payload: MessageNumber; readonly control: MessageNumber }>;
  /** Settle and give up the claim on the room. */
  close(): Promise<void>;
}
