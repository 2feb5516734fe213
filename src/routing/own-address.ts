/** Whether an IP address leads back to this machine, whatever name it was found under (RFC 5321 5.1: mail loops). */
import { inNetwork, ipBytes, tunnelEnd } from '../platform/ip-address.ts';

/** Loopback and unspecified addresses: 0.0.0.0 and :: connect to this machine, too. */
const OURS: readonly string[] = ['127.0.0.0/8', '0.0.0.0/8', '::1', '::'];

/**
 * `address` as a resolver or an address literal has it, also one mapped or embedded in IPv6, or behind a tunnel that ends here; `own` are the addresses of this
 * machine's interfaces.
 */
export function isOwnAddress(address: string, own: readonly string[]): boolean {
  const end = tunnelEnd(address);
  const ends = end === null ? [address] : [address, end];
  return [...OURS, ...own].some((network) => ends.some((each) => inNetwork(each, network)));
}

/** Means nothing to another machine. */
export const LOCAL_ONLY: readonly string[] = [...OURS, '169.254.0.0/16', 'fe80::/10'];

/** Labels of letters, digits and hyphens (RFC 1123 2.1), at least two; the last is no number. */
const FULL_NAME = /^(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?\.)+(?!\d+$)[a-z\d-]{1,63}$/i;

/** Whether servers take the name in EHLO. */
export function isFullName(hostname: string): boolean {
  return hostname.length <= 253 && FULL_NAME.test(hostname) && !/\.local(?:domain|host)$/i.test(hostname);
}

/**
 * What EHLO says (RFC 5321 4.1.1.1): a fully qualified name, else an address literal, because servers refuse short names and
 * names that cannot be in the DNS. Without any address the name is used all the same.
 */
export function ehloNameFor(hostname: string, interfaces: readonly string[]): string {
  if (isFullName(hostname)) return hostname;
  if (ipBytes(hostname)?.length === 4) return `[${hostname}]`;
  const isIPv6 = (address: string): boolean => address.includes(':');
  const inOrder = [...interfaces.filter((each) => !isIPv6(each)), ...interfaces.filter(isIPv6)];
  const isOutside = (address: string): boolean => !LOCAL_ONLY.some((network) => inNetwork(address, network));
  const address = inOrder.find(isOutside) ?? interfaces[0];
  if (address === undefined) return hostname;
  return isIPv6(address) ? `[IPv6:${address}]` : `[${address}]`;
}
