/**
 * Brings control messages in the database up to date: the outcomes of an attempt become the text that Citadel would write, and a
 * time at which the job is due. One that somebody changed by hand meanwhile is read again and merged.
 */
import { rewrittenText } from '../../../delivery-list/apply.ts';
import type { MessageNumber } from '../../../delivery-list/job.ts';
import { isPending } from '../../../delivery-list/job.ts';
import type { ParseOptions } from '../../../delivery-list/parse.ts';
import { wrapControlText } from '../../../message/stored.ts';
import { type ControlSettings, classifyContents } from '../../control-message.ts';
import { currentJob, isDirty } from '../../pending-job.ts';
import { nextAttempt, type Schedule } from '../../schedule.ts';
import type { Database } from '../database/database.ts';
import { type ClaimedJob, claimedJob, hashOf, JOB_COLUMNS } from './claimed-job.ts';
import type { Lease } from './lease.ts';
import { columnsOf, rowsOf } from './outcomes.ts';

export interface FoldDeps {
  readonly database: Database;
  readonly lease: Lease;
  readonly control: ControlSettings;
  readonly options: ParseOptions;
  /** by which jobs that failed are due again */
  readonly schedule: Schedule;
}

/** How often a list that is changed all the time is tried. */
const ATTEMPTS = 3;

/** Jobs of one statement, at most. */
const BATCH = 200;

interface Rewrite {
  readonly job: ClaimedJob;
  readonly list: Buffer;
  readonly due: number;
  readonly changes: number;
}

/** Those of the jobs that the database still has as ours are written; the others are left as they are. */
export async function fold(deps: FoldDeps, jobs: Iterable<ClaimedJob>): Promise<void> {
  let left = [...jobs].filter(isDirty);
  for (let attempt = 1; left.length > 0 && attempt <= ATTEMPTS; attempt++) {
    const written = new Set<ClaimedJob>();
    const rewrites = left.flatMap((job) => rewriteOf(deps, job) ?? []);
    for (let from = 0; from < rewrites.length; from += BATCH)
      for (const job of await write(deps, rewrites.slice(from, from + BATCH))) written.add(job);
    const missed = rewrites.flatMap(({ job }) => (written.has(job) ? [] : [job]));
    left = missed.length === 0 ? [] : await readAgain(deps, missed);
  }
}

/** Null: the dialect cannot say that nobody is pending; the outcomes stay beside the list until the job is removed. */
function rewriteOf({ control, options, schedule }: FoldDeps, job: ClaimedJob): Rewrite | null {
  const current = currentJob(job);
  const text = rewrittenText(current, control.dialect, job.now, control.spans);
  if (text === null) return null;
  const list = wrapControlText(text, job.form, job.list);
  return { job, list, due: dueOf(list, options, schedule), changes: job.changes.length };
}

/** When a list is due, Unix seconds; 0: at once, also where it only has to be removed. */
export function dueOf(list: Buffer, options: ParseOptions, schedule: Schedule): number {
  const read = classifyContents(list, true, options);
  if (read.kind !== 'control' || !read.job.recipients.some(isPending)) return 0;
  return Math.min(Math.max(0, Math.floor(nextAttempt(read.job, schedule))), Number.MAX_SAFE_INTEGER);
}

async function write(
  { database, lease }: FoldDeps,
  rewrites: readonly Rewrite[],
): Promise<readonly ClaimedJob[]> {
  const rows = rewrites.flatMap(({ job, changes }) => rowsOf(job, job.changes.slice(0, changes)));
  const [controls, addresses, nths, statuses] = columnsOf(rows);
  const [answer] = await database.repeatable(
    'SELECT spoolroom.fold($1, $2, $3, $4, $5, $6, $7, $8, $9)::float8[] AS written',
    [
      lease.epoch ?? 0,
      rewrites.map(({ job }) => job.control),
      rewrites.map(({ job }) => job.hash),
      rewrites.map(({ list }) => list),
      rewrites.map(({ due }) => due),
      ...[controls, addresses, nths, statuses],
    ],
  );
  const written = new Set(answer?.written as MessageNumber[]);
  const done = rewrites.filter(({ job }) => written.has(job.control));
  for (const { job, list, changes } of done) {
    job.list = list;
    job.hash = hashOf(list);
    job.written = changes;
  }
  return done.map(({ job }) => job);
}

/** Those that are still there, with what somebody else made of them. */
async function readAgain(
  { database, options }: FoldDeps,
  jobs: readonly ClaimedJob[],
): Promise<ClaimedJob[]> {
  const rows = await database.query(`SELECT ${JOB_COLUMNS} FROM spoolroom.job WHERE control = ANY ($1)`, [
    jobs.map(({ control }) => control),
  ]);
  return jobs.filter((job) => {
    const row = rows.find(({ control }) => control === job.control);
    const read = row === undefined ? 'gone' : claimedJob(row, options);
    if (typeof read === 'string' || read.base.msgid !== job.base.msgid) return false;
    const isWritten = read.list.equals(job.list);
    job.list = read.list;
    job.hash = read.hash;
    // Its interval is that of the run that began, as for any other list that is rewritten.
    if (!isWritten) Object.assign(job, { base: { ...read.base, retry: job.base.retry } });
    return true;
  });
}
