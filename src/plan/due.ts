/**
 * Whether a job is to be tried now, and if not, why and until when. Called by the queue run, by `queue` and by `explain`.
 * Looks at the list and at what was asked for the job: whether it is in progress is the queue run's knowledge.
 */
import { isPending, type Job } from '../control/job.ts';
import type { QueuedJob } from '../room/room.ts';
import { nextTry, type Schedule } from './schedule.ts';

export interface DueOptions {
  readonly schedule: Schedule;
  /** try it whatever its time says, once (R037: a forced run must not stay forced) */
  readonly force: boolean;
}

export interface Dueness {
  readonly due: boolean;
  /** Unix seconds from which on it is due; null when time alone will not make it so */
  readonly at: number | null;
  /** a sentence for people */
  readonly reason: string;
}

/** ISO 8601 without milliseconds; a number where no calendar reaches. */
function calendar(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `second ${seconds}` : date.toISOString().replace('.000Z', 'Z');
}

/** `now` is Unix seconds. */
export function isDue(job: Job, now: number, { schedule, force }: DueOptions): Dueness {
  const never = (reason: string): Dueness => ({ due: false, at: null, reason });
  // 2017 tries such a job; it then ends like any other whose payload is missing.
  if (job.msgid < 0 && job.dialect === '2012') return never('Its list names no payload message.');
  if (job.recipients.length === 0) return never('Its list names no recipient.');
  if (!job.recipients.some(isPending)) return never('All its recipients have a final status.');
  const at = nextTry(job, schedule);
  if (at === 0) return { due: true, at: now, reason: 'It has not been tried yet.' };
  if (at <= now) return { due: true, at, reason: `Its waiting time ended at ${calendar(at)}.` };
  if (force) return { due: true, at: now, reason: `It would wait until ${calendar(at)}, but is forced.` };
  return { due: false, at, reason: `It waits until ${calendar(at)}.` };
}

/** The same for a job of which somebody may have asked something. A hold counts for a forced run, too. */
export function isQueuedDue({ control, job, request }: QueuedJob, now: number, options: DueOptions): Dueness {
  switch (request ?? null) {
    case null:
      return isDue(job, now, options);
    case 'retry':
      return isDue(job, now, { ...options, force: true });
    case 'hold':
      return { due: false, at: null, reason: `It is held: \`spoolroom release ${control}\` lets it go on.` };
    case 'remove':
      return { due: false, at: null, reason: 'It is about to be removed from the spool.' };
  }
}
