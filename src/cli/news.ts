/**
 * What the delivering commands tell: log lines for outcomes and warnings. Called by `run` and `watch`.
 */
import type { Sight } from '../delivery/observer.ts';
import type { RunEvents } from '../delivery/queue-run.ts';
import type { Charset } from '../message/charset.ts';
import { utterances } from '../report/dialogue.ts';
import type { Level } from '../report/lines.ts';
import { dialogueLine, inClearLine, outcomeLine, setAsideLine, warningLine } from '../report/lines.ts';
import type { Log } from '../report/log.ts';
import { openLog } from '../report/log.ts';
import type { ForPeople } from '../report/people.ts';
import { forPeople } from '../report/people.ts';
import type { Settings } from '../settings/table.ts';
import { isTerminal, standardStream } from './standard.ts';

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

export function newsTo(log: Log, level: Level, legacy: Charset): RunEvents {
  const readable = forPeople(legacy);
  return {
    outcome: (record) => log.write(outcomeLine(record, readable)),
    setAside: (...found) => log.write(setAsideLine(...found)),
    warning: (text) => log.write(warningLine(text)),
    step: (_, sight) => {
      if (level === 'debug') tellDialogue(sight, log, readable);
      if (sight.what === 'delivery' && sight.event.type === 'tls-unusable')
        log.write(inClearLine(sight.event.failure, readable));
    },
  };
}

function tellDialogue(sight: Sight, log: Log, readable: ForPeople): void {
  if (sight.what !== 'session') return;
  for (const said of utterances(sight.event, sight.step)) {
    log.write(dialogueLine(sight.step.session.peer, said, readable));
  }
}
