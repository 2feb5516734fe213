/** `spoolroom retry N`: try jobs at the next run, whether they are due or not. A held job stays held. */
import { isPending } from '../../../delivery-list/job.ts';
import { type JobCommand, jobCommand, type SelectedJobs } from './job-command.ts';

export const RETRY: JobCommand<SelectedJobs> = {
  request: 'retry',
  participle: 'retried',
  deed: (jobs) => `try ${jobs} at the next run`,
  inapplicable: ({ control, job, request }, commandText) => {
    if (request === 'hold') return `is held; \`${commandText('release', String(control))}\` lets it be tried`;
    return job.recipients.some(isPending) ? null : 'has no pending recipients';
  },
  complete: async (selected) => selected,
  sentence: ({ runner, jobs: numbers }, jobs) =>
    runner === null
      ? `to be tried: ${jobs}. No process is delivering from this spool now; the next run will try ${numbers.length === 1 ? 'it' : 'them'}.`
      : `to be tried: ${jobs}. Process ${runner}, which delivers from this spool, will try ${numbers.length === 1 ? 'it' : 'them'} at its next scan.`,
};

export const command = jobCommand(RETRY);
