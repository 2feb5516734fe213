/** Looks at jobs without claiming them: as their lists and the outcomes beside them say now. */
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { ParseOptions } from '../../delivery-list/parse.ts';
import { currentJob } from '../pending-job.ts';
import type { QueuedJob } from '../queue.ts';
import { type ClaimedJob, claimedJob, JOB_COLUMNS } from './claims/claimed-job.ts';
import { applyRows, OUTCOME_COLUMNS } from './claims/outcomes.ts';
import type { Statements } from './database/database.ts';

/** Which jobs. */
export interface Look {
  /** numbers of jobs or of their messages; absent: all */
  readonly numbers?: readonly MessageNumber[];
  /** those that an administrator removed, in place of those in the queue */
  readonly removed?: true;
}

export interface LookDeps {
  readonly database: Statements;
  readonly options: ParseOptions;
}

/** Jobs that are read at once. */
const PAGE = 2000;

export async function look({ database, options }: LookDeps, filter: Look): Promise<readonly QueuedJob[]> {
  const jobs: QueuedJob[] = [];
  for (let after = -1; ; ) {
    const rows = await database.query(
      `SELECT ${JOB_COLUMNS}, (SELECT size FROM spoolroom.message WHERE id = message)::float8 AS size FROM spoolroom.job
        WHERE message IS NOT NULL AND control > $1 AND (request IS NOT DISTINCT FROM 'remove') = $2
          AND ($3::bigint[] IS NULL OR control = ANY ($3) OR message = ANY ($3))
        ORDER BY control LIMIT $4`,
      [after, filter.removed === true, filter.numbers ?? null, PAGE],
    );
    const read = rows.map((row) => claimedJob(row, options)).filter((job) => typeof job !== 'string');
    const sizes = new Map(rows.map(({ control, size }) => [control, size as number | null]));
    for (const job of await withOutcomes(database, read))
      jobs.push({ ...job, size: sizes.get(job.control) ?? null });
    if (rows.length < PAGE) return jobs;
    after = Number(rows.at(-1)?.control);
  }
}

async function withOutcomes(
  database: Statements,
  jobs: readonly ClaimedJob[],
): Promise<readonly QueuedJob[]> {
  const known = await database.query(
    `SELECT ${OUTCOME_COLUMNS} FROM spoolroom.outcome WHERE control = ANY ($1)`,
    [jobs.map(({ control }) => control)],
  );
  const rows = new Map<unknown, (typeof known)[number][]>();
  for (const row of known) rows.set(row.control, [...(rows.get(row.control) ?? []), row]);
  return jobs.map((job) => {
    applyRows(job, rows.get(job.control) ?? []);
    return { control: job.control, job: currentJob(job), warnings: job.warnings, ...job.asked };
  });
}
