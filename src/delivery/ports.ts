/**
 * What the outside world looks like to a delivery: a clock, a resolver, a way to connect. The real ones use
 * Node; the simulated world of `replay/` and the tests implement the same interfaces.
 */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** wall clock, milliseconds since the epoch; may jump both ways */
  now(): number;
  /** milliseconds that never run backwards; only differences mean anything */
  monotonic(): number;
  after(milliseconds: number, call: () => void): Timer;
}

/** Uniform in [0, 1). Seeded in tests and in the simulation. */
export type Random = () => number;

export interface MxRecord {
  /** host name without the final dot; '' is the null MX (RFC 7505) */
  readonly exchange: string;
  readonly preference: number;
}

/** Why a lookup gave no records. `no-domain` is NXDOMAIN, `no-data` is NOERROR with an empty answer: both proven. */
export type LookupFault =
  | 'no-domain'
  | 'no-data'
  | 'server-failure'
  | 'refused'
  | 'timeout'
  | 'bad-answer'
  | 'local-fault';

export type Lookup<T> =
  | { readonly kind: 'found'; readonly records: readonly T[] }
  | { readonly kind: 'failed'; readonly fault: LookupFault };

/** Never rejects: every trouble is a `failed` lookup. Names are ASCII (A-labels). Each lookup has its own deadline. */
export interface Resolver {
  mx(name: string): Promise<Lookup<MxRecord>>;
  /** IPv4 or IPv6 addresses in text form */
  addresses(name: string, family: 4 | 6): Promise<Lookup<string>>;
}
