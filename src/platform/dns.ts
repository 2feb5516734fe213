/** The resolver interface. `dns/resolver.ts` implements it with real name servers; simulations and tests have others. */
import type { TlsaRecord } from '#net-stream-utils';

export interface MxRecord {
  /** host name without the final dot; '' is the null MX (RFC 7505) */
  readonly exchange: string;
  readonly preference: number;
}

/** Why a lookup gave no records. `no-domain` is NXDOMAIN, `no-data` is NOERROR with an empty answer: both proven. */
export type LookupError =
  | 'no-domain'
  | 'no-data'
  | 'server-failure'
  | 'refused'
  | 'timeout'
  | 'bad-answer'
  | 'local-fault';

export type LookupResult<T> = (
  | { readonly kind: 'found'; readonly records: readonly T[] }
  | { readonly kind: 'failed'; readonly fault: LookupError }
) & {
  /** DNSSEC proves the answer, by the word of a resolver that is trusted (RFC 4035 3.2.3) */
  readonly secure?: true;
  /** the name at the end of the aliases, where there are any */
  readonly canonical?: string;
};

/** A domain's MTA-STS policy (RFC 8461 3.2). */
export interface StsPolicy {
  readonly id: string;
  readonly mode: 'enforce' | 'testing' | 'none';
  /** host names, or `*.` and a name; lower case */
  readonly mx: readonly string[];
  /** seconds for which it may be kept */
  readonly maxAge: number;
}

/**
 * How the name of a host is looked up. `whole`: as it is; `searched`: completed as the system does for names that people write;
 * `proved`: as it is, and the answer says whether DNSSEC proves it.
 */
export type AddressLookup = 'whole' | 'searched' | 'proved';

/** Never rejects: every error is a `failed` lookup. Names are ASCII (A-labels). Each lookup has its own deadline. */
export interface Resolver {
  mx(name: string): Promise<LookupResult<MxRecord>>;
  /** IPv4 or IPv6 addresses in text form. @param how default: `whole` */
  addresses(name: string, family: 4 | 6, how?: AddressLookup): Promise<LookupResult<string>>;
  /** TLSA records of `_PORT._tcp.HOST`. Absent: no resolver is trusted to validate, or DANE is off. */
  tlsa?(name: string): Promise<LookupResult<TlsaRecord>>;
  /** The MTA-STS policy that holds for a domain now, one record; `no-data`: there is none. Absent: MTA-STS is off. */
  sts?(domain: string): Promise<LookupResult<StsPolicy>>;
}

/** Names of hosts are the same in upper and lower case, with and without the final dot. */
export function hostKey(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}
