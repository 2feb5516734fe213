/** SIGTERM, SIGINT and SIGHUP as an AbortSignal: after the first a command ends cleanly, a second one kills it. */
import type { Clock } from '../../platform/clock.ts';

export interface Stop {
  readonly signal: AbortSignal;
  /** restores the default action of the signals */
  release(): void;
}

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Resolves after the time, or when the command is stopped. */
export function pause(milliseconds: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(milliseconds, done);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}

export function stopSignal(): Stop {
  const controller = new AbortController();
  const release = (): void => {
    for (const name of SIGNALS) process.off(name, stop);
  };
  const stop = (name: NodeJS.Signals): void => {
    controller.abort(name);
    release();
  };
  for (const name of SIGNALS) process.on(name, stop);
  return { signal: controller.signal, release };
}
