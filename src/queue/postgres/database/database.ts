/**
 * Connections to the database that can be written to. Of several hosts the first one that is no standby is used; when it
 * fails, is shut down or becomes a standby, its connections are dropped and the hosts are tried again. Every failure of the
 * database is an `UnavailableError` with sentences; an error in a statement of ours is a bug and stays what it is.
 */
import type { Client, Pool } from 'pg';
import { UnavailableError } from '../../../platform/system-errors.ts';
import type { DatabaseAddress, DatabaseHost } from './address.ts';
import { connectionPhrase } from './connection-phrase.ts';

export type Row = { readonly [column: string]: unknown };

/** Something that runs statements: the database, or one transaction in it. */
export interface Statements {
  query(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
}

/** Milliseconds. */
const CONNECT_TIMEOUT = 10_000;
const QUERY_TIMEOUT = 60_000;

/** Where in the server a warning comes from that a wait was cancelled: by `pg_cancel_backend`, or a `statement_timeout`. */
const WAIT_FOR_STANDBY = 'SyncRepWaitForLSN';

/** SQLSTATE classes that speak of the server, not of the statement: connection, resources, operator, system, read-only. */
const ABOUT_SERVER = /^(?:08|53|57|58|F0|XX|25006|28|3D|40)/;

export class Database implements Statements {
  readonly name: string;
  readonly #address: DatabaseAddress;
  readonly #size: number;
  #open: Promise<Pool> | null = null;
  #current: Pool | null = null;
  readonly #dropped = new Set<Pool>();
  /** connections that listen, with how each is ended */
  readonly #listening = new Map<Client, { readonly pool: Pool; readonly end: () => void }>();
  /** connections whose commit is not on the synchronous standby, although the server says that it is done */
  readonly #unwaited = new WeakSet<object>();
  #isClosed = false;

  /** @param size connections at the same time, at most */
  constructor(address: DatabaseAddress, size = 4) {
    this.name = address.name;
    this.#address = address;
    this.#size = size;
  }

  async query(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    return this.#connected((query) => query(text, values));
  }

  /** The same for a statement that does no harm when it is carried out twice: tried once more on another connection. */
  async repeatable(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    try {
      return await this.query(text, values);
    } catch (error) {
      if (!(error instanceof UnavailableError) || this.#isClosed) throw error;
      return this.query(text, values);
    }
  }

  /** One transaction, rolled back when `work` rejects. */
  async transaction<T>(work: (statements: Statements) => Promise<T>): Promise<T> {
    return this.#connected(async (query) => {
      await query('BEGIN');
      const done = await work({ query });
      await query('COMMIT');
      return done;
    });
  }

  /**
   * Hears what is notified on a channel, over a connection of its own, until that fails or the others do: then `ended` is called.
   * Rejects where there is none now.
   */
  async listen(channel: string, heard: (payload: string) => void, ended: () => void): Promise<void> {
    const pool = await this.#pool();
    const { Client } = await import('pg');
    const client = new Client(pool.options);
    const end = (): void => {
      if (!this.#listening.delete(client)) return;
      client.end().catch(() => {});
      ended();
    };
    this.#listening.set(client, { pool, end });
    client.on('error', end);
    client.on('end', end);
    client.on('notification', ({ payload = '' }) => heard(payload));
    try {
      await this.#told(pool, async () => {
        await client.connect();
        await client.query(`LISTEN ${channel}`);
      });
    } catch (error) {
      end();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { end } of this.#listening.values()) end();
    const open = this.#open;
    this.#open = null;
    await open?.then((pool) => pool.end()).catch(() => {});
  }

  /** A connection that is closed when `work` rejects, which rolls back what was begun on it. */
  async #connected<T>(work: (query: Statements['query']) => Promise<T>): Promise<T> {
    const pool = await this.#pool();
    const client = await this.#told(pool, () => pool.connect());
    // When it fails, whatever is asked of it says so.
    const failed = (): void => {};
    client.on('error', failed);
    let isDone = false;
    try {
      const done = await work((text, values = []) =>
        this.#told(pool, async () => {
          const { rows } = await client.query(text, [...values]);
          if (this.#unwaited.delete(client))
            throw new Error('the wait for its synchronous standby was cancelled');
          return rows;
        }),
      );
      isDone = true;
      return done;
    } finally {
      client.release(!isDone);
      client.removeListener('error', failed);
    }
  }

  #pool(): Promise<Pool> {
    if (this.#isClosed) return Promise.reject(this.#unavailable('the queue is closed'));
    this.#open ??= this.#connect().catch((error: unknown) => {
      this.#open = null;
      throw error;
    });
    return this.#open;
  }

  async #connect(): Promise<Pool> {
    const reasons: string[] = [];
    for (const host of this.#address.hosts) {
      const pool = await this.#poolAt(host);
      try {
        const { rows } = await pool.query('SELECT pg_is_in_recovery() AS standby');
        if (rows[0]?.standby === false) {
          this.#current = pool;
          return pool;
        }
        reasons.push(`${host.host}:${host.port} is a standby`);
      } catch (error) {
        reasons.push(`${host.host}:${host.port}: ${connectionPhrase(error)}`);
      }
      await pool.end();
    }
    throw this.#unavailable(reasons.join('; '));
  }

  async #poolAt({ host, port, ssl }: DatabaseHost): Promise<Pool> {
    const { Pool } = await import('pg');
    const { user, password, database } = this.#address;
    const pool = new Pool({
      ...{ host, port, user, database, max: this.#size, keepAlive: true },
      ...(password === undefined ? {} : { password }),
      ssl: ssl === false ? false : { ...ssl, rejectUnauthorized: true },
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      query_timeout: QUERY_TIMEOUT,
      idle_in_transaction_session_timeout: QUERY_TIMEOUT,
      application_name: 'spoolroom',
      // `close` ends them; a command that is done does not wait for that.
      idleTimeoutMillis: 0,
      allowExitOnIdle: true,
    });
    pool.on('connect', (client) => {
      client.on('notice', ({ routine }) => {
        if (routine === WAIT_FOR_STANDBY) this.#unwaited.add(client);
      });
    });
    pool.on('error', () => {
      this.#drop(pool);
      this.#endDropped();
    });
    return pool;
  }

  /** What the client does, with its errors as sentences. */
  async #told<T>(pool: Pool, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const state = sqlState(error);
      const isBug = state === null ? error instanceof TypeError : !ABOUT_SERVER.test(state);
      if (isBug) throw error;
      // A conflict of two transactions, or a full disk, says nothing about the connection.
      if (state === null || !/^(?:40|53)/.test(state)) this.#drop(pool);
      throw this.#unavailable(connectionPhrase(error), error);
    } finally {
      this.#endDropped();
    }
  }

  /** Its connections are to a server that is gone, or that cannot be written to any more. */
  #drop(pool: Pool): void {
    if (this.#current === pool) {
      this.#current = null;
      this.#open = null;
    }
    this.#dropped.add(pool);
    for (const listening of this.#listening.values()) if (listening.pool === pool) listening.end();
  }

  /** Not while somebody waits for a connection of it: who waits when it ends is never answered. They meet its errors in their turn. */
  #endDropped(): void {
    for (const pool of this.#dropped) {
      if (pool.waitingCount > 0) continue;
      this.#dropped.delete(pool);
      pool.end().catch(() => {});
    }
  }

  #unavailable(why: string, cause?: unknown): UnavailableError {
    return new UnavailableError(
      `The queue ${this.name} cannot be used now: ${why}. Nothing in it is lost; spoolroom tries again.`,
      { cause },
    );
  }
}

function sqlState(error: unknown): string | null {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^[0-9A-Z]{5}$/.test(code) && 'severity' in (error as object) ? code : null;
}
