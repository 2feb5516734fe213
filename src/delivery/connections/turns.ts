/**
 * What is spread over time: sessions and messages of a group of hosts that may have so many in a minute. An attempt whose turn is
 * later leaves its worker, and is resumed in time. Where several processes share the limits, so are the turns.
 */
import type { Clock } from '../../platform/clock.ts';
import type { LimitGroup } from '../../routing/destination-rules.ts';
import type { SharedLimits } from '../../routing/shared-limits.ts';
import type { DeliveryAttempt } from '../attempt.ts';

export type Turn = 'betweenSessions' | 'betweenMessages';

export interface TurnsDeps {
  readonly clock: Clock;
  /** null: this process is alone */
  readonly shared: SharedLimits | null;
  /** session starts a second of all processes together; 0: no limit. Where this process is alone its pool sees to it. */
  readonly rate: number;
  /** called with an attempt whose turn has come */
  readonly resume: (attempt: DeliveryAttempt) => void;
}

interface SpreadLimit {
  readonly key: string;
  /** milliseconds from one turn to the next */
  readonly between: number;
}

export class Turns {
  readonly #deps: TurnsDeps;
  /** when the next one is, monotonic milliseconds */
  readonly #next = new Map<string, number>();
  /** attempts whose turn is later */
  readonly #early = new Set<DeliveryAttempt>();

  constructor(deps: TurnsDeps) {
    this.#deps = deps;
  }

  /** Whether the attempt's turn is later. Its turn is kept for it until it is done. */
  isEarly(groups: readonly LimitGroup[], turn: Turn, attempt: DeliveryAttempt): boolean {
    const limits = this.#limits(groups, turn).filter(({ key }) => attempt.turns?.has(key) !== true);
    if (limits.length === 0) return false;
    attempt.turns ??= new Set();
    for (const { key } of limits) attempt.turns.add(key);
    const { shared, clock } = this.#deps;
    if (shared !== null) {
      void this.#resumeInTurn(shared, limits, attempt);
      return true;
    }
    const now = clock.monotonic();
    const at = Math.max(...limits.map((limit) => this.#take(limit, now)));
    if (at === now) return false;
    this.#early.add(attempt);
    this.#resumeAfter(at - now, attempt);
    return true;
  }

  /** Attempts whose turn would be later; none waits any more. */
  takeAll(): readonly DeliveryAttempt[] {
    const early = [...this.#early];
    this.#early.clear();
    return early;
  }

  prune(): void {
    const now = this.#deps.clock.monotonic();
    for (const [key, at] of this.#next) if (at <= now) this.#next.delete(key);
  }

  #limits(groups: readonly LimitGroup[], turn: Turn): readonly SpreadLimit[] {
    const { shared, rate } = this.#deps;
    const isOfAll = shared !== null && rate > 0 && turn === 'betweenSessions';
    if (groups.length === 0 && !isOfAll) return NONE;
    const limits = groups.filter((group) => group[turn] > 0);
    return [
      ...limits.map((group) => ({ key: `${group.name} ${turn}`, between: group[turn] })),
      ...(isOfAll ? [{ key: `all ${turn}`, between: 1000 / rate }] : []),
    ];
  }

  #take({ key, between }: SpreadLimit, now: number): number {
    const at = Math.max(now, this.#next.get(key) ?? 0);
    this.#next.set(key, at + between);
    return at;
  }

  async #resumeInTurn(
    shared: SharedLimits,
    limits: readonly SpreadLimit[],
    attempt: DeliveryAttempt,
  ): Promise<void> {
    this.#early.add(attempt);
    attempt.pause(null);
    const delays = await Promise.all(limits.map(({ key, between }) => shared.turn(key, between)));
    if (this.#early.has(attempt)) this.#resumeAfter(Math.max(...delays), attempt);
  }

  #resumeAfter(milliseconds: number, attempt: DeliveryAttempt): void {
    attempt.pause(
      this.#deps.clock.after(milliseconds, () => {
        this.#early.delete(attempt);
        this.#deps.resume(attempt);
      }),
    );
  }
}

const NONE: readonly SpreadLimit[] = [];
