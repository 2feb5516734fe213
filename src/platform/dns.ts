/** The resolver interface. `dns-resolver.ts` implements it with real name servers; simulations and tests have others. */

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

export type LookupResult<T> =
  | { readonly kind: 'found'; readonly records: readonly T[] }
  | { readonly kind: 'failed'; readonly fault: LookupError };

/** Never rejects: every error is a `failed` lookup. Names are ASCII (A-labels). Each lookup has its own deadline. */
export interface Resolver {
  mx(name: string): Promise<LookupResult<MxRecord>>;
  /**
   * IPv4 or IPv6 addresses in text form.
   * @param search complete the name as the system does for names that people write; default: the name is whole
   */
  addresses(name: string, family: 4 | 6, search?: boolean): Promise<LookupResult<string>>;
}

/** Names of hosts are the same in upper and lower case, with and without the final dot. */
export function hostKey(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}
