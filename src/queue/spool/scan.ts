/**
 * Sorts what lies in the spool into jobs, orphans and lists nobody can read. Called by the room, and by whoever only looks.
 * Changes nothing.
 */

import type { MessageNumber } from '../../delivery-list/job.ts';
import { isPending } from '../../delivery-list/job.ts';
import type { FileStatus } from '../../storage/disk.ts';
import { currentJob, isDirty } from '../pending-job.ts';
import type { QueuedJob, QueueScan } from '../queue.ts';
import { type Requests, requestFields } from './requests/requests.ts';
import { NO_ACTIVE_PAYLOADS, type SpoolIndex } from './spool-index.ts';

export type SortedScan = Omit<QueueScan, 'quarantined'> & {
  readonly unreadable: readonly {
    readonly number: MessageNumber;
    readonly status: FileStatus;
    readonly reason: string;
  }[];
};

/**
 * Sort what lies on the shelf. A job of which the file lacks something is left out: its deliveries are under way, or it
 * cannot be written; unless nobody in it is waiting any more, so that it can be removed. A mail is an orphan when every
 * message that could name it was looked into.
 */
export function sortIndex(
  shelf: SpoolIndex,
  warn: (text: string) => void,
  requests: Requests,
  inHand = NO_ACTIVE_PAYLOADS,
): SortedScan {
  const jobs: QueuedJob[] = [];
  const orphans: MessageNumber[] = [];
  const unreadable: { number: MessageNumber; status: FileStatus; reason: string }[] = [];
  const numbers = shelf.update(inHand);
  const named = shelf.named();
  const riddle = shelf.highestUnreadable();
  for (const number of [...numbers].reverse()) {
    const item = shelf.get(number);
    switch (item?.kind) {
      case undefined:
      case 'unfinished':
        break;
      case 'control': {
        const job = currentJob(item);
        if (!isDirty(item) || !job.recipients.some(isPending)) {
          const asked = requestFields(requests, number, job);
          jobs.push({ control: number, job, warnings: item.warnings, ...asked });
        }
        break;
      }
      case 'payload':
        if (!named.has(number) && number > riddle) orphans.push(number);
        break;
      case 'unreadable':
        unreadable.push({ number, status: item.status, reason: item.reason });
        break;
      case 'refused':
        if (!item.told)
          warn(
            `${shelf.pathOf(number)} cannot be read: ${item.reason}. If it is a delivery list, nothing of it is delivered ` +
              'until this user can read it; it should belong to the owner of the spool.',
          );
        item.told = true;
        break;
    }
  }
  return { jobs, orphans, unreadable };
}
