/**
 * Runs a command on an open queue: the spool, or the queue inside a Citadel server, with the lock taken, rules loaded, log and
 * ports ready and signals handled. Whatever prevents that becomes a sentence and an exit code.
 */

import type { DsnTransportSetting } from '../../dsn/return-path.ts';
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
} from '../../output/log/process-events.ts';
import {
  ConcurrentRunnerError,
  describeError,
  errorCode,
  QueueError,
  SpoolReplacedError,
  UnavailableError,
} from '../../platform/system-errors.ts';
import type { Queue } from '../../queue/queue.ts';
import { quarantinedFiles } from '../../queue/spool/inspect.ts';
import { Alerts } from '../../runner/alerts.ts';
import type { RunDeps } from '../../runner/queue-runner.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { Settings } from '../../settings/table.ts';
import { nodeDisk } from '../../storage/disk.ts';
import { layoutOf } from '../../storage/layout.ts';
import type { CliError, Command, Invocation } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';
import { pause } from '../shell/signals.ts';
import { onDemand } from './delivery/on-demand.ts';
import { dsnTransportOf } from './delivery/return-path.ts';
import { levelFor, logEvents, logFor } from './event-log.ts';
import { clockFor, loadRules } from './load-config.ts';
import { type OpenedQueue, openQueue, stateDirectory } from './open-queue.ts';
import { becomeOwner } from './privileges.ts';
import { onlyRound, type Round, untilStopped } from './reload.ts';

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
    const problemWith = async (settings: Settings): Promise<CliError | null> => {
      const spool = stateDirectory(settings);
      if (typeof spool !== 'string') return spool;
      const rules = await loadRules(settings);
      return 'kind' in rules ? rules : null;
    };
    return untilStopped(called, { problemWith, perform });
  };
}

async function performOnce(
  invocation: Invocation,
  round: Round,
  whenBusy: WhenBusy,
  work: Work,
): Promise<ExitCode | CliError> {
  try {
    const { settings } = invocation;
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
      const metrics = await metricsFor(spool, settings, wishFor(invocation), {
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
      if (settings.json) invocation.terminal.print(JSON.stringify({ busy: done.runner ?? null }));
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
    isShown: options.web !== undefined,
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
  const { rules, log, alerts, metrics } = context;
  const { settings } = invocation;
  const clock = clockFor(settings);
  signal.addEventListener('abort', () =>
    log.write(stoppingEvent(String(signal.reason), settings['timeout.stop'])),
  );
  const events = logEvents(log, levelFor(settings), rules.render.legacy);
  const delivery = onDemand(async () => {
    const { openDelivery } = await import('./delivery/open-delivery.ts');
    return openDelivery(queue, context, events, path, settings);
  });
  const teller = tellerFor(settings, {
    ...{ home: queue.name, clock, rules, warn: (text) => log.write(alertEvent(text)) },
    send: async (...mail) => (await delivery.get()).send(...mail),
  });
  if (teller !== null) alerts.listen(teller.tell);
  const ports: RunDeps = {
    ...{ queue, events, clock },
    // What one of several processes has claimed says nothing about the queue.
    ...(metrics === null || settings.postgres !== null ? {} : { scanned: metrics.scanned }),
    openDeliveries: async (observer) => {
      const { Deliveries } = await import('../../runner/deliveries.ts');
      const { deps } = await delivery.get();
      return new Deliveries(deps, rules, observer);
    },
  };
  try {
    if (settings['tls-report'] === 'send') await (await delivery.get()).reportTls();
    const state = queue.state?.bind(queue);
    if (state !== undefined) metrics?.askQueue(state);
    metrics?.start();
    return await work({ ...context, signal, started, ports }, invocation);
  } finally {
    release();
    if (!signal.aborted) await metrics?.refresh();
    // While the queue is ours: another process adds to the same files.
    metrics?.close(signal.aborted);
    await teller?.done();
    await delivery.ifThere((each) => each.close());
    await queue.close();
  }
}

/** Another process holds the queue, which is not a failure: the exit code is 0. */
function isBusy(opened: OpenedQueue): opened is CliError {
  return opened.kind === 'error' && opened.exit === EXIT.ok;
}
