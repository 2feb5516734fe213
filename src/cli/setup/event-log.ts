/**
 * What the delivering commands tell: log lines for outcomes and warnings. Called by `run` and `watch`.
 */
import type { TraceEvent } from '../../delivery/trace.ts';
import type { Charset } from '../../message/charset.ts';
import type { Log } from '../../output/log/log.ts';
import { openLog } from '../../output/log/log.ts';
import type { Level } from '../../output/log/log-events.ts';
import {
  dialogueEvent,
  outcomeEvent,
  plaintextEvent,
  quarantineEvent,
  warningEvent,
} from '../../output/log/log-events.ts';
import { dialogueLines } from '../../output/replay/dialogue.ts';
import type { DecodeText } from '../../output/text.ts';
import { textDecoder } from '../../output/text.ts';
import type { RunEvents } from '../../runner/queue-runner.ts';
import type { Settings } from '../../settings/table.ts';
import { isTerminal, standardStream } from '../shell/terminal.ts';

/** On a terminal everything is told; elsewhere (cron mails what it sees) only what somebody must know. */
export function levelFor(settings: Settings): Level {
  const chosen = settings['log.level'];
  if (chosen !== 'auto') return chosen;
  return settings['log.target'] === 'stderr' && !isTerminal(2) ? 'warn' : 'info';
}

export function logFor(settings: Settings): Log {
  const target = settings['log.target'];
  const colour = target === 'stderr' && isTerminal(2);
  const stderr = () => standardStream('stderr');
  return openLog({ level: levelFor(settings), format: settings['log.format'], target, colour, stderr });
}

export function logEvents(log: Log, level: Level, legacy: Charset): RunEvents {
  const readable = textDecoder(legacy);
  return {
    outcome: (record) => log.write(outcomeEvent(record, readable)),
    quarantined: (...found) => log.write(quarantineEvent(...found)),
    warning: (text) => log.write(warningEvent(text)),
    trace: (_, sight) => {
      if (level === 'debug') tellDialogue(sight, log, readable);
      if (sight.what === 'delivery' && sight.event.type === 'tls-unusable')
        log.write(plaintextEvent(sight.event.failure, readable));
    },
  };
}

function tellDialogue(sight: TraceEvent, log: Log, readable: DecodeText): void {
  if (sight.what !== 'session') return;
  for (const said of dialogueLines(sight.event, sight.step)) {
    log.write(dialogueEvent(sight.step.session.peer, said, readable));
  }
}
