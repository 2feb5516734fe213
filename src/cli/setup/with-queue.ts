/**
 * A place to deliver from: the spool, or the queue inside a Citadel server, opened as its one runner, the rules loaded, the
 * log and the ports ready, signals heard. `run` and `watch` work in it; what is in the way is said here and becomes the
 * exit code.
 */
import type { DsnTransportSetting } from '../../dsn/transport.ts';
import type { Log } from '../../output/log/log.ts';
import { busyEvent, stoppingEvent, waitingEvent, warningEvent } from '../../output/log/log-events.ts';
import type { Clock } from '../../platform/clock.ts';
import {
  ConcurrentRunnerError,
  describeError,
  errorCode,
  QueueError,
  UnavailableError,
} from '../../platform/system-errors.ts';
import type { Queue } from '../../queue/queue.ts';
import { Recorder } from '../../replay/transcript/recorder.ts';
import { transcriptFolder, transcriptStore } from '../../replay/transcript/transcript-files.ts';
import type { RunDeps, RunEvents } from '../../runner/queue-runner.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { Settings } from '../../settings/table.ts';
import type { Command, Invocation } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';
import { pause, type Stop, stopSignal } from '../shell/signals.ts';
import { createDsnSender, dsnTransportOf } from './dsn.ts';
import { levelFor, logEvents, logFor } from './event-log.ts';
import type { CliError } from './load-config.ts';
import { cliError, clockFor, loadRules, systemDeps } from './load-config.ts';
import { applyRoomOption, type OpenedQueue, openQueue, stateDirectory } from './open-queue.ts';

export interface QueueContext {
  /** with our own state: the spool itself, or the directory beside a live room */
  readonly spool: string;
  readonly ports: RunDeps;
  readonly rules: RunRules;
  readonly log: Log;
  readonly warn: (text: string) => void;
  /** aborted by SIGTERM, SIGINT or SIGHUP, with the signal's name as reason */
  readonly signal: AbortSignal;
}

type Work = (station: QueueContext, invocation: Invocation) => Promise<ExitCode | CliError>;

/** Where another process is at work in our place: the command ends, or it waits until that has ended. */
export type WhenBusy = 'leave' | 'wait';

/** A command that works in a station and leaves it in order, whatever happens. */
export function withQueue(beside: WhenBusy, work: Work): Command {
  return async (called) => {
    const { terminal } = called;
    const fail = ({ text, exit }: CliError): ExitCode => {
      terminal.tell(`spoolroom: ${text}`);
      return exit;
    };
    const settings = applyRoomOption(called.settings, called.options.room);
    if ('kind' in settings) return fail(settings);
    const invocation = { ...called, settings };
    const spool = stateDirectory(settings);
    if (typeof spool !== 'string') return fail(spool);
    const rules = await loadRules(settings);
    if ('kind' in rules) return fail(rules);
    const log = logFor(settings);
    for (const text of rules.warnings) log.write(warningEvent(text));
    try {
      const exit = await inStation({ spool, rules, log }, invocation, beside, work);
      if (typeof exit === 'number') return exit;
      if (exit.exit !== EXIT.ok) return fail(exit);
      // Another one is at work, which is as it should be: cron need not hear of it.
      log.write(busyEvent(exit.text, exit.runner ?? null));
      if (settings.json) terminal.print(JSON.stringify({ busy: exit.runner ?? null }));
      return EXIT.ok;
    } catch (error) {
      if (error instanceof UnavailableError) return fail(cliError(error.message, EXIT.unavailable));
      if (error instanceof ConcurrentRunnerError) return fail(cliError(error.message, EXIT.config));
      if (error instanceof QueueError) return fail(cliError(error.message, EXIT.io));
      if (errorCode(error) === null) throw error;
      return fail(
        cliError(
          `${spool} cannot be used: ${describeError(error)}. Its mail stays, and the next run tries again.`,
          EXIT.io,
        ),
      );
    } finally {
      await log.close();
    }
  };
}

async function inStation(
  { spool, rules, log }: Pick<QueueContext, 'spool' | 'rules' | 'log'>,
  invocation: Invocation,
  beside: WhenBusy,
  work: Work,
): Promise<ExitCode | CliError> {
  const { settings } = invocation;
  const clock = clockFor(settings);
  const warn = (text: string): void => log.write(warningEvent(text));
  const path = dsnTransportOf(settings, spool);
  if (path.kind === 'trouble') return path;
  const stop = stopSignal();
  try {
    const open = (): Promise<OpenedQueue> => openQueue(spool, settings, clock, warn);
    let opened = await open();
    if (isBusy(opened) && beside === 'wait') {
      log.write(waitingEvent(spool, opened.runner ?? null));
      do {
        await pause(settings.poll, clock, stop.signal);
        if (stop.signal.aborted) return EXIT.ok;
        opened = await open();
      } while (isBusy(opened));
    }
    if (opened.kind === 'trouble') return opened;
    return await inRoom(opened.queue, { spool, rules, log, warn }, path, stop, invocation, work);
  } finally {
    stop.release();
  }
}

async function inRoom(
  room: Queue,
  place: Omit<QueueContext, 'ports' | 'signal'>,
  path: DsnTransportSetting,
  { signal, release }: Stop,
  invocation: Invocation,
  work: Work,
): Promise<ExitCode | CliError> {
  const { spool, rules, log, warn } = place;
  const { settings } = invocation;
  const clock = clockFor(settings);
  signal.addEventListener('abort', () =>
    log.write(stoppingEvent(String(signal.reason), settings['timeout.stop'])),
  );
  const recorder = recorderFor(spool, rules, settings, clock, warn);
  try {
    const news = logEvents(log, levelFor(settings), rules.render.legacy);
    const events = recorder === null ? news : recorded(news, recorder);
    const ports = { ...systemDeps(settings, clock), queue: room, events };
    const dsnSender = createDsnSender(path, { spool, rules, log }, settings, ports);
    return await work({ ...place, signal, ports: { ...ports, dsnSender } }, invocation);
  } finally {
    release();
    await recorder?.close();
    await room.close();
  }
}

/** Another process at work is no trouble, and its exit code says so. */
function isBusy(opened: OpenedQueue): opened is CliError {
  return opened.kind === 'trouble' && opened.exit === EXIT.ok;
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
  const shelf = transcriptStore(transcriptFolder(spool), bounds, warn);
  const { relays } = rules.delivery.routing;
  return new Recorder({ keep, settings, relays, hostname: rules.render.fqdn }, clock, shelf);
}

function recorded(news: RunEvents, recorder: Recorder): RunEvents {
  return {
    ...news,
    trace: (orders, sight) => {
      recorder.observe(orders, sight);
      news.trace(orders, sight);
    },
  };
}
