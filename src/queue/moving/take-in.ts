/**
 * Takes a message with all its jobs out of another queue: in one transaction, with a mark that says so, under new numbers. A second
 * attempt finds the mark and takes nothing.
 */
import { createHash } from 'node:crypto';
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { ParseOptions } from '../../delivery-list/parse.ts';
import { controlTextOf } from '../../message/stored.ts';
import type { DsnRequest } from '../../smtp/dsn-request.ts';
import { dsnRequestNote } from '../dsn-request-note.ts';
import type { Notified } from '../dsn-store.ts';
import { writePieces } from '../postgres/bodies.ts';
import { bytesOf, textOf } from '../postgres/claims/claimed-job.ts';
import { dueOf } from '../postgres/claims/fold.ts';
import type { Database, Statements } from '../postgres/database/database.ts';
import { laneOfJob } from '../postgres/enqueue.ts';
import type { QueuedJob } from '../queue.ts';
import type { Schedule } from '../schedule.ts';

export interface TakeInDeps {
  readonly database: Database;
  readonly options: ParseOptions;
  readonly schedule: Schedule;
  /** Unix seconds that count as the present; null: the database's clock */
  readonly present: () => number | null;
}

export interface TakenJob {
  readonly queued: QueuedJob;
  /** its control message as stored */
  readonly list: Buffer;
  readonly dsn: DsnRequest | null;
  readonly told: readonly Notified[];
  /** Unix seconds */
  readonly firstAttempt: number | null;
}

export interface TakenMessage {
  /** id of the queue where it was */
  readonly source: string;
  readonly jobs: readonly TakenJob[];
  /** what tells the payload from another one that had its number; null: it is missing */
  readonly payload: string | null;
  /** of the payload, where it is not missing */
  pieces(): AsyncIterable<Uint8Array>;
}

/** Returns how many jobs were taken in: those that were so before are left out. */
export function takeIn(deps: TakeInDeps, message: TakenMessage): Promise<number> {
  return deps.database.transaction(async (statements) => {
    const jobs: TakenJob[] = [];
    for (const job of message.jobs) if (await mark(statements, message, job)) jobs.push(job);
    const [first] = jobs;
    if (first === undefined) return 0;
    const msgid = await nextNumber(statements);
    await statements.query('INSERT INTO spoolroom.message (id) VALUES ($1)', [msgid]);
    if (message.payload !== null) {
      const size = await writePieces(statements, msgid, message.pieces());
      await statements.query('UPDATE spoolroom.message SET size = $2 WHERE id = $1', [msgid, size]);
    }
    for (const job of jobs) await writeJob(statements, deps, msgid, job);
    await statements.query('UPDATE spoolroom.message SET lane = $2 WHERE id = $1', [
      ...[msgid, laneOfJob(first.queued.job)],
    ]);
    await statements.query('SELECT spoolroom.put_back($1, $2)', [[msgid], deps.present()]);
    return jobs.length;
  });
}

/** False: it has its mark. Another list that has its number now is another job. */
async function mark(
  statements: Statements,
  { source, payload }: TakenMessage,
  { queued, list }: TakenJob,
): Promise<boolean> {
  const content = createHash('md5').update(list).update(String(payload)).digest('hex');
  const marked = await statements.query(
    `INSERT INTO spoolroom.moved (source, control, content, payload, fingerprint) VALUES ($1, $2, $3, $4, $5)
      ON CONFLICT DO NOTHING RETURNING control`,
    [source, queued.control, content, queued.job.msgid, payload],
  );
  return marked.length > 0;
}

/** The payloads of what was taken in, with what tells each from another one that has its number. */
export async function movedPayloads(
  statements: Statements,
  source: string,
): Promise<readonly { readonly number: MessageNumber; readonly fingerprint: string | null }[]> {
  const rows = await statements.query(
    'SELECT DISTINCT payload::float8 AS number, fingerprint FROM spoolroom.moved WHERE source = $1',
    [source],
  );
  return rows.map(({ number, fingerprint }) => ({
    number: number as number,
    fingerprint: fingerprint as string | null,
  }));
}

/** Where it was nothing is left of it, durably: the marks are not needed any more. */
export async function forgetMoved(statements: Statements, source: string): Promise<void> {
  await statements.query('DELETE FROM spoolroom.moved WHERE source = $1', [source]);
}

async function nextNumber(statements: Statements): Promise<MessageNumber> {
  const [row] = await statements.query("SELECT nextval('spoolroom.number')::float8 AS number");
  return row?.number as MessageNumber;
}

async function writeJob(
  statements: Statements,
  { options, schedule }: TakeInDeps,
  msgid: MessageNumber,
  { queued: { request, requestedBy }, list, dsn, told, firstAttempt }: TakenJob,
): Promise<void> {
  const own = withMsgid(list, msgid);
  await statements.query(
    `INSERT INTO spoolroom.job (control, message, list, due, request, asked_by, asked_at, dsn, told, first_attempt)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      ...[await nextNumber(statements), msgid, own, dueOf(own, options, schedule)],
      ...[request ?? null, requestedBy?.by ?? null, requestedBy?.at ?? null],
      ...[dsn === null ? null : JSON.stringify(dsnRequestNote(dsn)), JSON.stringify(told), firstAttempt],
    ],
  );
}

/** The same control message for a payload that has another number now: all other bytes stay. */
export function withMsgid(list: Buffer, msgid: MessageNumber): Buffer {
  const whole = textOf(list);
  const text = controlTextOf(list) ?? '';
  const at = whole.lastIndexOf(text);
  const renamed = text.replace(/(^|\n)(msgid\|)[^\r\n]*/gi, `$1$2${msgid}`);
  return bytesOf(whole.slice(0, at) + renamed + whole.slice(at + text.length));
}
