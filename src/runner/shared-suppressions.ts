/**
 * The suppressed addresses of a queue in PostgreSQL, for all machines that share it. What counts is in memory, as it was when it was
 * last read: no delivery waits for the database. Bounces go there beside deliveries; one that gets lost counts with the next.
 */
import type { ByteString } from '../platform/bytes.ts';
import { isOperationalError } from '../platform/system-errors.ts';
import type { Statements } from '../queue/postgres/database/database.ts';
import type { Failure } from '../smtp/outcome.ts';
import {
  folded,
  isHardBounce,
  LONGEST_WHY,
  type SuppressedAddress,
  type SuppressionRules,
  type Suppressions,
} from './suppression-list.ts';

export interface SharedSuppressionsDeps {
  readonly database: Statements & { close(): Promise<void> };
  readonly rules: SuppressionRules;
  /** Unix seconds */
  readonly now: () => number;
}

/** Seconds after which it is read again, and those after which what has ended is removed. */
const FRESH = 5;
const SWEEP_INTERVAL = 600;

export class SharedSuppressions implements Suppressions {
  readonly #deps: SharedSuppressionsDeps;
  #known: ReadonlyMap<ByteString, SuppressedAddress> = new Map();
  #read = Number.NEGATIVE_INFINITY;
  #swept = Number.NEGATIVE_INFINITY;
  #isEmpty = true;
  readonly #delivered = new Set<ByteString>();
  #last: Promise<void> = Promise.resolve();

  constructor(deps: SharedSuppressionsDeps) {
    this.#deps = deps;
  }

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** Resolves when it is known which addresses count. */
  async load(): Promise<void> {
    const { database, rules, now } = this.#deps;
    const at = now();
    if (at - this.#swept >= SWEEP_INTERVAL) {
      this.#swept = at;
      await database.query('DELETE FROM spoolroom.suppressed WHERE until < $1', [at]);
    }
    const rows = await database.query(
      `SELECT address, since::float8, until::float8, bounces, why
        FROM spoolroom.suppressed WHERE until > $1 AND (bounces = 0 OR $2 > 0 AND bounces >= $2)`,
      [at, rules.after],
    );
    const [{ some } = { some: true }] = await database.query(
      'SELECT EXISTS (SELECT FROM spoolroom.suppressed) AS some',
    );
    this.#isEmpty = some !== true;
    const entries = rows.map(
      ({ address, since, until, bounces, why }): SuppressedAddress => ({
        address: (address as Buffer).toString('latin1'),
        ...{ since: Number(since), until: Number(until), bounces: Number(bounces) },
        why: (why as Buffer).toString('latin1'),
      }),
    );
    this.#known = new Map(entries.map((entry) => [entry.address, entry]));
  }

  refresh(): void {
    if (this.#deps.now() - this.#read < FRESH) return;
    this.#read = this.#deps.now();
    this.#then(() => this.load());
  }

  find(address: ByteString): SuppressedAddress | null {
    const entry = this.#known.get(folded(address));
    return entry !== undefined && this.#deps.now() < entry.until ? entry : null;
  }

  all(): readonly SuppressedAddress[] {
    return [...this.#known.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
  }

  async add(
    address: ByteString,
    given: ByteString,
    seconds = this.#deps.rules.age,
  ): Promise<SuppressedAddress> {
    const since = this.#deps.now();
    const why = given.slice(0, LONGEST_WHY);
    const entry = { address: folded(address), since, until: since + seconds, bounces: 0, why };
    await this.#deps.database.query(
      `INSERT INTO spoolroom.suppressed VALUES ($1, $2, $3, 0, $4) ON CONFLICT (address)
        DO UPDATE SET since = excluded.since, until = excluded.until, bounces = 0, why = excluded.why`,
      [bytes(entry.address), since, entry.until, bytes(why)],
    );
    return entry;
  }

  async remove(address: ByteString): Promise<boolean> {
    const isThere = this.find(address) !== null;
    await this.#deps.database.query('DELETE FROM spoolroom.suppressed WHERE address = $1', [
      bytes(folded(address)),
    ]);
    return isThere;
  }

  bounced(address: ByteString, failure: Failure): void {
    const { database, rules, now } = this.#deps;
    if (rules.after === 0 || !isHardBounce(failure)) return;
    const [at, why] = [now(), failure.text.slice(0, LONGEST_WHY)];
    this.#isEmpty = false;
    this.#then(async () => {
      await database.query('SELECT spoolroom.bounced($1, $2, $3, $4, $5)', [
        ...[bytes(folded(address)), at, at + rules.age, rules.after, bytes(why)],
      ]);
      await this.load();
    });
  }

  delivered(address: ByteString): void {
    this.#delivered.add(folded(address));
    if (this.#delivered.size === 1) this.#then(() => this.#forgetDelivered());
  }

  /** Resolves when what was counted is in the database, or could not be written. */
  async close(): Promise<void> {
    await this.#last;
    await this.#deps.database.close();
  }

  async #forgetDelivered(): Promise<void> {
    const addresses = [...this.#delivered].map(bytes);
    this.#delivered.clear();
    await this.#deps.database.query('DELETE FROM spoolroom.suppressed WHERE address = ANY ($1)', [addresses]);
  }

  /** One after the other. */
  #then(work: () => Promise<void>): void {
    this.#last = this.#last.then(work).catch((error: unknown) => {
      if (!isOperationalError(error)) throw error;
    });
  }
}

function bytes(text: ByteString): Buffer {
  return Buffer.from(text, 'latin1');
}
