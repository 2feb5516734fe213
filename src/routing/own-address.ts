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
