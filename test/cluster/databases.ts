/**
 * Two servers: what one commits the other has before anybody is told. When the first one fails the second takes its place, and the
 * first becomes its standby, from nothing; until it is one nothing is committed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '../../src/queue/postgres/database/database.ts';
import { type Cluster, databaseAt, startCluster } from '../support/postgres.ts';
import { LEDGER } from './ledger.ts';

const SETTINGS: readonly string[] = [
  "log_min_messages = 'fatal'",
  // A standby that was away for a while finds what it missed.
  'wal_keep_size = 128MB',
  'max_wal_size = 128MB',
];
const SYNCHRONOUS = "synchronous_standby_names = '*'";

/** Bytes of the file system of a server. */
const DISK = 640 * 1024 ** 2;

/**
 * The database's clock, as far as the queue sees it: its functions find this one before the server's own. Only time is changed by
 * it, and only in the database of the queue.
 */
const CLOCK = `
CREATE SCHEMA stepped;
CREATE TABLE stepped.by (seconds double precision NOT NULL);
INSERT INTO stepped.by VALUES (0);
CREATE FUNCTION stepped.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT pg_catalog.clock_timestamp() + make_interval(secs => (SELECT seconds FROM stepped.by))
$$;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = stepped, pg_catalog', current_database()); END $$;
`;

export class Databases {
  #primary: Cluster;
  #standby: Cluster;
  readonly #name: string;
  /** Why no disk can be filled; null: it can. */
  readonly noDisk: string | null;

  private constructor(primary: Cluster, standby: Cluster, name: string, noDisk: string | null) {
    this.#primary = primary;
    this.#standby = standby;
    this.#name = name;
    this.noDisk = noDisk;
  }

  /** @param migrator words of the program that makes the tables, where it is not this one */
  static async start(migrator: readonly string[] | null): Promise<Databases> {
    const noDisk = process.getuid?.() === 0 ? null : 'a file system of its own needs root';
    const options = {
      durable: true,
      settings: SETTINGS,
      ...(noDisk === null ? { disk: DISK } : {}),
    } as const;
    const primary = await startCluster(options);
    try {
      const address = migrator === null ? await primary.create() : await madeBy(migrator, primary);
      const database = databaseAt(address);
      await database.query(CLOCK);
      await database.query(LEDGER);
      await database.close();
      const settings = [...SETTINGS, SYNCHRONOUS];
      const standby = await startCluster({ ...options, settings, standbyOf: primary });
      return new Databases(primary, standby, nameIn(address), noDisk);
    } catch (error) {
      await primary.remove();
      throw error;
    }
  }

  /** Paths of the sockets of both. */
  get sockets(): readonly string[] {
    return this.#folders.map((folder) => path.join(folder, '.s.PGSQL.5432'));
  }

  /** A connection for the one who watches. */
  connect(): Database {
    const user = this.#primary.address('').split('@')[0];
    return databaseAt(`${user}@/${this.#name}?host=${encodeURIComponent(this.#folders.join(','))}`);
  }

  /** The name of the user and the database, for hosts that are given. */
  address(hosts: string): string {
    const user = this.#primary.address('').split('@')[0];
    return `${user}@${hosts}/${this.#name}`;
  }

  async killAndStart(away: number): Promise<void> {
    this.#primary.signal('SIGKILL');
    await pause(away);
    await this.#primary.start();
  }

  async restart(): Promise<void> {
    await this.#primary.stop('fast');
    await this.#primary.start();
  }

  async failOver(away: number): Promise<void> {
    this.#primary.signal('SIGKILL');
    await pause(away);
    await this.#standby.promote();
    [this.#primary, this.#standby] = [this.#standby, this.#primary];
    await this.#standby.follow(this.#primary);
  }

  /** Meanwhile nothing is committed. */
  async killStandby(away: number): Promise<void> {
    this.#standby.signal('SIGKILL');
    await pause(away);
    await this.#standby.start();
  }

  /** No byte is left on the disk of the first one; when there is room again it goes on, or is started where it gave up. */
  async fillDisk(time: number): Promise<void> {
    const filler = path.join(this.#primary.folder, 'filler');
    // It ends when there is no room.
    spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=64k'], { stdio: 'ignore' });
    await pause(time);
    fs.rmSync(filler);
    await this.#goOn();
  }

  /** Seconds from the true time from now on. */
  async setClock(seconds: number): Promise<void> {
    const database = this.connect();
    await database.repeatable('UPDATE stepped.by SET seconds = $1', [seconds]);
    await database.close();
  }

  async remove(): Promise<void> {
    await this.#standby.remove();
    await this.#primary.remove();
  }

  get #folders(): readonly string[] {
    return [this.#primary.folder, this.#standby.folder].sort();
  }

  /** It may have given up meanwhile, or be about to. */
  async #goOn(): Promise<void> {
    const database = databaseAt(this.#primary.address('postgres'));
    for (;;) {
      if (!this.#primary.isAlive()) await this.#primary.start();
      try {
        await database.repeatable('SELECT pg_current_xact_id()');
        break;
      } catch {
        await pause(100);
      }
    }
    await database.close();
  }
}

async function madeBy(migrator: readonly string[], primary: Cluster): Promise<string> {
  const admin = databaseAt(primary.address('postgres'));
  await admin.query('CREATE DATABASE older');
  await admin.close();
  const address = primary.address('older');
  execFileSync(process.execPath, [...migrator, 'migrate', '--postgres', address], { stdio: 'pipe' });
  return address;
}

function nameIn(address: string): string {
  return /\/([^/?]*)\?/.exec(address)?.[1] ?? '';
}
