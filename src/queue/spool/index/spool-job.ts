/** A job of a spool directory: a pending job and the file of its control message. */
import type { Job, MessageNumber } from '../../../delivery-list/job.ts';
import type { FileStatus } from '../../../storage/disk.ts';
import type { PendingJob } from '../../pending-job.ts';

export interface SpoolJob extends PendingJob {
  /** the file as last read or written by us */
  status: FileStatus;
  /** another program changed the file since it was read, so `base` lacks some of its content */
  externallyModified: boolean;
  /** when it was read, the last change of the file was so long ago that the next one cannot look the same */
  settled: boolean;
}

/** A job as just read. The outcomes of `before`, the same job as known until now, may not be in the file and are kept. */
export function spoolJob(
  control: MessageNumber,
  { job, warnings }: Pick<PendingJob, 'warnings'> & { readonly job: Job },
  status: FileStatus,
  before: SpoolJob | null,
): SpoolJob {
  return {
    kind: 'control',
    control,
    base: before === null ? job : { ...job, retry: before.base.retry },
    warnings,
    changes: before === null ? [] : [...before.changes],
    now: before?.now ?? 0,
    status,
    written: 0,
    externallyModified: false,
    settled: false,
  };
}
