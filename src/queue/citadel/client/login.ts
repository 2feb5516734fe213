/**
 * The account for a Citadel server, from a file that only its owner can read: the user name in the first line, the password
 * in the second. The password never reaches a log, an error or a process list.
 */
import { statSync } from 'node:fs';
import { bytesOf } from '../../../platform/bytes.ts';
import { describeError, errorCode } from '../../../platform/system-errors.ts';
import { readTextFile } from '../../../platform/text-file.ts';
import { isOneLine } from './protocol.ts';

export interface Login {
  /** as the protocol's bytes */
  readonly user: string;
  readonly password: string;
}

export type LoginRead =
  | { readonly kind: 'login'; readonly login: Login }
  /** a full sentence */
  | { readonly kind: 'refused'; readonly text: string };

function refused(path: string, why: string): LoginRead {
  return { kind: 'refused', text: `The login file ${path} cannot be used: ${why}.` };
}

/** Two lines of text, in UTF-8 as Citadel keeps names. */
function parseLogin(path: string, text: string): LoginRead {
  const [user = '', password = '', ...rest] = text.split('\n').map((line) => line.replace(/\r$/, ''));
  const isWhole = user !== '' && password !== '' && rest.every((line) => line === '');
  if (!isWhole || !isOneLine(user + password))
    return refused(path, 'it needs two lines, the name of an admin and its password');
  return { kind: 'login', login: { user: bytesOf(user), password: bytesOf(password) } };
}

/** @param self user id of this process */
export function readLogin(path: string, self = process.geteuid?.() ?? 0): LoginRead {
  const read = readPrivate(path, self);
  return 'why' in read ? refused(path, read.why) : parseLogin(path, read.text);
}

/**
 * The text of a file with passwords, unless other users can read or change it: it has to belong to us, or to root, who can
 * read it anyway. `why` is a clause.
 */
export function readPrivate(
  path: string,
  self = process.geteuid?.() ?? 0,
): { readonly text: string } | { readonly why: string } {
  try {
    const { mode, uid } = statSync(path);
    if (uid !== self && uid !== 0) return { why: `it belongs to another user; run "chown ${self} ${path}"` };
    if ((mode & 0o077) !== 0) return { why: `other users can read or change it; run "chmod 600 ${path}"` };
    return { text: readTextFile(path) };
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return { why: describeError(error) };
  }
}
