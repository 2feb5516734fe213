/** What an administrator should know of the database and of the processes that share it. Changes nothing. */
import type { Statements } from './database/database.ts';

export interface Health {
  /** of the server, as it calls itself */
  readonly version: string;
  /** settings of the server that could lose what it has acknowledged, with their values */
  readonly unsafe: readonly string[];
  /** of the tables */
  readonly schema: number;
  /** standbys that have every commit before it is acknowledged, as PostgreSQL has it; '' without any */
  readonly standbys: string;
  /** those that are connected, and how they are; state and sync are null where this user may not see that */
  readonly replicas: readonly Replica[];
  /** seconds that the clock of this machine is ahead of the database's */
  readonly ahead: number;
  /** the processes that deliver, with the end of their leases in seconds from now; negative: it has ended */
  readonly workers: readonly Worker[];
  readonly jobs: number;
  /** messages that are claimed, held, and due for longer than a quarter of an hour */
  readonly claimed: number;
  readonly held: number;
  readonly late: number;
  /** seconds for which the claimed message that has waited longest has been due; null: none is claimed */
  readonly oldestClaim: number | null;
  /** dead rows for each row that is alive, in the table where they are most */
  readonly bloat: {
    readonly table: string;
    readonly dead: number;
    readonly alive: number;
    /** seconds since it was cleaned up; null: it never was */
    readonly vacuumed: number | null;
  } | null;
  /** the longest open transaction in this database, which keeps dead rows from being removed */
  readonly transaction: { readonly pid: number; readonly program: string; readonly age: number } | null;
}

export interface Worker {
  readonly host: string;
  readonly pid: number;
  readonly left: number;
  /** messages that it has claimed */
  readonly messages: number;
}

export interface Replica {
  readonly name: string;
  /** `streaming`, `catchup` and others */
  readonly state: string | null;
  /** `sync`, `quorum`, `potential`, `async` */
  readonly sync: string | null;
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
  // When a message was claimed is not written down; since when it was due is.
  const [claims] = await database.query(
    `SELECT max(extract(epoch FROM clock_timestamp() - greatest(begun, to_timestamp(due))))::float8 AS age
      FROM spoolroom.message WHERE claim IS NOT NULL`,
  );
  const workers = await database.query(
    `SELECT host, pid, extract(epoch FROM lease_until - clock_timestamp())::float8 AS left,
      (SELECT count(*) FROM spoolroom.message WHERE claim = epoch)::float8 AS messages FROM spoolroom.worker ORDER BY epoch`,
  );
  const replicas = await database.query(
    'SELECT application_name AS name, state, sync_state AS sync FROM pg_stat_replication ORDER BY sync_priority, 1',
  );
  const [version] = await database.query('SELECT version FROM spoolroom.version');
  const [bloat] = await database.query(
    `SELECT relname AS table, n_dead_tup::float8 AS dead, n_live_tup::float8 AS alive,
      extract(epoch FROM now() - greatest(last_vacuum, last_autovacuum))::float8 AS vacuumed FROM pg_stat_user_tables
      WHERE schemaname = 'spoolroom' ORDER BY n_dead_tup DESC LIMIT 1`,
  );
  const [transaction] = await database.query(
    `SELECT pid, application_name AS program, extract(epoch FROM now() - xact_start)::float8 AS age FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL ORDER BY xact_start LIMIT 1`,
  );
  const unsafe = ['fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum'].filter(
    (name) => server?.[name] === 'off',
  );
  return {
    version: /^PostgreSQL [\d.]+/.exec(String(server?.version))?.[0] ?? String(server?.version),
    unsafe: unsafe.map((name) => `${name} = off`),
    standbys: String(server?.standbys),
    ahead: between - Number(server?.at),
    schema: Number(version?.version),
    replicas: replicas.map(({ name, state, sync }) => ({
      name: String(name),
      state: state as string | null,
      sync: sync as string | null,
    })),
    workers: workers.map(({ host, pid, left, messages }) => ({
      host: String(host),
      ...{ pid: Number(pid), left: Number(left), messages: Number(messages) },
    })),
    oldestClaim: claims?.age as number | null,
    transaction:
      transaction === undefined
        ? null
        : {
            pid: Number(transaction.pid),
            program: String(transaction.program),
            age: Number(transaction.age),
          },
    ...{ jobs: Number(counts?.jobs), claimed: Number(counts?.claimed) },
    ...{ held: Number(counts?.held), late: Number(counts?.late) },
    bloat:
      bloat === undefined
        ? null
        : {
            table: String(bloat.table),
            dead: Number(bloat.dead),
            alive: Number(bloat.alive),
            vacuumed: bloat.vacuumed as number | null,
          },
  };
}
