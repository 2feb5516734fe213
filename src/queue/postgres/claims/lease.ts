/**
 * The lease of one process on what it claimed. It is renewed at a third of its length and ends by the clock of the database. Here
 * it counts as alive for less: from the moment at which a renewal was sent, and until a margin before its end, by the monotonic
 * clock and by the wall clock, because the monotonic one stands still while a machine sleeps.
 */
import type { Clock, Timer } from '../../../platform/clock.ts';
import { isOperationalError } from '../../../platform/system-errors.ts';
import type { Statements } from '../database/database.ts';

export interface WorkerIdentity {
  /** of the state directory: one process at a time has its lock */
  readonly name: string;
  /** of the start of this machine; '' where it is not known */
  readonly boot: string;
  readonly host: string;
  readonly pid: number;
}

export interface LeaseDeps {
  readonly database: { repeatable: Statements['query'] };
  readonly clock: Clock;
  readonly worker: WorkerIdentity;
  /** milliseconds of the lease */
  readonly length: number;
  /** Unix seconds that count as the present; null: the database's clock */
  readonly present: () => number | null;
}

/** The part of a lease in which no final dot is sent any more: its reply, too, should come before the end. */
const MARGIN = 1 / 4;

export class Lease {
  readonly #deps: LeaseDeps;
  #epoch: number | null = null;
  #until = { monotonic: Number.NEGATIVE_INFINITY, wall: Number.NEGATIVE_INFINITY };
  #timer: Timer | null = null;
  #isEnded = false;

  constructor(deps: LeaseDeps) {
    this.#deps = deps;
  }

  /** Null: there is none; what was claimed under the last one is lost. */
  get epoch(): number | null {
    return this.#epoch;
  }

  /** Whether nobody else can have what is claimed, now and for the time that the end of a message takes. */
  get isSafe(): boolean {
    const { clock } = this.#deps;
    return (
      this.#epoch !== null && clock.monotonic() < this.#until.monotonic && clock.now() < this.#until.wall
    );
  }

  /** The epoch of a lease that is alive; where there is none, of a new one. */
  async hold(): Promise<number> {
    if (this.#epoch !== null && !this.isSafe) await this.#renew();
    if (this.#epoch === null) await this.#enter();
    if (this.#epoch === null) throw new Error('a lease was just taken');
    return this.#epoch;
  }

  /** The database says that it has ended. */
  lost(epoch: number): void {
    if (this.#epoch === epoch) this.#epoch = null;
  }

  /** No more renewals. */
  stop(): void {
    this.#isEnded = true;
    this.#timer?.cancel();
  }

  async #enter(): Promise<void> {
    const { database, worker, length, present } = this.#deps;
    const sent = this.#sent();
    const { name, boot, host, pid } = worker;
    const [row] = await database.repeatable(
      'SELECT spoolroom.enter($1, $2, $3, $4, $5, $6)::float8 AS epoch',
      [name, boot, host, pid, length / 1000, present()],
    );
    this.#epoch = Number(row?.epoch);
    this.#extend(sent);
    this.#renewLater();
  }

  async #renew(): Promise<void> {
    const epoch = this.#epoch;
    const sent = this.#sent();
    const [row] = await this.#deps.database.repeatable('SELECT spoolroom.renew($1, $2) AS alive', [
      epoch,
      this.#deps.length / 1000,
    ]);
    if (epoch !== this.#epoch) return;
    if (row?.alive === true) this.#extend(sent);
    else this.#epoch = null;
  }

  #renewLater(): void {
    this.#timer?.cancel();
    if (this.#isEnded) return;
    this.#timer = this.#deps.clock.after(this.#deps.length / 3, () => {
      // While the database is away it is tried again; the lease ends by itself meanwhile.
      void this.#renew()
        .catch((error: unknown) => {
          if (!isOperationalError(error)) throw error;
        })
        .then(() => {
          if (this.#epoch !== null) this.#renewLater();
        });
    });
  }

  #sent(): { readonly monotonic: number; readonly wall: number } {
    return { monotonic: this.#deps.clock.monotonic(), wall: this.#deps.clock.now() };
  }

  #extend({ monotonic, wall }: { readonly monotonic: number; readonly wall: number }): void {
    const most = this.#deps.length * (1 - MARGIN);
    this.#until = { monotonic: monotonic + most, wall: wall + most };
  }
}
