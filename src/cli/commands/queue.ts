/** `spoolroom queue`: the jobs in the spool, how old they are, and what each is waiting for. */
import { factsOfAll, queueSummary, queueTable } from '../../output/queue-table.ts';
import { escapeControl } from '../../output/text.ts';
import { throttleFacts, throttleSentence } from '../../output/throttling.ts';
import { candidateOf, JOB_STATUSES } from '../../queue/selection/job.ts';
import { quarantinedFiles } from '../../queue/spool/inspect.ts';
import { readSpool } from '../setup/read-spool.ts';
import { selectionFrom } from '../setup/selection.ts';
import { throttlingOf } from '../setup/throttling.ts';
import { type Command, warner } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export const command: Command = async ({ settings, options, terminal }) => {
  const selection = selectionFrom(options, { statuses: JOB_STATUSES, texts: true });
  if ('kind' in selection) return selection;
  const opened = await readSpool(settings, warner(terminal));
  if ('kind' in opened) return opened;
  const { spool, view, deps, now, schedule, readable, slowed } = opened;
  const { jobs, orphans, quarantined } = await view.scan();
  const shown = selection.isEmpty
    ? jobs
    : jobs.filter((queued) => selection.matches(candidateOf(queued, readable), now));
  const numbers = new Set(shown.map(({ control }) => control));
  // Computed from all jobs: one may be waiting because of another that is not shown.
  const { groups, waits } = await throttlingOf(opened, settings);
  const facts = factsOfAll(jobs, now, schedule, readable, waits).filter(({ job }) => numbers.has(job));
  const waiting = new Set(facts.flatMap(({ job, throttled }) => (throttled === null ? [] : [job])));
  const throttled = throttleFacts(
    groups,
    jobs.filter(({ control }) => waiting.has(control)),
    waits,
    readable,
  );
  const aside = quarantinedFiles(deps.disk, spool);
  if (settings.json) {
    terminal.print(
      JSON.stringify({ jobs: facts, orphans, unreadable: quarantined, aside, throttled, slowed }),
    );
    return EXIT.ok;
  }
  const footer = slowed === null ? '' : `\n${escapeControl(slowed)}`;
  const table = facts.length === 0 ? null : `${queueTable(facts)}\n${queueSummary(facts)}${footer}`;
  if (!selection.isEmpty) {
    terminal.print(table ?? `No jobs${escapeControl(selection.text)}.`);
    return EXIT.ok;
  }
  const isEmpty = quarantined.length + orphans.length + aside.length === 0;
  terminal.print(table ?? (isEmpty ? 'The spool is empty.' : 'There are no jobs.'));
  for (const each of throttled) terminal.print(throttleSentence(each));
  for (const { number, reason } of quarantined)
    terminal.print(`unreadable: ${number}: ${escapeControl(reason)}`);
  for (const { name, reason } of aside)
    terminal.print(`quarantined in .spoolroom/bad/${escapeControl(name)}: ${escapeControl(reason)}`);
  if (orphans.length > 0) terminal.print(`messages without a job: ${orphans.join(', ')}`);
  return EXIT.ok;
};
