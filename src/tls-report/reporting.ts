/** The counts of TLS sessions of a spool or state directory, and their reports, as the settings want it. */
import type { Clock } from '../platform/clock.ts';
import type { SystemResolver } from '../platform/dns/resolver.ts';
import { describeError, isOperationalError } from '../platform/system-errors.ts';
import type { Queue } from '../queue/queue.ts';
import type { RunRules } from '../runner/rules.ts';
import type { Settings } from '../settings/table.ts';
import { nodeDisk } from '../storage/disk.ts';
import { TlsCounter } from './counter.ts';
import { tlsReportFiles } from './files.ts';

/** Null: nothing is counted. */
export function tlsCounterFor(
  home: string,
  settings: Settings,
  { clock, warn }: { readonly clock: Clock; readonly warn: (text: string) => void },
): TlsCounter | null {
  if (settings['tls-report'] === 'off') return null;
  const files = tlsReportFiles(nodeDisk, home);
  return new TlsCounter(clock, (day, counts) => {
    try {
      files.add(day, counts);
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      warn(`Counts of TLS sessions are lost, because they cannot be written: ${describeError(error)}.`);
    }
  });
}

/** Milliseconds from one look to the next in `watch`. */
const LOOK = 600_000;

interface ReportingDeps {
  readonly settings: Settings;
  readonly rules: RunRules;
  readonly queue: Queue;
  readonly clock: Clock;
  readonly resolver: SystemResolver;
  readonly warn: (text: string) => void;
}

/**
 * Sends the reports that are due, now and while the queue is open; returns what ends that. Days without counts cost a look into
 * a folder.
 */
export async function reportTls(home: string, deps: ReportingDeps): Promise<() => void> {
  const { settings, clock, resolver, queue, rules, warn } = deps;
  if (settings['tls-report'] !== 'send') return () => {};
  const { dueDays, postReport, sendReports } = await import('./send.ts');
  const sending = {
    ...{ files: tlsReportFiles(nodeDisk, home), queue, clock, warn, post: postReport },
    reporter: { hostname: rules.render.fqdn, contact: rules.postmaster },
    signs: rules.signer !== null,
    txt: (name: string) => resolver.txt(name),
  };
  const send = async (): Promise<void> => {
    try {
      if (dueDays(sending).length > 0) await sendReports(sending);
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      warn(`TLS reports could not be sent: ${describeError(error)}. The next run tries again.`);
    }
  };
  await send();
  const again = (): void => {
    timer = clock.after(LOOK, () => void send().then(again));
  };
  let timer = clock.after(LOOK, () => void send().then(again));
  return () => timer.cancel();
}
