/**
 * Runs a command on an open queue: the spool, or the queue inside a Citadel server, with the lock taken, rules loaded, log and
 * ports ready and signals handled. Whatever prevents that becomes a sentence and an exit code.
 */

import { isRefusals } from '../../delivery/refusals.ts';
import type { DsnTransportSetting } from '../../dsn/transport.ts';
import type { RunningMetrics } from '../../metrics/running.ts';
import { forgetThresholds } from '../../metrics/thresholds.ts';
import { type MetricsWish, metricsFor, tellerFor } from '../../metrics/wanted.ts';
import { type Log, withoutRepeats } from '../../output/log/log.ts';
import {
  alertEvent,
  busyEvent,
  stoppingEvent,
  waitingEvent,
  warningEvent,
} from '../../output/log/log-events.ts';
import { textDecoder } from '../../output/text.ts';
import type { Clock } from '../../platform/clock.ts';
import {
  ConcurrentRunnerError,
  describeError,
  errorCode,
  QueueError,
  SpoolReplacedError,
  UnavailableError,
} from '../../platform/system-errors.ts';
import { tuneV8 } from '../../platform/tune-v8.ts';
import type { Queue } from '../../queue/queue.ts';
import { quarantinedFiles } from '../../queue/spool/inspect.ts';
import { Recorder } from '../../replay/transcript/recorder.ts';
import { transcriptFolder, transcriptStore } from '../../replay/transcript/transcript-files.ts';
import { everyRelay } from '../../routing/route.ts';
import { Alerts } from '../../runner/alerts.ts';
import type { RunDeps } from '../../runner/queue-runner.ts';
import { RelayAlerts } from '../../runner/relay-alerts.ts';
import { type RunRules, suppressionRules } from '../../runner/rules.ts';
import { SuppressionList } from '../../runner/suppression-list.ts';
import { throttleStore } from '../../runner/throttle-store.ts';
import type { Settings } from '../../settings/table.ts';
import { nodeDisk } from '../../storage/disk.ts';
import { layoutOf } from '../../storage/layout.ts';
import { stateMap } from '../../storage/state-map.ts';
import { reportTls, tlsCounterFor } from '../../tls-report/reporting.ts';
import type { CliError, Command, Invocation } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';
import { pause } from '../shell/signals.ts';
import { createDsnSender, dsnTransportOf, ownMailer } from './dsn.ts';
import { levelFor, logEvents, logFor, observed } from './event-log.ts';
import { historyFor } from './history.ts';
import { clockFor, loadRules, spoolDeps } from './load-config.ts';
import { applyRoomOption, crashLogOf, type OpenedQueue, openQueue, stateDirectory } from './open-queue.ts';
import { becomeOwner } from './privileges.ts';
import { onlyRound, type Round, untilStopped } from './reload.ts';
import { systemDeps } from './system-deps.ts';

export interface QueueContext {
  /** the directory with our own state: the spool itself, or the setting `state` */
  readonly spool: string;
  readonly ports: RunDeps;
  readonly rules: RunRules;
  readonly log: Log;
  readonly alerts: Alerts;
  readonly warn: (text: string) => void;
  /** null: nobody wants to know */
  readonly metrics: RunningMetrics | null;
  /** aborted by a signal to stop, with the signal's name as reason */
  readonly signal: AbortSignal;
  /** called when the work has begun */
  readonly started: () => void;
}

type Work = (context: QueueContext, invocation: Invocation) => Promise<ExitCode | CliError>;

/** When another process holds the queue: the command ends, or it waits until that process has ended. */
export type WhenBusy = 'exit' | 'wait';

/** A command that works on an open queue, which is closed whatever happens. */
export function withQueue(whenBusy: WhenBusy, work: Work): Command {
  return (called) => {
    const perform = (invocation: Invocation, round: Round) => performOnce(invocation, round, whenBusy, work);
    if (whenBusy === 'exit') return perform(called, onlyRound());
    const problemWith = async (given: Settings): Promise<CliError | null> => {
      const settings = applyRoomOption(given, called.options.room);
      if ('kind' in settings) return settings;
      const spool = stateDirectory(settings);
      if (typeof spool !== 'string') return spool;
      const rules = await loadRules(settings);
      return 'kind' in rules ? rules : null;
    };
    return untilStopped(called, { problemWith, perform });
  };
}

async function performOnce(
  called: Invocation,
  round: Round,
  whenBusy: WhenBusy,
  work: Work,
): Promise<ExitCode | CliError> {
  try {
    const settings = applyRoomOption(called.settings, called.options.room);
    if ('kind' in settings) return settings;
    const invocation = { ...called, settings };
    const spool = stateDirectory(settings);
    if (typeof spool !== 'string') return spool;
    const notOwner = becomeOwner(spool, settings);
    if (notOwner !== null) return notOwner;
    const rules = await loadRules(settings);
    if ('kind' in rules) return rules;
    const written = logFor(settings);
    round.logsTo(written);
    try {
      const clock = clockFor(settings);
      const metrics = await metricsFor(spool, settings, wishFor(called), {
        clock,
        quarantined: () => quarantinedFiles(nodeDisk, spool).length,
        warn: (text) => written.write(warningEvent(text)),
      });
      const log = metrics?.counted(written) ?? written;
      const alerts = new Alerts(
        nodeDisk,
        layoutOf(spool),
        () => Math.floor(clock.now() / 1000),
        (text) => log.write(alertEvent(text)),
      );
      const quiet = withoutRepeats(log, (recurring) => alerts.isNews(recurring));
      const opening = { spool, rules, log: quiet, alerts, metrics };
      const done = await openAndWork(opening, invocation, round, whenBusy, work);
      if (typeof done === 'number' || done.exit !== EXIT.ok) return done;
      // Another process holds the queue. That is normal, and cron need not mail it.
      log.write(busyEvent(done.text, done.runner ?? null));
      if (settings.json) called.terminal.print(JSON.stringify({ busy: done.runner ?? null }));
      return EXIT.ok;
    } catch (error) {
      return queueFailure(error, spool);
    } finally {
      await written.close();
    }
  } finally {
    round.release();
  }
}

function wishFor({ options }: Invocation): MetricsWish {
  return {
    parts: options.intake === true ? ['queue', 'intake'] : ['queue'],
    isShown: options.web === true,
  };
}

function queueFailure(error: unknown, spool: string): CliError {
  if (error instanceof UnavailableError) return cliError(error.message, EXIT.unavailable);
  if (error instanceof SpoolReplacedError) return cliError(error.message, EXIT.unavailable);
  if (error instanceof ConcurrentRunnerError) return cliError(error.message, EXIT.config);
  if (error instanceof QueueError) return cliError(error.message, EXIT.io);
  if (errorCode(error) === null) throw error;
  return cliError(
    `${spool} cannot be used: ${describeError(error)}. Its mail stays there, and the next run tries again.`,
    EXIT.io,
  );
}

async function openAndWork(
  opening: Pick<QueueContext, 'spool' | 'rules' | 'log' | 'alerts' | 'metrics'>,
  invocation: Invocation,
  stop: Round,
  whenBusy: WhenBusy,
  work: Work,
): Promise<ExitCode | CliError> {
  const { spool, log, alerts, metrics } = opening;
  const { settings } = invocation;
  const clock = clockFor(settings);
  const warn = (text: string): void => log.write(warningEvent(text));
  const path = dsnTransportOf(settings, spool);
  if (path.kind === 'error') return path;
  const open = (): Promise<OpenedQueue> => openQueue(spool, settings, clock, warn, metrics?.journalDisk);
  let opened = await open();
  if (isBusy(opened) && whenBusy === 'wait') {
    log.write(waitingEvent(spool, opened.runner ?? null));
    do {
      await pause(settings.poll, clock, stop.signal);
      if (stop.signal.aborted) return EXIT.ok;
      opened = await open();
    } while (isBusy(opened));
  }
  if (opened.kind === 'error') return opened;
  alerts.hold();
  forgetThresholds(settings, alerts);
  metrics?.hold(alerts);
  return await workOn(opened.queue, { ...opening, warn }, path, stop, invocation, work);
}

async function workOn(
  queue: Queue,
  context: Omit<QueueContext, 'ports' | 'signal' | 'started'>,
  path: DsnTransportSetting,
  { signal, release, started }: Round,
  invocation: Invocation,
  work: Work,
): Promise<ExitCode | CliError> {
  const { spool, rules, log, alerts, warn, metrics } = context;
  const { settings } = invocation;
  const clock = clockFor(settings);
  signal.addEventListener('abort', () =>
    log.write(stoppingEvent(String(signal.reason), settings['timeout.stop'])),
  );
  const recorder = recorderFor(spool, rules, settings, clock, warn);
  const readable = textDecoder(rules.render.legacy);
  const history = historyFor(spool, settings, { clock, readable, warn });
  const tlsCounter = tlsCounterFor(spool, settings, { clock, warn });
  const crashLog = crashLogOf(spool, spoolDeps(clock, warn));
  const system = systemDeps(settings, clock, {
    ...{ spool, writes: true, warn },
    fetchFailed: (domain, problem) => tlsCounter?.fetchFailed(domain, problem),
  });
  const teller = tellerFor(settings, {
    ...{ home: queue.name, clock, warn: (text) => log.write(alertEvent(text)), rules },
    send: ownMailer(path, { spool, rules, warn }, settings, { ...system, clock }),
  });
  if (teller !== null) alerts.listen(teller.tell);
  let endReports = (): void => {};
  try {
    const logged = logEvents(log, levelFor(settings), rules.render.legacy);
    const relays = new RelayAlerts(everyRelay(rules.delivery.routing), alerts);
    const seen = observed(logged, { recorder, history, relays, alerts, tlsCounter });
    const events = metrics?.observed(seen) ?? seen;
    const beforeFirst = (): void => {
      tuneV8();
      alertSettings(alerts, rules);
    };
    const layout = layoutOf(spool);
    const throttle = throttleStore(nodeDisk, layout);
    const seconds = (): number => Math.floor(clock.now() / 1000);
    const suppressed = new SuppressionList(nodeDisk, layout, suppressionRules(settings), seconds);
    const ports = {
      ...system,
      ...(metrics === null ? {} : { scanned: metrics.scanned }),
      ...{ queue, events, crashLog, beforeFirst, throttleStore: throttle, suppressed },
      refusalStore: stateMap(nodeDisk, layout, layout.refusals, isRefusals),
    };
    const dsnSender = createDsnSender(path, { spool, rules, log, alerts, history }, settings, ports);
    const { resolver } = system;
    endReports = await reportTls(spool, { settings, rules, queue, clock, resolver, warn });
    metrics?.start();
    return await work({ ...context, signal, started, ports: { ...ports, dsnSender } }, invocation);
  } finally {
    release();
    endReports();
    // While the queue is ours: another process adds to the same files.
    metrics?.close();
    await teller?.done();
    system.close();
    crashLog.close();
    await recorder?.close();
    tlsCounter?.flush();
    await queue.close();
    history?.flush();
  }
}

/** What should be mended in the configuration is told once, not by each run. */
function alertSettings(alerts: Alerts, { warnings }: RunRules): void {
  const key = (text: string): string => `settings: ${text}`;
  alerts.clear((each) => each.startsWith('settings: ') && !warnings.some((text) => key(text) === each));
  for (const text of warnings) alerts.raise(key(text), text);
}

/** Another process holds the queue, which is not a failure: the exit code is 0. */
function isBusy(opened: OpenedQueue): opened is CliError {
  return opened.kind === 'error' && opened.exit === EXIT.ok;
}

function recorderFor(
  spool: string,
  rules: RunRules,
  settings: Settings,
  clock: Clock,
  warn: (text: string) => void,
): Recorder | null {
  const keep = settings.transcripts;
  if (keep === 'none') return null;
  const bounds = { size: settings['transcripts.megabytes'] * 1024 ** 2, age: settings['transcripts.age'] };
  const store = transcriptStore(transcriptFolder(spool), bounds, warn);
  const { relays } = rules.delivery.routing;
  const { ehloName, render } = rules;
  return new Recorder({ keep, settings, relays, hostname: render.fqdn, ehloName }, clock, store);
}
