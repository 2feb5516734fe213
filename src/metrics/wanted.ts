/** The metrics of a process, and who is told of its alerts, as the settings want it. The rest is loaded only where it is wanted. */
import { createHash } from 'node:crypto';
import { escapeControl } from '../output/text.ts';
import type { Clock } from '../platform/clock.ts';
import { type AlertChange, RELAY } from '../runner/alerts.ts';
import type { RunRules } from '../runner/rules.ts';
import type { Settings } from '../settings/table.ts';
import { nodeDisk } from '../storage/disk.ts';
import type { Notifier } from './notifier.ts';
import type { RunningDeps, RunningMetrics } from './running.ts';
import type { Part } from './table.ts';
import { hasThresholds, THRESHOLD } from './thresholds.ts';

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
  if (file === null && !isShown && !hasThresholds(settings)) return null;
  const [{ RunningMetrics }, { intakeFile }] = await Promise.all([
    import('./running.ts'),
    import('./files.ts'),
  ]);
  const isSpool = settings.state === null && settings.postgres === null;
  return new RunningMetrics({
    ...deps,
    ...{ home, parts, settings, disk: nodeDisk, isSpool },
    file: file === null || parts.includes('queue') ? file : intakeFile(file),
  });
}

export interface TellerDeps {
  /** for people: the path of the directory */
  readonly home: string;
  readonly clock: Clock;
  readonly rules: RunRules;
  readonly warn: (text: string) => void;
  /** resolves to why it was not sent, a clause; null: it was. `name` is letters, digits and `-` */
  send(message: Buffer, to: string, name: string): Promise<string | null>;
}

export interface Teller {
  tell(change: AlertChange): void;
  /** resolves when everything was told */
  done(): Promise<void>;
}

/** Null: nobody is told. */
export function tellerFor(settings: Settings, deps: TellerDeps): Teller | null {
  const { 'alert.command': command, 'alert.mail': to } = settings;
  if (command.length === 0 && to === null) return null;
  const { home, clock, warn } = deps;
  const mail = to === null ? null : (change: AlertChange) => mailAlert(change, to, deps);
  const load = async (): Promise<Notifier> => {
    const { Notifier } = await import('./notifier.ts');
    return new Notifier({ command, mail, home, clock, warn, environment: process.env });
  };
  let notifier: Promise<Notifier> | null = null;
  return {
    tell(change) {
      if (!isTold(change.key)) return;
      notifier ??= load();
      // What other hosts said is part of it.
      const [key, text] = [escapeControl(change.key), escapeControl(change.text)];
      void notifier.then((loaded) => loaded.tell({ ...change, key, text }));
    },
    done: async () => (await notifier)?.done(),
  };
}

/** Others are told by the log alone. */
function isTold(key: string): boolean {
  return key.startsWith(RELAY) || key.startsWith(THRESHOLD);
}

async function mailAlert(
  change: AlertChange,
  to: string,
  { home, clock, rules, send }: TellerDeps,
): Promise<string | null> {
  const { alertMail } = await import('./alert-message.ts');
  const now = Math.floor(clock.now() / 1000);
  const unique = `${now}-${createHash('sha256').update(`${change.has} ${change.key}`).digest('hex').slice(0, 16)}`;
  const { postmaster, render } = rules;
  const stamp = { from: postmaster, to, hostname: render.fqdn, home, now, unique };
  return send(alertMail(change, stamp), to, `alert-${unique}`);
}
