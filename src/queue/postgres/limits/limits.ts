/**
 * What this process may have of limits that hold for all processes on one queue. Sessions at a place are held under the lease: while
 * it is not safely alive, none is opened. They are asked for in blocks and ahead of time, in one statement for all places at once;
 * what is not used goes back when somebody else waits, and otherwise at a third of the lease, where it is also divided anew.
 *
 * `granted` is never more than what the database has for this process under the current lease: it is lowered before a statement
 * that may give something back is sent, and raised when the answer is there.
 */
import type { Clock, Timer } from '../../../platform/clock.ts';
import { isOperationalError } from '../../../platform/system-errors.ts';
import type { SharedLimits, SharingPool } from '../../../routing/shared-limits.ts';
import type { Lease } from '../claims/lease.ts';
import { Batch } from '../database/batch.ts';
import type { Statements } from '../database/database.ts';
import type { Notices } from '../database/notices.ts';

export interface LimitsDeps {
  readonly database: Pick<Statements, 'query'>;
  readonly lease: Pick<Lease, 'epoch' | 'isSafe'>;
  readonly clock: Clock;
  readonly notices: Pick<Notices, 'on' | 'attend'>;
  /** milliseconds of the lease */
  readonly length: number;
  /** this machine: what listens at its loopback addresses is its own */
  readonly host: string;
}

interface Place {
  readonly name: string;
  limit: number;
  /** of which so many are of use to this process */
  most: number;
  granted: number;
  open: number;
  /** most that were open since shares were divided last */
  peak: number;
  /** what was asked for ahead of time */
  ahead: number;
  isWaiting: boolean;
  /** somebody else waits for sessions here */
  isContested: boolean;
}

interface Turn {
  readonly name: string;
  readonly between: number;
}

/** Places in one statement: each is locked until it is committed. */
const MOST_PLACES = 50;

/** Sessions that are asked for at first. */
const FIRST = 2;

/** Who waits asks again twelve times in a lease. */
const ASK_AGAIN = 1 / 12;
/** Whoever waits and has not asked for so long does not hold up others. */
const PATIENCE = 1 / 4;
/** At every fourth of these times shares are divided anew. */
const DIVIDE = 4;

export class Limits implements SharedLimits {
  readonly #deps: LimitsDeps;
  readonly #turns: Batch<Turn, number>;
  /** by its name in the database */
  readonly #places = new Map<string, Place>();
  /** what to send next, by place; true: it is divided anew */
  readonly #pending = new Map<Place, boolean>();
  #pool: SharingPool | null = null;
  /** of the lease under which `granted` holds */
  #epoch: number | null = null;
  #requests = 0;
  #isSending = false;
  #timer: Timer | null = null;
  /** ticks of the timer until shares are divided */
  #ticks = 0;
  #isClosed = false;

  constructor(deps: LimitsDeps) {
    this.#deps = deps;
    this.#turns = new Batch((turns) => this.#takeTurns(turns));
    deps.notices.on('limits', (about) => this.#heard(about));
  }

  serve(pool: SharingPool): void {
    this.#pool = pool;
  }

  allowed(name: string, limit: number, most: number): number {
    const place = this.#placeAt(name);
    this.#renewed();
    Object.assign(place, { limit, most });
    const allowed = this.#deps.lease.isSafe ? Math.min(most, place.granted) : 0;
    const ahead = Math.min(most, Math.max(FIRST, 2 * (place.open + 1)));
    const isMissing = !place.isWaiting && place.open >= allowed && place.open < most;
    if (isMissing || (place.granted < ahead && place.ahead < ahead && !place.isContested)) {
      place.ahead = ahead;
      place.isWaiting ||= isMissing;
      this.#send(place, false);
    }
    return allowed;
  }

  isOver(name: string): boolean {
    const place = this.#places.get(this.#shared(name));
    return place !== undefined && (place.open > place.granted || !this.#deps.lease.isSafe);
  }

  count(name: string, by: 1 | -1): void {
    const place = this.#placeAt(name);
    place.open += by;
    place.peak = Math.max(place.peak, place.open);
    if (by === -1 && (place.isContested || place.open >= place.granted)) this.#send(place, false);
  }

  async turn(name: string, between: number): Promise<number> {
    for (;;) {
      try {
        return await this.#turns.add({ name: this.#shared(name), between });
      } catch (error) {
        if (!isOperationalError(error)) throw error;
      }
      await new Promise<void>((later) => void this.#deps.clock.after(this.#deps.length * ASK_AGAIN, later));
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  /** The name under which other processes know it. */
  #shared(name: string): string {
    return /^(?:127\.|::1:)/.test(name) ? `${this.#deps.host} ${name}` : name;
  }

  #placeAt(name: string): Place {
    const shared = this.#shared(name);
    const known = this.#places.get(shared);
    if (known !== undefined) return known;
    const place: Place = {
      ...{ name, limit: 0, most: 0, granted: 0, open: 0, peak: 0, ahead: 0 },
      ...{ isWaiting: false, isContested: false },
    };
    this.#places.set(shared, place);
    this.#timer ??= this.#deps.clock.after(this.#deps.length * ASK_AGAIN, () => this.#tick());
    return place;
  }

  /** Under a new lease there is nothing, but what is open is open. */
  #renewed(): void {
    const { epoch } = this.#deps.lease;
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    for (const place of this.#places.values()) {
      place.granted = 0;
      place.ahead = 0;
      this.#send(place, false);
    }
  }

  #tick(): void {
    this.#timer = null;
    if (this.#isClosed) return;
    this.#renewed();
    const isDividing = ++this.#ticks % DIVIDE === 0;
    for (const place of this.#places.values())
      if (isDividing || place.isWaiting) this.#send(place, isDividing);
    if (this.#places.size > 0)
      this.#timer = this.#deps.clock.after(this.#deps.length * ASK_AGAIN, () => this.#tick());
  }

  /** `about`: who gave sessions back or waits for them, and where; '': anybody, anywhere. */
  #heard(about: string): void {
    const at = about.indexOf(' ');
    if (about !== '' && Number(about.slice(0, at)) === this.#epoch) return;
    if (about === '') {
      for (const place of this.#places.values()) if (place.isWaiting) this.#send(place, false);
      return;
    }
    const place = this.#places.get(about.slice(at + 1));
    if (place === undefined) return;
    place.isContested = true;
    this.#send(place, false);
  }

  #send(place: Place, isDividing: boolean): void {
    this.#pending.set(place, isDividing || this.#pending.get(place) === true);
    if (!this.#isSending) void this.#sendAll();
  }

  /** One statement at a time: a later one never overtakes an earlier one. */
  async #sendAll(): Promise<void> {
    this.#isSending = true;
    // What comes in the same turn goes together, and attempts that wait are in their lines by then.
    await null;
    try {
      while (this.#pending.size > 0 && !this.#isClosed && this.#deps.lease.epoch !== null) {
        const batch = [...this.#pending].slice(0, MOST_PLACES);
        for (const [place] of batch) this.#pending.delete(place);
        await this.#ask(batch);
      }
    } catch (error) {
      // Who waits asks again in a while, and everybody does when shares are divided.
      if (!isOperationalError(error)) throw error;
    } finally {
      this.#pending.clear();
      this.#isSending = false;
    }
  }

  async #ask(batch: readonly (readonly [Place, boolean])[]): Promise<void> {
    const { lease, database, notices } = this.#deps;
    this.#renewed();
    const { epoch } = lease;
    const asked = batch.map(([place, isDividing]) => {
      const need = Math.min(place.most, this.#pool?.wanted(place.name) ?? 0);
      const used = Math.max(place.open, Math.min(place.granted, need));
      const keep = isDividing ? place.open : place.isContested ? used : Math.max(place.open, place.granted);
      const more = isDividing ? place.peak : place.isContested ? 0 : place.ahead;
      // Until the answer is there no more than this is certain.
      place.granted = Math.min(place.granted, keep);
      place.isWaiting = need > place.granted;
      if (isDividing) place.peak = place.open;
      return { place, isDividing, keep, need, ahead: Math.max(need, Math.min(more, place.most)) };
    });
    if (asked.some(({ place }) => place.isWaiting)) notices.attend();
    const [answer] = await database.query('SELECT * FROM spoolroom.share($1, $2, $3, $4, $5, $6, $7, $8)', [
      ...[epoch, ++this.#requests, (this.#deps.length * PATIENCE) / 1000],
      asked.map(({ place }) => this.#shared(place.name)),
      asked.map(({ place }) => place.limit),
      ...[asked.map(({ keep }) => keep), asked.map(({ need }) => need), asked.map(({ ahead }) => ahead)],
    ]);
    const granted = answer?.granted as readonly number[] | null;
    const contested = answer?.contested as readonly boolean[];
    if (granted === null || epoch !== lease.epoch) return;
    for (const [at, { place, isDividing, need, ahead }] of asked.entries()) {
      const grant = granted[at] ?? 0;
      place.granted = isDividing ? grant : Math.max(place.granted, grant);
      place.isContested = contested[at] ?? false;
      place.ahead = ahead;
      place.isWaiting = need > place.granted || !lease.isSafe;
      if (lease.isSafe) this.#pool?.mayHave(place.name, Math.min(place.granted, place.most));
      if (need + ahead + place.open + place.granted === 0 && !this.#pending.has(place))
        this.#places.delete(this.#shared(place.name));
    }
  }

  async #takeTurns(turns: readonly Turn[]): Promise<readonly number[]> {
    const [answer] = await this.#deps.database.query('SELECT spoolroom.turns($1, $2) AS delays', [
      turns.map(({ name }) => name),
      turns.map(({ between }) => between),
    ]);
    return answer?.delays as readonly number[];
  }
}
