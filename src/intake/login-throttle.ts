/**
 * Slows those who guess passwords, over all connections: by client address and by user. The first failures cost an honest
 * mistake a second each; beyond them every further one doubles the time until the next attempt of the same address, or for
 * the same user, is answered, right or wrong. Who would have to wait too long is told to come back, unheard. An address from
 * which a user has logged in is not held up by what others guess about that user. Memory is bounded: the oldest are forgotten.
 */
import type { Clock } from '../platform/clock.ts';
import { clientNetwork } from '../platform/ip-address.ts';

/** Failures that cost nothing but the delay of their own answer. */
const FREE = 3;
/** Milliseconds that every wrong password waits for its answer. */
const DELAY = 1000;
/** Milliseconds between two attempts at the most. */
const LONGEST_GAP = 16_000;
/** Milliseconds an attempt waits for its turn at the most. */
const LONGEST_WAIT = 30_000;
/** Milliseconds after which a failure is forgotten. */
const MEMORY = 600_000;
/** Addresses and users whose failures are remembered; pairs of them that are known. */
const MOST = 10_000;
/** Characters of a user that count. */
const LONGEST_USER = 100;

interface Failures {
  readonly count: number;
  /** the one user whom all of them were about; null: several */
  readonly user: string | null;
  /** when the next attempt may be answered */
  readonly free: number;
}

const NO_FAILURES: Failures = { count: 0, user: null, free: 0 };

export type Attempt =
  /** answer after so many milliseconds */
  | { readonly kind: 'accepted'; readonly delay: number }
  /** `failures`: of this address, lately */
  | { readonly kind: 'failed'; readonly delay: number; readonly failures: number }
  /** the password was not looked at */
  | { readonly kind: 'throttled'; readonly delay: number; readonly failures: number };

export type Turn =
  | Extract<Attempt, { kind: 'throttled' }>
  | { readonly kind: 'admitted'; settle(isRight: boolean): Attempt };

export class LoginThrottle {
  readonly #clock: Clock;
  /** by `address ...` and `user ...`; who failed last is the last one */
  readonly #failures = new Map<string, Failures>();
  /** a user and an address from which that user has logged in */
  readonly #known = new Set<string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One attempt. `isRight` is asked at most once, and not at all when there were too many. */
  attempt(user: string, address: string, isRight: () => boolean): Attempt {
    const turn = this.admit(user, address);
    return turn.kind === 'throttled' ? turn : turn.settle(isRight());
  }

  /** The same for a check that takes its time: the next attempt may be admitted when this one is settled. */
  admit(user: string, address: string): Turn {
    const now = this.#clock.monotonic();
    const network = clientNetwork(address);
    // Copied: a part of a string would keep the whole line alive.
    const name = Buffer.from(user.slice(0, LONGEST_USER)).toString();
    const pair = `${network} ${name}`;
    const keys = [`address ${network}`, ...(this.#known.has(pair) ? [] : [`user ${name}`])];
    const at = Math.max(now, ...keys.map((key) => this.#of(key, now).free));
    const failures = this.#of(`address ${network}`, now).count;
    if (at - now > LONGEST_WAIT) return { kind: 'throttled', delay: DELAY, failures };
    return {
      kind: 'admitted',
      settle: (isRight) => {
        if (isRight) {
          // Who has an account of their own does not clear what they guessed about others.
          for (const key of keys) if (this.#of(key, now).user === name) this.#failures.delete(key);
          remember(this.#known, pair);
          return { kind: 'accepted', delay: at - now };
        }
        for (const key of keys) this.#fail(key, name, at, now);
        return { kind: 'failed', delay: at - now + DELAY, failures: failures + 1 };
      },
    };
  }

  #of(key: string, now: number): Failures {
    const known = this.#failures.get(key);
    return known === undefined || known.free + MEMORY < now ? NO_FAILURES : known;
  }

  #fail(key: string, name: string, at: number, now: number): void {
    const before = this.#of(key, now);
    const count = before.count + 1;
    const user = before.count === 0 || before.user === name ? name : null;
    const gap = count <= FREE ? 0 : Math.min(LONGEST_GAP, DELAY * 2 ** (count - FREE - 1));
    this.#failures.delete(key);
    this.#failures.set(key, { count, user, free: at + gap });
    forgetOldest(this.#failures);
  }
}

function remember(set: Set<string>, entry: string): void {
  set.delete(entry);
  set.add(entry);
  forgetOldest(set);
}

function forgetOldest(known: {
  readonly size: number;
  keys(): Iterator<string>;
  delete(key: string): boolean;
}) {
  if (known.size <= MOST) return;
  const oldest = known.keys().next();
  if (oldest.done !== true) known.delete(oldest.value);
}
