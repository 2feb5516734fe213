/** The metrics of a process, as its settings want them. The rest is loaded only where something is wanted. */
import type { Settings } from '../settings/table.ts';
import { nodeDisk } from '../storage/disk.ts';
import type { RunningDeps, RunningMetrics } from './running.ts';
import type { Part } from './table.ts';

export interface MetricsWish {
  readonly parts: readonly Part[];
  /** somebody asks for their text, whether there is a file or not */
  readonly isShown: boolean;
}

/** Null: nobody wants to know. */
export async function metricsFor(
  home: string,
  settings: Settings,
  { parts, isShown }: MetricsWish,
  deps: Pick<RunningDeps, 'clock' | 'warn' | 'quarantined'>,
): Promise<RunningMetrics | null> {
  const file = settings['metrics-file'];
  if (file === null && !isShown) return null;
  const [{ RunningMetrics }, { intakeFile }] = await Promise.all([
    import('./running.ts'),
    import('./files.ts'),
  ]);
  return new RunningMetrics({
    ...deps,
    ...{ home, parts, disk: nodeDisk, isSpool: settings.state === null },
    file: file === null || parts.includes('queue') ? file : intakeFile(file),
  });
}
