/** `spoolroom queue`: the jobs in the spool, how old they are, and what each is waiting for. */

import { factsOfAll, queueSummary, unwrittenText } from '../../output/queue-facts.ts';
import {
  AGES,
  destinationAges,
  type ListedJob,
  ORDERS,
  queueList,
  summaryTable,
} from '../../output/queue-list.ts';
import { escapeControl } from '../../output/text.ts';
import { throttleFacts, throttleSentence } from '../../output/throttling.ts';
import { didYouMean } from '../../platform/suggest.ts';
import { candidateOf, JOB_STATUSES } from '../../queue/selection/job.ts';
import { quarantinedFiles } from '../../queue/spool/inspect.ts';
import { layoutOf } from '../../storage/layout.ts';
import { readSpool } from '../setup/read-spool.ts';
import { messageSizes } from '../setup/room/message-sizes.ts';
import { selectionFrom } from '../setup/selection.ts';
import { throttlingOf } from '../setup/throttling.ts';
import { type Command, cliError, type Terminal, warner } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export const command: Command = async ({ settings, options, terminal }) => {
  const selection = selectionFrom(options, { statuses: JOB_STATUSES, texts: true });
  if ('kind' in selection) return selection;
  const order = String(options.sort ?? 'job');
  if (!isOrder(order)) {
    const names = Object.keys(ORDERS);
    return cliError(
      `--sort: ${escapeControl(order)} is not one of ${names.join(', ')}${didYouMean(order, names)}.`,
      EXIT.usage,
    );
  }
  const opened = await readSpool(settings, warner(terminal));
  if ('kind' in opened) return opened;
  const { spool, view, deps, now, schedule, readable, slowed } = opened;
  const { jobs, orphans, quarantined } = await view.look(selection);
  const shown = jobs.filter((queued) => selection.matches(candidateOf(queued, readable), now));
  const numbers = new Set(shown.map(({ control }) => control));
  // Computed from all jobs: one may be waiting because of another that is not shown.
  const { groups, waits } = await throttlingOf(opened, settings);
  const sizeOf = messageSizes(jobs, deps.disk, layoutOf(spool));
  const listed = factsOfAll(jobs, now, schedule, readable, waits)
    .filter(({ job }) => numbers.has(job))
    .map((facts): ListedJob => ({ ...facts, size: sizeOf(facts.mail) }))
    .sort(ORDERS[order]);
  if (options.summary === true) {
    printSummary(listed, settings.json, terminal);
    return EXIT.ok;
  }
  const waiting = new Set(listed.flatMap(({ job, throttled }) => (throttled === null ? [] : [job])));
  const throttled = throttleFacts(
    groups,
    jobs.filter(({ control }) => waiting.has(control)),
    waits,
    readable,
  );
  // What is no job belongs to no selection.
  const isAll = selection.isEmpty || options.all === true;
  const aside = isAll ? quarantinedFiles(deps.disk, spool) : [];
  const others = {
    ...{ orphans: isAll ? orphans : [], unreadable: isAll ? quarantined : [] },
    ...{ aside, throttled, slowed },
  };
  if (settings.json) printLines(listed, others, terminal);
  else {
    const grouped = options.all !== true;
    const table = `${queueList(listed, { width: terminal.width, now, grouped })}\n${queueSummary(listed)}`;
    const isEmpty = others.orphans.length + others.unreadable.length + aside.length === 0;
    const none = isAll
      ? isEmpty
        ? 'The spool is empty.'
        : 'There are no jobs.'
      : `No jobs${escapeControl(selection.text)}.`;
    terminal.print(listed.length === 0 ? none : table);
    const unwritten = listed.reduce((sum, each) => sum + each.unwritten, 0);
    if (unwritten > 0) terminal.print(unwrittenText(unwritten));
    printOthers(others, terminal);
  }
  return EXIT.ok;
};

function isOrder(name: string): name is keyof typeof ORDERS {
  return Object.hasOwn(ORDERS, name);
}

interface Others {
  readonly orphans: readonly number[];
  readonly unreadable: readonly { readonly number: number; readonly reason: string }[];
  readonly aside: ReturnType<typeof quarantinedFiles>;
  readonly throttled: ReturnType<typeof throttleFacts>;
  /** a sentence; null: nothing is slowed down */
  readonly slowed: string | null;
}

function printOthers({ orphans, unreadable, aside, throttled, slowed }: Others, terminal: Terminal): void {
  if (slowed !== null) terminal.print(escapeControl(slowed));
  for (const each of throttled) terminal.print(throttleSentence(each));
  for (const { number, reason } of unreadable)
    terminal.print(`unreadable: ${number}: ${escapeControl(reason)}`);
  for (const { name, reason } of aside)
    terminal.print(`quarantined in .spoolroom/bad/${escapeControl(name)}: ${escapeControl(reason)}`);
  if (orphans.length > 0) terminal.print(`messages without a job: ${orphans.join(', ')}`);
}

/** One object on each line, with its `kind`. */
function printLines(jobs: readonly ListedJob[], others: Others, terminal: Terminal): void {
  const print = (kind: string, facts: object): void => terminal.print(JSON.stringify({ kind, ...facts }));
  for (const job of jobs) print('job', job);
  for (const mail of others.orphans) print('orphan', { mail });
  for (const each of others.unreadable) print('unreadable', each);
  for (const each of others.aside) print('aside', each);
  for (const each of others.throttled) print('throttled', each);
  if (others.slowed !== null) print('slowed', { reason: others.slowed });
}

function printSummary(jobs: readonly ListedJob[], json: boolean, terminal: Terminal): void {
  const destinations = destinationAges(jobs);
  if (!json) {
    terminal.print(destinations.length === 0 ? 'No recipient is pending.' : summaryTable(destinations));
    return;
  }
  const names = [...AGES.map(String), '1280+', 'unknown'];
  for (const { destination, total, ages } of destinations) {
    const byAge = Object.fromEntries(ages.map((count, at) => [names[at], count]));
    terminal.print(JSON.stringify({ kind: 'destination', destination, total, ages: byAge }));
  }
}
