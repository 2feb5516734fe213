/**
 * What a run delivers with: sockets and name servers, reports to senders, and those who observe it. It is loaded with the first
 * message, because most runs of cron find none.
 */
import { isRefusals } from '../../../delivery/connections/refusals.ts';
import type { DsnTransportSetting } from '../../../dsn/return-path.ts';
import { textDecoder } from '../../../output/text.ts';
import { tuneV8 } from '../../../platform/tune-v8.ts';
import type { Queue } from '../../../queue/queue.ts';
import { Recorder } from '../../../replay/transcript/recorder.ts';
import { transcriptFolder, transcriptStore } from '../../../replay/transcript/transcript-files.ts';
import { everyRelay } from '../../../routing/route.ts';
import type { Alerts } from '../../../runner/alerts.ts';
import type { DeliveryDeps } from '../../../runner/deliveries.ts';
import { RelayAlerts } from '../../../runner/relay-alerts.ts';
import { type RunRules, suppressionRules } from '../../../runner/rules.ts';
import type { SharedSuppressions } from '../../../runner/shared-suppressions.ts';
import { SuppressionList } from '../../../runner/suppression-list.ts';
import { throttleStore } from '../../../runner/throttling/throttle-store.ts';
import type { Settings } from '../../../settings/table.ts';
import { nodeDisk } from '../../../storage/disk.ts';
import { layoutOf } from '../../../storage/layout.ts';
import { stateMap } from '../../../storage/state-map.ts';
import { reportTls, tlsCounterFor } from '../../../tls-report/reporting.ts';
import { type LoggedEvents, observed } from '../event-log.ts';
import { historyFor } from '../history.ts';
import { clockFor, spoolDeps } from '../load-config.ts';
import { crashLogOf } from '../open-queue.ts';
import type { QueueContext } from '../with-queue.ts';
import { createDsnSender, ownMailer } from './dsn.ts';
import { systemDeps } from './system-deps.ts';

export interface OpenDelivery {
  readonly deps: DeliveryDeps;
  /** sends the reports on TLS that are due, now and as long as this is open */
  reportTls(): Promise<void>;
  /** hands a message of ours over; see `ownMailer` */
  readonly send: ReturnType<typeof ownMailer>;
  close(): Promise<void>;
}

/**
 * Milliseconds. To tune V8 does not pay for a run that has few messages, the less because the code that Node brings compiled is
 * compiled anew under other settings: whatever a run loads is loaded by then.
 */
const SHORT = 200;

export async function openDelivery(
  queue: Queue,
  { spool, rules, log, alerts, warn, metrics }: Omit<QueueContext, 'ports' | 'signal' | 'started'>,
  logged: LoggedEvents,
  path: DsnTransportSetting,
  settings: Settings,
): Promise<OpenDelivery> {
  alertSettings(alerts, rules);
  const clock = clockFor(settings);
  const seconds = (): number => Math.floor(clock.now() / 1000);
  // First, because the database may be away: then nothing else is open yet.
  const shared = await suppressionsOf(settings, seconds);
  const tuning = clock.after(SHORT, tuneV8);
  const readable = textDecoder(rules.render.legacy);
  const recorder = recorderFor(spool, rules, settings, warn);
  const history = await historyFor(spool, settings, { clock, readable, warn });
  const tlsCounter = tlsCounterFor(spool, settings, { clock, warn });
  const crashLog = crashLogOf(spool, spoolDeps(clock, warn));
  const system = systemDeps(settings, clock, {
    ...{ spool, writes: true, warn },
    fetchFailed: (domain, problem) => tlsCounter?.fetchFailed(domain, problem),
  });
  const relays = new RelayAlerts(everyRelay(rules.delivery.routing), alerts);
  const layout = layoutOf(spool);
  const deps = {
    ...system,
    ...{ queue, crashLog },
    events: observed(logged, { recorder, history, relays, alerts, tlsCounter, metrics }),
    throttleStore: throttleStore(nodeDisk, layout),
    suppressed: shared ?? new SuppressionList(nodeDisk, layout, suppressionRules(settings), seconds),
    refusalStore: stateMap(nodeDisk, layout, layout.refusals, isRefusals),
  };
  const dsnSender = createDsnSender(path, { spool, rules, log, alerts, history }, settings, deps);
  let endReports = (): void => {};
  return {
    deps: { ...deps, dsnSender },
    reportTls: async () => {
      const { resolver } = system;
      endReports = await reportTls(spool, { settings, rules, queue, clock, resolver, warn });
    },
    send: ownMailer(path, { spool, rules, warn }, settings, { ...system, clock }),
    close: async () => {
      tuning.cancel();
      endReports();
      system.close();
      crashLog.close();
      await recorder?.close();
      // While the queue is ours: another process adds to the same files.
      tlsCounter?.flush();
      await history?.close();
      await shared?.close();
    },
  };
}

/** Null: they are files. */
async function suppressionsOf(settings: Settings, now: () => number): Promise<SharedSuppressions | null> {
  if (settings.postgres === null) return null;
  const { sharedSuppressions } = await import('../room/suppressions.ts');
  const shared = sharedSuppressions(settings.postgres, settings, now);
  // Nothing is sent before it is known to whom nothing may be.
  try {
    await shared.load();
    return shared;
  } catch (error) {
    await shared.close();
    throw error;
  }
}

/** What should be mended in the configuration is told once, not by each run. */
function alertSettings(alerts: Alerts, { warnings }: RunRules): void {
  const key = (text: string): string => `settings: ${text}`;
  alerts.clear((each) => each.startsWith('settings: ') && !warnings.some((text) => key(text) === each));
  for (const text of warnings) alerts.raise(key(text), text);
}

function recorderFor(
  spool: string,
  { delivery, ehloName, render }: RunRules,
  settings: Settings,
  warn: (text: string) => void,
): Recorder | null {
  const keep = settings.transcripts;
  if (keep === 'none') return null;
  const bounds = { size: settings['transcripts.megabytes'] * 1024 ** 2, age: settings['transcripts.age'] };
  const store = transcriptStore(transcriptFolder(spool), bounds, warn);
  const { relays } = delivery.routing;
  const about = { keep, settings, relays, hostname: render.fqdn, ehloName };
  return new Recorder(about, clockFor(settings), store);
}
