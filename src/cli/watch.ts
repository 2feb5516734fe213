/**
 * `spoolroom watch`: stay, look into the spool, deliver what is due. Looking regularly is the truth; a change in the
 * directory only makes it look sooner.
 */
import { watch } from 'node:fs';
import type { Clock } from '../delivery/ports.ts';
import { queueRun } from '../delivery/queue-run.ts';
import { startedLine, stoppedLine, warningLine } from '../report/lines.ts';
import { openDirectoryRoom } from '../room/directory/open.ts';
import type { Trouble } from './background.ts';
import {
  clockFor,
  directoryDeps,
  directorySettings,
  loadRules,
  realPorts,
  refusal,
  spoolOf,
} from './background.ts';
import type { Command } from './command.ts';
import type { ExitCode } from './exit.ts';
import { EXIT } from './exit.ts';
import { logFor, newsTo } from './news.ts';
import { stopSignal } from './stop.ts';

export const command: Command = async ({ settings, terminal }) => {
  const fail = ({ text, exit }: Trouble): ExitCode => {
    terminal.tell(`spoolroom: ${text}`);
    return exit;
  };
  const spool = spoolOf(settings);
  if (typeof spool !== 'string') return fail(spool);
  const rules = await loadRules(settings);
  if ('kind' in rules) return fail(rules);
  const clock = clockFor(settings);
  const log = logFor(settings);
  const warn = (text: string): void => log.write(warningLine(text));
  const opened = await openDirectoryRoom(spool, directoryDeps(clock, warn), directorySettings(settings));
  if (opened.kind === 'refused') return fail(refusal(opened));
  const { room } = opened;
  const stop = stopSignal();
  const bell = changeBell(spool);
  log.write(startedLine(spool, process.pid));
  try {
    const ports = { ...realPorts(settings, clock), room, events: newsTo(log, rules.render.legacy) };
    let trouble = '';
    while (!stop.signal.aborted) {
      try {
        const summary = await queueRun(ports, rules, stop.signal);
        trouble = '';
        if (settings.json && summary.due > 0) terminal.print(JSON.stringify(summary));
      } catch (error) {
        // A spool that cannot be read now may be readable again; said once, not at every look.
        const text = error instanceof Error ? error.message : String(error);
        if (text !== trouble)
          warn(`The queue run failed: ${text} The mail stays; the next look tries again.`);
        trouble = text;
      }
      await bell.wait(settings.poll, clock, stop.signal);
    }
    log.write(stoppedLine(String(stop.signal.reason)));
  } finally {
    stop.release();
    bell.close();
    await room.close();
    await log.close();
  }
  return EXIT.ok;
};

interface Bell {
  /** resolves at a change, after the time, or when stopped */
  wait(milliseconds: number, clock: Clock, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Rings when a numbered file appears in the directory. Where the system cannot watch, only time passes. */
function changeBell(directory: string): Bell {
  let rung = false;
  let ring = (): void => {
    rung = true;
  };
  const heard = (_: string, name: string | null): void => {
    if (name !== null && /^\d+$/.test(name)) ring();
  };
  const watcher = watchOrNothing(directory, heard);
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
    close: () => watcher?.close(),
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
