/** What is kept about reports beside the jobs of a queue in PostgreSQL: with them, so that it goes when they go, and moves when they move. */
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { DsnStore } from '../dsn-store.ts';
import type { ClaimedJob } from './claims/claimed-job.ts';
import type { Statements } from './database/database.ts';

/** @param claimed a job in the hands of this process, for which alone anything is asked */
export function dsnNotes(
  database: { repeatable: Statements['query'] },
  claimed: (control: MessageNumber) => ClaimedJob | undefined,
): Omit<DsnStore, 'saveForPickup'> {
  return {
    // They come with the claim.
    refresh: () => {},
    request: ({ control }) => claimed(control)?.dsn ?? null,
    notified: async ({ control }) => claimed(control)?.told ?? [],
    async recordNotified({ control }, notified) {
      const told = [...(claimed(control)?.told ?? []), ...notified];
      await database.repeatable('UPDATE spoolroom.job SET told = $2 WHERE control = $1', [
        control,
        JSON.stringify(told),
      ]);
      claimed(control)?.told.push(...notified);
    },
    firstAttempt: async ({ control }) => claimed(control)?.firstAttempt ?? null,
    async recordFirstAttempt({ control }, at) {
      await database.repeatable('UPDATE spoolroom.job SET first_attempt = $2 WHERE control = $1', [
        control,
        at,
      ]);
      const job = claimed(control);
      if (job !== undefined) job.firstAttempt = at;
    },
    forget: async () => {},
  };
}
