/** Looks at jobs without claiming them: as their lists and the outcomes beside them say now. */
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { ParseOptions } from '../../delivery-list/parse.ts';
import { currentJob } from '../pending-job.ts';
import type { Look, QueuedJob, QueueScan } from '../queue.ts';
import { isWithin } from '../selection/numbers.ts';
import { type ClaimedJob, claimedJob, JOB_COLUMNS } from './claims/claimed-job.ts';
import { applyRows, OUTCOME_COLUMNS } from './claims/outcomes.ts';
import type { Row, Statements } from './database/database.ts';
import type { Unreadable } from './unreadable.ts';

export interface LookDeps {
  readonly database: Statements;
  readonly options: ParseOptions;
}

/** Jobs, or messages, that are read at once. */
const PAGE = 2000;

/** Those that an administrator removed are not there. */
const READABLE = "message IS NOT NULL AND request IS DISTINCT FROM 'remove'";

/** Jobs that are meant, and others with the same messages, by number. */
export async function look(deps: LookDeps, wanted: Look): Promise<readonly QueuedJob[]> {
  const condition = conditionFor(wanted);
  return condition.text === '' ? allJobs(deps) : wantedJobs(deps, condition);
}

/** With what is no job, where that is wanted. */
export async function lookAround(deps: LookDeps, wanted: Look, unreadable: Unreadable): Promise<QueueScan> {
  const jobs = await look(deps, wanted);
  const { ranges = [] } = wanted;
  const isAll = conditionFor(wanted).text === '';
  const quarantined = isAll || ranges.length > 0 ? await unreadable.all() : [];
  return {
    jobs,
    orphans: isAll ? await unreadable.orphans() : [],
    quarantined: quarantined.filter(({ number }) => isAll || isWithin(ranges, number)),
  };
}

interface Condition {
  /** '': none */
  readonly text: string;
  readonly values: readonly unknown[];
}

/** In SQL, of a row of `job`. */
function conditionFor({ ranges = [], needles = [], request }: Look): Condition {
  const values: unknown[] = [];
  const value = (given: unknown): string => `$${values.push(given)}`;
  const parts: string[] = [];
  if (ranges.length > 0) {
    const single = value(ranges.flatMap(({ from, to }) => (from === to ? [from] : [])));
    const within = ranges.flatMap(({ from, to }) => {
      if (from === to) return [];
      const span = `BETWEEN ${value(from)} AND ${value(to)}`;
      return [`control ${span}`, `message ${span}`];
    });
    parts.push(`(${[`control = ANY (${single})`, `message = ANY (${single})`, ...within].join(' OR ')})`);
  }
  for (const needle of needles) {
    // Backslashes and bytes beyond ASCII are written as escapes, in any encoding of the database.
    const wanted = value(needle.toLowerCase().replaceAll('\\', '\\\\'));
    const holds = (bytes: string): string =>
      `strpos(lower(encode(${bytes}, 'escape') COLLATE "C"), ${wanted}) > 0`;
    parts.push(
      `(${holds('list')} OR control IN (SELECT control FROM spoolroom.outcome WHERE ${holds('text')}))`,
    );
  }
  if (request !== undefined) parts.push(`request = ${value(request)}`);
  return { text: parts.map((part) => ` AND ${part}`).join(''), values };
}

async function wantedJobs(deps: LookDeps, { text, values }: Condition): Promise<readonly QueuedJob[]> {
  const rows = await deps.database.query(
    `SELECT DISTINCT message::float8 AS number FROM spoolroom.job WHERE ${READABLE}${text}`,
    values,
  );
  const messages = rows.map(({ number }) => number as MessageNumber);
  return [...(await jobsIn(deps, 'message', messages))].sort((a, b) => a.control - b.control);
}

/** Jobs with these numbers, or with these messages. */
export async function jobsIn(
  deps: LookDeps,
  column: 'control' | 'message',
  numbers: readonly MessageNumber[],
): Promise<readonly QueuedJob[]> {
  const jobs: QueuedJob[] = [];
  for (let from = 0; from < numbers.length; from += PAGE) {
    const some = numbers.slice(from, from + PAGE);
    jobs.push(...(await readJobs(deps, `${column} = ANY ($1) ORDER BY control`, [some])).jobs);
  }
  return jobs;
}

async function allJobs(deps: LookDeps): Promise<readonly QueuedJob[]> {
  const jobs: QueuedJob[] = [];
  for await (const page of eachPage(deps)) jobs.push(...page);
  return jobs;
}

export async function* eachPage(deps: LookDeps): AsyncGenerator<readonly QueuedJob[]> {
  for (let after = -1; ; ) {
    const { rows, jobs } = await readJobs(deps, 'control > $1 ORDER BY control LIMIT $2', [after, PAGE]);
    yield jobs;
    if (rows.length < PAGE) return;
    after = Number(rows.at(-1)?.control);
  }
}

/** `text`: SQL that ends their selection. */
async function readJobs(
  { database, options }: LookDeps,
  text: string,
  values: readonly unknown[],
): Promise<{ readonly rows: readonly Row[]; readonly jobs: readonly QueuedJob[] }> {
  const rows = await database.query(
    `SELECT ${JOB_COLUMNS}, (SELECT size FROM spoolroom.message WHERE id = message)::float8 AS size
      FROM spoolroom.job WHERE ${READABLE} AND ${text}`,
    values,
  );
  const read = rows.map((row) => claimedJob(row, options)).filter((job) => typeof job !== 'string');
  const sizes = new Map(rows.map(({ control, size }) => [control, size as number | null]));
  const jobs = (await withOutcomes(database, read)).map((job) => ({
    ...job,
    size: sizes.get(job.control) ?? null,
  }));
  return { rows, jobs };
}

async function withOutcomes(
  database: Statements,
  jobs: readonly ClaimedJob[],
): Promise<readonly QueuedJob[]> {
  const known = await database.query(
    `SELECT ${OUTCOME_COLUMNS} FROM spoolroom.outcome WHERE control = ANY ($1)`,
    [jobs.map(({ control }) => control)],
  );
  const rows = new Map<unknown, Row[]>();
  for (const row of known) rows.set(row.control, [...(rows.get(row.control) ?? []), row]);
  return jobs.map((job) => {
    applyRows(job, rows.get(job.control) ?? []);
    return { control: job.control, job: currentJob(job), warnings: job.warnings, ...job.asked };
  });
}
