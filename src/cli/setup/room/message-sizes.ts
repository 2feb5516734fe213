/** How large the messages of jobs are: as the queue says, or as the files are. */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import type { QueuedJob } from '../../../queue/queue.ts';
import type { Disk } from '../../../storage/disk.ts';
import type { StateLayout } from '../../../storage/layout.ts';

/** Bytes of a stored message; null: it is missing. */
export function messageSizes(
  jobs: readonly QueuedJob[],
  disk: Pick<Disk, 'status'>,
  { message }: StateLayout,
): (mail: MessageNumber) => number | null {
  const known = new Map(jobs.flatMap(({ job, size }) => (size === undefined ? [] : [[job.msgid, size]])));
  return (mail) => (known.has(mail) ? (known.get(mail) ?? null) : (disk.status(message(mail))?.size ?? null));
}
