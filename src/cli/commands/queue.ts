/** `spoolroom queue`: what lies in the spool, how old it is, what each job waits for. Beside a runner or without one. */

import { loadCharset, unknown8bit } from '../../message/charset.ts';
import { factsOfAll, queueSummary, queueTable } from '../../output/queue-table.ts';
import { escapeControl, textDecoder } from '../../output/text.ts';
import { quarantinedFiles } from '../../queue/spool/inspect.ts';
import { openSpoolReadOnly } from '../../queue/spool/open.ts';
import { scheduleFrom } from '../../runner/rules.ts';
import { clockFor, controlSettings, openError, spoolDeps, spoolOf } from '../setup/load-config.ts';
import { matchesRecipient } from '../setup/selection.ts';
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
  const deps = spoolDeps(clock, tell);
  const opened = await openSpoolReadOnly(spool, deps, controlSettings(settings));
  if (opened.kind === 'refused') {
    const { text, exit } = openError(opened);
    tell(text);
    return exit;
  }
  const { jobs, orphans, quarantined } = await opened.view.scan();
  const charset = await loadCharset(settings.charset);
  const readable = textDecoder(charset.kind === 'charset' ? charset.charset : unknown8bit);
  const now = Math.floor(clock.now() / 1000);
  const shown = typeof options.to === 'string' ? jobs.filter(matchesRecipient(options.to)) : jobs;
  const numbers = new Set(shown.map(({ control }) => control));
  // Of all jobs: one may wait because of another that is not shown.
  const facts = factsOfAll(jobs, now, scheduleFrom(settings), readable).filter(({ job }) => numbers.has(job));
  const aside = quarantinedFiles(deps.disk, spool);
  if (settings.json) {
    terminal.print(JSON.stringify({ jobs: facts, orphans, unreadable: quarantined, aside }));
    return EXIT.ok;
  }
  const table = facts.length === 0 ? null : `${queueTable(facts)}\n${queueSummary(facts)}`;
  if (typeof options.to === 'string') {
    terminal.print(table ?? `No job is for ${escapeControl(options.to)}.`);
    return EXIT.ok;
  }
  const isEmpty = quarantined.length + orphans.length + aside.length === 0;
  terminal.print(table ?? (isEmpty ? 'The spool is empty.' : 'There are no jobs.'));
  for (const { number, reason } of quarantined)
    terminal.print(`unreadable: ${number}: ${escapeControl(reason)}`);
  for (const { name, reason } of aside)
    terminal.print(`set aside as .spoolroom/bad/${escapeControl(name)}: ${escapeControl(reason)}`);
  if (orphans.length > 0) terminal.print(`mails that no job names: ${orphans.join(', ')}`);
  return EXIT.ok;
};
