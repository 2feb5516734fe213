/**
 * What is in the queue at one moment, as Citadel would have it in a spool: payloads, and control messages in the bytes in which they
 * came, or as they would be rewritten where outcomes are not in them yet. Changes nothing, also beside workers.
 */
import { rewrittenText } from '../../delivery-list/apply.ts';
import type { MessageNumber } from '../../delivery-list/job.ts';
import { isPending } from '../../delivery-list/job.ts';
import { wrapControlText } from '../../message/stored.ts';
import type { DsnRequest } from '../../smtp/dsn-request.ts';
import type { ControlSettings } from '../control-message.ts';
import type { Notified } from '../dsn-store.ts';
import { currentJob } from '../pending-job.ts';
import type { QueuedJob } from '../queue.ts';
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
  readonly queued: QueuedJob | null;
  readonly dsn: DsnRequest | null;
  readonly told: readonly Notified[];
  /** Unix seconds */
  readonly firstAttempt: number | null;
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
      await take({ kind: 'payload', number, pieces: piecesOf(statements, number) });
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

async function* piecesOf(statements: Statements, number: MessageNumber): AsyncGenerator<Buffer> {
  for (let seq = 0; ; seq++) {
    const [row] = await statements.query(
      'SELECT bytes FROM spoolroom.chunk WHERE message = $1 AND seq = $2',
      [number, seq],
    );
    if (row === undefined) return;
    yield row.bytes as Buffer;
  }
}

/** Null: every recipient is settled, and the list cannot say so; nobody is to get it again. */
async function controlOf(
  statements: Statements,
  number: MessageNumber,
  control: ControlSettings,
): Promise<ExportedControl | null> {
  const [row] = await statements.query(`SELECT ${JOB_COLUMNS} FROM spoolroom.job WHERE control = $1`, [
    number,
  ]);
  if (row === undefined) throw new Error(`job ${number} has left a snapshot`);
  const job = claimedJob(row, parsing(control.dialect));
  if (typeof job === 'string') {
    const list = row.list as Buffer;
    return { kind: 'control', number, list, queued: null, dsn: null, told: [], firstAttempt: null };
  }
  applyRows(
    job,
    await statements.query(`SELECT ${OUTCOME_COLUMNS} FROM spoolroom.outcome WHERE control = $1`, [number]),
  );
  const current = currentJob(job);
  let { list } = job;
  if (job.changes.length > 0) {
    const text = rewrittenText(current, control.dialect, job.now, control.spans);
    if (text === null && !current.recipients.some(isPending)) return null;
    if (text !== null) list = wrapControlText(text, job.form, list);
  }
  const queued = { control: number, job: current, warnings: job.warnings, ...job.asked };
  const { dsn, told, firstAttempt } = job;
  return { kind: 'control', number, list, queued, dsn, told, firstAttempt };
}
