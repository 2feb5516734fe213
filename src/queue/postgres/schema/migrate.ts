/**
 * Makes the tables, or brings them from an older version to ours. All in one transaction, and by one process at a time: the
 * others wait for it. A program refuses a schema that is newer or older than its own, and says what to do.
 */
import { QueueError } from '../../../platform/system-errors.ts';
import type { Database, Statements } from '../database/database.ts';
import { SCHEMA_VERSION, VERSIONS } from './schema.ts';

export interface Migration {
  /** versions; 0: there were no tables */
  readonly from: number;
  readonly to: number;
}

/** Of the advisory lock that one migration holds: "spool" in ASCII. */
const LOCK = 0x73706f6f6c;

export function migrate(database: Database): Promise<Migration> {
  return database.transaction(async (statements) => {
    await statements.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
    const from = await schemaVersion(statements);
    if (from > SCHEMA_VERSION) throw new QueueError(newer(database.name, from));
    if (from === 0) {
      await statements.query('CREATE SCHEMA spoolroom');
      await statements.query('CREATE TABLE spoolroom.version (version integer NOT NULL)');
      await statements.query('INSERT INTO spoolroom.version VALUES (0)');
    }
    for (const version of VERSIONS.slice(from)) await statements.query(version);
    await statements.query('UPDATE spoolroom.version SET version = $1', [SCHEMA_VERSION]);
    return { from, to: SCHEMA_VERSION };
  });
}

/** 0: there are no tables. */
async function schemaVersion(statements: Statements): Promise<number> {
  const [there] = await statements.query("SELECT to_regclass('spoolroom.version') IS NOT NULL AS yes");
  if (there?.yes !== true) return 0;
  const [row] = await statements.query('SELECT version FROM spoolroom.version');
  return Number(row?.version ?? 0);
}

/** Why this program cannot work with the tables, as sentences; null: it can. */
export async function schemaProblem(database: Database): Promise<string | null> {
  const version = await schemaVersion(database);
  if (version === SCHEMA_VERSION) return null;
  if (version > SCHEMA_VERSION) return newer(database.name, version);
  const what = version === 0 ? 'has no queue yet' : `has the tables of version ${version} of the queue`;
  return (
    `The database ${database.name} ${what}; this program works with version ${SCHEMA_VERSION}. Nothing was done. ` +
    '`spoolroom migrate` makes the tables, or brings them up to date.'
  );
}

function newer(name: string, version: number): string {
  return (
    `The database ${name} has version ${version} of the queue, and this program works with version ${SCHEMA_VERSION}. Nothing was ` +
    'done, and its mail stays there. Install the version of spoolroom that the other machines have.'
  );
}
