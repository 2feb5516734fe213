/**
 * Commands that stay. SIGHUP opens their log anew and reads their settings again: a command whose settings have changed begins
 * a new round with them, one whose settings are wrong goes on with the old ones. SIGHUP never ends a command.
 */
import { statSync } from 'node:fs';
import type { Log } from '../../output/log/log.ts';
import { reloadedEvent, warningEvent } from '../../output/log/process-events.ts';
import type { Settings } from '../../settings/table.ts';
import type { CliError, Invocation } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { type Stop, stopSignal } from '../shell/signals.ts';

export interface Round extends Stop {
  /** SIGHUP opens this log anew, and writes there what came of it. */
  logsTo(log: Log): void;
  /** The work has begun: what goes wrong later is not because of new settings. */
  started(): void;
}

/** The only round of a command that ends by itself: SIGHUP, as when its terminal is closed, stops it. */
export function onlyRound(): Round {
  return { ...stopSignal(), logsTo: () => {}, started: () => {} };
}

type Done = ExitCode | CliError;

export interface Rounds {
  /** what is wrong with settings, as far as that shows before they are used */
  problemWith(settings: Settings): Promise<CliError | null>;
  perform(invocation: Invocation, round: Round): Promise<Done>;
}

export async function untilStopped(called: Invocation, rounds: Rounds): Promise<Done> {
  let { settings } = called;
  let previous: Settings | null = null;
  let next: Settings | null = null;
  let loaded = fingerprint(settings);
  let log: Log | null = null;
  /** what the log of the next round begins with */
  let untold: string | null = null;
  let ending = new AbortController();

  async function reload(): Promise<void> {
    await log?.reopen();
    const read = called.reread();
    const problem = 'kind' in read ? read : await rounds.problemWith(read);
    if ('kind' in read || problem !== null) {
      log?.write(warningEvent(notReloaded(problem?.text ?? '')));
      return;
    }
    const isChanged = fingerprint(read) !== loaded;
    log?.write(reloadedEvent(isChanged));
    if (!isChanged) return;
    next = read;
    ending.abort('SIGHUP');
  }

  let reloads = Promise.resolve();
  const stop = stopSignal(() => {
    reloads = reloads.then(reload);
  });
  stop.signal.addEventListener('abort', () => ending.abort(stop.signal.reason));
  try {
    for (;;) {
      const done = await rounds.perform(
        { ...called, settings },
        {
          signal: ending.signal,
          release: () => {},
          logsTo: (opened) => {
            log = opened;
            if (untold !== null) opened.write(warningEvent(untold));
            untold = null;
          },
          started: () => {
            previous = null;
          },
        },
      );
      const changed: Settings | null = next;
      if (stop.signal.aborted) return done;
      if (changed !== null) {
        [previous, settings, next] = [settings, changed, null];
      } else if (typeof done !== 'number' && previous !== null) {
        untold = notReloaded(done.text);
        [settings, previous] = [previous, null];
      } else {
        return done;
      }
      loaded = fingerprint(settings);
      ending = new AbortController();
    }
  } finally {
    await reloads;
    stop.release();
  }
}

function notReloaded(why: string): string {
  return `The settings were not reloaded, and the old ones stay in force: ${why}`;
}

/** Of settings and of the files they name, such as certificates; the log changes all the time. */
function fingerprint(settings: Settings): string {
  const { 'log.target': _, ...others } = settings;
  const texts = Object.values(others)
    .flat()
    .filter((value) => typeof value === 'string');
  return JSON.stringify([settings, texts.map((text) => [stamp(text), stamp(text.replace(/^.*:/, ''))])]);
}

/** Null: no such file. */
function stamp(path: string): string | null {
  try {
    const stats = statSync(path);
    return stats.isFile() ? `${stats.ino} ${stats.size} ${stats.mtimeMs}` : null;
  } catch {
    // Most settings do not name a file.
    return null;
  }
}
