/**
 * The history of a queue in PostgreSQL, of all machines that share it. Records go there in batches, beside deliveries and never
 * before them; while the database is away they wait in memory, as many as fit. Old ones are removed by the same limits as files.
 */

import type { Clock } from '../platform/clock.ts';
import { isOperationalError } from '../platform/system-errors.ts';
import type { Database, Row } from '../queue/postgres/database/database.ts';
import type { Counts, RecentCounts } from './counts.ts';
import { dayOf } from './files.ts';
import { type HistoryRecord, parseRecord } from './record.ts';
import { type Found, type HistoryQuery, inStories, keyOf, needleText } from './search.ts';
import type { HistoryLimits } from './writer.ts';

export interface SharedHistoryDeps {
  readonly database: Database;
  readonly limits: HistoryLimits;
  readonly clock: Clock;
  /** name of this machine */
  readonly machine: string;
}

/** Lines that wait, at most; older ones are dropped. */
const MOST_WAITING = 20_000;
/** Lines of one statement, and rows that are read at once. */
const BATCH = 1000;
/** Milliseconds between two sweeps. */
const SWEEP_INTERVAL = 600_000;

export class SharedHistory {
  readonly #deps: SharedHistoryDeps;
  #waiting: string[] = [];
  #writing: Promise<void> | null = null;
  #lastSweep = Number.NEGATIVE_INFINITY;

  constructor(deps: SharedHistoryDeps) {
    this.#deps = deps;
  }

  /** @param failed is told why lines could not be written now; they are tried again with the next ones */
  append(lines: readonly string[], failed: (error: unknown) => void): void {
    this.#waiting.push(...lines);
    this.#waiting.splice(0, this.#waiting.length - MOST_WAITING);
    this.#writing ??= this.#write(failed).finally(() => {
      this.#writing = null;
    });
  }

  /** Resolves when what was appended is there, or could not be written. */
  async settle(): Promise<void> {
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.settle();
    await this.#deps.database.close();
  }

  async #write(failed: (error: unknown) => void): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting.splice(0, BATCH);
      try {
        await this.#insert(lines);
        await this.#sweep();
      } catch (error) {
        if (!isOperationalError(error)) throw error;
        this.#waiting.unshift(...lines);
        failed(error);
        return;
      }
    }
  }

  async #insert(lines: readonly string[]): Promise<void> {
    const { database, machine } = this.#deps;
    const records = lines.flatMap((line) => {
      const record = parseRecord(line);
      return record === null ? [] : [{ line: line.trimEnd(), ...record }];
    });
    const column = (of: (record: HistoryRecord & { readonly line: string }) => unknown): readonly unknown[] =>
      records.map(of);
    await database.query(
      `INSERT INTO spoolroom.history (machine, at, event, job, mail, recipients, line)
        SELECT $1, * FROM unnest($2::timestamptz[], $3::text[], $4::bigint[], $5::bigint[], $6::integer[], $7::text[])`,
      [
        machine,
        ...[column(({ at }) => at), column(({ event }) => event), column(({ job }) => job)],
        ...[column(({ mail }) => mail), column(({ recipients }) => recipients.length)],
        column(({ line }) => line),
      ],
    );
  }

  /** The size is reckoned from that of the latest rows: to add up all of them would take long. */
  async #sweep(): Promise<void> {
    const { database, limits, clock } = this.#deps;
    if (Math.abs(clock.now() - this.#lastSweep) < SWEEP_INTERVAL) return;
    this.#lastSweep = clock.now();
    const first = new Date(Math.max(0, clock.now() - limits.age)).toISOString();
    await database.query('DELETE FROM spoolroom.history WHERE at < $1', [first]);
    await database.query(
      `DELETE FROM spoolroom.history WHERE id <= (SELECT max(id) FROM spoolroom.history) - (
        SELECT ceil($1::float8 / greatest(1, avg(octet_length(line))))
          FROM (SELECT line FROM spoolroom.history ORDER BY id DESC LIMIT 1000) AS latest)`,
      [limits.size],
    );
  }
}

/** What is in it, for whoever asks. */
export class SharedHistoryReader {
  readonly #database: Pick<Database, 'query' | 'close'>;

  constructor(database: Pick<Database, 'query' | 'close'>) {
    this.#database = database;
  }

  /** As `searchHistory` in files. */
  async search(query: HistoryQuery): Promise<Found> {
    const { limit, skip = 0 } = query;
    const most = limit + skip;
    const keys = new Map<string, number>();
    let more = false;
    for await (const records of this.#matching(query)) {
      for (const record of records) {
        const key = keyOf(record);
        if (keys.has(key)) continue;
        if (keys.size >= most) more = true;
        else keys.set(key, record.mail);
      }
      if (more) break;
    }
    const wanted = new Map([...keys].slice(skip));
    const rows = await this.#database.query(
      'SELECT machine, line FROM spoolroom.history WHERE mail = ANY ($1) ORDER BY at, id',
      [[...new Set(wanted.values())]],
    );
    const records = recordsIn(rows).filter((record) => wanted.has(keyOf(record)));
    return { stories: inStories(records), more };
  }

  /** Latest first. */
  async *#matching({ needles = [], number, since, until, matches }: HistoryQuery) {
    const from = Number.isFinite(since) ? new Date(since).toISOString() : '-infinity';
    let before = Number.isFinite(until) ? new Date(until).toISOString() : 'infinity';
    let below = '0';
    const wanted = needles.map((needle) => needleText(needle).toLowerCase());
    for (;;) {
      const rows = await this.#database.query(
        `SELECT id::text, at::text, machine, line FROM spoolroom.history
          WHERE at >= $1 AND (at, id) < ($2, $3::bigint) AND ($4::bigint IS NULL OR job = $4 OR mail = $4)
            AND NOT EXISTS (SELECT FROM unnest($5::text[]) AS needle WHERE strpos(lower(line COLLATE "C"), needle) = 0)
          ORDER BY at DESC, id DESC LIMIT $6`,
        [from, before, below, number ?? null, wanted, BATCH],
      );
      yield recordsIn(rows).filter(matches);
      const last = rows.at(-1);
      if (rows.length < BATCH || last === undefined) return;
      [before, below] = [String(last.at), String(last.id)];
    }
  }

  /** The first day of which something is kept; null: nothing is. */
  async since(): Promise<string | null> {
    const [row] = await this.#database.query('SELECT min(at) AS at FROM spoolroom.history');
    return row?.at instanceof Date ? dayOf(row.at.getTime()) : null;
  }

  /** @param now milliseconds since the epoch */
  async counts(now: number): Promise<RecentCounts> {
    const midnight = new Date(`${dayOf(now)}T00:00:00Z`);
    const hour = new Date(now - 3_600_000);
    const rows = await this.#database.query(
      `SELECT event, coalesce(sum(recipients) FILTER (WHERE at >= $1), 0)::float8 AS today,
        coalesce(sum(recipients) FILTER (WHERE at >= $2), 0)::float8 AS hour
        FROM spoolroom.history WHERE at >= least($1, $2) GROUP BY event`,
      [midnight, hour],
    );
    const counted = (column: 'today' | 'hour'): Counts =>
      Object.fromEntries(rows.map((row) => [String(row.event), Number(row[column])]));
    return { today: counted('today'), lastHour: counted('hour') };
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

function recordsIn(rows: readonly Row[]): readonly HistoryRecord[] {
  return rows.flatMap(({ machine, line }) => {
    const record = parseRecord(String(line));
    return record === null ? [] : [{ ...record, machine: String(machine) }];
  });
}
