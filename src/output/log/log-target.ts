/**
 * Where log lines are written: standard error, a file, or what stands for one. A line that cannot be written to its target goes to
 * standard error.
 */
import { closeSync, createWriteStream, openSync, statSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { describeError } from '../../platform/system-errors.ts';
import { escapeControl } from '../text.ts';

/** The property in which winston keeps formatted text. */
export const TEXT = Symbol.for('message');

type Put = (lines: string, done: () => void) => void;

/** Takes lines from winston. They wait here as long as it takes, with the time at which they came. */
function linesTo(put: Put, final: (done: () => void) => void): Writable {
  const textOf = (lines: { readonly [TEXT]: string }): string => lines[TEXT];
  return new Writable({
    objectMode: true,
    highWaterMark: Number.MAX_SAFE_INTEGER,
    write: (line, _, done) => put(textOf(line), done),
    // What came while the lines before were being written goes out in one piece.
    writev: (chunks, done) => put(chunks.map(({ chunk }) => textOf(chunk)).join(''), done),
    final,
  });
}

/** Never ended: others write there, too. */
export function withoutEnd(stderr: Writable): Writable {
  return linesTo(
    (lines, done) => void stderr.write(lines, () => done()),
    (done) => done(),
  );
}

/** To write to a file takes less than to have it written by another thread. What is no file, such as a pipe, may block. */
export async function plainStream(target: string, stderr: Writable): Promise<Writable> {
  if (target === 'stderr') return stderr;
  const isFile = statSync(target, { throwIfNoEntry: false })?.isFile() ?? true;
  return isFile ? fileStream(target) : createWriteStream(target, { flags: 'a' });
}

function fileStream(path: string): Writable {
  const fd = openSync(path, 'a', 0o640);
  return new Writable({
    write: (lines: Buffer, _, done) => {
      try {
        for (let written = 0; written < lines.length; ) written += writeSync(fd, lines, written);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    destroy: (error, done) => {
      closeSync(fd);
      done(error);
    },
  });
}

/** Writes lines to their target, and to standard error when that fails. */
export async function withFallback(
  name: string,
  chosen: Promise<Writable>,
  stderr: Writable,
): Promise<Writable> {
  let warned = false;
  const warn = (error: Error): void => {
    if (warned) return;
    warned = true;
    stderr.write(
      `spoolroom: the log ${escapeControl(name)} cannot be written: ${describeError(error)}; its lines follow here.\n`,
    );
  };
  const target = await chosen.catch((error: Error) => {
    warn(error);
    return stderr;
  });
  if (target !== stderr) target.on('error', warn);
  const plain = (lines: string): string => lines.replace(/^<\d+>/gm, '');
  const put: Put = (lines, done) => {
    target.write(target === stderr ? plain(lines) : lines, (error) => {
      if (error && target !== stderr) {
        warn(error);
        stderr.write(plain(lines));
      }
      done();
    });
  };
  return linesTo(put, (done) => {
    if (target === stderr) done();
    else target.end(() => done());
  });
}
