/**
 * Outcomes on their way into the database. Those of all jobs that come meanwhile are one statement. An outcome that the database
 * did not take stays with its job and goes with the next one, or with `save`.
 */
import type { MessageNumber, Recipient, StatusChange } from '../../../delivery-list/job.ts';
import { isPending } from '../../../delivery-list/job.ts';
import type { ParseOptions } from '../../../delivery-list/parse.ts';
import { oneField } from '../../../delivery-list/serialise.ts';
import { currentJob } from '../../pending-job.ts';
import { Batch } from '../database/batch.ts';
import type { Database, Row, Statements } from '../database/database.ts';
import { bytesOf, type ClaimedJob, claimedJob, JOB_COLUMNS, linesOf, textOf } from './claimed-job.ts';
import type { Lease } from './lease.ts';

export interface OutcomesDeps {
  readonly database: Database;
  readonly lease: Lease;
  readonly options: ParseOptions;
}

/** One row of `outcome`. */
export interface OutcomeRow extends Omit<StatusChange, 'index'> {
  readonly control: MessageNumber;
  readonly nth: number;
  /** Unix seconds */
  readonly at: number;
}

export class Outcomes {
  readonly #deps: OutcomesDeps;
  readonly #batch: Batch<ClaimedJob, boolean>;

  constructor(deps: OutcomesDeps) {
    this.#deps = deps;
    this.#batch = new Batch((jobs) => this.#write(jobs));
  }

  /**
   * Makes the unsaved outcomes of a job durable. False: its message is not claimed by this process any more, and they are still
   * unsaved.
   */
  save(job: ClaimedJob): Promise<boolean> {
    return job.unsaved.length === 0 ? Promise.resolve(true) : this.#batch.add(job);
  }

  async #write(jobs: readonly ClaimedJob[]): Promise<readonly boolean[]> {
    const { database, lease } = this.#deps;
    const distinct = [...new Set(jobs)];
    const sent = new Map(distinct.map((job) => [job, job.unsaved.length]));
    const rows = distinct.flatMap((job) => rowsOf(job, job.unsaved));
    if (rows.length === 0) return jobs.map(() => true);
    const carried = distinct.filter(({ asked }) => asked.request === 'retry' || asked.request === 'give-up');
    const [answer] = await database.repeatable(
      'SELECT spoolroom.record($1, $2, $3, $4, $5, $6, $7, $8)::float8[] AS mine',
      [lease.epoch ?? 0, ...columnsOf(rows), carried.map(({ control }) => control)],
    );
    const mine = new Set(answer?.mine as number[]);
    for (const [job, count] of sent) if (mine.has(job.control)) job.unsaved.splice(0, count);
    return jobs.map(({ control }) => mine.has(control));
  }

  /**
   * What was accepted by a server after the claim had ended is true all the same: it counts while its recipient is open. Returns
   * the addresses of those who were settled meanwhile by somebody else, and have the message twice now.
   */
  async saveLate(job: ClaimedJob): Promise<readonly string[]> {
    // Taken out first: whoever asks meanwhile must not find what is on its way, and take it for a second copy.
    const unsaved = job.unsaved.splice(0);
    const delivered = unsaved.filter(({ status }) => status === 2);
    if (delivered.length === 0) return [];
    try {
      return await this.#deps.database.transaction((statements) =>
        this.#recordLate(statements, job, delivered),
      );
    } catch (error) {
      job.unsaved.unshift(...unsaved);
      throw error;
    }
  }

  async #recordLate(
    statements: Statements,
    job: ClaimedJob,
    delivered: readonly StatusChange[],
  ): Promise<readonly string[]> {
    // Nobody claims it, records, or finishes it meanwhile.
    await statements.query('SELECT FROM spoolroom.message WHERE id = $1 FOR UPDATE', [job.message]);
    const current = await readJob(statements, job.control, this.#deps.options);
    const recipients = current?.recipients ?? [];
    const { nth: nthAt } = linesOf(recipients);
    const open = new Set(
      recipients.flatMap((recipient, index) =>
        isPending(recipient) ? [`${nthAt(index)} ${recipient.address}`] : [],
      ),
    );
    const rows = rowsOf(job, delivered);
    const late = rows.filter(({ nth, address }) => open.has(`${nth} ${address}`));
    if (late.length > 0)
      await statements.query(
        `INSERT INTO spoolroom.outcome AS known (control, address, nth, status, text, at)
          SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::integer[], $4::integer[], $5::bytea[], $6::bigint[])
          ON CONFLICT (control, address, nth)
            DO UPDATE SET status = excluded.status, text = excluded.text, at = excluded.at WHERE known.status = 4`,
        columnsOf(late),
      );
    return rows.filter((row) => !late.includes(row)).map(({ address }) => address);
  }
}

/** A job as it is in the database now, with its outcomes; null: it is gone, or cannot be read. */
async function readJob(
  statements: Statements,
  control: MessageNumber,
  options: ParseOptions,
): Promise<{ readonly recipients: readonly Recipient[] } | null> {
  const [row] = await statements.query(
    `SELECT ${JOB_COLUMNS} FROM spoolroom.job WHERE control = $1 AND message IS NOT NULL`,
    [control],
  );
  const job = row === undefined ? 'gone' : claimedJob(row, options);
  if (typeof job === 'string') return null;
  const known = await statements.query(
    `SELECT ${OUTCOME_COLUMNS} FROM spoolroom.outcome WHERE control = $1`,
    [control],
  );
  applyRows(job, known);
  return currentJob(job);
}

export const OUTCOME_COLUMNS = 'control::float8, address, nth, status, text, at::float8';

/** The outcomes that the database has of a job which was just read. */
export function applyRows(job: ClaimedJob, rows: readonly Row[]): void {
  for (const row of rows) {
    const address = textOf(row.address);
    const index = linesOf(job.base.recipients).index(address, row.nth as number);
    job.changes.push({ index, address, status: row.status as 2 | 4 | 5, text: textOf(row.text) });
    job.now = Math.max(job.now, row.at as number);
  }
}

/** One for each recipient: the most final outcome, or the last. */
export function rowsOf(
  { control, base, now }: ClaimedJob,
  changes: readonly StatusChange[],
): readonly OutcomeRow[] {
  const rows = new Map<string, OutcomeRow>();
  for (const change of changes) {
    const { address, status, text } = change;
    const nth = linesOf(base.recipients).nth(change.index);
    const key = `${nth} ${address}`;
    if ((rows.get(key)?.status ?? 4) === 4)
      rows.set(key, { control, address, nth, status, text: oneField(text), at: now });
  }
  return [...rows.values()];
}

/** The arguments of `unnest`. */
export function columnsOf(rows: readonly OutcomeRow[]): readonly unknown[] {
  return [
    rows.map(({ control }) => control),
    rows.map(({ address }) => bytesOf(address)),
    rows.map(({ nth }) => nth),
    rows.map(({ status }) => status),
    rows.map(({ text }) => bytesOf(text)),
    rows.map(({ at }) => at),
  ];
}
