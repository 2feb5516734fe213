/**
 * `spoolroom watch`: stay, look into the spool, deliver what is due. Looking regularly is the truth; a change in the
 * directory only makes it look sooner.
 */
import { watch } from 'node:fs';
import type { Clock } from '../delivery/ports.ts';
import { queueRun } from '../delivery/queue-run.ts';
import { startedLine, stoppedLine, summaryLine } from '../report/lines.ts';
import { layoutOf } from '../room/directory/layout.ts';
import { EXIT } from './exit.ts';
import { stationed } from './station.ts';

export const command = stationed(
  async ({ spool, ports, rules, log, warn, signal }, { settings, terminal }) => {
    const bell = changeBell([spool, layoutOf(spool).requests]);
    log.write(startedLine(spool, process.pid));
    let trouble = '';
    while (!signal.aborted) {
      try {
        const summary = await queueRun(ports, rules, signal);
        trouble = '';
        if (settings.json && summary.due > 0) terminal.print(JSON.stringify(summary));
        if (summary.due > 0) log.write(summaryLine(summary));
      } catch (error) {
        // A spool that cannot be read now may be readable again; said once, not at every look.
        const text = error instanceof Error ? error.message : String(error);
        if (text !== trouble)
          warn(`The queue run failed: ${text} The mail stays; the next look tries again.`);
        trouble = text;
      }
      await bell.wait(settings.poll, ports.clock, signal);
    }
    bell.close();
    log.write(stoppedLine(String(signal.reason)));
    return EXIT.ok;
  },
);

interface Bell {
  /** resolves at a change, after the time, or when stopped */
  wait(milliseconds: number, clock: Clock, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Rings when a message or a request for a job appears. Where the system cannot watch, only time passes. */
function changeBell(directories: readonly string[]): Bell {
  let rung = false;
  let ring = (): void => {
    rung = true;
  };
  const heard = (_: string, name: string | null): void => {
    if (name !== null && /^\d+$/.test(name)) ring();
  };
  const watchers = directories.map((directory) => watchOrNothing(directory, heard));
  return {
    wait: (milliseconds, clock, signal) =>
      new Promise((resolve) => {
        const done = (): void => {
          timer.cancel();
          signal.removeEventListener('abort', done);
          rung = false;
          ring = () => {
            rung = true;
          };
          resolve();
        };
        const timer = clock.after(milliseconds, done);
        signal.addEventListener('abort', done);
        ring = done;
        if (rung || signal.aborted) done();
      }),
    close: () => {
      for (const watcher of watchers) watcher?.close();
    },
  };
}

function watchOrNothing(
  directory: string,
  heard: (event: string, name: string | null) => void,
): ReturnType<typeof watch> | null {
  try {
    const watcher = watch(directory, { persistent: false }, heard);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
