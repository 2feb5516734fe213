/** Signals to stop as an AbortSignal: after the first a command ends cleanly, a second one kills it. */
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

/** Resolves when the signal is aborted. */
export function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** @param onHangup what SIGHUP does; null: it stops the command */
export function stopSignal(onHangup: (() => void) | null = null): Stop {
  const controller = new AbortController();
  const stopping = SIGNALS.filter((name) => onHangup === null || name !== 'SIGHUP');
  const restoreDefaults = (): void => {
    for (const name of stopping) process.off(name, stop);
  };
  const stop = (name: NodeJS.Signals): void => {
    controller.abort(name);
    restoreDefaults();
  };
  for (const name of stopping) process.on(name, stop);
  if (onHangup !== null) process.on('SIGHUP', onHangup);
  return {
    signal: controller.signal,
    release: () => {
      restoreDefaults();
      if (onHangup !== null) process.off('SIGHUP', onHangup);
    },
  };
}
