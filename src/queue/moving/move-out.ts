/**
 * Moves the jobs of a queue in PostgreSQL into a spool, message by message. It claims them as a process that delivers does, so
 * nobody else delivers them meanwhile. A message is the database's until one transaction removes it there and leaves a mark that says
 * so, and the spool's from then on: whoever begins again after an interruption completes what has its mark, and drops what has none.
 */
import { hostname } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import type { MessageNumber } from '../../delivery-list/job.ts';
import { QueueError } from '../../platform/system-errors.ts';
import type { ControlSettings } from '../control-message.ts';
import { pieces } from '../postgres/bodies.ts';
import { Lease } from '../postgres/claims/lease.ts';
import type { Database, Row, Statements } from '../postgres/database/database.ts';
import { controlOf } from '../postgres/export.ts';
import { Unreadable } from '../postgres/unreadable.ts';
import type { SpoolDeps } from '../spool/open.ts';
import { type MovingControl, StagedMessages } from './staged.ts';

export interface MoveOutDeps extends SpoolDeps {
  readonly database: Pick<Database, 'name' | 'query' | 'repeatable' | 'transaction'>;
  readonly control: ControlSettings;
  /** of the spool; its lock is held */
  readonly id: string;
}

export interface MovedOut {
  /** jobs */
  readonly moved: number;
  /** jobs that other processes deliver at the moment */
  readonly claimed: number;
  /** jobs in which nobody is pending, or whose message is missing or cut off: they stay */
  readonly over: number;
  /** control messages that cannot be read, and messages that no job names */
  readonly others: number;
}

/** Messages that are claimed at once. */
const BATCH = 100;
/** As many as the database has connections for. */
const AT_ONCE = 4;
/** Milliseconds. */
const LEASE = 60_000;

/** Until a look at the database finds nothing to move: others may put mail there meanwhile. */
export async function moveOut(spool: string, deps: MoveOutDeps): Promise<MovedOut> {
  const { database, clock, processes, id } = deps;
  const staged = new StagedMessages(spool, deps);
  const source = `to ${id}`;
  await complete(staged, source, deps);
  const { pid, boot } = processes.self;
  const worker = { name: id, boot: boot ?? '', host: hostname(), pid };
  const lease = new Lease({ database, clock, worker, length: LEASE, present: () => null });
  let moved = 0;
  try {
    for (let before = -1; moved > before; ) {
      before = moved;
      for (let after = -1; ; ) {
        const messages = await claim(database, lease, after);
        moved += await moveEach(messages, { ...deps, staged, source, lease });
        if (messages.length < BATCH) break;
        after = messages.at(-1) ?? after;
      }
    }
  } finally {
    lease.stop();
    if (lease.epoch !== null) await database.query('SELECT spoolroom.end_workers($1, NULL)', [[lease.epoch]]);
  }
  await database.query('DELETE FROM spoolroom.moved WHERE source = $1', [source]);
  return { moved, ...(await left(database)) };
}

/** What an interrupted move had begun. Only the database from which it came can say what has become of it. */
async function complete(staged: StagedMessages, source: string, { database }: MoveOutDeps): Promise<void> {
  const [row] = await database.query(
    `SELECT system_identifier::text || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) AS identity
      FROM pg_control_system()`,
  );
  const identity = String(row?.identity);
  const { numbers } = staged;
  if (numbers.length > 0 && staged.database !== identity)
    throw new QueueError(
      `An earlier move into this spool was interrupted, and came from another database than ${database.name}. Nothing was done: name the ` +
        'one from which it came, so that it can be completed.',
    );
  await staged.nameDatabase(identity);
  const rows = await database.query(
    'SELECT control::float8 AS message FROM spoolroom.moved WHERE source = $1',
    [source],
  );
  const marked = new Set(rows.map(({ message }) => message));
  for (const message of numbers)
    await (marked.has(message) ? staged.publish(message) : staged.discard(message));
  await database.query('DELETE FROM spoolroom.moved WHERE source = $1', [source]);
}

/** The next ones by number that are nobody's, whatever their time says, and held ones too. */
async function claim(
  database: MoveOutDeps['database'],
  lease: Lease,
  after: MessageNumber,
): Promise<readonly MessageNumber[]> {
  const epoch = await lease.hold();
  await database.query('SELECT spoolroom.reap(NULL)');
  const rows = await database.transaction(async (statements) => {
    const [alive] = await statements.query(
      'SELECT epoch FROM spoolroom.worker WHERE epoch = $1 AND lease_until > clock_timestamp() FOR SHARE',
      [epoch],
    );
    if (alive === undefined) throw leaseEnded(database.name);
    return statements.query(
      `WITH found AS (
        SELECT id FROM spoolroom.message WHERE claim IS NULL AND size IS NOT NULL AND id > $2
          AND EXISTS (SELECT FROM spoolroom.job WHERE message = id AND request IS DISTINCT FROM 'remove')
          ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
      )
      UPDATE spoolroom.message SET claim = $1 FROM found WHERE message.id = found.id RETURNING message.id::float8`,
      [epoch, after, BATCH],
    );
  });
  return rows.map(({ id }) => id as number).sort((a, b) => a - b);
}

function leaseEnded(name: string): QueueError {
  return new QueueError(
    `The lease of this process on what it had claimed in ${name} has ended. What is moved is moved; begin again for the rest.`,
  );
}

interface MoveOneDeps extends MoveOutDeps {
  readonly staged: StagedMessages;
  readonly source: string;
  readonly lease: Lease;
}

/** Several at a time, because each of them waits for the disk and the database most of its time. Returns how many jobs are moved. */
async function moveEach(messages: readonly MessageNumber[], deps: MoveOneDeps): Promise<number> {
  const left = messages.values();
  let moved = 0;
  const work = Array.from({ length: AT_ONCE }, async () => {
    for (const message of left) {
      const jobs = await moveOne(message, deps);
      moved += jobs;
    }
  });
  // Nobody works on the spool any more when its lock is given back.
  const failed = (await Promise.allSettled(work)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
  return moved;
}

/** Returns how many jobs are moved. Where somebody changed something meanwhile, it is nothing, and a later look finds it again. */
async function moveOne(message: MessageNumber, deps: MoveOneDeps): Promise<number> {
  const { database, staged, source, lease } = deps;
  const read = await database.transaction((statements) => readMessage(statements, message, deps));
  const { controls, size } = read;
  if (!controls.some(({ job }) => job.isPending)) return 0;
  const bytes = pieces((...query) => database.repeatable(...query), message);
  try {
    await staged.stage(message, whole(bytes, size), controls);
  } catch (error) {
    if (!(error instanceof CutOff)) throw error;
    await staged.discard(message);
    return 0;
  }
  const isOurs = await database.transaction(async (statements) => {
    const mine = await statements.query(
      'SELECT id FROM spoolroom.message WHERE id = $1 AND claim = $2 FOR UPDATE',
      [message, lease.epoch ?? 0],
    );
    const now = await readMessage(statements, message, deps);
    if (mine.length === 0 || !isDeepStrictEqual(now, read)) return false;
    await statements.query(
      "INSERT INTO spoolroom.moved (source, control, content, payload) VALUES ($1, $2, '', $2)",
      [source, message],
    );
    await statements.query('DELETE FROM spoolroom.job WHERE control = ANY ($1)', [
      controls.map(({ number }) => number),
    ]);
    await statements.query(
      'DELETE FROM spoolroom.message WHERE id = $1 AND NOT EXISTS (SELECT FROM spoolroom.job WHERE message = $1)',
      [message],
    );
    return true;
  });
  if (!isOurs) {
    await staged.discard(message);
    return 0;
  }
  await staged.publish(message);
  return controls.length;
}

interface MovingMessage {
  readonly size: number;
  readonly controls: readonly MovingControl[];
}

/** A job whose outcomes its list cannot say stays; so does one that was removed. */
async function readMessage(
  statements: Statements,
  message: MessageNumber,
  { control }: MoveOutDeps,
): Promise<MovingMessage> {
  const rows = await statements.query(
    `SELECT control::float8, (SELECT size::float8 FROM spoolroom.message WHERE id = $1) AS size FROM spoolroom.job
      WHERE message = $1 AND request IS DISTINCT FROM 'remove' ORDER BY control FOR UPDATE`,
    [message],
  );
  const controls: MovingControl[] = [];
  for (const row of rows) {
    const exported = await controlOf(statements, row.control as number, control);
    if (exported !== null && exported.job !== null) controls.push({ ...exported, job: exported.job });
  }
  return { size: Number(rows[0]?.size ?? 0), controls };
}

/** Pieces of it are not in the database: an administrator is to look at it before it leaves. */
class CutOff extends Error {}

async function* whole(bytes: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let length = 0;
  for await (const piece of bytes) {
    length += piece.length;
    yield piece;
  }
  if (length !== size) throw new CutOff();
}

async function left(database: MoveOutDeps['database']): Promise<Omit<MovedOut, 'moved'>> {
  const [row]: readonly Row[] = await database.query(
    `SELECT count(*) FILTER (WHERE claim IS NOT NULL)::float8 AS claimed, count(*) FILTER (WHERE claim IS NULL)::float8 AS over
      FROM spoolroom.job JOIN spoolroom.message ON message.id = job.message WHERE request IS DISTINCT FROM 'remove'`,
  );
  const unreadable = new Unreadable(database);
  const others = (await unreadable.all()).length + (await unreadable.orphans()).length;
  return { claimed: Number(row?.claimed), over: Number(row?.over), others };
}
