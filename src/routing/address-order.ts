/** Which addresses of a host are tried, in which order. Pure. */
import { inNetwork } from '../platform/ip-address.ts';
import type { HostRules } from './destination-rules.ts';
import { isOwnAddress, LOCAL_ONLY } from './own-address.ts';

export type Family = 4 | 6;

const FAMILIES = {
  ipv4: [4],
  ipv6: [6],
  'ipv4-first': [4, 6],
  'ipv6-first': [6, 4],
} as const satisfies { readonly [family in NonNullable<HostRules['family']>]: readonly Family[] };

/** IPv4 first unless a setting says so: a small site's IPv6 address more often lacks the reverse name that large receivers insist on. */
export function familiesFor({ family }: Pick<HostRules, 'family'>): readonly Family[] {
  return FAMILIES[family ?? 'ipv4-first'];
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4;
}

/**
 * Without those of a family in which this machine has no address that means anything to others, unless the host has no other
 * addresses: then the system says what is missing. @param interfaces addresses of this machine; none: not known
 */
export function withRoute(addresses: readonly string[], interfaces: readonly string[]): readonly string[] {
  if (interfaces.length === 0 || addresses.length < 2) return addresses;
  const outside = interfaces.filter((own) => !LOCAL_ONLY.some((network) => inNetwork(own, network)));
  const families = new Set(outside.map(familyOf));
  const reached = addresses.filter(
    (address) => families.has(familyOf(address)) || isOwnAddress(address, interfaces),
  );
  return reached.length > 0 ? reached : addresses;
}
