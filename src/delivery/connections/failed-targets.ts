/** Targets that are left alone for a while after a failure that would meet the next session as well. */
import type { Clock } from '../../platform/clock.ts';
import type { Failure } from '../../smtp/outcome.ts';
import type { ConnectionTarget } from './target.ts';

/** Milliseconds for which a target that failed is not tried for other jobs: less than the shortest retry interval. */
const BACK_OFF = 120_000;

/** Failures in these stages concern the host and not the message. */
const BEFORE_MAIL: ReadonlySet<string> = new Set([
  'network',
  'connect',
  'greeting',
  'ehlo',
  'helo',
  'capabilities',
  'starttls',
  'handshake',
  'auth',
]);

export class FailedTargets {
  readonly #clock: Clock;
  /** by name of the target, and by place where nobody answers */
  readonly #failures = new Map<string, { readonly failure: Failure; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Its failure of not long ago. */
  of({ name, place, host }: ConnectionTarget): Failure | undefined {
    const failed = this.#failures.get(name) ?? this.#failures.get(place);
    if (failed === undefined || this.#clock.monotonic() >= failed.until) return undefined;
    const { failure } = failed;
    return { ...failure, peer: failure.peer && { ...failure.peer, host: host.name } };
  }

  /** Only what comes before MAIL, or a 421, says something about the next message. */
  record({ name, place }: ConnectionTarget, failure: Failure): void {
    if (failure.code !== 421 && !BEFORE_MAIL.has(failure.stage)) return;
    const failed = { failure, until: this.#clock.monotonic() + BACK_OFF };
    this.#failures.set(name, failed);
    // Nobody answers there, whatever name leads there.
    if (failure.stage === 'connect') this.#failures.set(place, failed);
  }

  prune(): void {
    const now = this.#clock.monotonic();
    for (const [key, { until }] of this.#failures) if (until <= now) this.#failures.delete(key);
  }
}
