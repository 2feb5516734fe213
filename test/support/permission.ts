/** What a user without rights gets to see. Files are closed to everybody, so that the tests may be run by anyone. */
import fs from 'node:fs';

const NOBODY = 65_534;

/** Nobody but root may use these any more. */
export function closeTo(...paths: readonly string[]): void {
  for (const path of paths) fs.chmodSync(path, 0);
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
