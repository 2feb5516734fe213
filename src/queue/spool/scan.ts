/** Sorts the files of the spool into jobs, orphans and unreadable lists. Changes nothing. */
import type { MessageNumber } from '../../delivery-list/job.ts';
import { isPending } from '../../delivery-list/job.ts';
import type { FileStatus } from '../../storage/disk.ts';
import { HIGHEST_NUMBER } from '../../storage/layout.ts';
import { currentJob, isDirty } from '../pending-job.ts';
import type { QueuedJob, QueueScan } from '../queue.ts';
import type { Schedule } from '../schedule.ts';
import { NO_ACTIVE_PAYLOADS } from './index/known-messages.ts';
import type { Parking, SpoolIndex } from './index/spool-index.ts';
import { type Requests, requestFields } from './requests/requests.ts';

export type SortedScan = Omit<QueueScan, 'quarantined'> & {
  readonly unreadable: readonly {
    readonly number: MessageNumber;
    readonly status: FileStatus;
    readonly reason: string;
  }[];
};

/**
 * A job with unwritten outcomes is left out: it is being delivered, or cannot be written. Unless no recipient is pending any
 * more, so that it can be removed. A payload is an orphan when every message that could name it was read.
 */
export function sortIndex(
  index: SpoolIndex,
  warn: (text: string) => void,
  requests: Requests,
  active = NO_ACTIVE_PAYLOADS,
  schedule: Schedule | null = null,
): SortedScan {
  const jobs: QueuedJob[] = [];
  const orphans: MessageNumber[] = [];
  const unreadable: { number: MessageNumber; status: FileStatus; reason: string }[] = [];
  index.update(active, schedule === null ? null : parkingOf(requests, schedule));
  for (const name of index.numbers.takeForeignNames())
    warn(
      `${index.pathOf(name)} is not a message of this spool: its number is beyond ${HIGHEST_NUMBER}, the highest one. It is left ` +
        'alone. If it is a message, give it a free lower number.',
    );
  const named = index.namedPayloads();
  const highestUnread = index.known.highestUnread();
  for (const [number, entry] of index.known.all()) {
    switch (entry.kind) {
      case 'unfinished':
        break;
      case 'control': {
        const job = currentJob(entry);
        if (!isDirty(entry) || !job.recipients.some(isPending)) {
          const queued = { control: number, job, warnings: entry.warnings };
          const requested = requestFields(requests, number, job);
          jobs.push(requested === null ? queued : { ...queued, ...requested });
        }
        break;
      }
      case 'payload':
        if (!named.has(number) && number > highestUnread) orphans.push(number);
        break;
      case 'unreadable':
        unreadable.push({ number, status: entry.status, reason: entry.reason });
        break;
      case 'refused':
        if (!entry.reported)
          warn(
            `${index.pathOf(number)} cannot be read: ${entry.reason}. If it is a delivery list, its message is not delivered ` +
              'until this user can read it. Make it belong to the owner of the spool.',
          );
        entry.reported = true;
        break;
    }
  }
  const { parked } = index;
  if (schedule === null || parked.size === 0) return { jobs, orphans, unreadable };
  const waiting = { payloads: parked.payloads, earliest: parked.earliest(schedule) };
  return { jobs, orphans, unreadable, waiting };
}

export function parkingOf({ valid, unreadable }: Requests, schedule: Schedule): Parking {
  return { schedule, requested: (control) => valid.has(control) || unreadable.has(control) };
}
