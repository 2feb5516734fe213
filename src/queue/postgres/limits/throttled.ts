/** What all processes know of hosts that asked us to send less: rows that one of them changes at a time. */
import type { SharedReading, SharedValues } from '../../queue.ts';
import type { Database, Row } from '../database/database.ts';
import type { Notices } from '../database/notices.ts';

const READ = `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now, name, value
  FROM (SELECT) AS once LEFT JOIN spoolroom.throttled ON true`;

/** Of the advisory lock that whoever changes them holds: "slow" in ASCII. */
const LOCK = 0x736c6f77;

export function throttledRows(database: Database, notices: Notices | null): SharedValues {
  return {
    read: async () => readingOf(await database.query(READ)),
    change: (change, wake) =>
      database.transaction(async (statements) => {
        await statements.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
        const found = readingOf(await statements.query(READ));
        const values = new Map(found.values);
        for (const [name, changed] of change(found)) {
          if (changed === null) {
            values.delete(name);
            await statements.query('DELETE FROM spoolroom.throttled WHERE name = $1', [name]);
            continue;
          }
          values.set(name, changed.value);
          await statements.query(
            `INSERT INTO spoolroom.throttled VALUES ($1, to_timestamp($2::float8 / 1000), $3)
              ON CONFLICT (name) DO UPDATE SET until = excluded.until, value = excluded.value`,
            [name, changed.until, textOf(changed.value)],
          );
        }
        if (wake) await statements.query("SELECT pg_notify('spoolroom', 'throttled')");
        return { ...found, values };
      }),
    listen: (changed) => notices?.on('throttled', changed),
  };
}

/** One row without a name where there are none. */
function readingOf(rows: readonly Row[]): SharedReading {
  const named = rows.filter(({ name }) => name !== null);
  return {
    values: new Map(named.map(({ name, value }) => [String(name), value])),
    now: Number(rows[0]?.now),
  };
}

/** What a server said may have any character, and PostgreSQL has none for NUL. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'string' ? each.replaceAll('\0', ' ') : each,
  );
}
