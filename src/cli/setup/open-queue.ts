/**
 * Opens the queue to deliver from: a spool directory, the queue inside a running Citadel server, or one in PostgreSQL; the code of
 * the last two is loaded only then.
 */
import { connect } from '#net-stream-utils';
import type { Clock } from '../../platform/clock.ts';
import { optimiseLater } from '../../platform/tune-v8.ts';
import type { LiveRefused } from '../../queue/citadel/open.ts';
import { type CrashLog, openCrashLog } from '../../queue/crash-log.ts';
import type { DsnStore, JobKey } from '../../queue/dsn-store.ts';
import type { Queue } from '../../queue/queue.ts';
import { openDsnStore } from '../../queue/spool/notes/dsn-store.ts';
import { openSpoolQueue, type SpoolDeps } from '../../queue/spool/open.ts';
import type { Settings } from '../../settings/table.ts';
import { temporaryNames } from '../../storage/atomic-file.ts';
import type { Disk } from '../../storage/disk.ts';
import { ownershipInSpool } from '../../storage/folder.ts';
import { layoutOf } from '../../storage/layout.ts';
import type { CliError } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';
import {
  certificatesFrom,
  controlSettings,
  givenDialect,
  openError,
  spoolDeps,
  spoolOf,
} from './load-config.ts';

/** The directory that holds our own state: the spool, or the setting `state` for a queue elsewhere. */
export function stateDirectory(settings: Settings): string | CliError {
  const { spool, state } = settings;
  if (state === null || settings.postgres !== null) return spoolOf(settings);
  if (spool === null) return state;
  return cliError(
    `Two queues given: the spool ${spool} and, with state ${state}, the queue inside the Citadel server. Leave one out.`,
    EXIT.usage,
  );
}

export type OpenedQueue = { readonly kind: 'open'; readonly queue: Queue } | CliError;

export async function openQueue(
  home: string,
  settings: Settings,
  clock: Clock,
  warn: (text: string) => void,
  journalDisk?: Disk,
): Promise<OpenedQueue> {
  const deps = spoolDeps(clock, warn, journalDisk);
  if (settings.postgres !== null) {
    const { openPostgres } = await import('./room/postgres.ts');
    return openPostgres(settings.postgres, home, settings, deps);
  }
  if (settings.state !== null) return openLive(settings.state, settings, deps);
  const opened = await openSpoolQueue(
    home,
    { ...deps, beforeMany: optimiseLater },
    controlSettings(settings),
  );
  return opened.kind === 'refused' ? openError(opened) : opened;
}

const LIVE_REFUSALS: { readonly [why in LiveRefused['why']]: ExitCode } = {
  state: EXIT.noInput,
  busy: EXIT.ok,
  journal: EXIT.data,
  server: EXIT.unavailable,
};

async function openLive(state: string, settings: Settings, spool: SpoolDeps): Promise<OpenedQueue> {
  const [{ citadelAccess }, { openLiveQueue }] = await Promise.all([
    import('./citadel-server.ts'),
    import('../../queue/citadel/open.ts'),
  ]);
  const certificates = certificatesFrom(settings);
  if ('kind' in certificates) return certificates;
  const access = citadelAccess(settings, certificates);
  if (access.kind === 'no-access') return cliError(access.text, access.exit);
  const { server, login } = access;
  const deps = { ...spool, connect };
  const { spans } = controlSettings(settings);
  const opened = await openLiveQueue({ server, login, state }, deps, {
    dialect: givenDialect(settings),
    spans,
    longestList: settings['limit.list'],
  });
  return opened.kind === 'refused' ? cliError(opened.text, LIVE_REFUSALS[opened.why]) : opened;
}

/**
 * Which reports were sent. In a live room a control message gets a new number whenever it is rewritten, while its payload
 * keeps its number, which is never used again: there the records are kept under the number of the payload.
 */
export function dsnStoreOf(
  home: string,
  settings: Settings,
  deps: Parameters<typeof openDsnStore>[1],
  queue: Pick<Queue, 'notes'>,
): DsnStore {
  const { notes } = queue;
  if (notes !== undefined) {
    const { saveForPickup } = openDsnStore(home, deps, () => true);
    return { ...notes, saveForPickup };
  }
  if (settings.state === null) return openDsnStore(home, deps);
  const reports = openDsnStore(home, deps, () => true);
  const byPayload = ({ msgid, submitted }: JobKey): JobKey => ({ control: msgid, msgid, submitted });
  return {
    // A server tells nobody what its clients ask for.
    refresh: () => {},
    request: () => null,
    notified: (job) => reports.notified(byPayload(job)),
    recordNotified: (job, recipients) => reports.recordNotified(byPayload(job), recipients),
    firstAttempt: (job) => reports.firstAttempt(byPayload(job)),
    recordFirstAttempt: (job, at) => reports.recordFirstAttempt(byPayload(job), at),
    forget: (job) => reports.forget(byPayload(job)),
    saveForPickup: reports.saveForPickup,
  };
}

/** Opened with the claim on the queue, so that nobody else writes it. */
export function crashLogOf(
  home: string,
  { disk, processes, random }: Parameters<typeof openDsnStore>[1],
): CrashLog {
  const layout = layoutOf(home);
  return openCrashLog({
    disk,
    layout,
    temporaryName: temporaryNames(layout, processes, random),
    owner: ownershipInSpool(disk, home).files,
  });
}
