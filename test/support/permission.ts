/** The view of a user without rights. Files are closed to all users, so that the tests may be run by anyone. */
import fs from 'node:fs';

const NOBODY = 65_534;

/** From now on only root may use these. */
export function closeTo(...paths: readonly string[]): void {
  for (const path of paths) fs.chmodSync(path, 0);
}

/** As another user no module can be loaded from a folder that only root can reach. */
export const AS_NOBODY = { skip: isOutOfReach() ? 'only root gets to these sources' : false };

function isOutOfReach(): boolean {
  if (process.geteuid?.() !== 0) return false;
  process.seteuid?.(NOBODY);
  try {
    fs.statSync(new URL(import.meta.url));
    return false;
  } catch {
    return true;
  } finally {
    process.seteuid?.(0);
  }
}

/** Runs `work` as a user who is not root: `nobody`, if the tests run as root. */
export async function asNobody<T>(work: () => Promise<T>): Promise<T> {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    return await work();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}
