/** The jobs of a queue in PostgreSQL: each page is asked of the database, and nothing is kept here but a few counts. */

import { isPending } from '../../../delivery-list/job.ts';
import type { DecodeText } from '../../../output/text.ts';
import type { Clock } from '../../../platform/clock.ts';
import { groupByPayload } from '../../../queue/due.ts';
import type { Browser } from '../../../queue/postgres/browse.ts';
import type { QueueClient, QueuedJob } from '../../../queue/queue.ts';
import { nextAttempt, type Schedule } from '../../../queue/schedule.ts';
import { candidateOf } from '../../../queue/selection/job.ts';
import type { Selection } from '../../../queue/selection/selection.ts';
import type { QueueCounts, QueueOrder } from '../../../web/ports.ts';
import type { WebJobs } from './jobs.ts';

export interface PostgresJobsDeps {
  readonly browser: Browser;
  readonly client: Pick<QueueClient, 'look'>;
  readonly clock: Clock;
  readonly readable: DecodeText;
  readonly schedule: Schedule;
}

/** Milliseconds for which counts over the whole queue are shown again. */
const COUNTED = 5000;

export function postgresJobs(deps: PostgresJobsDeps): WebJobs {
  const { browser, client, clock, readable, schedule } = deps;
  const now = (): number => Math.floor(clock.now() / 1000);
  let unreadable: ReadonlyMap<number, string> = new Map();
  let kept: { readonly at: number; readonly counts: Promise<QueueCounts> } | null = null;
  const counts = (): Promise<QueueCounts> => {
    const at = clock.monotonic();
    if (kept !== null && at - kept.at < COUNTED) return kept.counts;
    kept = { at, counts: counted(browser, now()) };
    kept.counts.catch(() => {
      kept = null;
    });
    return kept.counts;
  };
  const selected = async (selection: Selection | null): Promise<readonly QueuedJob[]> => {
    const { jobs } = await client.look(selection ?? {});
    if (selection === null) return jobs;
    return jobs.filter((job) => selection.matches(candidateOf(job, readable), now()));
  };
  return {
    counts,
    selected,
    async page({ selection, order, first, count }) {
      const all = await counts();
      unreadable =
        all.unreadable === 0
          ? new Map()
          : new Map((await browser.unreadable()).map(({ number, reason }) => [number, reason]));
      if (selection === null)
        return {
          ...{ counts: all, isWhole: true, total: all.jobs },
          jobs: await browser.page(order, first, count),
        };
      const chosen = inOrder(await selected(selection), order, schedule);
      return {
        ...{ counts: all, isWhole: true, total: chosen.length },
        jobs: chosen.slice(first, first + count),
      };
    },
    async find(number) {
      const { jobs } = await client.look({ ranges: [{ from: number, to: number }] });
      return jobs.find(({ control }) => control === number) ?? null;
    },
    async withOthers(jobs) {
      const given = new Map(jobs.map((job) => [job.control, job]));
      const carrying = await browser.carrying([...new Set(jobs.map(({ job }) => job.msgid))]);
      return groupByPayload(carrying.map((job) => given.get(job.control) ?? job));
    },
    async each(take) {
      for await (const jobs of browser.pages())
        for (const job of jobs) if (job.job.recipients.some(isPending)) take(job);
    },
    state: () => browser.state(now()),
    get unreadable() {
      return unreadable;
    },
    noteRequests: () => {
      kept = null;
    },
    close: () => void browser.close(),
  };
}

async function counted(browser: Browser, now: number): Promise<QueueCounts> {
  const [state, due, { machines, processes }] = await Promise.all([
    browser.state(now),
    browser.due(now),
    browser.workers(),
  ]);
  const jobs = state.new + state.deferred + state.held;
  return {
    ...{ jobs, due, held: state.held, unreadable: state.unreadable ?? 0 },
    // To count them all lists would have to be read.
    pending: null,
    oldest: jobs === state.held ? null : state.oldest,
    delivering:
      processes === 0
        ? null
        : `${processes} process${processes === 1 ? '' : 'es'}${machines > 1 ? ` on ${machines} machines` : ''}`,
  };
}

const KEYS: { readonly [order in QueueOrder]: (job: QueuedJob, schedule: Schedule) => number } = {
  newest: ({ control }) => -control,
  oldest: ({ job }) => job.submitted ?? Number.POSITIVE_INFINITY,
  next: ({ job }, schedule) =>
    job.recipients.some(isPending) ? nextAttempt(job, schedule) : Number.POSITIVE_INFINITY,
};

function inOrder(jobs: readonly QueuedJob[], order: QueueOrder, schedule: Schedule): readonly QueuedJob[] {
  const keyed = jobs.map((job) => ({ job, key: KEYS[order](job, schedule) }));
  keyed.sort((a, b) => (a.key === b.key ? b.job.control - a.job.control : a.key - b.key));
  return keyed.map(({ job }) => job);
}
