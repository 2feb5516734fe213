/** `spoolroom queue`: what lies in the spool, how old it is, what each job waits for. Beside a runner or without one. */
import { scheduleFrom } from '../delivery/rules.ts';
import { loadCharset, unknown8bit } from '../message/charset.ts';
import { forPeople, harmless } from '../report/people.ts';
import { factsOf, queueTable } from '../report/queue-table.ts';
import { openDirectoryView } from '../room/directory/open.ts';
import { clockFor, directoryDeps, directorySettings, refusal, spoolOf } from './background.ts';
import type { Command } from './command.ts';
import { EXIT } from './exit.ts';

export const command: Command = async ({ settings, terminal }) => {
  const spool = spoolOf(settings);
  if (typeof spool !== 'string') {
    terminal.tell(`spoolroom: ${spool.text}`);
    return spool.exit;
  }
  const clock = clockFor(settings);
  const tell = (text: string): void => terminal.tell(`spoolroom: ${text}`);
  const opened = await openDirectoryView(spool, directoryDeps(clock, tell), directorySettings(settings));
  if (opened.kind === 'refused') {
    const { text, exit } = refusal(opened);
    tell(text);
    return exit;
  }
  const { jobs, orphans, setAside } = await opened.view.scan();
  const charset = await loadCharset(settings.charset);
  const readable = forPeople(charset.kind === 'charset' ? charset.charset : unknown8bit);
  const now = Math.floor(clock.now() / 1000);
  const facts = jobs.map((queued) => factsOf(queued, now, scheduleFrom(settings), readable));
  if (settings.json) {
    terminal.print(JSON.stringify({ jobs: facts, orphans, unreadable: setAside }));
    return EXIT.ok;
  }
  terminal.print(facts.length === 0 ? 'The spool is empty.' : queueTable(facts));
  for (const { number, reason } of setAside) terminal.print(`unreadable: ${number}: ${harmless(reason)}`);
  if (orphans.length > 0) terminal.print(`mails that no job names: ${orphans.join(', ')}`);
  return EXIT.ok;
};
