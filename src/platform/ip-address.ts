/** IP addresses as bytes: the same address however it is written, and whether a network holds it. */

/** Prefixes behind which an IPv4 address stands: mapped (RFC 4291 2.5.5.2), translated (RFC 2765), NAT64 (RFC 6052). */
const EMBEDDING: readonly string[] = [
  '0.0.0.0.0.0.0.0.0.0.255.255',
  '0.0.0.0.0.0.0.0.255.255.0.0',
  '0.100.255.155.0.0.0.0.0.0.0.0',
];

/**
 * Networks whose hosts are reached through an IPv4 address that stands in theirs, and where it begins: 6to4 (RFC 3056), IPv4-compatible
 * (RFC 4291 2.5.5.1), local NAT64 (RFC 8215).
 */
const TUNNELS: readonly (readonly [network: string, at: number])[] = [
  ['2002::/16', 2],
  ['::/96', 12],
  ['64:ff9b:1::/48', 12],
];

/** 4 or 16 bytes; an embedded IPv4 address as its 4. Null for what is not an address. A zone (`%eth0`) does not count. */
export function ipBytes(address: string): readonly number[] | null {
  const text = address.replace(/%.*$/, '').toLowerCase();
  if (!text.includes(':')) return ipv4(text);
  const bytes = ipv6(text);
  if (bytes !== null && EMBEDDING.includes(bytes.slice(0, 12).join('.'))) return bytes.slice(12);
  return bytes;
}

/** An IPv4 address that is embedded in IPv6 as such; every other address as it is. Connections to both end at the same host. */
export function plainAddress(address: string): string {
  const bytes = address.includes(':') ? ipBytes(address) : null;
  return bytes?.length === 4 ? bytes.join('.') : address;
}

/** The IPv4 address at which a tunnel or a translator to this IPv6 address ends; null: none leads there. */
export function tunnelEnd(address: string): string | null {
  if (!address.includes(':')) return null;
  const at = TUNNELS.find(([network]) => inNetwork(address, network))?.[1];
  return at === undefined ? null : (ipBytes(address) ?? []).slice(at, at + 4).join('.');
}

/** Who one client is: an IPv4 address, or an IPv6 network of 64 bits, of which a host may have all addresses. */
export function clientNetwork(address: string): string {
  const bytes = ipBytes(address);
  return bytes === null || bytes.length === 4 ? plainAddress(address) : bytes.slice(0, 8).join('.');
}

/** `network` is an address, or one with the length of its prefix behind a slash. */
export function inNetwork(address: string, network: string): boolean {
  const [base = '', length] = network.split('/');
  const [one, other] = [ipBytes(address), ipBytes(base)];
  if (one === null || other === null || one.length !== other.length) return false;
  const bits = length === undefined ? one.length * 8 : Number(length);
  return one.every((byte, at) => {
    const mask = 0xff & ~(0xff >> Math.max(0, Math.min(8, bits - at * 8)));
    return (byte & mask) === ((other[at] ?? 0) & mask);
  });
}

function ipv4(text: string): readonly number[] | null {
  const parts = text.split('.');
  const bytes = parts.map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : -1));
  return bytes.length === 4 && bytes.every((byte) => byte >= 0 && byte <= 255) ? bytes : null;
}

function ipv6(text: string): readonly number[] | null {
  const dotted = /[^:]*\.[^:]*$/.exec(text)?.[0];
  const tail = dotted === undefined ? [] : ipv4(dotted);
  if (tail === null) return null;
  const groups = dotted === undefined ? text : text.slice(0, -dotted.length).replace(/([^:]):$/, '$1');
  const [before = '', after] = groups.split('::', 2);
  const head = groupBytes(before);
  const rest = [...(after === undefined ? [] : groupBytes(after)), ...tail];
  const missing = 16 - head.length - rest.length;
  if (after === undefined ? missing !== 0 : missing < 0) return null;
  const bytes = [...head, ...Array.from({ length: missing }, () => 0), ...rest];
  return bytes.every((byte) => byte >= 0 && byte <= 255) ? bytes : null;
}

function groupBytes(groups: string): readonly number[] {
  if (groups === '') return [];
  return groups.split(':').flatMap((group) => {
    const value = /^[0-9a-f]{1,4}$/.test(group) ? Number.parseInt(group, 16) : -1;
    return [value >> 8, value & 255];
  });
}
