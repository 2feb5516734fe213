/** `spoolroom release N`: end a hold. The jobs become due as their lists say. */
import { type JobCommand, jobCommand, type SelectedJobs } from './job-command.ts';

export const RELEASE: JobCommand<SelectedJobs> = {
  request: 'release',
  participle: 'released',
  deed: (jobs) => `release ${jobs}`,
  inapplicable: ({ request }) => (request === 'hold' ? null : 'is not held'),
  complete: async (selected) => selected,
  sentence: (_, jobs) => `released: ${jobs}.`,
};

export const command = jobCommand(RELEASE);
