/**
 * Where the intake listens: a loopback address and port, or a unix socket. Called by listener.ts before it opens
 * anything. Another address is taken only with authentication and TLS, so that no mistyped option makes an open relay.
 * Pure: resolves no name and opens nothing.
 */
import { isIP, isIPv4 } from 'node:net';

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly loopback: boolean }
  | { readonly kind: 'unix'; readonly path: string }
  /** a full sentence */
  | { readonly kind: 'unusable'; readonly text: string };

function unusable(text: string, why: string): ListenAddress {
  return { kind: 'unusable', text: `The intake cannot listen at "${text}": ${why}.` };
}

function isLoopback(address: string): boolean {
  return isIPv4(address) ? address.startsWith('127.') : address === '::1';
}

/** Bytes of a unix socket's path; a longer one is cut off by the system, and the socket then lies somewhere else. */
const LONGEST_PATH = 107;

/** `/path`, `PORT`, `ADDRESS:PORT`, `[IPv6]:PORT` or `localhost:PORT`; port 0 is any free one. */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith('/')) {
    return Buffer.byteLength(text) > LONGEST_PATH
      ? unusable(text, `the path of a unix socket has ${LONGEST_PATH} bytes at the most`)
      : { kind: 'unix', path: text };
  }
  const [, bracketed, plain, written = ''] = /^(?:\[([^\]]*)\]:|([^:]*):)?(\d{1,5})$/.exec(text) ?? [];
  const port = written === '' ? Number.NaN : Number(written);
  if (!(port <= 65_535)) return unusable(text, 'write /path, PORT or ADDRESS:PORT, the port up to 65535');
  const named = bracketed ?? plain ?? 'localhost';
  const host = named.toLowerCase() === 'localhost' ? '127.0.0.1' : named;
  if (isIP(host) === 0)
    return unusable(text, 'name an IP address; a host name may mean another machine tomorrow');
  return { kind: 'tcp', host, port, loopback: isLoopback(host) };
}

/** How people write it; `port` is the one the system gave. */
export function formatListenAddress(
  place: Exclude<ListenAddress, { kind: 'unusable' }>,
  port: number,
): string {
  if (place.kind === 'unix') return place.path;
  return place.host.includes(':') ? `[${place.host}]:${port}` : `${place.host}:${port}`;
}
