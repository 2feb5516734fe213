/** What a user without rights gets to see. Files are closed to everybody, so that the tests may be run by anyone. */
import fs from 'node:fs';

const NOBODY = 65_534;

/** Nobody but root may use these any more. */
export function closeTo(...paths: readonly string[]): void {
  for (const path of paths) fs.chmodSync(path, 0);
}

/** Nobody can load anything of a program that lies where only root gets to. */
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

/** Do it as a user who is not root; who is not root already stays who he is. */
export async function asNobody<T>(work: () => Promise<T>): Promise<T> {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    return await work();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}
