/** `spoolroom release N`: the end of a hold. The jobs are due when their lists say so. */
import { jobCommand, type SelectedJobs } from '../setup/job-command.ts';

export const command = jobCommand<SelectedJobs>({
  request: 'release',
  unfit: ({ request }) => (request === 'hold' ? null : 'is not held'),
  afterwards: async (asked) => asked,
  sentence: (_, jobs) => `released: ${jobs}.`,
});
