/**
 * What the delivering commands tell: log lines for outcomes and warnings. Called by `run` and `watch`.
 */
import type { RunEvents } from '../delivery/queue-run.ts';
import type { Charset } from '../message/charset.ts';
import { outcomeLine, setAsideLine, warningLine } from '../report/lines.ts';
import type { Log } from '../report/log.ts';
import { openLog } from '../report/log.ts';
import { forPeople } from '../report/people.ts';
import type { Settings } from '../settings/table.ts';

/** On a terminal everything is told; elsewhere (cron mails what it sees) only what somebody must know. */
export function logFor(settings: Settings): Log {
  const colour = settings['log.target'] === 'stderr' && process.stderr.isTTY === true;
  const chosen = settings['log.level'];
  const quiet = settings['log.target'] === 'stderr' && process.stderr.isTTY !== true;
  const level = chosen === 'auto' ? (quiet ? 'warn' : 'info') : chosen;
  return openLog({
    level,
    format: settings['log.format'],
    target: settings['log.target'],
    colour,
    stderr: process.stderr,
  });
}

export function newsTo(log: Log, legacy: Charset): RunEvents {
  const readable = forPeople(legacy);
  return {
    outcome: (record) => log.write(outcomeLine(record, readable)),
    setAside: (control, reason) => log.write(setAsideLine(control, reason)),
    warning: (text) => log.write(warningLine(text)),
    step: () => {},
  };
}
