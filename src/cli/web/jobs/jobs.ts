/** The jobs as the pages ask for them, wherever the queue is. What takes long lets a process that delivers go on meanwhile. */

import type { MessageNumber } from '../../../delivery-list/job.ts';
import type { CountedScan } from '../../../metrics/queue-state.ts';
import type { QueuedJob, QueueState } from '../../../queue/queue.ts';
import type { Selection } from '../../../queue/selection/selection.ts';
import type { QueueCounts, QueueOrder } from '../../../web/ports.ts';

export interface JobPage {
  /** how many are meant */
  readonly total: number;
  readonly jobs: readonly QueuedJob[];
  readonly counts: QueueCounts;
  /** false: the queue is still being read, and this is what is known of it */
  readonly isWhole: boolean;
}

export interface PageQuery {
  /** null: all */
  readonly selection: Selection | null;
  readonly order: QueueOrder;
  /** from 0 on */
  readonly first: number;
  readonly count: number;
}

export interface WebJobs {
  counts(): Promise<QueueCounts>;
  page(query: PageQuery): Promise<JobPage>;
  /** All that are meant, by number. */
  selected(selection: Selection | null): Promise<readonly QueuedJob[]>;
  /** Null: it is not there. */
  find(number: MessageNumber): Promise<QueuedJob | null>;
  /** By message: the jobs that carry it, of these jobs and of others. */
  withOthers(jobs: readonly QueuedJob[]): Promise<ReadonlyMap<MessageNumber, readonly QueuedJob[]>>;
  /** Every job with a recipient who is pending. */
  each(take: (job: QueuedJob) => void): Promise<void>;
  /** For metrics. */
  state(): Promise<CountedScan | QueueState>;
  /** Lists that cannot be read, and why, as of the last page. */
  readonly unreadable: ReadonlyMap<MessageNumber, string>;
  /** Requests for these were made or withdrawn by us. */
  noteRequests(jobs: readonly MessageNumber[]): void;
  close(): void;
}
