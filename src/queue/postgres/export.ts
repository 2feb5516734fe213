/**
 * What is in the queue at one moment, as Citadel would have it in a spool: payloads, and control messages in the bytes in which they
 * came, or as they would be rewritten where outcomes are not in them yet. Changes nothing, also beside workers.
 */
import { rewrittenText } from '../../delivery-list/apply.ts';
import type { MessageNumber } from '../../delivery-list/job.ts';
import { isPending } from '../../delivery-list/job.ts';
import { wrapControlText } from '../../message/stored.ts';
import type { ControlSettings } from '../control-message.ts';
import type { JobKey } from '../dsn-store.ts';
import type { Carried } from '../moving/carried.ts';
import { currentJob } from '../pending-job.ts';
import { pieces } from './bodies.ts';
import { claimedJob, JOB_COLUMNS, parsing } from './claims/claimed-job.ts';
import { applyRows, OUTCOME_COLUMNS } from './claims/outcomes.ts';
import type { Database, Statements } from './database/database.ts';

export interface ExportedPayload {
  readonly kind: 'payload';
  readonly number: MessageNumber;
  readonly pieces: AsyncIterable<Buffer>;
}

export interface ExportedControl {
  readonly kind: 'control';
  readonly number: MessageNumber;
  readonly list: Buffer;
  /** null: it cannot be read */
  readonly job: ExportedJob | null;
}

/** A job and what is known beside its list. */
export interface ExportedJob extends JobKey, Carried {
  /** whether somebody is still to get the message */
  readonly isPending: boolean;
}

/** Every payload comes before the lists that name it. `take` is done with one before it gets the next. */
export function exportQueue(
  database: Database,
  control: ControlSettings,
  take: (item: ExportedPayload | ExportedControl) => Promise<void>,
): Promise<void> {
  return database.transaction(async (statements) => {
    await statements.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const numbers = (rows: readonly { readonly [name: string]: unknown }[]): readonly number[] =>
      rows.map(({ number }) => number as number);
    const payloads = numbers(
      await statements.query(
        'SELECT id::float8 AS number FROM spoolroom.message WHERE size IS NOT NULL ORDER BY id',
      ),
    );
    for (const number of payloads)
      await take({ kind: 'payload', number, pieces: pieces(statements.query, number) });
    const lists = numbers(
      await statements.query(
        "SELECT control::float8 AS number FROM spoolroom.job WHERE request IS DISTINCT FROM 'remove' ORDER BY control",
      ),
    );
    for (const number of lists) {
      const exported = await controlOf(statements, number, control);
      if (exported !== null) await take(exported);
    }
  });
}

/** Null: every recipient is settled, and the list cannot say so; nobody is to get it again. */
export async function controlOf(
  statements: Statements,
  number: MessageNumber,
  control: ControlSettings,
): Promise<ExportedControl | null> {
  const [row] = await statements.query(`SELECT ${JOB_COLUMNS} FROM spoolroom.job WHERE control = $1`, [
    number,
  ]);
  if (row === undefined) throw new Error(`job ${number} has left a snapshot`);
  const job = claimedJob(row, parsing(control.dialect, control.longestList));
  if (typeof job === 'string') return { kind: 'control', number, list: row.list as Buffer, job: null };
  applyRows(
    job,
    await statements.query(`SELECT ${OUTCOME_COLUMNS} FROM spoolroom.outcome WHERE control = $1`, [number]),
  );
  const current = currentJob(job);
  const isOpen = current.recipients.some(isPending);
  let { list } = job;
  if (job.changes.length > 0) {
    const text = rewrittenText(current, control.dialect, job.now, control.spans);
    if (text === null && !isOpen) return null;
    if (text !== null) list = wrapControlText(text, job.form, list);
  }
  const { msgid, submitted } = current;
  const { dsn, told, firstAttempt } = job;
  const { request, requestedBy } = job.asked;
  const asked = request === undefined || requestedBy === undefined ? null : { what: request, ...requestedBy };
  const carried: Carried = { request: asked, dsn, told, firstAttempt };
  return {
    ...{ kind: 'control', number, list },
    job: { control: number, msgid, submitted, isPending: isOpen, ...carried },
  };
}
