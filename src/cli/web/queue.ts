/** The queue for the web view: one page of jobs, counts, destinations. */

import { isPending } from '../../delivery-list/job.ts';
import { factsOf } from '../../output/queue-facts.ts';
import { AgeCounter, type ListedJob } from '../../output/queue-list.ts';
import { escapeControl, plural } from '../../output/text.ts';
import { throttleFacts, throttleSentence } from '../../output/throttling.ts';
import { formatTime, type Timer } from '../../platform/clock.ts';
import { inSlices } from '../../platform/in-turn.ts';
import type { QueuedJob } from '../../queue/queue.ts';
import { ageOf } from '../../queue/schedule.ts';
import { candidateOf, JOB_STATUSES } from '../../queue/selection/job.ts';
import type { Selection } from '../../queue/selection/selection.ts';
import type { Order, SpoolView, ViewedJob } from '../../queue/spool/view/spool-view.ts';
import { LATELY, readAlerts, SILENT_HOSTS } from '../../runner/alerts.ts';
import { layoutOf } from '../../storage/layout.ts';
import type { Destinations, Problem, QueueCounts, QueueList, QueueQuery } from '../../web/ports.ts';
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
  const isWhole = await isRead(sources);
  const counts = countsNow(sources);
  const now = secondsOf(sources);
  const chosen = await selected(selection, Object.keys(fields).length === 0, order, sources);
  const shown = chosen.slice(first, first + count).flatMap(({ control }) => sources.view.read(control) ?? []);
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
    total: chosen.length,
    jobs,
    selected: escapeControl(selection.text),
    notes,
    now,
  };
}

/** Those that are meant, in order; all of them without a look at each. */
async function selected(
  selection: Selection,
  all: boolean,
  order: Order,
  { view, clock, readable }: WebSources,
): Promise<readonly ViewedJob[]> {
  const jobs = view.inOrder(order);
  if (all) return jobs;
  const now = secondsOf({ clock });
  const texts = textsIn(selection);
  function* steps(): Generator<void, readonly ViewedJob[]> {
    const found: ViewedJob[] = [];
    for (const job of jobs) {
      const read = view.holds(job.control, texts) ? view.read(job.control) : null;
      if (read !== null && selection.matches(candidateOf(read, readable), now)) found.push(job);
      yield;
    }
    return found;
  }
  return inSlices(steps(), clock);
}

/** What the list of a job that is meant has somewhere, as it is written. */
function textsIn({ needles }: Selection): readonly RegExp[] {
  return needles.map((needle) => new RegExp(needle.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i'));
}

/** All that are meant, with their lists, by number. */
export async function selectedJobs(selection: Selection, sources: WebSources): Promise<readonly QueuedJob[]> {
  const { view, clock } = sources;
  const chosen = await selected(selection, selection.text === '' && !selection.isNumbers, 'newest', sources);
  function* steps(): Generator<void, readonly QueuedJob[]> {
    const read: QueuedJob[] = [];
    for (const { control } of chosen) {
      read.push(...[view.read(control) ?? []].flat());
      yield;
    }
    return read.reverse();
  }
  return inSlices(steps(), clock);
}

/** As `queue` lists them, with the sizes of their messages. */
export async function listed(
  jobs: readonly QueuedJob[],
  sources: WebSources,
): Promise<{ readonly jobs: readonly ListedJob[]; readonly throttling: Throttling }> {
  const { spool, settings, deps, schedule, readable } = sources;
  const now = secondsOf(sources);
  const throttling = await throttlingOf({ spool, deps, now, readable }, settings);
  const { message } = layoutOf(spool);
  const facts = jobs.map((queued): ListedJob => {
    return {
      ...factsOf(queued, withOthers(queued, sources), now, schedule, readable, throttling.waits),
      size: deps.disk.status(message(queued.job.msgid))?.size ?? null,
    };
  });
  return { jobs: facts, throttling };
}

/** All jobs with the same message: this one, and not another reading of it. */
export function withOthers(queued: QueuedJob, { view }: Pick<WebSources, 'view'>): readonly QueuedJob[] {
  const others = view.carrying(queued.job.msgid).filter(({ control }) => control !== queued.control);
  return [queued, ...others];
}

/** Milliseconds for which the counts of a queue that does not change are shown again, though more may be due. */
const COUNTED = 2000;
const COUNTS = new WeakMap<SpoolView, { at: number; version: number; counts: QueueCounts }>();

export async function countsOf(sources: WebSources): Promise<QueueCounts> {
  await sources.view.refresh();
  return countsNow(sources);
}

/** Milliseconds that a reader waits for the first page of a large queue. */
const PATIENCE = 1500;

/** Whether the view is up to date after a moment. */
async function isRead({ view, clock }: WebSources): Promise<boolean> {
  let timer: Timer | null = null;
  const late = new Promise<false>((resolve) => {
    timer = clock.after(PATIENCE, () => resolve(false));
  });
  const read = view.refresh().then(() => true as const);
  return Promise.race([read, late]).finally(() => timer?.cancel());
}

/** As of the last refresh. */
function countsNow(sources: WebSources): QueueCounts {
  const { view, clock } = sources;
  const before = COUNTS.get(view);
  const at = clock.monotonic();
  if (before?.version === view.version && at - before.at < COUNTED) return before.counts;
  const counts = counted(sources);
  COUNTS.set(view, { at, version: view.version, counts });
  return counts;
}

function counted(sources: WebSources): QueueCounts {
  const { view, client } = sources;
  const now = secondsOf(sources);
  let [pending, due, held, first] = [0, 0, 0, Number.POSITIVE_INFINITY];
  for (const job of view.jobs()) {
    const isHeld = view.requestFor(job) === 'hold';
    pending += job.pending;
    if (isHeld) held++;
    else if (job.next !== null && job.next <= now) due++;
    if (job.submitted !== null && job.submitted < first) first = job.submitted;
  }
  return {
    ...{ jobs: view.size, pending, due, held },
    oldest: first === Number.POSITIVE_INFINITY ? null : Math.max(0, now - first),
    runner: client.runner(),
    unreadable: view.unreadable.size,
  };
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

function unreadableNotes({ view: { unreadable } }: WebSources): readonly string[] {
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
  const { clock, view } = sources;
  await view.refresh();
  const kept = SUMS.get(sources);
  if (kept !== undefined && clock.monotonic() - kept.at < KEPT) return kept.sums;
  const sums = sumsOf(sources);
  SUMS.set(sources, { at: clock.monotonic(), sums });
  sums.catch(() => SUMS.delete(sources));
  return sums;
}

async function sumsOf(sources: WebSources): Promise<Destinations> {
  const { spool, settings, deps, view, clock, readable } = sources;
  const now = secondsOf(sources);
  const { groups, waits } = await throttlingOf({ spool, deps, now, readable }, settings);
  const waiting = new Map<string, Set<number>>();
  function* steps(): Generator<void, AgeCounter> {
    const counter = new AgeCounter();
    for (const { control, next } of [...view.jobs()]) {
      const queued = next === null ? null : view.read(control);
      if (queued === null) continue;
      const { job } = queued;
      const age = job.submitted === null ? null : ageOf(job, now);
      for (const each of job.recipients) if (isPending(each)) counter.add(each.address, age);
      const wait = groups.size > 0 && next !== null && next <= now ? waits([queued]) : null;
      if (wait !== null) waiting.set(wait.group, (waiting.get(wait.group) ?? new Set()).add(job.msgid));
      yield;
    }
    return counter;
  }
  const counter = await inSlices(steps(), clock);
  const throttled = throttleFacts(groups, [], waits, readable);
  return {
    destinations: counter
      .destinations()
      .map((each) => ({ ...each, destination: readable(each.destination) })),
    throttled: throttled.map((each) => ({ ...each, waiting: waiting.get(each.group)?.size ?? 0 })),
    slowed: slowedNote(sources, now)[0] ?? null,
  };
}
