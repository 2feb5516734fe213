/** Whether an IP address leads back to this machine, whatever name it was found under (RFC 5321 5.1: mail loops). */

/**
 * `address` as a resolver or an address literal has it; `own` are the addresses of this machine's interfaces. Loopback and
 * unspecified addresses are always our own (0.0.0.0 and :: connect to this machine), also mapped or embedded in IPv6.
 */
export function isOwnAddress(address: string, own: readonly string[]): boolean {
  const bytes = bytesOf(address);
  if (bytes === null) return false;
  if (bytes.length === 4 && (bytes[0] === 127 || bytes[0] === 0)) return true;
  const name = bytes.join('.');
  if (bytes.length === 16 && (name === UNSPECIFIED || name === LOOPBACK)) return true;
  return own.some((each) => bytesOf(each)?.join('.') === name);
}

const UNSPECIFIED = `${'0.'.repeat(15)}0`;
const LOOPBACK = `${'0.'.repeat(15)}1`;

/** Prefixes behind which an IPv4 address stands: mapped (RFC 4291 2.5.5.2), translated (RFC 2765), NAT64 (RFC 6052). */
const EMBEDDING: readonly string[] = [
  '0.0.0.0.0.0.0.0.0.0.255.255',
  '0.0.0.0.0.0.0.0.255.255.0.0',
  '0.100.255.155.0.0.0.0.0.0.0.0',
];

/** 4 or 16 bytes, an embedded IPv4 address as its 4; null for what is not an address. */
function bytesOf(address: string): readonly number[] | null {
  const text = address.replace(/%.*$/, '').toLowerCase();
  if (!text.includes(':')) return ipv4(text);
  const bytes = ipv6(text);
  if (bytes !== null && EMBEDDING.includes(bytes.slice(0, 12).join('.'))) return bytes.slice(12);
  return bytes;
}

function ipv4(text: string): readonly number[] | null {
  const parts = text.split('.').map(Number);
  return parts.length === 4 && parts.every((part) => part >= 0 && part <= 255) ? parts : null;
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
