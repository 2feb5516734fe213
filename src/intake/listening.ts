/** What the listeners of this program have in common: a socket file left behind, and errors of the system in words. */
import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
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
