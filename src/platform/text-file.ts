/** Text files that people write: UTF-8, perhaps with a byte order mark before it. */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';

/**
 * Throws as the system does; `EILSEQ` for a file that is not UTF-8, which must not be read with other characters in the place
 * of its own: it may hold a password.
 */
export function readTextFile(path: string): string {
  const bytes = readFileSync(path);
  if (!isUtf8(bytes)) throw Object.assign(new Error(`${path} is not UTF-8`), { code: 'EILSEQ' });
  return bytes.toString('utf8').replace(/^\ufeff/, '');
}
