/** The jobs of a spool: a view of it that is kept, and brought up to date when somebody looks. */

import type { CountedJob } from '../../../metrics/queue-state.ts';
import type { DecodeText } from '../../../output/text.ts';
import type { Clock, Timer } from '../../../platform/clock.ts';
import { inSlices } from '../../../platform/in-turn.ts';
import type { QueuedJob } from '../../../queue/queue.ts';
import { candidateOf } from '../../../queue/selection/job.ts';
import type { Selection } from '../../../queue/selection/selection.ts';
import type { Order, SpoolView, ViewedJob } from '../../../queue/spool/view/spool-view.ts';
import type { QueueCounts } from '../../../web/ports.ts';
import type { WebJobs } from './jobs.ts';

export interface SpoolJobsDeps {
  readonly view: SpoolView;
  readonly clock: Clock;
  readonly readable: DecodeText;
  /** the process that delivers now; null: none */
  readonly runner: () => number | null;
}

/** Milliseconds for which the counts of a queue that does not change are shown again, though more may be due. */
const COUNTED = 2000;

/** Milliseconds that a reader waits for the first page of a large queue. */
const PATIENCE = 1500;

const SOMEBODY = { address: '', status: 0, text: '' };

export function spoolJobs(deps: SpoolJobsDeps): WebJobs {
  const { view, clock } = deps;
  let before: { readonly at: number; readonly version: number; readonly counts: QueueCounts } | null = null;
  /** As of the last refresh. */
  const countsNow = (): QueueCounts => {
    const at = clock.monotonic();
    if (before?.version === view.version && at - before.at < COUNTED) return before.counts;
    const counts = counted(deps);
    before = { at, version: view.version, counts };
    return counts;
  };
  const read = async (chosen: readonly ViewedJob[]): Promise<readonly QueuedJob[]> => {
    function* steps(): Generator<void, readonly QueuedJob[]> {
      const found: QueuedJob[] = [];
      for (const { control } of chosen) {
        found.push(...[view.read(control) ?? []].flat());
        yield;
      }
      return found;
    }
    return inSlices(steps(), clock);
  };
  return {
    async counts() {
      await view.refresh();
      return countsNow();
    },
    async page({ selection, order, first, count }) {
      const isWhole = await isRead(deps);
      const counts = countsNow();
      const chosen = await selected(selection, order, deps);
      return { isWhole, counts, total: chosen.length, jobs: await read(chosen.slice(first, first + count)) };
    },
    async selected(selection) {
      await view.refresh();
      return [...(await read(await selected(selection, 'newest', deps)))].reverse();
    },
    async find(number) {
      await view.refresh();
      return view.read(number);
    },
    async withOthers(jobs) {
      const numbers = new Set(jobs.map(({ control }) => control));
      // Those that are given, and not another reading of them.
      const others = (message: number): readonly QueuedJob[] => [
        ...jobs.filter(({ job }) => job.msgid === message),
        ...view.carrying(message).filter(({ control }) => !numbers.has(control)),
      ];
      return new Map(jobs.map(({ job: { msgid } }) => [msgid, others(msgid)]));
    },
    async each(take) {
      await view.refresh();
      function* steps(): Generator<void, void> {
        for (const { control, next } of [...view.jobs()]) {
          const queued = next === null ? null : view.read(control);
          if (queued === null) continue;
          take(queued);
          yield;
        }
      }
      await inSlices(steps(), clock);
    },
    async state() {
      await view.refresh();
      return { jobs: [...view.jobs()].map((viewed) => countedJob(viewed, view)) };
    },
    get unreadable() {
      return view.unreadable;
    },
    noteRequests: (jobs) => view.noteRequests(jobs),
    close: () => view.close(),
  };
}

/** Whether the view is up to date after a moment. */
async function isRead({ view, clock }: SpoolJobsDeps): Promise<boolean> {
  let timer: Timer | null = null;
  const late = new Promise<false>((resolve) => {
    timer = clock.after(PATIENCE, () => resolve(false));
  });
  const read = view.refresh().then(() => true as const);
  return Promise.race([read, late]).finally(() => timer?.cancel());
}

function counted({ view, clock, runner }: SpoolJobsDeps): QueueCounts {
  const now = Math.floor(clock.now() / 1000);
  const pid = runner();
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
    delivering: pid === null ? null : `process ${pid}`,
    unreadable: view.unreadable.size,
  };
}

/** Those that are meant, in order; all of them without a look at each. */
async function selected(
  selection: Selection | null,
  order: Order,
  { view, clock, readable }: SpoolJobsDeps,
): Promise<readonly ViewedJob[]> {
  const jobs = view.inOrder(order);
  if (selection === null) return jobs;
  const now = Math.floor(clock.now() / 1000);
  const texts = textsIn(selection);
  function* steps(chosen: Selection): Generator<void, readonly ViewedJob[]> {
    const found: ViewedJob[] = [];
    for (const job of jobs) {
      const read = view.holds(job.control, texts) ? view.read(job.control) : null;
      if (read !== null && chosen.matches(candidateOf(read, readable), now)) found.push(job);
      yield;
    }
    return found;
  }
  return inSlices(steps(selection), clock);
}

/** What the list of a job that is meant has somewhere, as it is written. */
function textsIn({ needles }: Selection): readonly RegExp[] {
  return needles.map((needle) => new RegExp(needle.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i'));
}

function countedJob(viewed: ViewedJob, view: SpoolView): CountedJob {
  const { msgid, submitted, next, pending } = viewed;
  const request = view.requestFor(viewed);
  // A job that was not tried yet is tried at once.
  const job = { msgid, submitted, attempted: next ?? 0, recipients: pending === 0 ? [] : [SOMEBODY] };
  return request === null ? { job } : { job, request };
}
