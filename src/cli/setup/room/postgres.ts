/** The queue in PostgreSQL that the settings name, and why it cannot be used, as an exit code. Loaded only where one is named. */
import type { Clock } from '../../../platform/clock.ts';
import { postgresClient } from '../../../queue/postgres/client.ts';
import type { Database } from '../../../queue/postgres/database/database.ts';
import {
  openDatabase,
  openPostgresQueue,
  type PostgresRefused,
  prepareState,
} from '../../../queue/postgres/open.ts';
import type { QueueClient } from '../../../queue/queue.ts';
import type { SpoolDeps } from '../../../queue/spool/open.ts';
import { scheduleFrom } from '../../../runner/rules.ts';
import type { Settings } from '../../../settings/table.ts';
import { type CliError, cliError } from '../../shell/command.ts';
import { EXIT, type ExitCode } from '../../shell/exit.ts';
import { controlSettings } from '../load-config.ts';
import type { OpenedQueue } from '../open-queue.ts';

const REFUSALS: { readonly [why in PostgresRefused['why']]: ExitCode } = {
  address: EXIT.config,
  state: EXIT.noInput,
  busy: EXIT.ok,
  schema: EXIT.config,
  server: EXIT.unavailable,
};

export function postgresError({ why, text, runner }: PostgresRefused): CliError {
  return { ...cliError(text, REFUSALS[why]), ...(runner === undefined ? {} : { runner }) };
}

/** Where the setting `now` is used, it is for the queue as well; otherwise the clock of the database counts. */
function presentOf({ now }: Settings, clock: Clock): (() => number) | null {
  return now === null ? null : () => clock.now() / 1000;
}

export async function openPostgres(
  address: string,
  state: string,
  settings: Settings,
  deps: SpoolDeps,
): Promise<OpenedQueue> {
  const present = presentOf(settings, deps.clock);
  const opened = await openPostgresQueue(
    {
      ...{ address, state, lease: settings['postgres.lease'], schedule: scheduleFrom(settings) },
      ...(present === null ? {} : { present }),
    },
    deps,
    controlSettings(settings),
  );
  return opened.kind === 'refused' ? postgresError(opened) : opened;
}

export async function openPostgresClient(
  address: string,
  state: string,
  settings: Settings,
  deps: SpoolDeps,
): Promise<{ readonly kind: 'open'; readonly client: QueueClient; readonly database: Database } | CliError> {
  const prepared = prepareState(state, deps);
  if (prepared.kind === 'refused') return postgresError(prepared);
  const opened = await openDatabase(address);
  if (opened.kind === 'refused') return postgresError(opened);
  const present = presentOf(settings, deps.clock);
  const control = controlSettings(settings);
  return {
    kind: 'open',
    database: opened.database,
    client: postgresClient(opened.database, control, () => present?.() ?? null, deps.clock),
  };
}
