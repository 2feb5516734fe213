/** The bytes of messages: in pieces, so that the largest one costs no memory. */
import type { MessageNumber } from '../../delivery-list/job.ts';
import { inMemory, MAX_HEADER, storedControl } from '../../message/stored.ts';
import { isOperationalError, UnavailableError } from '../../platform/system-errors.ts';
import { InvalidMessage, type PayloadResult } from '../queue.ts';
import type { Database, Statements } from './database/database.ts';

/** Bytes of a piece. Up to so many a message is written with its job and handed out whole. */
export const PIECE = 262_144;

/** Bytes of a large message that are read at once. */
const PART = 32_768;

type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** A message on its way into the queue. */
export interface WrittenBody {
  readonly size: number;
  /** all of it; null: its pieces are in the database */
  readonly bytes: Buffer | null;
}

/**
 * Writes the pieces of a large message, each in a transaction of its own; the message becomes one with its job. Rejects with
 * `InvalidMessage` when it is a delivery list, and leaves nothing behind then.
 */
export async function writeBody(
  database: Database,
  number: MessageNumber,
  given: Pieces,
): Promise<WrittenBody> {
  let size = 0;
  let seq = 0;
  try {
    for await (const { piece, isLast } of inPieces(given)) {
      size += piece.length;
      if (seq === 0 && storedControl(piece.subarray(0, MAX_HEADER)) !== null) throw new InvalidMessage();
      if (seq === 0 && isLast) return { size, bytes: piece };
      if (seq === 0) await database.query('INSERT INTO spoolroom.message (id) VALUES ($1)', [number]);
      await writePiece(database, number, seq++, piece);
    }
    return { size, bytes: null };
  } catch (error) {
    if (seq > 0) await dropBody(database, number);
    throw error;
  }
}

/** Writes all of it. Returns its size. */
export async function writePieces(
  statements: Statements,
  number: MessageNumber,
  given: Pieces,
): Promise<number> {
  let size = 0;
  let seq = 0;
  for await (const { piece } of inPieces(given)) {
    size += piece.length;
    await writePiece(statements, number, seq++, piece);
  }
  return size;
}

async function writePiece(
  statements: Statements,
  number: MessageNumber,
  seq: number,
  piece: Buffer,
): Promise<void> {
  await statements.query('INSERT INTO spoolroom.chunk VALUES ($1, $2, $3)', [number, seq, piece]);
}

/** One buffer for all of them: each is in the database before the next one is put there. The last one may be empty. */
async function* inPieces(
  given: Pieces,
): AsyncGenerator<{ readonly piece: Buffer; readonly isLast: boolean }> {
  const piece = Buffer.allocUnsafe(PIECE);
  let length = 0;
  let passed: ((bytes: number) => void) | null = null;
  for await (const bytes of given) {
    for (let rest = bytes; rest.length > 0; ) {
      if (length === PIECE) {
        passed ??= await large();
        yield { piece, isLast: false };
        length = 0;
        passed(PIECE);
      }
      const part = rest.subarray(0, PIECE - length);
      piece.set(part, length);
      length += part.length;
      rest = rest.subarray(part.length);
    }
  }
  yield { piece: piece.subarray(0, length), isLast: true };
}

/** Loaded for large messages only. */
async function large(): Promise<(bytes: number) => void> {
  const { largeMessage } = await import('../../platform/tune-v8.ts');
  return largeMessage();
}

/** Of a message that has no job. What cannot be dropped now is dropped a day later. */
export async function dropBody(database: Database, number: MessageNumber): Promise<void> {
  try {
    await database.query('DELETE FROM spoolroom.message WHERE id = $1 AND size IS NULL', [number]);
  } catch (error) {
    if (!isOperationalError(error)) throw error;
  }
}

export async function readBody(database: Database, number: MessageNumber): Promise<PayloadResult> {
  try {
    return await read(database, number);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    return { kind: 'unavailable', reason: error.message };
  }
}

async function read(database: Database, number: MessageNumber): Promise<PayloadResult> {
  const [found] = await database.repeatable(
    `SELECT message.size::float8 AS size, bytes, EXISTS (SELECT FROM spoolroom.job WHERE control = $1) AS is_list
      FROM (SELECT $1::bigint AS id) AS wanted
      LEFT JOIN spoolroom.message ON message.id = wanted.id
      LEFT JOIN spoolroom.chunk ON chunk.message = wanted.id AND seq = 0 AND size IS NOT NULL`,
    [number],
  );
  const unreadable = (why: string): PayloadResult => ({
    kind: 'unreadable',
    reason: `the message ${number} in the queue cannot be read: ${why}`,
  });
  if (found?.is_list === true) return unreadable('it is a delivery list, not a message');
  if (found === undefined || found.size === null)
    return { kind: 'missing', reason: `the message ${number} is not in the queue any more` };
  const size = found.size as number;
  const first = found.bytes as Buffer | null;
  if (size === 0) return { kind: 'empty', reason: `the message ${number} in the queue is empty` };
  if (first === null) return unreadable('its first piece is not there');
  if (storedControl(first.subarray(0, MAX_HEADER)) !== null)
    return unreadable('it is a delivery list, not a message');
  if (first.length === size) return { kind: 'found', message: inMemory(first) };
  return {
    kind: 'found',
    message: {
      size,
      bytes: null,
      stream: () => pieces((text, values) => database.repeatable(text, values), number),
    },
  };
}

/** In parts, because a piece comes as text of twice its length, and V8 keeps what is longer than this for long. */
export async function* pieces(query: Statements['query'], number: MessageNumber): AsyncGenerator<Buffer> {
  let passed: ((bytes: number) => void) | null = null;
  for (let seq = 0, from = 0; ; ) {
    const [row] = await query(
      'SELECT substring(bytes FROM $3 FOR $4) AS part FROM spoolroom.chunk WHERE message = $1 AND seq = $2',
      [number, seq, from + 1, PART],
    );
    if (row === undefined) return;
    const part = row.part as Buffer;
    if (part.length > 0) yield part;
    from += part.length;
    if (part.length < PART || from === PIECE) {
      passed ??= await large();
      passed(from);
      seq++;
      from = 0;
    }
  }
}
