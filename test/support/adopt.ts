/** Puts messages into a queue in PostgreSQL under numbers of their own, byte for byte, as a spool has them. */
import type { MessageNumber } from '../../src/delivery-list/job.ts';
import { classifyContents } from '../../src/queue/control-message.ts';
import { dsnRequestNote } from '../../src/queue/dsn-request-note.ts';
import type { TakeInDeps } from '../../src/queue/moving/take-in.ts';
import { writeBody } from '../../src/queue/postgres/bodies.ts';
import { dueOf } from '../../src/queue/postgres/claims/fold.ts';
import type { Database } from '../../src/queue/postgres/database/database.ts';
import { laneOfJob } from '../../src/queue/postgres/enqueue.ts';
import type { JobRequest } from '../../src/queue/queue.ts';
import type { DsnRequest } from '../../src/smtp/dsn-request.ts';

type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export async function adoptPayload(database: Database, number: MessageNumber, pieces: Pieces): Promise<void> {
  const { size, bytes } = await writeBody(database, number, pieces);
  await database.transaction(async (statements) => {
    await statements.query(
      'INSERT INTO spoolroom.message (id, size) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET size = excluded.size',
      [number, size],
    );
    if (bytes !== null)
      await statements.query('INSERT INTO spoolroom.chunk VALUES ($1, 0, $2)', [number, bytes]);
  });
}

/** What was asked for about a job elsewhere. */
export interface Adopted {
  readonly request?: JobRequest | null;
  readonly dsn?: DsnRequest | null;
}

/** One that cannot be read is kept as well. */
export async function adoptControl(
  { database, options, schedule, present }: TakeInDeps,
  number: MessageNumber,
  list: Buffer,
  { request = null, dsn = null }: Adopted = {},
): Promise<void> {
  const read = classifyContents(list, true, options);
  const job = read.kind === 'control' ? read.job : null;
  const problem =
    read.kind === 'control' ? null : read.kind === 'unreadable' ? read.reason : 'it is not a delivery list';
  await database.query('SELECT spoolroom.adopt($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
    ...[number, job?.msgid ?? null, list, job === null ? 0 : dueOf(list, options, schedule)],
    ...[job === null ? '' : laneOfJob(job), problem, request],
    ...[dsn === null ? null : JSON.stringify(dsnRequestNote(dsn)), present()],
  ]);
}
