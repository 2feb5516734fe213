/** What the web view reads from: a queue opened beside the processes that deliver from it. */
import { watch } from 'node:fs';
import type { HistoryReader } from '../../history/reader.ts';
import type { HistoryWriter } from '../../history/writer.ts';
import type { RunningMetrics } from '../../metrics/running.ts';
import type { DecodeText } from '../../output/text.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Schedule } from '../../queue/schedule.ts';
import type { SpoolClient, SpoolDeps } from '../../queue/spool/open.ts';
import { openSpoolClient } from '../../queue/spool/open.ts';
import { SpoolView } from '../../queue/spool/view/spool-view.ts';
import { scheduleFrom } from '../../runner/rules.ts';
import type { CommandText } from '../../settings/shell-words.ts';
import type { Settings } from '../../settings/table.ts';
import { layoutOf } from '../../storage/layout.ts';
import { historyFor, historyReader } from '../setup/history.ts';
import { clockFor, controlSettings, openError, spoolDeps } from '../setup/load-config.ts';
import { readableFor } from '../setup/read-spool.ts';
import type { CliError } from '../shell/command.ts';
import type { WebJobs } from './jobs/jobs.ts';
import { spoolJobs } from './jobs/spool-jobs.ts';

export interface WebSources {
  readonly spool: string;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly readable: DecodeText;
  readonly schedule: Schedule;
  readonly deps: SpoolDeps;
  readonly client: SpoolClient;
  readonly jobs: WebJobs;
  readonly history: HistoryWriter | null;
  /** what is known of the past */
  readonly past: HistoryReader;
  readonly commandText: CommandText;
  /** of this process, where it delivers; else null */
  readonly metrics: RunningMetrics | null;
  readonly warn: (text: string) => void;
}

export async function openSources(
  spool: string,
  settings: Settings,
  { commandText, warn, metrics }: Pick<WebSources, 'commandText' | 'warn' | 'metrics'>,
): Promise<WebSources | CliError> {
  const clock = clockFor(settings);
  const deps = spoolDeps(clock, warn);
  const readable = await readableFor(settings);
  const schedule = scheduleFrom(settings);
  const known = { settings, clock, readable, schedule, deps };
  const opened = await (settings.postgres === null
    ? openSpoolJobs(spool, known)
    : openSharedJobs(settings.postgres, spool, known));
  if (opened.kind === 'error') return opened;
  const { client, jobs } = opened;
  const history = await historyFor(spool, settings, { clock, readable, warn });
  const past = await historyReader(spool, settings, clock);
  if ('kind' in past) return past;
  return { ...known, spool, client, jobs, history, past, commandText, metrics, warn };
}

type Known = Pick<WebSources, 'settings' | 'clock' | 'readable' | 'schedule' | 'deps'>;
type Opened = ({ readonly kind: 'open' } & Pick<WebSources, 'client' | 'jobs'>) | CliError;

async function openSpoolJobs(
  spool: string,
  { settings, clock, readable, schedule, deps }: Known,
): Promise<Opened> {
  const opened = await openSpoolClient(spool, deps, controlSettings(settings));
  if (opened.kind === 'refused') return openError(opened);
  const view = new SpoolView({
    disk: deps.disk,
    layout: layoutOf(spool),
    options: { dialect: 'detect', fallback: settings.dialect, longestList: settings['limit.list'] },
    watch: watchNames,
    clock,
    schedule,
  });
  const { client } = opened;
  return { kind: 'open', client, jobs: spoolJobs({ view, clock, readable, runner: client.runner }) };
}

async function openSharedJobs(
  address: string,
  state: string,
  { settings, clock, readable, schedule, deps }: Known,
): Promise<Opened> {
  const [{ openPostgresClient }, { browser }, { parsing }, { postgresJobs }] = await Promise.all([
    import('../setup/room/postgres.ts'),
    import('../../queue/postgres/browse.ts'),
    import('../../queue/postgres/claims/claimed-job.ts'),
    import('./jobs/postgres-jobs.ts'),
  ]);
  const opened = await openPostgresClient(address, state, settings, deps);
  if (opened.kind === 'error') return opened;
  const { client, database } = opened;
  const browsed = browser(database, parsing(settings.dialect, settings['limit.list']));
  return {
    kind: 'open',
    client,
    jobs: postgresJobs({ browser: browsed, client, clock, readable, schedule }),
  };
}

/** Names in a folder that may have changed. Null: the system cannot watch it. */
function watchNames(folder: string, changed: (name: string) => void): { close(): void } | null {
  try {
    const watcher = watch(folder, { persistent: false }, (_, name) => {
      if (name !== null) changed(name);
    });
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
