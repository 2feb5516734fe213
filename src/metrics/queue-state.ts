/** What a scan of the queue says of its state. Pure; the sizes and times of payloads are the caller's. */
import { isPending, type Job, type MessageNumber } from '../delivery-list/job.ts';
import type { JobRequest, QueueScan, QueueState } from '../queue/queue.ts';

/** The files of payloads. */
export interface PayloadFiles {
  /** bytes; 0: there is none */
  sizeOf(payload: MessageNumber): number;
  /** Unix seconds; null: there is none */
  timeOf(payload: MessageNumber): number | null;
}

/** What is looked at of a job. */
export interface CountedJob {
  readonly job: Pick<Job, 'msgid' | 'submitted' | 'attempted' | 'recipients'>;
  readonly request?: JobRequest;
}

export type CountedScan = Pick<QueueScan, 'waiting'> & { readonly jobs: readonly CountedJob[] };

/**
 * Of jobs that wait for their time a scan has only the numbers of their payloads, which ascend with time: the oldest of them is the
 * one with the lowest number, and as old as its file.
 *
 * @param now Unix seconds
 * @param files null: they are not files
 */
export function queueState(
  { jobs, waiting }: CountedScan,
  now: number,
  files: PayloadFiles | null,
): QueueState {
  const counts = { new: 0, deferred: waiting?.payloads.length ?? 0, held: 0 };
  const first = waiting === undefined || waiting.payloads.length === 0 ? null : waiting.payloads.at(0);
  let since = (first === null ? null : files?.timeOf(first)) ?? now;
  for (const queued of jobs) {
    const status = statusOf(queued);
    if (status === null) continue;
    counts[status]++;
    if (status !== 'held') since = Math.min(since, queued.job.submitted ?? now);
  }
  const payloads = new Set(jobs.map(({ job }) => job.msgid));
  let bytes = 0;
  const add = (payload: MessageNumber): void => {
    bytes += files?.sizeOf(payload) ?? 0;
  };
  for (const payload of payloads) add(payload);
  for (let at = 0; at < (waiting?.payloads.length ?? 0); at++) {
    const payload = waiting?.payloads.at(at) ?? -1;
    if (payload !== waiting?.payloads.at(at - 1)) add(payload);
  }
  return { ...counts, oldest: Math.max(0, now - since), bytes: files === null ? null : bytes };
}

/** Null: it is finished. */
function statusOf({ job, request }: CountedJob): 'new' | 'deferred' | 'held' | null {
  if (!job.recipients.some(isPending)) return null;
  if (request === 'hold') return 'held';
  return job.attempted === 0 ? 'new' : 'deferred';
}
