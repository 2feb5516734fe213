/** What the listeners of this program have in common: a socket file left behind, and errors of the system in words. */
import { lstat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { errorCode } from '../platform/system-errors.ts';
import type { ListenTarget } from './listen-address.ts';

/** Removes a socket file on which no process listens, as left by `kill -9`. Anything else stays. */
export async function removeStale(path: string): Promise<void> {
  const status = await lstat(path).catch(() => null);
  if (status?.isSocket() !== true) return;
  const dead = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => resolve(false));
    probe.once('error', (error) => resolve(errorCode(error) === 'ECONNREFUSED'));
    probe.once('close', () => probe.destroy());
    probe.end();
  });
  if (dead) await unlink(path);
}

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program already listens there',
  EACCES: 'permission denied for this user',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOENT: 'its directory does not exist',
};

/** Why it cannot listen, as a clause. libuv reports the missing directory of a socket as EACCES. */
export async function listenError(code: string, address: ListenTarget): Promise<string> {
  const isMissing =
    code === 'EACCES' &&
    address.kind === 'unix' &&
    (await lstat(dirname(address.path)).catch(() => null)) === null;
  return LISTEN_ERRORS[isMissing ? 'ENOENT' : code] ?? code;
}

/** Connections that wait to be accepted: Citadel opens one for each recipient at once. */
const BACKLOG = 1024;

/**
 * Resolves to the port it listens on, 0 for a unix socket; rejects with the system's error. A unix socket is for its group, and
 * is made so: a change by its name could follow a link that somebody put there meanwhile.
 */
export async function listen(server: Server, address: ListenTarget): Promise<number> {
  const target =
    address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
  const mask = address.kind === 'unix' ? process.umask(0o117) : null;
  const listening = new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...target, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  if (mask !== null) process.umask(mask);
  await listening;
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : 0;
}
