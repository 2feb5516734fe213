/** `spoolroom run`: one queue run, then exit. A second one at the same time exits at once, saying so. */
import { queueRun } from '../delivery/queue-run.ts';
import { warningLine } from '../report/lines.ts';
import { openDirectoryRoom } from '../room/directory/open.ts';
import type { Trouble } from './background.ts';
import {
  clockFor,
  directoryDeps,
  directorySettings,
  loadRules,
  realPorts,
  refusal,
  spoolOf,
} from './background.ts';
import type { Command } from './command.ts';
import type { ExitCode } from './exit.ts';
import { EXIT } from './exit.ts';
import { logFor, newsTo } from './news.ts';
import { stopSignal } from './stop.ts';

export const command: Command = async ({ settings, options, terminal }) => {
  const fail = ({ text, exit }: Trouble): ExitCode => {
    terminal.tell(`spoolroom: ${text}`);
    return exit;
  };
  const spool = spoolOf(settings);
  if (typeof spool !== 'string') return fail(spool);
  const rules = await loadRules(settings);
  if ('kind' in rules) return fail(rules);
  const clock = clockFor(settings);
  const log = logFor(settings);
  const warn = (text: string): void => log.write(warningLine(text));
  const opened = await openDirectoryRoom(spool, directoryDeps(clock, warn), directorySettings(settings));
  if (opened.kind === 'refused') return fail(refusal(opened));
  const { room } = opened;
  const stop = stopSignal();
  try {
    const ports = { ...realPorts(settings, clock), room, events: newsTo(log, rules.render.legacy) };
    const due = { ...rules.due, force: options.force === true };
    const summary = await queueRun(ports, { ...rules, due }, stop.signal);
    if (settings.json) terminal.print(JSON.stringify(summary));
  } finally {
    stop.release();
    await room.close();
    await log.close();
  }
  return EXIT.ok;
};
