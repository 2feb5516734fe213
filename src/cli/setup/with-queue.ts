/**
 * A place to deliver from: the spool, or the queue inside a Citadel server, opened as its one runner, the rules loaded, the
 * log and the ports ready, signals heard. `run` and `watch` work in it; what is in the way is said here and becomes the
 * exit code.
 */
import type { ReturnPath } from '../../dsn/transport.ts';
import type { Log } from '../../output/log/log.ts';
import { busyLine, stoppingLine, waitingLine, warningLine } from '../../output/log/log-events.ts';
import type { Clock } from '../../platform/clock.ts';
import { AwayTrouble, codeOf, phraseOf, RivalTrouble, SpoolTrouble } from '../../platform/system-errors.ts';
import type { Room } from '../../queue/queue.ts';
import { Recorder } from '../../replay/transcript/recorder.ts';
import { transcriptFolder, transcriptShelf } from '../../replay/transcript/transcript-files.ts';
import type { RunEvents, RunPorts } from '../../runner/queue-runner.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { Settings } from '../../settings/table.ts';
import type { Command, Invocation } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';
import { pause, type Stop, stopSignal } from '../shell/signals.ts';
import { reporterFor, returnPathOf } from './dsn.ts';
import { levelFor, logFor, newsTo } from './event-log.ts';
import type { Trouble } from './load-config.ts';
import { clockFor, loadRules, realPorts, trouble } from './load-config.ts';
import { homeOf, type OpenedRoom, openRoom, withRoom } from './open-queue.ts';

export interface Station {
  /** with our own state: the spool itself, or the directory beside a live room */
  readonly spool: string;
  readonly ports: RunPorts;
  readonly rules: RunRules;
  readonly log: Log;
  readonly warn: (text: string) => void;
  /** aborted by SIGTERM, SIGINT or SIGHUP, with the signal's name as reason */
  readonly signal: AbortSignal;
}

type Work = (station: Station, invocation: Invocation) => Promise<ExitCode | Trouble>;

/** Where another process is at work in our place: the command ends, or it waits until that has ended. */
export type Beside = 'leave' | 'wait';

/** A command that works in a station and leaves it in order, whatever happens. */
export function stationed(beside: Beside, work: Work): Command {
  return async (called) => {
    const { terminal } = called;
    const fail = ({ text, exit }: Trouble): ExitCode => {
      terminal.tell(`spoolroom: ${text}`);
      return exit;
    };
    const settings = withRoom(called.settings, called.options.room);
    if ('kind' in settings) return fail(settings);
    const invocation = { ...called, settings };
    const spool = homeOf(settings);
    if (typeof spool !== 'string') return fail(spool);
    const rules = await loadRules(settings);
    if ('kind' in rules) return fail(rules);
    const log = logFor(settings);
    try {
      const exit = await inStation({ spool, rules, log }, invocation, beside, work);
      if (typeof exit === 'number') return exit;
      if (exit.exit !== EXIT.ok) return fail(exit);
      // Another one is at work, which is as it should be: cron need not hear of it.
      log.write(busyLine(exit.text, exit.runner ?? null));
      if (settings.json) terminal.print(JSON.stringify({ busy: exit.runner ?? null }));
      return EXIT.ok;
    } catch (error) {
      if (error instanceof AwayTrouble) return fail(trouble(error.message, EXIT.unavailable));
      if (error instanceof RivalTrouble) return fail(trouble(error.message, EXIT.config));
      if (error instanceof SpoolTrouble) return fail(trouble(error.message, EXIT.io));
      if (codeOf(error) === null) throw error;
      return fail(
        trouble(
          `${spool} cannot be used: ${phraseOf(error)}. Its mail stays, and the next run tries again.`,
          EXIT.io,
        ),
      );
    } finally {
      await log.close();
    }
  };
}

async function inStation(
  { spool, rules, log }: Pick<Station, 'spool' | 'rules' | 'log'>,
  invocation: Invocation,
  beside: Beside,
  work: Work,
): Promise<ExitCode | Trouble> {
  const { settings } = invocation;
  const clock = clockFor(settings);
  const warn = (text: string): void => log.write(warningLine(text));
  const path = returnPathOf(settings, spool);
  if (path.kind === 'trouble') return path;
  const stop = stopSignal();
  try {
    const open = (): Promise<OpenedRoom> => openRoom(spool, settings, clock, warn);
    let opened = await open();
    if (isBusy(opened) && beside === 'wait') {
      log.write(waitingLine(spool, opened.runner ?? null));
      do {
        await pause(settings.poll, clock, stop.signal);
        if (stop.signal.aborted) return EXIT.ok;
        opened = await open();
      } while (isBusy(opened));
    }
    if (opened.kind === 'trouble') return opened;
    return await inRoom(opened.room, { spool, rules, log, warn }, path, stop, invocation, work);
  } finally {
    stop.release();
  }
}

async function inRoom(
  room: Room,
  place: Omit<Station, 'ports' | 'signal'>,
  path: ReturnPath,
  { signal, release }: Stop,
  invocation: Invocation,
  work: Work,
): Promise<ExitCode | Trouble> {
  const { spool, rules, log, warn } = place;
  const { settings } = invocation;
  const clock = clockFor(settings);
  signal.addEventListener('abort', () =>
    log.write(stoppingLine(String(signal.reason), settings['timeout.stop'])),
  );
  const recorder = recorderFor(spool, rules, settings, clock, warn);
  try {
    const news = newsTo(log, levelFor(settings), rules.render.legacy);
    const events = recorder === null ? news : recorded(news, recorder);
    const ports = { ...realPorts(settings, clock), room, events };
    const reporter = reporterFor(path, { spool, rules, log }, settings, ports);
    return await work({ ...place, signal, ports: { ...ports, reporter } }, invocation);
  } finally {
    release();
    await recorder?.close();
    await room.close();
  }
}

/** Another process at work is no trouble, and its exit code says so. */
function isBusy(opened: OpenedRoom): opened is Trouble {
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
  const shelf = transcriptShelf(transcriptFolder(spool), bounds, warn);
  const { relays } = rules.dispatch.routing;
  return new Recorder({ keep, settings, relays, hostname: rules.render.fqdn }, clock, shelf);
}

function recorded(news: RunEvents, recorder: Recorder): RunEvents {
  return {
    ...news,
    step: (orders, sight) => {
      recorder.observe(orders, sight);
      news.step(orders, sight);
    },
  };
}
