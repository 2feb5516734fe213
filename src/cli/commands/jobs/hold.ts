/** `spoolroom hold N`: do not try jobs until they are released. Their lists are not changed. */
import { type JobCommand, jobCommand, type SelectedJobs } from './job-command.ts';

export const HOLD: JobCommand<SelectedJobs> = {
  request: 'hold',
  participle: 'held',
  deed: (jobs) => `hold ${jobs}`,
  inapplicable: () => null,
  complete: async (selected) => selected,
  sentence: ({ runner }, jobs) =>
    runner === null
      ? `held: ${jobs}.`
      : `held: ${jobs}. Deliveries in progress in process ${runner} will finish.`,
};

export const command = jobCommand(HOLD);
