/** Opens the queue beside the processes that deliver from it, wherever it is: to look at it, or to add jobs and requests as well. */
import type { QueueClient, QueueView } from '../../../queue/queue.ts';
import { openSpoolClient, openSpoolReadOnly, type SpoolDeps } from '../../../queue/spool/open.ts';
import type { Settings } from '../../../settings/table.ts';
import type { CliError } from '../../shell/command.ts';
import { controlSettings, openError } from '../load-config.ts';

type OpenedClient = { readonly kind: 'open'; readonly client: QueueClient } | CliError;

/** @param home the spool, or the directory with our own state */
export async function openClient(home: string, settings: Settings, deps: SpoolDeps): Promise<OpenedClient> {
  const shared = await openShared(home, settings, deps);
  if (shared !== null) return shared;
  const opened = await openSpoolClient(home, deps, controlSettings(settings));
  return opened.kind === 'refused' ? openError(opened) : opened;
}

export async function openView(
  home: string,
  settings: Settings,
  deps: SpoolDeps,
): Promise<{ readonly kind: 'open'; readonly view: QueueView } | CliError> {
  const shared = await openShared(home, settings, deps);
  if (shared !== null) return shared.kind === 'error' ? shared : { kind: 'open', view: shared.client };
  const opened = await openSpoolReadOnly(home, deps, controlSettings(settings));
  return opened.kind === 'refused' ? openError(opened) : opened;
}

/** Null: the settings name a spool. */
async function openShared(home: string, settings: Settings, deps: SpoolDeps): Promise<OpenedClient | null> {
  if (settings.postgres === null) return null;
  const { openPostgresClient } = await import('./postgres.ts');
  return openPostgresClient(settings.postgres, home, settings, deps);
}
