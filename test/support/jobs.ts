/** Jobs to start from in tests. */
import type { Dialect, Job } from '../../src/delivery-list/job.ts';

/** The job of a delivery list without instructions. */
export function emptyJob(dialect: Dialect): Job {
  return {
    dialect,
    msgid: dialect === '2012' ? -1 : 0,
    submitted: null,
    attempted: 0,
    retry: 300,
    bounceto: null,
    envelopeFrom: null,
    sourceRoom: null,
    recipients: [],
    unknownLines: [],
  };
}
