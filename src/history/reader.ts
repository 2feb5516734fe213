/** The history, wherever it is kept. */
import type { MessageNumber } from '../delivery-list/job.ts';
import type { Clock } from '../platform/clock.ts';
import { inSlices } from '../platform/in-turn.ts';
import type { RecentCounts } from './counts.ts';
import { RecentEvents } from './counts.ts';
import { historyFiles } from './files.ts';
import { type Found, type HistoryQuery, latestQuery, type Story, searchSteps } from './search.ts';

export interface HistoryReader {
  search(query: HistoryQuery): Promise<Found>;
  /** the first day of which something is kept; null: nothing is */
  since(): Promise<string | null>;
  /** recipients by event, in the last hour and today; `now`: milliseconds since the epoch */
  counts(now: number): Promise<RecentCounts>;
  close(): Promise<void>;
}

/** What became of the message with this number, or of the one that this job carried: the latest one that had it. */
export async function latestStory(
  history: Pick<HistoryReader, 'search'>,
  number: MessageNumber,
): Promise<Story | null> {
  return (await history.search(latestQuery(number))).stories[0] ?? null;
}

/** In the files of a folder, in slices: a process that delivers goes on meanwhile. */
export function historyInFiles(folder: string, clock: Pick<Clock, 'monotonic'>): HistoryReader {
  const recent = new RecentEvents();
  return {
    search: (query) => inSlices(searchSteps(historyFiles(folder), query), clock),
    since: async () => historyFiles(folder)[0]?.day ?? null,
    counts: (now) => inSlices(recent.steps(historyFiles(folder), now), clock),
    close: async () => {},
  };
}
