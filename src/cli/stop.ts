/** SIGTERM and SIGINT as an AbortSignal: asked once, a command ends cleanly; asked twice, at once. */

export interface Stop {
  readonly signal: AbortSignal;
  /** back to what signals do by themselves */
  release(): void;
}

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

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
