/** Reads a file of the history piece by piece, and what cannot hold what is looked for is not taken apart. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

/** Bytes read at once. */
const PIECE = 1 << 18;
/**
 * Characters of a line. A record names a thousand recipients at most; what is longer is none of ours, and is passed over.
 */
const LONGEST_LINE = 1 << 22;
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
    /** of a line that is passed over, until its end */
    let isPassing = false;
    for (;;) {
      const count = readSync(fd, buffer, 0, PIECE, null);
      const piece = count === 0 ? decoder.end() : decoder.write(buffer.subarray(0, count));
      const from = isPassing ? piece.indexOf('\n') + 1 : 0;
      if (isPassing && from === 0 && count > 0) continue;
      isPassing = false;
      const text = rest + piece.slice(from);
      const end = count === 0 ? text.length : text.lastIndexOf('\n') + 1;
      rest = text.slice(end);
      if (rest.length > LONGEST_LINE) {
        rest = '';
        isPassing = true;
      }
      const whole = text.slice(0, end);
      yield mayHold(whole) ? whole.split('\n').filter((line) => line !== '' && mayHold(line)) : [];
      if (count === 0) return;
    }
  } finally {
    closeSync(fd);
  }
}
