/** The log of a command that delivers: its level, its target, and a line for each event of a queue run. */
import type { TraceEvent } from '../../delivery/trace.ts';
import type { HistoryWriter } from '../../history/writer.ts';
import type { Charset } from '../../message/charset.ts';
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

export function logEvents(log: Log, level: Level, legacy: Charset): RunEvents & DeliveryEvents {
  const readable = textDecoder(legacy);
  return {
    outcome: (record) => {
      if (isLogged(outcomeLevel(record), level)) log.write(outcomeEvent(record, readable));
    },
    quarantined: (...found) => log.write(quarantineEvent(...found)),
    warning: (text) => log.write(warningEvent(text)),
    silent: (found) => log.write(silentEvent(found)),
    trace: (_, traced) => {
      if (level === 'debug') logDialogue(traced, log, readable);
      if (traced.what === 'delivery' && traced.event.type === 'tls-unusable')
        log.write(plaintextEvent(traced.event.failure, readable));
    },
  };
}

function logDialogue(traced: TraceEvent, log: Log, readable: DecodeText): void {
  if (traced.what !== 'session') return;
  for (const line of wholeDialogueLines(traced.event, traced.step)) {
    log.write(dialogueEvent(traced.session, traced.step.session.peer, line, readable));
  }
}

interface Observers {
  readonly recorder: Recorder | null;
  readonly history: HistoryWriter | null;
  readonly tlsCounter: TlsCounter | null;
  readonly relays: RelayAlerts;
  readonly alerts: Alerts;
}

/** The same events, seen by others as well. */
export function observed(
  events: DeliveryEvents,
  { recorder, history, relays, alerts, tlsCounter }: Observers,
): DeliveryEvents {
  return {
    ...events,
    silent: (found) => {
      events.silent(found);
      alerts.note(SILENT_HOSTS, silentEvent(found).message);
    },
    outcome: (record) => {
      history?.outcome(record);
      events.outcome(record);
    },
    trace: (attempt, traced) => {
      recorder?.observe(attempt, traced);
      if (traced.what !== 'session') relays.observe(traced);
      tlsCounter?.observe(attempt, traced);
      events.trace(attempt, traced);
    },
  };
}
