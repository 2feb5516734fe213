/** `spoolroom hold N`: do not try jobs until they are released. Their lists stay as they are. */
import { jobCommand, type SelectedJobs } from '../setup/job-command.ts';

export const command = jobCommand<SelectedJobs>({
  request: 'hold',
  unfit: () => null,
  afterwards: async (asked) => asked,
  sentence: ({ runner }, jobs) =>
    runner === null
      ? `held: ${jobs}.`
      : `held: ${jobs}. What process ${runner} has on its way at this moment goes on.`,
});
