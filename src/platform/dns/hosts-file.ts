/**
 * The system's hosts file, which Node's DNS client does not read. A name that is in it, and `localhost` with or without an
 * entry (RFC 6761 section 6.3), is not looked up in the DNS.
 */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Clock } from '../clock.ts';

/** After this time the file is read again, milliseconds. */
const LIFETIME = 30_000;

type Hosts = ReadonlyMap<string, readonly string[]>;

export interface HostsFile {
  /** all addresses of a lower-case name; null when the file does not have it */
  addresses(name: string): Promise<readonly string[] | null>;
}

export function createHostsFile(path: string, clock: Clock): HostsFile {
  let hosts: Promise<Hosts> | null = null;
  let expires = 0;

  return {
    async addresses(name) {
      if (hosts === null || clock.monotonic() >= expires) {
        expires = clock.monotonic() + LIFETIME;
        hosts = read(path);
      }
      return (await hosts).get(name) ?? (isLocalhost(name) ? ['127.0.0.1', '::1'] : null);
    },
  };
}

function isLocalhost(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost');
}

/** A missing or unreadable file counts as empty. */
async function read(path: string): Promise<Hosts> {
  return parseHosts(await readFile(path, 'latin1').catch(() => ''));
}

/** `ADDRESS NAME...` lines; `#` begins a comment. A name on several lines has all their addresses. */
export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (address === undefined || isIP(address) === 0) continue;
    for (const name of names) {
      const known = hosts.get(name.toLowerCase());
      if (known === undefined) hosts.set(name.toLowerCase(), [address]);
      else known.push(address);
    }
  }
  return hosts;
}
