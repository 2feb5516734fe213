/** `spoolroom release N`: end a hold. The jobs become due as their lists say, and the time held counts as every other. */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import type { QueuedJob } from '../../../queue/queue.ts';
import { isExpired, type Schedule } from '../../../queue/schedule.ts';
import { scheduleFrom } from '../../../runner/rules.ts';
import { type JobCommand, jobCommand, jobList, type SelectedJobs } from './job-command.ts';

interface Released extends SelectedJobs {
  /** tried before and older than `retry.giveup`: the next failure is their last */
  readonly expiring: readonly MessageNumber[];
}

export const RELEASE: JobCommand<Released> = {
  request: 'release',
  participle: 'released',
  deed: (jobs) => `release ${jobs}`,
  inapplicable: ({ request }) => (request === 'hold' ? null : 'is not held'),
  complete: async (selected, { at }, { settings }, jobs) => ({
    ...selected,
    expiring: expiringIn(jobs, at, scheduleFrom(settings)),
  }),
  sentence: ({ expiring }, jobs) =>
    `released: ${jobs}.${
      expiring.length === 0
        ? ''
        : ` Older than retry.giveup, which counts the time held, too: ${jobList(expiring)}. If the next attempt fails, it is the last one, and the sender gets a report. To give more time, set retry.giveup higher first.`
    }`,
};

/** @param at Unix seconds */
export function expiringIn(
  jobs: readonly QueuedJob[],
  at: number,
  schedule: Schedule,
): readonly MessageNumber[] {
  return jobs.flatMap(({ control, job }) =>
    job.attempted !== 0 && isExpired(job, at, schedule) ? [control] : [],
  );
}

export const command = jobCommand(RELEASE);
