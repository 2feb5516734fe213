/** `spoolroom retry N`: try jobs once, whatever their time says. A hold of theirs ends with it. */
import { isPending } from '../../delivery-list/job.ts';
import { jobCommand, type SelectedJobs } from '../setup/job-command.ts';

export const command = jobCommand<SelectedJobs>({
  request: 'retry',
  unfit: ({ job }) => (job.recipients.some(isPending) ? null : 'has no recipient that waits'),
  afterwards: async (asked) => asked,
  sentence: ({ runner }, jobs) =>
    runner === null
      ? `to be tried: ${jobs}. Nobody delivers from this spool now; the next run tries it.`
      : `to be tried: ${jobs}. Process ${runner} delivers from this spool and tries it at its next look.`,
});
