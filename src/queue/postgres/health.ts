/** What an administrator should know of the database and of the processes that share it. Changes nothing. */
import type { Statements } from './database/database.ts';

export interface Health {
  /** of the server, as it calls itself */
  readonly version: string;
  /** settings of the server that could lose what it has acknowledged, with their values */
  readonly unsafe: readonly string[];
  /** standbys that have every commit before it is acknowledged, as PostgreSQL has it; '' without any */
  readonly standbys: string;
  /** seconds that the clock of this machine is ahead of the database's */
  readonly ahead: number;
  /** the processes that deliver, with the end of their leases in seconds from now; negative: it has ended */
  readonly workers: readonly { readonly host: string; readonly pid: number; readonly left: number }[];
  readonly jobs: number;
  /** messages that are claimed, held, and due for longer than a quarter of an hour */
  readonly claimed: number;
  readonly held: number;
  readonly late: number;
  /** dead rows for each row that is alive, in the table where they are most */
  readonly bloat: { readonly table: string; readonly dead: number; readonly alive: number } | null;
}

/** Seconds. */
const LATE = 900;

/** @param now Unix seconds by the clock of this machine */
export async function health(database: Statements, now: () => number): Promise<Health> {
  const before = now();
  const [server] = await database.query(
    `SELECT version() AS version, extract(epoch FROM clock_timestamp())::float8 AS at,
      current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
      current_setting('synchronous_commit') AS synchronous_commit, current_setting('synchronous_standby_names') AS standbys,
      current_setting('autovacuum') AS autovacuum`,
  );
  const between = (before + now()) / 2;
  const [counts] = await database.query(
    `SELECT (SELECT count(*) FROM spoolroom.job WHERE request IS DISTINCT FROM 'remove')::float8 AS jobs,
      count(*) FILTER (WHERE claim IS NOT NULL)::float8 AS claimed,
      count(*) FILTER (WHERE due IS NULL AND claim IS NULL AND size IS NOT NULL)::float8 AS held,
      count(*) FILTER (WHERE claim IS NULL AND due <= extract(epoch FROM clock_timestamp()) - $1
        AND begun < clock_timestamp() - make_interval(secs => $1))::float8 AS late
      FROM spoolroom.message`,
    [LATE],
  );
  const workers = await database.query(
    'SELECT host, pid, extract(epoch FROM lease_until - clock_timestamp())::float8 AS left FROM spoolroom.worker ORDER BY epoch',
  );
  const [bloat] = await database.query(
    `SELECT relname AS table, n_dead_tup::float8 AS dead, n_live_tup::float8 AS alive FROM pg_stat_user_tables
      WHERE schemaname = 'spoolroom' ORDER BY n_dead_tup DESC LIMIT 1`,
  );
  const unsafe = ['fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum'].filter(
    (name) => server?.[name] === 'off',
  );
  return {
    version: /^PostgreSQL [\d.]+/.exec(String(server?.version))?.[0] ?? String(server?.version),
    unsafe: unsafe.map((name) => `${name} = off`),
    standbys: String(server?.standbys),
    ahead: between - Number(server?.at),
    workers: workers.map(({ host, pid, left }) => ({
      host: String(host),
      pid: Number(pid),
      left: Number(left),
    })),
    ...{ jobs: Number(counts?.jobs), claimed: Number(counts?.claimed) },
    ...{ held: Number(counts?.held), late: Number(counts?.late) },
    bloat:
      bloat === undefined
        ? null
        : { table: String(bloat.table), dead: Number(bloat.dead), alive: Number(bloat.alive) },
  };
}
