/**
 * The tables of a queue in PostgreSQL, and the functions in which its rules are: who may claim what, which outcome counts, when
 * a message is due. Each version is a list of statements that are carried out once, in one transaction; a version that was
 * published is never changed, the next one mends it. Processes of the version before work on meanwhile and afterwards, so a version
 * adds and does not take away. techdoc/several-machines.md explains them, and how one is written.
 */
import { CLAIMS } from './claims.ts';
import { COPIES } from './copies.ts';
import { HISTORY } from './history.ts';
import { JOBS } from './jobs.ts';
import { LIMITS } from './limits.ts';
import { MOVES } from './moves.ts';
import { NOTICES } from './notices.ts';
import { SUPPRESSED } from './suppressed.ts';
import { THROTTLED } from './throttled.ts';
import { VIEWS } from './views.ts';

/**
 * `message` is what is claimed: a payload (its bytes in `chunk`) with the jobs that name it. `due` is null where it is held or has
 * no job, and only then; Unix seconds, 0: at once. A job keeps its control message in the bytes it came in; outcomes that are not
 * in there yet are rows of `outcome`, as the journal of a spool has them. A row of `lane` is a destination with something to
 * deliver, and when its turn is. Numbers are never used again.
 */
const TABLES = `
CREATE SEQUENCE spoolroom.number AS bigint MAXVALUE 999999999999999;

CREATE TABLE spoolroom.worker (
  epoch bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  boot text NOT NULL,
  host text NOT NULL,
  pid integer NOT NULL,
  started timestamptz NOT NULL DEFAULT clock_timestamp(),
  lease_until timestamptz NOT NULL
);

CREATE TABLE spoolroom.message (
  id bigint PRIMARY KEY,
  size bigint,
  begun timestamptz NOT NULL DEFAULT clock_timestamp(),
  lane text NOT NULL DEFAULT '',
  due bigint,
  claim bigint
);
CREATE INDEX message_due ON spoolroom.message (lane, due, id) WHERE claim IS NULL AND due IS NOT NULL;
CREATE INDEX message_begun ON spoolroom.message (begun) WHERE size IS NULL;
CREATE INDEX message_claim ON spoolroom.message (claim) WHERE claim IS NOT NULL;

CREATE TABLE spoolroom.chunk (
  message bigint NOT NULL REFERENCES spoolroom.message ON DELETE CASCADE,
  seq integer NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY (message, seq)
);
ALTER TABLE spoolroom.chunk ALTER bytes SET STORAGE EXTERNAL;

CREATE TABLE spoolroom.job (
  control bigint PRIMARY KEY,
  message bigint REFERENCES spoolroom.message,
  list bytea NOT NULL,
  due bigint NOT NULL DEFAULT 0,
  problem text,
  request text CHECK (request IN ('hold', 'retry', 'remove', 'give-up')),
  asked_by text,
  asked_at bigint,
  dsn jsonb,
  told jsonb NOT NULL DEFAULT '[]',
  first_attempt bigint,
  CHECK ((message IS NULL) = (problem IS NOT NULL))
);
CREATE INDEX job_message ON spoolroom.job (message);
CREATE INDEX job_removed ON spoolroom.job (asked_at) WHERE request = 'remove';
CREATE INDEX job_problem ON spoolroom.job (control) WHERE problem IS NOT NULL;

CREATE TABLE spoolroom.outcome (
  control bigint NOT NULL REFERENCES spoolroom.job ON DELETE CASCADE,
  address bytea NOT NULL,
  nth integer NOT NULL,
  status smallint NOT NULL CHECK (status IN (2, 4, 5)),
  text bytea NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (control, address, nth)
);

CREATE TABLE spoolroom.lane (
  name text PRIMARY KEY,
  turn double precision NOT NULL
);
CREATE INDEX lane_turn ON spoolroom.lane (turn);
`;

/** Rows come and go all the time: they are cleaned up long before a fifth of a large table is dead. */
const VACUUM = ['worker', 'message', 'chunk', 'job', 'outcome', 'lane']
  .map(
    (table) =>
      `ALTER TABLE spoolroom.${table} SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500, autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);`,
  )
  .join('\n');

/** A program of the version before goes on with tables that say so. */
const PROGRAMS = 'ALTER TABLE spoolroom.version ADD oldest integer;';

/** By version, from 1 on. */
export const VERSIONS: readonly string[] = [
  [TABLES, VACUUM, CLAIMS, JOBS].join('\n'),
  MOVES,
  NOTICES,
  PROGRAMS,
  COPIES,
  LIMITS,
  VIEWS,
  THROTTLED,
  HISTORY,
  SUPPRESSED,
];

/** The tables of a program: their versions, and the oldest program that may work with the last of them. */
export interface Schema {
  readonly versions: readonly string[];
  readonly oldest: number;
}

/** Of this program. `oldest` becomes the number of a version that programs before it would not understand. */
export const SCHEMA: Schema = { versions: VERSIONS, oldest: 4 };
