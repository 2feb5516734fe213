/** Where mail is sent: relays, destinations and hosts. */
import type { TlsaRecord } from '#net-stream-utils';

/** How the connection to a host is protected. */
export type TlsPolicy =
  /** never */
  | 'none'
  /** STARTTLS where offered, any certificate; clear text when it is not offered or fails */
  | 'opportunistic'
  /** STARTTLS or nothing, certificate verified */
  | 'require'
  /** TLS from the first byte (`smtps://`), certificate verified */
  | 'implicit';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** One `smarthost` or `fallbackhost` entry. */
export interface Relay {
  readonly kind: 'smarthost' | 'fallbackhost';
  /** name or IP literal without brackets */
  readonly host: string;
  readonly literal: 4 | 6 | null;
  readonly port: number;
  readonly scheme: 'smtp' | 'smtps' | null;
  readonly credentials: Credentials | null;
  /** only for mail of this author or address (July 2012 to 2017: ` user` after the entry) */
  readonly sender: string | null;
  /** the entry as written, without its credentials, for people */
  readonly shown: string;
}

/** A host to try, before its addresses are looked up. */
export interface Host {
  readonly name: string;
  readonly literal: 4 | 6 | null;
  readonly port: number;
  readonly origin: 'mx' | 'domain' | 'literal' | 'smarthost' | 'fallbackhost';
  /** MX preference, null for the other origins */
  readonly preference: number | null;
  readonly credentials: Credentials | null;
  readonly implicitTls: boolean;
  /** positions of the entries of `destinations` that hold for this mail; absent: none names a domain or sender of it */
  readonly entries?: readonly number[];
  /** known of the policies of the domain whose host it is; absent: nothing that matters */
  readonly policy?: HostPolicy;
  /** what those policies demand of the connection, known together with the addresses; absent: nothing */
  readonly protection?: Protection;
}

/** What a domain says of the TLS of its mail hosts, as far as it is known before the hosts are looked up. */
export interface HostPolicy {
  /** the recipient's domain, never the end of its aliases */
  readonly domain: string;
  /** DNSSEC proves that this is a host of the domain, so it may have TLSA records */
  readonly secure?: true;
  /** mode of the domain's MTA-STS policy */
  readonly sts?: 'enforce' | 'testing';
  /** the policy does not list this host; where it is enforced, such a host is left out instead */
  readonly unlisted?: true;
}

/**
 * What a connection must prove before mail goes over it. Without it, clear text is never an alternative. `required`: because the
 * sender of the message demands it (RFC 8689), whatever a setting says of the host.
 */
export type Protection = { readonly required?: true } /** one of these TLSA records matches (RFC 7672) */ & (
  | { readonly demands: 'dane'; readonly records: readonly TlsaRecord[]; readonly names: readonly string[] }
  /** a certificate for the host's name by a CA that is trusted (RFC 8461 4.2) */
  | { readonly demands: 'pkix' }
  /** encryption alone: there are TLSA records, and none of them can be used (RFC 7672 2.2) */
  | { readonly demands: 'encryption' }
);

/** Named by an administrator, not by the DNS or by an address. */
export function isRelay({ origin }: Host): boolean {
  return origin === 'smarthost' || origin === 'fallbackhost';
}

/** With any smarthost all mail goes to the relays (R075); a fallbackhost alone does not cause that (C02). */
export function isRelayMode(relays: readonly Relay[]): boolean {
  return relays.some(({ kind }) => kind === 'smarthost');
}

/** Recipients with the same destination share transactions and sessions. */
export type Destination = {
  /** `mx:example.com`, `literal:192.0.2.1`, `relays` or `relays:<sender>`, and the entries that hold: equal keys, equal hosts */
  readonly key: string;
  /** for people: the domain, the literal, or the relays */
  readonly name: string;
  /** as in `Host`, for its hosts */
  readonly entries?: readonly number[];
} & (
  | { readonly kind: 'mx'; readonly domain: string }
  | { readonly kind: 'literal'; readonly address: string; readonly family: 4 | 6 }
  /** relay mode; empty when none of the configured relays is for this sender */
  | { readonly kind: 'relays'; readonly relays: readonly Relay[] }
);
