/** SIGTERM and SIGINT as an AbortSignal: asked once, a command ends cleanly; asked twice, at once. */
import type { Clock } from '../../platform/clock.ts';

export interface Stop {
  readonly signal: AbortSignal;
  /** back to what signals do by themselves */
  release(): void;
}

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Until the time is over, or the command is told to stop. */
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
