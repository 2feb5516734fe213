/**
 * The MTA-STS policy of a domain as it holds now: the record in the DNS says whether it has changed, a new one is fetched before
 * anything is judged by it, and what was fetched holds until its time is over, whatever happens to record or web server
 * meanwhile (RFC 8461 3.3, 5.1).
 */
import type { Clock } from '../platform/clock.ts';
import type { LookupResult, Resolver, StsPolicy } from '../platform/dns.ts';
import { describeError, isOperationalError } from '../platform/system-errors.ts';
import type { KeptPolicy, StsCache } from './sts-cache.ts';
import type { Fetched, FetchProblem } from './sts-fetch.ts';
import { stsRecordId } from './sts-policy.ts';

export interface StsDeps {
  readonly resolver: Pick<Resolver, 'addresses'> & { txt(name: string): Promise<LookupResult<string>> };
  readonly cache: StsCache;
  readonly clock: Clock;
  fetch(domain: string, addresses: readonly string[], signal: AbortSignal): Promise<Fetched>;
  /** for the domain's report (RFC 8460) */
  readonly fetchFailed?: (domain: string, problem: FetchProblem) => void;
  /** a full sentence for people */
  readonly warn: (text: string) => void;
}

/** Milliseconds for a fetch, all addresses together (RFC 8461 3.3). */
const FETCH_TIME = 60_000;

/** Seconds after a failed fetch in which it is not tried again. */
const WAIT = 300;

/** Milliseconds after which policies of domains without mail are looked at again, and how many at once. */
const ROUND = 12 * 3_600_000;
const MOST_IN_ROUND = 20;

export class StsPolicies {
  readonly #deps: StsDeps;
  readonly #lookups = new Map<string, Promise<LookupResult<StsPolicy>>>();
  readonly #fetches = new Map<string, Promise<StsPolicy | null>>();
  readonly #closed = new AbortController();
  #nextRound = Number.NEGATIVE_INFINITY;

  constructor(deps: StsDeps) {
    this.#deps = deps;
  }

  /** One record, or `no-data`: no policy holds. Never rejects. Those who ask at the same time share the answer. */
  readonly lookup = (domain: string): Promise<LookupResult<StsPolicy>> => {
    const running = this.#lookups.get(domain);
    if (running !== undefined) return running;
    const lookup = this.#find(domain).finally(() => this.#lookups.delete(domain));
    this.#lookups.set(domain, lookup);
    this.#beginRound();
    return lookup;
  };

  /** Ends the fetches that nobody waits for. */
  close(): void {
    this.#closed.abort();
  }

  async #find(domain: string): Promise<LookupResult<StsPolicy>> {
    const id = await this.#recordId(domain);
    const now = this.#now();
    const kept = this.#deps.cache.read(domain);
    const held = heldBy(kept, now);
    // A clock that was set back must not make a failure hold for ever.
    const mayFetch = id !== null && (kept?.failed == null || Math.abs(now - kept.failed.at) >= WAIT);
    if (mayFetch && id !== held?.id) return answer((await this.#fetch(domain, id)) ?? held);
    if (mayFetch && isOld(kept, now)) void this.#fetch(domain, id);
    return answer(held);
  }

  /** Null: no record that counts, or no answer, which are the same here: what is kept holds. */
  async #recordId(domain: string): Promise<string | null> {
    const found = await this.#deps.resolver.txt(`_mta-sts.${domain}`);
    return found.kind === 'found' ? stsRecordId(found.records) : null;
  }

  /** Null: it failed, and what is kept stays. */
  #fetch(domain: string, id: string): Promise<StsPolicy | null> {
    const running = this.#fetches.get(domain);
    if (running !== undefined) return running;
    const fetch = this.#fetchAndKeep(domain, id).finally(() => this.#fetches.delete(domain));
    this.#fetches.set(domain, fetch);
    return fetch;
  }

  async #fetchAndKeep(domain: string, id: string): Promise<StsPolicy | null> {
    const { cache, clock, resolver, fetch } = this.#deps;
    const time = new AbortController();
    const timer = clock.after(FETCH_TIME, () => time.abort());
    const signal = AbortSignal.any([time.signal, this.#closed.signal]);
    const name = `mta-sts.${domain}`;
    const lookups = await Promise.all([resolver.addresses(name, 4), resolver.addresses(name, 6)]);
    const addresses = lookups.flatMap((found) => (found.kind === 'found' ? found.records : []));
    const fetched = await fetch(domain, addresses, signal);
    timer.cancel();
    if (this.#closed.signal.aborted) return null;
    const at = this.#now();
    if (fetched.kind === 'policy') {
      const policy = { id, ...fetched.policy };
      this.#keep(domain, { policy, fetched: at, failed: null });
      return policy;
    }
    this.#deps.fetchFailed?.(domain, fetched.problem);
    const kept = cache.read(domain);
    const { reason } = fetched;
    if (heldBy(kept, at) === null && kept?.failed?.reason !== reason)
      this.#deps.warn(
        `The MTA-STS policy of ${domain} ${reason}. Until it can be had, mail goes there as to a domain without a policy.`,
      );
    const before = { policy: kept?.policy ?? null, fetched: kept?.fetched ?? 0 };
    this.#keep(domain, { ...before, failed: { at, reason } });
    return null;
  }

  /** Mail does not wait for a policy that cannot be kept: it is fetched again by the next run. */
  #keep(domain: string, kept: KeptPolicy): void {
    try {
      this.#deps.cache.write(domain, kept);
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      this.#deps.warn(
        `The MTA-STS policy of ${domain} cannot be kept: ${describeError(error)}. It is fetched again when it is needed.`,
      );
    }
  }

  /** Policies that are about to end are fetched though no mail goes to their domains just now; those that ended are dropped. */
  #beginRound(): void {
    const { cache, clock } = this.#deps;
    if (clock.monotonic() < this.#nextRound) return;
    this.#nextRound = clock.monotonic() + ROUND;
    const now = this.#now();
    const old = cache.domains().filter((domain) => isOld(cache.read(domain), now));
    for (const domain of old.filter((each) => heldBy(cache.read(each), now) === null)) cache.remove(domain);
    for (const domain of old.slice(0, MOST_IN_ROUND))
      if (!this.#lookups.has(domain)) void this.lookup(domain);
  }

  #now(): number {
    return Math.floor(this.#deps.clock.now() / 1000);
  }
}

/** The policy if its time is not over. */
function heldBy(kept: KeptPolicy | null, now: number): StsPolicy | null {
  if (kept?.policy == null) return null;
  // A clock that was set back must not make a policy hold for ever.
  const age = Math.abs(now - kept.fetched);
  return age < kept.policy.maxAge ? kept.policy : null;
}

/** Half of its time is over. */
function isOld(kept: KeptPolicy | null, now: number): boolean {
  return kept !== null && now - kept.fetched >= (kept.policy?.maxAge ?? WAIT) / 2;
}

function answer(policy: StsPolicy | null): LookupResult<StsPolicy> {
  return policy === null ? { kind: 'failed', fault: 'no-data' } : { kind: 'found', records: [policy] };
}
