/** Reads a file of the history piece by piece, and what cannot hold what is looked for is not taken apart. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

/** Bytes read at once. */
const PIECE = 1 << 18;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * The lines of a file of which `mayHold` is true, those of each piece together; asked of the whole piece first. Lines without
 * an end are a record being written, or cut off, and count as they are.
 */
export function* linesOf(path: string, mayHold: (text: string) => boolean): Generator<readonly string[]> {
  const fd = openSync(path, READ);
  try {
    const decoder = new StringDecoder('utf8');
    const buffer = Buffer.alloc(PIECE);
    let rest = '';
    for (;;) {
      const count = readSync(fd, buffer, 0, PIECE, null);
      const text = rest + (count === 0 ? decoder.end() : decoder.write(buffer.subarray(0, count)));
      const end = count === 0 ? text.length : text.lastIndexOf('\n') + 1;
      rest = text.slice(end);
      const whole = text.slice(0, end);
      yield mayHold(whole) ? whole.split('\n').filter((line) => line !== '' && mayHold(line)) : [];
      if (count === 0) return;
    }
  } finally {
    closeSync(fd);
  }
}
