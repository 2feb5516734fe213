/** The log of a command that delivers: its level, its target, and a line for each event of a queue run. */
import { type Observer, type Traced, traceFor } from '../../delivery/trace.ts';
import { type OutcomeText, outcomeTexts, type Readable } from '../../history/readable.ts';
import type { HistoryWriter } from '../../history/writer.ts';
import type { Charset } from '../../message/charset.ts';
import type { RunningMetrics } from '../../metrics/running.ts';
import { allowsColour } from '../../output/colour.ts';
import type { Log } from '../../output/log/log.ts';
import { isLogged, openLog } from '../../output/log/log.ts';
import type { Level } from '../../output/log/log-events.ts';
import {
  dialogueEvent,
  outcomeEvent,
  outcomeLevel,
  plaintextEvent,
  quarantineEvent,
} from '../../output/log/log-events.ts';
import { silentEvent, warningEvent } from '../../output/log/process-events.ts';
import { wholeDialogueLines } from '../../output/replay/dialogue.ts';
import type { DecodeText } from '../../output/text.ts';
import { textDecoder } from '../../output/text.ts';
import type { Recorder } from '../../replay/transcript/recorder.ts';
import type { OutcomeRecord } from '../../runner/active-message.ts';
import { type Alerts, SILENT_HOSTS } from '../../runner/alerts.ts';
import type { DeliveryEvents } from '../../runner/deliveries.ts';
import type { RunEvents } from '../../runner/queue-runner.ts';
import type { RelayAlerts } from '../../runner/relay-alerts.ts';
import type { Settings } from '../../settings/table.ts';
import type { TlsCounter } from '../../tls-report/counter.ts';
import { isJournal, isTerminal, standardStream } from '../shell/terminal.ts';

/**
 * `auto`: on a terminal, in files, in syslog and in systemd's journal everything; else only warnings and errors, because cron
 * mails what it sees.
 */
export function levelFor(settings: Settings): Level {
  const chosen = settings['log.level'];
  if (chosen !== 'auto') return chosen;
  if (settings['log.target'] !== 'stderr' || isTerminal(2)) return 'info';
  return isJournal(2, process.env) ? 'info' : 'warn';
}

export function logFor(settings: Settings): Log {
  const target = settings['log.target'];
  const colour = target === 'stderr' && isTerminal(2) && allowsColour(process.env);
  const stderr = () => standardStream('stderr');
  const journal = target === 'stderr' && isJournal(2, process.env);
  const format = settings['log.format'];
  return openLog({ level: levelFor(settings), format, target, journal, colour, stderr });
}

/** A line for each event of a run. What is written depends on the level, so what is not is not asked for. */
export function logEvents(log: Log, level: Level, legacy: Charset): LoggedEvents {
  const readable = textDecoder(legacy);
  return {
    readable,
    outcome: (record, told) => {
      if (isLogged(outcomeLevel(record), level)) log.write(outcomeEvent(record, readable, told));
    },
    quarantined: (...found) => log.write(quarantineEvent(...found)),
    warning: (text) => log.write(warningEvent(text)),
    silent: (found) => log.write(silentEvent(found)),
    observer: {
      ...(level === 'debug' ? { session: (_, traced) => logDialogue(traced, log, readable) } : {}),
      failure: (_, { event }) => {
        if (event.type === 'tls-unusable') log.write(plaintextEvent(event.failure, readable));
      },
    },
  };
}

export interface LoggedEvents extends RunEvents, Omit<DeliveryEvents, 'outcome' | 'trace'> {
  readonly readable: Readable;
  outcome(record: OutcomeRecord, told: OutcomeText): void;
  readonly observer: Observer;
}

function logDialogue({ session, event, step }: Traced<'session'>, log: Log, readable: DecodeText): void {
  for (const line of wholeDialogueLines(event, step))
    log.write(dialogueEvent(session, step.session.peer, line, readable));
}

interface Observers {
  readonly recorder: Recorder | null;
  readonly history: HistoryWriter | null;
  readonly tlsCounter: TlsCounter | null;
  readonly relays: RelayAlerts;
  readonly alerts: Alerts;
  readonly metrics: RunningMetrics | null;
}

/** The same events, seen by others as well. */
export function observed(
  events: Omit<LoggedEvents, 'quarantined'>,
  { recorder, history, relays, alerts, tlsCounter, metrics }: Observers,
): DeliveryEvents {
  const counter = metrics?.counter;
  const textOf = outcomeTexts(events.readable);
  const all = [counter, recorder, relays, tlsCounter, events];
  return {
    warning: events.warning,
    silent: (found) => {
      events.silent(found);
      alerts.note(SILENT_HOSTS, silentEvent(found).message);
    },
    outcome: (record) => {
      counter?.outcome(record);
      const told = textOf(record);
      history?.outcome(record, told);
      events.outcome(record, told);
    },
    trace: traceFor(all.flatMap((each) => each?.observer ?? [])),
  };
}
