/**
 * Puts a new job into the queue: it is there, with its message, when the one transaction is committed that makes it. Needs no
 * claim: any number of processes may do so at once.
 */
import { newControlText } from '../../delivery-list/generate.ts';
import type { Job, MessageNumber } from '../../delivery-list/job.ts';
import { isPending } from '../../delivery-list/job.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { Clock } from '../../platform/clock.ts';
import { recipientAddress } from '../../routing/address.ts';
import { dsnRequestNote } from '../dsn-request-note.ts';
import type { NewJob, Queue } from '../queue.ts';
import { dropBody, writeBody } from './bodies.ts';
import { bytesOf } from './claims/claimed-job.ts';
import type { Database } from './database/database.ts';
import { Teller } from './database/notices.ts';

/** Numbers that are taken at once; those that are not used are left out. */
const NUMBERS = 32;

export class Numbers {
  readonly #database: Database;
  #left: MessageNumber[] = [];

  constructor(database: Database) {
    this.#database = database;
  }

  /** Ascending, and never used before. */
  async take(): Promise<readonly [MessageNumber, MessageNumber]> {
    const [first, second] = this.#left.splice(0, 2);
    if (first !== undefined && second !== undefined) return [first, second];
    const rows = await this.#database.query(
      "SELECT nextval('spoolroom.number')::float8 AS number FROM generate_series(1, $1)",
      [NUMBERS],
    );
    this.#left.push(...rows.map(({ number }) => number as number));
    return this.take();
  }
}

/** The destination under which a job waits for its turn: that of its first recipient who is still to get the message. */
export function laneOf(addresses: Iterable<ByteString>): string {
  for (const each of addresses) {
    const address = recipientAddress(each);
    if (address.kind === 'address') return address.domain.toLowerCase().replaceAll('\0', '').slice(0, 255);
  }
  return '';
}

export function laneOfJob({ recipients }: Job): string {
  return laneOf(recipients.filter(isPending).map(({ address }) => address));
}

/** @param present Unix seconds that count as the present; null: the database's clock */
export function createEnqueue(
  database: Database,
  clock: Clock,
  present: () => number | null,
): Queue['enqueue'] {
  const numbers = new Numbers(database);
  const teller = new Teller(database, clock);
  return async (payload, job) => {
    if (!job.recipients.some((address) => address !== '')) throw new Error('a new job needs a recipient');
    const [msgid, control] = await numbers.take();
    const body = await writeBody(database, msgid, payload instanceof Uint8Array ? [payload] : payload);
    try {
      await database.query('SELECT spoolroom.enqueue($1, $2, $3, $4, $5, $6, $7, $8)', [
        ...[msgid, body.size, body.bytes, control],
        ...[listOf(job, msgid), laneOf(job.recipients), dsnOf(job), present()],
      ]);
    } catch (error) {
      if (body.bytes === null) await dropBody(database, msgid);
      throw error;
    }
    teller.tell();
    return { payload: msgid, control };
  };
}

function listOf(job: NewJob, msgid: MessageNumber): Buffer {
  return bytesOf(newControlText({ ...job, msgid }));
}

function dsnOf({ dsn }: NewJob): string | null {
  return dsn === undefined ? null : JSON.stringify(dsnRequestNote(dsn));
}
