/**
 * What the web view shows: the queue as `jobs/` finds it, the rest as the commands read it. Long work is done in slices, so that a
 * process that delivers goes on meanwhile.
 */
import { parseMoment } from '../../history/moment.ts';
import { EVENTS, queryOf } from '../../history/search.ts';
import { CONTENT_TYPES, type Format, formatFor } from '../../metrics/values.ts';
import { type StoryFacts, storyFacts } from '../../output/history-text.ts';
import { escapeControl } from '../../output/text.ts';
import { quarantinedFiles } from '../../queue/spool/inspect.ts';
import { nodeDisk } from '../../storage/disk.ts';
import { tlsReportFiles } from '../../tls-report/files.ts';
import type { HistoryQuery, MetricsText, WebModel } from '../../web/ports.ts';
import { dayFrom } from '../commands/tls/report.ts';
import { planFor } from './actions.ts';
import { jobDetails } from './job.ts';
import { destinationsOf, listOf, secondsOf } from './queue.ts';
import { problem, selectionOf } from './selection.ts';
import type { WebSources } from './sources.ts';

export function webModel(sources: WebSources): WebModel {
  const { spool, clock } = sources;
  return {
    name: sources.client.name,
    counts: () => sources.jobs.counts(),
    list: (query) => listOf(query, sources),
    plan: (action, fields) => planFor(action, fields, sources),
    job: (number, attempt) => jobDetails(Number(number), attempt, sources),
    history: (query) => historyOf(query, sources),
    destinations: () => destinationsOf(sources),
    tls: async (given) => {
      const day = dayFrom(given, clock.now());
      if (day === null) return problem(`${escapeControl(given)} is no day.`);
      const files = tlsReportFiles(nodeDisk, spool);
      return { kind: 'day', day, days: files.days(), counts: [...files.read(day)].sort() };
    },
    metrics: async (accept) => metricsFor(formatFor(accept), sources),
    events: () => sources.past.counts(clock.now()),
  };
}

/** Those of the process that delivers, where that is this one; else what others counted, and the queue as it is. */
async function metricsFor(format: Format, sources: WebSources): Promise<MetricsText> {
  const { spool, deps, metrics } = sources;
  const type = CONTENT_TYPES[format];
  if (metrics !== null) {
    await metrics.refresh();
    return { type, text: metrics.text(format) };
  }
  const { metricsBeside } = await import('../../metrics/running.ts');
  const quarantined = (): number => quarantinedFiles(deps.disk, spool).length;
  const text = metricsBeside(
    { disk: deps.disk, home: spool, quarantined },
    await sources.jobs.state(),
    secondsOf(sources),
    format,
  );
  return { type, text };
}

function lastTime({ events }: StoryFacts): string {
  return events[events.length - 1]?.at ?? '';
}

async function historyOf(
  { fields, first, count }: HistoryQuery,
  { past, clock }: WebSources,
): ReturnType<WebModel['history']> {
  const { since, until, ...others } = fields;
  const selection = selectionOf(others, { statuses: EVENTS, texts: true });
  if ('kind' in selection) return selection;
  const now = clock.now();
  const [from, to] = [
    since === undefined ? Number.NEGATIVE_INFINITY : parseMoment(since, now),
    until === undefined ? Number.POSITIVE_INFINITY : parseMoment(until, now),
  ];
  if (from === null || to === null) {
    const wrong = from === null ? since : until;
    return problem(
      `${escapeControl(wrong ?? '')} is no time. Times are yesterday, today, 2h (ago), 2026-11-27 and 2026-11-27T10:00, in UTC.`,
    );
  }
  const query = {
    ...queryOf(selection, Math.floor(now / 1000)),
    since: from,
    until: to,
    limit: count,
    skip: first,
  };
  const { stories, more } = await past.search(query);
  const latest = stories.map(storyFacts).sort((a, b) => (lastTime(a) > lastTime(b) ? -1 : 1));
  return { kind: 'list', stories: latest, more, since: await past.since() };
}
