/**
 * Makes the tables, or brings them from an older version to ours. All in one transaction, and by one process at a time: the
 * others wait for it. Programs of an older version go on with tables that say that they may; a program refuses tables that are
 * older than its own, or too new for it, and says what to do.
 */
import { QueueError } from '../../../platform/system-errors.ts';
import type { Database, Statements } from '../database/database.ts';
import { SCHEMA, type Schema } from './schema.ts';

export interface Migration {
  /** versions; 0: there were no tables */
  readonly from: number;
  readonly to: number;
}

interface Found {
  /** 0: there are no tables */
  readonly version: number;
  /** version of the oldest program that may work with them */
  readonly oldest: number;
}

/** From this version on the tables say so. */
const SAYS_OLDEST = 4;

/** Of the advisory lock that one migration holds: "spool" in ASCII. */
const LOCK = 0x73706f6f6c;

/** How long a table that others use is waited for: whoever comes meanwhile waits behind this one. */
const PATIENCE = '3s';
const LOCK_NOT_AVAILABLE = '55P03';

/** Rejects with a `QueueError` where it cannot be done now, and has done nothing then. */
export async function migrate(
  database: Database,
  schema: Schema = SCHEMA,
  patience = PATIENCE,
): Promise<Migration> {
  try {
    return await database.transaction((statements) =>
      bringTo({ ...schema, patience, name: database.name }, statements),
    );
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== LOCK_NOT_AVAILABLE) throw error;
    throw new QueueError(
      `The tables in ${database.name} are in use for longer than ${patience}, as by a backup. Nothing was done, and deliveries go on. ` +
        'Try again when that has ended.',
      { cause: error },
    );
  }
}

interface Target extends Schema {
  readonly name: string;
  readonly patience: string;
}

async function bringTo(
  { versions, oldest, name, patience }: Target,
  statements: Statements,
): Promise<Migration> {
  const to = versions.length;
  await statements.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
  const found = await schemaIn(statements);
  const from = found.version;
  if (from > to && found.oldest > to) throw new QueueError(tooNew(name, found, to));
  if (from >= to) return { from, to: from };
  if (from === 0) {
    await statements.query('CREATE SCHEMA spoolroom');
    await statements.query('CREATE TABLE spoolroom.version (version integer NOT NULL)');
    await statements.query('INSERT INTO spoolroom.version VALUES (0)');
  } else if (oldest > from) await refuseWhileAlive(statements, name, from);
  await statements.query(`SET LOCAL lock_timeout = '${patience}'`);
  for (const version of versions.slice(from)) await statements.query(version);
  await statements.query('UPDATE spoolroom.version SET version = $1', [to]);
  if (to >= SAYS_OLDEST) await statements.query('UPDATE spoolroom.version SET oldest = $1', [oldest]);
  return { from, to };
}

/** Processes of a version that does not know the new tables must not be at work. */
async function refuseWhileAlive(statements: Statements, name: string, from: number): Promise<void> {
  const alive = await statements.query(
    "SELECT DISTINCT format('process %s on %s', pid, host) AS who FROM spoolroom.worker WHERE lease_until > clock_timestamp()",
  );
  if (alive.length === 0) return;
  throw new QueueError(
    `The tables in ${name} have version ${from}, and its programs cannot work with the new ones; still delivering: ` +
      `${alive.map(({ who }) => who).join(', ')}. Nothing was done. Stop spoolroom on all machines, and migrate then.`,
  );
}

async function schemaIn(statements: Statements): Promise<Found> {
  const [there] = await statements.query("SELECT to_regclass('spoolroom.version') IS NOT NULL AS yes");
  if (there?.yes !== true) return { version: 0, oldest: 0 };
  const [row] = await statements.query('SELECT * FROM spoolroom.version');
  const version = Number(row?.version ?? 0);
  return { version, oldest: Number(row?.oldest ?? version) };
}

/** Why this program cannot work with the tables, as sentences; null: it can. */
export async function schemaProblem(
  database: Database,
  { versions: { length: own } }: Pick<Schema, 'versions'> = SCHEMA,
): Promise<string | null> {
  const found = await schemaIn(database);
  if (found.version === own || (found.version > own && found.oldest <= own)) return null;
  if (found.version > own) return tooNew(database.name, found, own);
  const what =
    found.version === 0 ? 'has no queue yet' : `has the tables of version ${found.version} of the queue`;
  return (
    `The database ${database.name} ${what}; this program works with version ${own}. Nothing was done. ` +
    '`spoolroom migrate` makes the tables, or brings them up to date, also while programs of the version before deliver.'
  );
}

function tooNew(name: string, { version, oldest }: Found, own: number): string {
  return (
    `The database ${name} has version ${version} of the queue, for programs from version ${oldest} on, and this program has version ` +
    `${own}. Nothing was done, and its mail stays there. Install the version of spoolroom that the other machines have.`
  );
}
