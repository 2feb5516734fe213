/** Whether an IP address leads back to this machine, whatever name it was found under (RFC 5321 5.1: mail loops). */
import { inNetwork } from '../platform/ip-address.ts';

/** Loopback and unspecified addresses: 0.0.0.0 and :: connect to this machine, too. */
const OURS: readonly string[] = ['127.0.0.0/8', '0.0.0.0/8', '::1', '::'];

/**
 * `address` as a resolver or an address literal has it, also one mapped or embedded in IPv6; `own` are the addresses of this
 * machine's interfaces.
 */
export function isOwnAddress(address: string, own: readonly string[]): boolean {
  return [...OURS, ...own].some((network) => inNetwork(address, network));
}

/** Means nothing to another machine. */
export const LOCAL_ONLY: readonly string[] = [...OURS, '169.254.0.0/16', 'fe80::/10'];

/**
 * What EHLO says (RFC 5321 4.1.1.1): a fully qualified name, else an address literal, because servers refuse short names.
 * Without any address the short name is used.
 */
export function ehloNameFor(hostname: string, interfaces: readonly string[]): string {
  if (hostname.includes('.')) return hostname;
  const outside = interfaces.filter((address) => !LOCAL_ONLY.some((network) => inNetwork(address, network)));
  const address = outside.find((each) => !each.includes(':')) ?? outside[0] ?? interfaces[0];
  if (address === undefined) return hostname;
  return address.includes(':') ? `[IPv6:${address}]` : `[${address}]`;
}
