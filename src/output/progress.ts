/**
 * Progress of long work at a terminal: one line, rewritten in place a few times a second, and gone at the end. Clock and
 * stream are arguments.
 */
import type { Clock, Timer } from '../platform/clock.ts';
import type { RunCount } from '../runner/run-count.ts';
import { plural } from './text.ts';

/** A terminal line that can be rewritten. Whoever writes another line calls `clear` first. */
export interface StatusLine {
  draw(text: string): void;
  clear(): void;
}

/** Milliseconds of work before the first line, and between two of them. */
const DELAY = 1000;
const INTERVAL = 250;

/** The line on a stream of `columns` characters. */
export function statusLine(stream: { write(text: string): unknown }, columns: () => number): StatusLine {
  let isShown = false;
  return {
    draw: (text) => {
      isShown = true;
      // Not in the last column: a terminal would begin a new line.
      stream.write(`\r${text.slice(0, Math.max(1, columns() - 1))}\x1b[K`);
    },
    clear: () => {
      if (isShown) stream.write('\r\x1b[K');
      isShown = false;
    },
  };
}

/** Shows `text()` while the work goes on; returns what ends it. */
export function showProgress(line: StatusLine, clock: Clock, text: () => string): () => void {
  let timer: Timer;
  const tick = (): void => {
    line.draw(text());
    timer = clock.after(INTERVAL, tick);
  };
  timer = clock.after(DELAY, tick);
  return () => {
    timer.cancel();
    line.clear();
  };
}

/** `142 of 2000 jobs done: 130 recipients delivered, 10 deferred, 2 refused` */
export function runProgress({ due, done, delivered, deferred, failed }: RunCount): string {
  return `${done} of ${plural(due, 'job')} done: ${plural(delivered, 'recipient')} delivered, ${deferred} deferred, ${failed} refused`;
}
