/** Parses the address that the intake or the web view listens on: an IP address and port, or a unix socket. No name is resolved. */
import { isIP, isIPv4 } from 'node:net';

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly loopback: boolean }
  | { readonly kind: 'unix'; readonly path: string }
  /** `text` is a full sentence */
  | { readonly kind: 'unusable'; readonly text: string };

export type ListenTarget = Exclude<ListenAddress, { kind: 'unusable' }>;

function isLoopback(address: string): boolean {
  return isIPv4(address) ? address.startsWith('127.') : address === '::1';
}

/** Longest path of a unix socket, bytes. The system cuts off a longer one, and the socket is then at another path. */
const MAX_PATH = 107;

/** `/path`, `PORT`, `ADDRESS:PORT`, `[IPv6]:PORT` or `localhost:PORT`; port 0 is any free one. */
export function parseListenAddress(text: string, who = 'The intake'): ListenAddress {
  const unusable = (why: string): ListenAddress => ({
    kind: 'unusable',
    text: `${who} cannot listen on "${text}": ${why}.`,
  });
  if (text.startsWith('/')) {
    return Buffer.byteLength(text) > MAX_PATH
      ? unusable(`the path of a unix socket can have at most ${MAX_PATH} bytes`)
      : { kind: 'unix', path: text };
  }
  const [, bracketed, plain, written = ''] = /^(?:\[([^\]]*)\]:|([^:]*):)?(\d{1,5})$/.exec(text) ?? [];
  const port = written === '' ? Number.NaN : Number(written);
  if (!(port <= 65_535)) return unusable('write /path, PORT or ADDRESS:PORT, the port up to 65535');
  const named = bracketed ?? plain ?? 'localhost';
  const host = named.toLowerCase() === 'localhost' ? '127.0.0.1' : named;
  if (isIP(host) === 0) return unusable('use an IP address, because a host name can change its meaning');
  return { kind: 'tcp', host, port, loopback: isLoopback(host) };
}

/** As people write it; `port` is the one the system assigned. */
export function formatListenAddress(address: ListenTarget, port: number): string {
  if (address.kind === 'unix') return address.path;
  return address.host.includes(':') ? `[${address.host}]:${port}` : `${address.host}:${port}`;
}
