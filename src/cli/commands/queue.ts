/** `spoolroom queue`: what lies in the spool, how old it is, what each job waits for. Beside a runner or without one. */

import { loadCharset, unknown8bit } from '../../message/charset.ts';
import { factsOfAll, queueSum, queueTable } from '../../output/queue-table.ts';
import { forPeople, harmless } from '../../output/text.ts';
import { badMessages } from '../../queue/spool/inspect.ts';
import { openDirectoryView } from '../../queue/spool/open.ts';
import { scheduleFrom } from '../../runner/rules.ts';
import { clockFor, directoryDeps, directorySettings, refusal, spoolOf } from '../setup/load-config.ts';
import { isFor } from '../setup/selection.ts';
import type { Command } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export const command: Command = async ({ settings, options, terminal }) => {
  const spool = spoolOf(settings);
  if (typeof spool !== 'string') {
    terminal.tell(`spoolroom: ${spool.text}`);
    return spool.exit;
  }
  const clock = clockFor(settings);
  const tell = (text: string): void => terminal.tell(`spoolroom: ${text}`);
  const deps = directoryDeps(clock, tell);
  const opened = await openDirectoryView(spool, deps, directorySettings(settings));
  if (opened.kind === 'refused') {
    const { text, exit } = refusal(opened);
    tell(text);
    return exit;
  }
  const { jobs, orphans, setAside } = await opened.view.scan();
  const charset = await loadCharset(settings.charset);
  const readable = forPeople(charset.kind === 'charset' ? charset.charset : unknown8bit);
  const now = Math.floor(clock.now() / 1000);
  const shown = typeof options.to === 'string' ? jobs.filter(isFor(options.to)) : jobs;
  const numbers = new Set(shown.map(({ control }) => control));
  // Of all jobs: one may wait because of another that is not shown.
  const facts = factsOfAll(jobs, now, scheduleFrom(settings), readable).filter(({ job }) => numbers.has(job));
  const aside = badMessages(deps.disk, spool);
  if (settings.json) {
    terminal.print(JSON.stringify({ jobs: facts, orphans, unreadable: setAside, aside }));
    return EXIT.ok;
  }
  const table = facts.length === 0 ? null : `${queueTable(facts)}\n${queueSum(facts)}`;
  if (typeof options.to === 'string') {
    terminal.print(table ?? `No job is for ${harmless(options.to)}.`);
    return EXIT.ok;
  }
  const isEmpty = setAside.length + orphans.length + aside.length === 0;
  terminal.print(table ?? (isEmpty ? 'The spool is empty.' : 'There are no jobs.'));
  for (const { number, reason } of setAside) terminal.print(`unreadable: ${number}: ${harmless(reason)}`);
  for (const { name, reason } of aside)
    terminal.print(`set aside as .spoolroom/bad/${harmless(name)}: ${harmless(reason)}`);
  if (orphans.length > 0) terminal.print(`mails that no job names: ${orphans.join(', ')}`);
  return EXIT.ok;
};
