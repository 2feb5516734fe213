/** Appends to a file in a folder of ours: never through a link, never into a new file, never into what is no file. */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';

const APPEND = constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Whole lines, in one write, so that those of several processes do not mix. A line that a crash or a full disk has cut off is
 * ended first. Throws the system's error; `EISDIR` and the like for what is no file, `EMLINK` for one with a second name.
 */
export function appendLines(file: string, lines: string): void {
  const fd = openSync(file, APPEND);
  try {
    const { size, nlink } = fstatSync(fd);
    if (nlink > 1)
      throw Object.assign(new Error(`${file} has a second name`), { code: 'EMLINK', path: file });
    const last = Buffer.alloc(1);
    const isCut = size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== LF;
    const bytes = Buffer.from(isCut ? `\n${lines}` : lines);
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
  } finally {
    closeSync(fd);
  }
}

const LF = 0x0a;
