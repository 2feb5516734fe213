/**
 * Root in a directory of another user: whoever owns it can put links into it, and can exchange them between a check and a
 * use. So the process becomes that user for good before it touches anything there, and root's rights are of no use to it.
 * What follows happens as if the owner had given the command.
 */
import { statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { describeError } from '../../platform/system-errors.ts';
import type { Settings } from '../../settings/table.ts';
import type { CliError } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

/** Null: nothing is in the way. `directory` is the spool or the state directory; nothing in it may have been touched yet. */
export function becomeOwner(directory: string, settings: Pick<Settings, 'as-root'>): CliError | null {
  if (process.geteuid?.() !== 0) return null;
  const owner = statSync(directory, { throwIfNoEntry: false });
  if (owner === undefined || owner.uid === 0) return null;
  if (settings['as-root'] === 'refuse') {
    return cliError(
      `${directory} belongs to user ${owner.uid}, and this is root. Nothing was done. Run spoolroom as that user, or set as-root to drop.`,
      EXIT.noPermission,
    );
  }
  try {
    drop(owner);
    return null;
  } catch (error) {
    return cliError(
      `${directory} belongs to user ${owner.uid}, and root could not become that user: ${describeError(error)}. Nothing was done. ` +
        'Run spoolroom as that user.',
      EXIT.noPermission,
    );
  }
}

type Identity = Partial<
  Pick<NodeJS.Process, 'setgroups' | 'setgid' | 'setuid' | 'getgroups'> & {
    initgroups(user: string, group: number): void;
  }
>;

/** The group of the directory is kept: whoever made it belong to that group wants its files to. Root's is not. */
function drop({ uid, gid }: { readonly uid: number; readonly gid: number }): void {
  // Node has it; its types do not.
  const { setgroups, setgid, setuid, initgroups, getgroups }: Identity = process;
  if (!setgroups || !setgid || !setuid || !initgroups || !getgroups)
    throw new Error('this system has no users to change to');
  const user = accountOf(uid);
  if (user === null) setgroups([]);
  else initgroups(user.username, user.gid);
  if (gid !== 0) setgroups([...new Set([...getgroups(), gid])]);
  setgid(user?.gid ?? (gid === 0 ? NOBODY : gid));
  setuid(uid);
  if (process.getuid?.() !== uid || process.geteuid?.() !== uid) throw new Error('the system did not do it');
}

/** Group of a user that has none. */
const NOBODY = 65_534;

/** Null: the system does not know this user. */
function accountOf(uid: number): { readonly username: string; readonly gid: number } | null {
  process.seteuid?.(uid);
  try {
    const { username, gid } = userInfo();
    return { username, gid };
  } catch {
    // A number without a name is a user, too.
    return null;
  } finally {
    process.seteuid?.(0);
  }
}

/** Of the user who called. A user who is not in the system's database, as in many containers, has only a number. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `user${process.getuid?.() ?? ''}`;
  }
}
