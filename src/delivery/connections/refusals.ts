/**
 * What hosts offer and cannot do: extensions, recipients beyond a number at which they end the session, and mechanisms of AUTH
 * that failed where another one worked. Remembered by address and port, from run to run, read when the first connection is made
 * and written when nothing waits any more: cron starts a new process each minute, which would else meet each refusal again.
 */
import type { Clock } from '../../platform/clock.ts';
import { EXTENSIONS, type Refusable } from '../../smtp/capabilities.ts';
import { MECHANISMS, type Mechanism } from '../../smtp/mechanisms.ts';

export type Refusal = Refusable | `AUTH ${Mechanism}`;

/** By address and port: until when each is left out, milliseconds since the epoch. */
export interface RefusalStore {
  read(): ReadonlyMap<string, Refusals>;
  write(refusals: ReadonlyMap<string, Refusals>): void;
}

export type Refusals = { readonly [name in Refusal]?: number };

/**
 * Milliseconds for which something is left out where it was refused. A server that lacks a command has it after its next update at
 * the earliest. A handshake, or a session at EHLO, may break for a reason that passes, and without them mail goes in clear text.
 */
const WITHOUT_BROKEN = 120_000;
const WITHOUT_REFUSED = 24 * 3_600_000;
const BROKEN: ReadonlySet<Refusal> = new Set(['STARTTLS', 'EHLO']);

/** So many hosts are remembered; those that would be forgotten first give way. */
const MOST_HOSTS = 1000;

const NAMES: ReadonlySet<string> = new Set<Refusal>([
  ...EXTENSIONS,
  'EHLO',
  ...MECHANISMS.map(({ name }) => `AUTH ${name}` as const),
]);

const LIMIT = /^RCPTMAX (?=[1-9]\d{0,5}$)/;

/** How many recipients a host takes in one transaction; null: this is another refusal. */
export function recipientLimit(refusal: Refusal): number | null {
  return LIMIT.test(refusal) ? Number(refusal.replace(LIMIT, '')) : null;
}

export class RefusalMemory {
  readonly #clock: Clock;
  readonly #store: RefusalStore | null;
  /** null: not read yet */
  #known: Map<string, Map<Refusal, number>> | null = null;
  #changed = false;

  constructor(clock: Clock, store: RefusalStore | null) {
    this.#clock = clock;
    this.#store = store;
  }

  /** What is left out at this address and port now, in an order that is always the same. */
  at(place: string): readonly Refusal[] {
    const refused = this.#all().get(place);
    if (refused === undefined) return [];
    const now = this.#clock.now();
    return [...refused].flatMap(([name, until]) => (now < until ? [name] : [])).sort();
  }

  record(place: string, name: Refusal): void {
    const all = this.#all();
    const refused = all.get(place) ?? new Map<Refusal, number>();
    refused.set(name, this.#clock.now() + (BROKEN.has(name) ? WITHOUT_BROKEN : WITHOUT_REFUSED));
    all.delete(place);
    all.set(place, refused);
    this.#changed = true;
  }

  /** Forgets what is over, and writes what has become known since. */
  save(): void {
    if (this.#known === null) return;
    const now = this.#clock.now();
    for (const [place, refused] of this.#known) {
      for (const [name, until] of refused) if (until <= now) refused.delete(name);
      if (refused.size === 0) this.#known.delete(place);
    }
    if (!this.#changed) return;
    this.#changed = false;
    const latest = [...this.#known].slice(-MOST_HOSTS);
    this.#store?.write(new Map(latest.map(([place, refused]) => [place, Object.fromEntries(refused)])));
  }

  /** A time that is later than any we would have written comes from a clock that was wrong. */
  #all(): Map<string, Map<Refusal, number>> {
    if (this.#known !== null) return this.#known;
    const latest = this.#clock.now() + WITHOUT_REFUSED;
    this.#known = new Map();
    for (const [place, refused] of this.#store?.read() ?? []) {
      const valid = Object.entries(refused).filter(([, until = Number.POSITIVE_INFINITY]) => until <= latest);
      if (valid.length > 0) this.#known.set(place, new Map(valid as [Refusal, number][]));
    }
    return this.#known;
  }
}

export function isRefusals(value: unknown): value is Refusals {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.entries(value).every(
      ([name, until]) => (NAMES.has(name) || LIMIT.test(name)) && Number.isFinite(until),
    )
  );
}
