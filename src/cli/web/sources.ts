/** What the web view reads from: a spool opened beside the process that delivers from it. */
import { watch } from 'node:fs';
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
import { historyFor } from '../setup/history.ts';
import { clockFor, controlSettings, openError, spoolDeps } from '../setup/load-config.ts';
import { readableFor } from '../setup/read-spool.ts';
import { type CliError, cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export interface WebSources {
  readonly spool: string;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly readable: DecodeText;
  readonly schedule: Schedule;
  readonly deps: SpoolDeps;
  readonly client: SpoolClient;
  readonly view: SpoolView;
  readonly history: HistoryWriter | null;
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
  if (settings.postgres !== null)
    return cliError(
      'The web view shows a spool, and not yet a queue in PostgreSQL. `spoolroom queue` lists that.',
      EXIT.usage,
    );
  const clock = clockFor(settings);
  const deps = spoolDeps(clock, warn);
  const control = controlSettings(settings);
  const opened = await openSpoolClient(spool, deps, control);
  if (opened.kind === 'refused') return openError(opened);
  const readable = await readableFor(settings);
  const schedule = scheduleFrom(settings);
  const view = new SpoolView({
    disk: deps.disk,
    layout: layoutOf(spool),
    options: { dialect: 'detect', fallback: settings.dialect },
    longestList: settings['limit.list'],
    watch: watchNames,
    clock,
    schedule,
  });
  const history = historyFor(spool, settings, { clock, readable, warn });
  const { client } = opened;
  return {
    spool,
    settings,
    clock,
    readable,
    schedule,
    deps,
    client,
    view,
    history,
    commandText,
    metrics,
    warn,
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
