/** The queue for the web view: one page of jobs, counts, destinations. */

import { isPending } from '../../delivery-list/job.ts';
import { factsOf } from '../../output/queue-facts.ts';
import { AgeCounter, type ListedJob } from '../../output/queue-list.ts';
import { escapeControl, plural } from '../../output/text.ts';
import { throttleFacts, throttleSentence } from '../../output/throttling.ts';
import { formatTime } from '../../platform/clock.ts';
import type { QueuedJob } from '../../queue/queue.ts';
import { ageOf, nextAttempt } from '../../queue/schedule.ts';
import { JOB_STATUSES } from '../../queue/selection/job.ts';
import type { Selection } from '../../queue/selection/selection.ts';
import { LATELY, readAlerts, SILENT_HOSTS } from '../../runner/alerts.ts';
import { layoutOf } from '../../storage/layout.ts';
import type { Destinations, Problem, QueueList, QueueQuery } from '../../web/ports.ts';
import { messageSizes } from '../setup/room/message-sizes.ts';
import type { Throttling } from '../setup/throttling.ts';
import { throttlingOf } from '../setup/throttling.ts';
import { selectionOf } from './selection.ts';
import type { WebSources } from './sources.ts';

export const QUEUE_RULES = { statuses: JOB_STATUSES, texts: false };

export function secondsOf({ clock }: Pick<WebSources, 'clock'>): number {
  return Math.floor(clock.now() / 1000);
}

export async function listOf(
  { fields, order, first, count }: QueueQuery,
  sources: WebSources,
): Promise<QueueList | Problem> {
  const selection = selectionOf(fields, QUEUE_RULES);
  if ('kind' in selection) return selection;
  const now = secondsOf(sources);
  const {
    isWhole,
    counts,
    total,
    jobs: shown,
  } = await sources.jobs.page({
    selection: Object.keys(fields).length === 0 ? null : selection,
    ...{ order, first, count },
  });
  const { jobs, throttling } = await listed(shown, sources);
  const notes = [
    ...(isWhole ? [] : ['The queue is being read; this is what is known of it so far.']),
    ...slowedNote(sources, now),
    ...throttleNotes(throttling, jobs, sources),
    ...unreadableNotes(sources),
  ];
  return {
    kind: 'list',
    counts,
    isWhole,
    total,
    jobs,
    selected: escapeControl(selection.text),
    notes,
    now,
  };
}

/** All that are meant, with their lists, by number. */
export function selectedJobs(selection: Selection, { jobs }: WebSources): Promise<readonly QueuedJob[]> {
  return jobs.selected(selection.text === '' && !selection.isNumbers ? null : selection);
}

/** As `queue` lists them, with the sizes of their messages. */
export async function listed(
  jobs: readonly QueuedJob[],
  sources: WebSources,
): Promise<{ readonly jobs: readonly ListedJob[]; readonly throttling: Throttling }> {
  const { spool, settings, deps, schedule, readable } = sources;
  const now = secondsOf(sources);
  const throttling = await throttlingOf({ spool, deps, now, readable, view: sources.client }, settings);
  const sizeOf = messageSizes(jobs, deps.disk, layoutOf(spool));
  const others = await sources.jobs.withOthers(jobs);
  const facts = jobs.map((queued): ListedJob => {
    const { msgid } = queued.job;
    const lists = others.get(msgid) ?? [queued];
    return {
      ...factsOf(queued, lists, now, schedule, readable, throttling.waits),
      size: sizeOf(msgid),
    };
  });
  return { jobs: facts, throttling };
}

/** What silent hosts took from others lately. */
function slowedNote({ spool, deps }: WebSources, now: number): readonly string[] {
  const silent = readAlerts(deps.disk, layoutOf(spool)).get(SILENT_HOSTS);
  if (silent === undefined || now - silent.met > LATELY) return [];
  return [
    `Since ${formatTime(silent.since)} hosts that say nothing hold up others. Last, ${escapeControl(silent.text)}`,
  ];
}

/** Of the hosts for which jobs on this page wait. */
function throttleNotes(
  { groups, waits }: Throttling,
  jobs: readonly ListedJob[],
  { readable }: WebSources,
): readonly string[] {
  const waiting = new Set(jobs.flatMap(({ throttled }) => throttled ?? []));
  return throttleFacts(groups, [], waits, readable)
    .filter(({ group }) => waiting.has(group))
    .map(
      (facts) =>
        `${throttleSentence({ ...facts, waiting: 0 }).split(';')[0]}; its jobs wait until ${facts.until}.`,
    );
}

/** So many are named. */
const MOST_NAMED = 5;

function unreadableNotes({ jobs: { unreadable } }: WebSources): readonly string[] {
  const shown = [...unreadable].slice(0, MOST_NAMED);
  const more = unreadable.size - shown.length;
  return [
    ...shown.map(([number, reason]) => `${number} cannot be read: ${escapeControl(reason)}.`),
    ...(more > 0 ? [`${plural(more, 'other list')} cannot be read.`] : []),
  ];
}

/** Milliseconds for which the sums over the whole queue are shown again. */
const KEPT = 10_000;
const SUMS = new WeakMap<WebSources, { readonly at: number; readonly sums: Promise<Destinations> }>();

export async function destinationsOf(sources: WebSources): Promise<Destinations> {
  const { clock } = sources;
  const kept = SUMS.get(sources);
  if (kept !== undefined && clock.monotonic() - kept.at < KEPT) return kept.sums;
  const sums = sumsOf(sources);
  SUMS.set(sources, { at: clock.monotonic(), sums });
  sums.catch(() => SUMS.delete(sources));
  return sums;
}

async function sumsOf(sources: WebSources): Promise<Destinations> {
  const { spool, settings, deps, readable } = sources;
  const now = secondsOf(sources);
  const { groups, waits } = await throttlingOf(
    { spool, deps, now, readable, view: sources.client },
    settings,
  );
  const waiting = new Map<string, Set<number>>();
  const counter = new AgeCounter();
  await sources.jobs.each((queued) => {
    const { job } = queued;
    const age = job.submitted === null ? null : ageOf(job, now);
    for (const each of job.recipients) if (isPending(each)) counter.add(each.address, age);
    const wait = groups.size > 0 && nextAttempt(job, sources.schedule) <= now ? waits([queued]) : null;
    if (wait !== null) waiting.set(wait.group, (waiting.get(wait.group) ?? new Set()).add(job.msgid));
  });
  const throttled = throttleFacts(groups, [], waits, readable);
  return {
    destinations: counter
      .destinations()
      .map((each) => ({ ...each, destination: readable(each.destination) })),
    throttled: throttled.map((each) => ({ ...each, waiting: waiting.get(each.group)?.size ?? 0 })),
    slowed: slowedNote(sources, now)[0] ?? null,
  };
}
