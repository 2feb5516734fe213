/**
 * A queue: control messages, each a job, and the payloads they name. It lies in a spool directory (spool/), in the queue
 * room of a running Citadel server (citadel/) or in PostgreSQL (postgres/); whoever uses it sees neither files nor a protocol.
 *
 * The life of a job: `claim` returns it, `readPayload` gives its message, `record` takes the outcomes, `finish` removes it
 * when no recipient is pending any more. An outcome names its recipient by the position in the list that `claim` returned, so
 * the numbers and recipients of a job stay valid while its payload is among the active ones that later claims are given.
 *
 * Promises resolve when the change is durable, never before. They reject with a `QueueError`, whose message consists of full
 * sentences for people, or with the system's own error.
 */
import type { Job, MessageNumber, StatusChange } from '../delivery-list/job.ts';
import type { StoredMessage } from '../message/stored.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { SharedLimits } from '../routing/shared-limits.ts';
import type { DsnRequest } from '../smtp/dsn-request.ts';
import type { DsnStore } from './dsn-store.ts';
import type { Schedule } from './schedule.ts';
import type { NumberRange } from './selection/numbers.ts';

/**
 * What an administrator requested: not to try a job until it is released, to try it once before its time, to remove it, to
 * refuse its pending recipients and tell its sender.
 */
export type JobRequest = 'hold' | 'retry' | 'remove' | 'give-up';

/** A control message that could be read. */
export interface QueuedJob {
  /** number of the control message */
  readonly control: MessageNumber;
  readonly job: Job;
  /** lines that were read in an unexpected way, as sentences with line numbers */
  readonly warnings: readonly string[];
  /** bytes of the stored message, null: it is missing; absent: it is a file of that many */
  readonly size?: number | null;
  /** absent: there is no request */
  readonly request?: JobRequest;
  readonly requestedBy?: Requester;
  /** recipients whose outcome is in the journal and not yet in the control message; only readers see them, absent: none */
  readonly unwritten?: number;
}

/** Who made a request. */
export interface Requester {
  readonly by: string;
  /** Unix seconds */
  readonly at: number;
}

export interface QueueScan {
  /** ascending by control number */
  readonly jobs: readonly QueuedJob[];
  /** payloads that no control message names, ascending */
  readonly orphans: readonly MessageNumber[];
  /** control messages that are unreadable, reported once each */
  readonly quarantined: readonly QuarantinedMessage[];
  /** jobs that are not among `jobs`; absent: there are none */
  readonly waiting?: WaitingJobs;
  /** more may be due than was claimed */
  readonly more?: boolean;
}

/** `lost`: the message is not this process's any more, and no further attempt of it counts. */
export type Recorded = 'recorded' | 'lost';

export interface QuarantinedMessage {
  readonly number: MessageNumber;
  readonly reason: string;
  /** where it was moved to; absent: it stays where it is */
  readonly path?: string;
}

export type PayloadResult =
  | { readonly kind: 'found'; readonly message: StoredMessage }
  /** `reason` is a clause for logs and status lines */
  | { readonly kind: 'missing' | 'empty' | 'unreadable'; readonly reason: string }
  /** it can never be sent; `reason` as above, for its sender */
  | { readonly kind: 'rejected'; readonly reason: string }
  /** nobody can tell now, and no attempt is counted; `reason` is what the queue has reported already */
  | { readonly kind: 'unavailable'; readonly reason: string };

/** The message would be read as a delivery list, so its author could have anything delivered. */
export class InvalidMessage extends Error {
  constructor() {
    super(
      'The message was not queued: its content type makes it a delivery list, which cannot be sent as mail.',
    );
    this.name = 'InvalidMessage';
  }
}

export interface NewJob {
  readonly bounceto: ByteString;
  readonly envelopeFrom: ByteString | null;
  readonly sourceRoom: ByteString | null;
  readonly recipients: readonly ByteString[];
  /** Unix seconds */
  readonly submitted: number;
  /** what its sender asked for in reports; absent: nothing */
  readonly dsn?: DsnRequest;
}

/** Jobs that wait for their time, and no request counts for them or for another job with their payload. */
export interface WaitingJobs {
  /** the numbers of their payloads, one for each job */
  readonly payloads: {
    readonly length: number;
    at(index: number): MessageNumber;
    has(msgid: MessageNumber): boolean;
  };
  /** Unix seconds: the earliest of their next attempts; null when there is none */
  readonly earliest: number | null;
}

/** Values by name that all processes on a queue have together. */
export interface SharedValues {
  read(): Promise<SharedReading>;
  /**
   * Writes what `change` makes of the values; null: it goes. Nobody else writes meanwhile. `wake`: the others should look at once.
   * Resolves to all values as they are then.
   */
  change(
    change: (found: SharedReading) => ReadonlyMap<string, SharedValue | null>,
    wake: boolean,
  ): Promise<SharedReading>;
  /** `changed` is called when others may have changed something: a hint. */
  listen(changed: () => void): void;
}

export interface SharedReading {
  readonly values: ReadonlyMap<string, unknown>;
  /** by the clock of the queue, milliseconds since the epoch */
  readonly now: number;
}

export interface SharedValue {
  readonly value: unknown;
  /** by the clock of the queue, milliseconds since the epoch: for people */
  readonly until: number;
}

/** The payloads that are being delivered at the moment. */
export type ActivePayloads = Pick<ReadonlySet<MessageNumber>, 'has'>;

export interface Queue {
  /** for people: the path of the directory, or the address of the server */
  readonly name: string;
  /**
   * What is in the queue now. Writes outstanding outcomes, moves unreadable control messages away where that is possible, and
   * removes jobs on request. Jobs with active payloads keep their numbers and recipients; requests for them wait. A job that
   * has unwritten outcomes and pending recipients is left out. With a schedule, jobs that wait for their time by it may be
   * left out of `jobs` and be in `waiting`: all with the same payload, or none of them.
   */
  scan(active?: ActivePayloads, schedule?: Schedule): Promise<QueueScan>;
  /**
   * Take jobs to deliver them. Where one process has the whole queue that is what `scan` returns. Where several share it, what
   * is returned is due, belongs to this process alone until a later claim finds it no longer active, and is of `most` payloads
   * at most. Without a schedule: whatever the time of the jobs says.
   */
  claim(most: number, active: ActivePayloads, schedule?: Schedule): Promise<QueueScan>;
  /**
   * `changed` is called when another process may have put something there that is due, or asked for something. A hint: it may be late,
   * missing, or wrong. Absent: whoever has the queue to himself looks at the directories.
   */
  listen?(changed: () => void): void;
  /** Without reading all of it; `now` is Unix seconds. Absent: `scan` finds everything. */
  state?(now: number): Promise<QueueState>;
  /**
   * Asks that all jobs be tried now, whatever their time says, but those that are held: for a forced run where others share the
   * queue. Absent: a claim without a schedule has them.
   */
  retryAll?(requester: Requester): Promise<void>;
  /** Limits that hold for all processes that share the queue; absent: nobody shares it. */
  readonly limits?: SharedLimits;
  /** What is known of hosts that asked us to send less, where several processes share it; absent: it is kept in a file. */
  readonly throttled?: SharedValues;
  /** What is kept about reports, beside the jobs; absent: it is kept in files. */
  readonly notes?: Omit<DsnStore, 'saveForPickup'>;
  /**
   * Whether a claimed message is safely this process's for the time that its end takes. Absent: nobody else can have it. Without
   * it no final dot may be sent.
   */
  mayDeliver?(payload: MessageNumber): boolean;
  /** A missing or unreadable payload is a value; does not reject because of one. */
  readPayload(payload: MessageNumber): Promise<PayloadResult>;
  /**
   * Record outcomes of a job by the number under which `scan` returned it. Resolves when they are durable in the journal, or,
   * if that cannot be written, in the control message; that follows within a second otherwise. Rejects when they are in
   * memory only; they are then still written later. `now` is Unix seconds and becomes the time of the attempt. Never removes
   * a job. A control message that another program changed meanwhile is merged, one that it removed is not brought back.
   */
  record(control: MessageNumber, changes: readonly StatusChange[], now: number): Promise<Recorded>;
  /**
   * The job is finished: its control message is removed, then its payload, unless another job names that. A job to which
   * another program added a pending recipient stays.
   */
  finish(control: MessageNumber): Promise<void>;
  /** Resolves when the control messages alone hold all outcomes; outcomes they cannot express are durable in the journal. */
  flush(): Promise<void>;
  /**
   * Add a job: first the payload, then the control message, both durable when it resolves. Rejects with `InvalidMessage` when
   * the payload is a delivery list.
   */
  enqueue(
    payload: AsyncIterable<Uint8Array> | Uint8Array,
    job: NewJob,
  ): Promise<{ readonly payload: MessageNumber; readonly control: MessageNumber }>;
  /** Flush, then release the lock on the queue, even when the flush fails. */
  close(): Promise<void>;
}

/** How much is in the queue. */
export interface QueueState {
  /** jobs */
  readonly new: number;
  readonly deferred: number;
  readonly held: number;
  /** seconds; 0: there is no job that is not held */
  readonly oldest: number;
  /** of all payloads; null: not known */
  readonly bytes: number | null;
  /** lists that cannot be read and are not set aside as files */
  readonly unreadable?: number;
  /** groups of hosts that asked us to send less; absent: a file says so */
  readonly throttled?: number;
}

/** Which jobs are wanted. All that is given has to hold. */
export interface Look {
  /** of the numbers of jobs and of messages; none: all */
  readonly ranges?: readonly NumberRange[];
  /** pieces of text that its list has, or an outcome that is not in there yet; in any case of letters */
  readonly needles?: readonly string[];
  readonly request?: JobRequest;
}

/** A queue to look at. Changes nothing. */
export interface QueueView extends Pick<Queue, 'name' | 'scan' | 'readPayload' | 'state'> {
  readonly throttled?: Pick<SharedValues, 'read'>;
  /**
   * As `scan`, but jobs that are not wanted, and do not have the message of a wanted one, may be left out; orphans as well. A
   * queue that has to read all of them anyway leaves out nothing.
   */
  look(wanted: Look): Promise<QueueScan>;
  /** id of the process that delivers from here now; null: there is none, or it is on another machine */
  runner(): number | null;
}

/** Works beside those who deliver. */
export interface QueueClient extends QueueView, Pick<Queue, 'enqueue'> {
  /** Makes ready for temporary files: where the directory was replaced, our folders are made in the one that is there now. */
  prepare(): void;
  /** Make a request for each of these jobs, durably. It replaces an earlier one. */
  request(request: JobRequest, jobs: readonly QueuedJob[], requester: Requester): Promise<void>;
  /** Withdraw the requests for these jobs, durably. */
  withdraw(jobs: readonly QueuedJob[]): Promise<void>;
}
