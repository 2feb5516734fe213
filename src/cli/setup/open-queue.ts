/**
 * The room that `run` and `watch` deliver from: a spool directory, or the queue inside a running Citadel server, whose
 * code is loaded only then. Called by station.ts.
 */
import { connect } from '#net-stream-utils';
import type { Clock } from '../../platform/clock.ts';
import type { LiveRefused } from '../../queue/citadel/open.ts';
import type { ReportPlace } from '../../queue/dsn-store.ts';
import type { Room } from '../../queue/queue.ts';
import { openReports } from '../../queue/spool/dsn-store.ts';
import { openDirectoryRoom } from '../../queue/spool/open.ts';
import { type Settings, TYPED } from '../../settings/table.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';
import type { Trouble } from './load-config.ts';
import {
  certificatesFrom,
  directoryDeps,
  directorySettings,
  refusal,
  spoolOf,
  trouble,
} from './load-config.ts';

/** `--room citadel:WHERE` names the queue inside a server in one word; it is the same as the setting `citadel`. */
export function withRoom(settings: Settings, room: unknown): Settings | Trouble {
  if (typeof room !== 'string') return settings;
  const where = room.startsWith('citadel:') ? room.slice('citadel:'.length) : '';
  const usage = (text: string): Trouble => trouble(text, EXIT.usage);
  if (where === '')
    return usage(
      `--room takes citadel:/path of a socket or citadel:ADDRESS:PORT, not "${room}". A spool is named with --spool.`,
    );
  if (settings.citadel !== null && settings.citadel !== where)
    return usage(
      `Two Citadel servers are named: ${settings.citadel} and, with --room, ${where}. Leave one out.`,
    );
  if (settings.state === null)
    return usage(`Where is our own state of the queue at ${where} to lie? Name a directory with --state.`);
  return { ...settings, citadel: where, [TYPED]: new Set([...settings[TYPED], 'citadel']) };
}

/** The directory that holds our own state: the spool, or a directory of ours beside a server. */
export function homeOf(settings: Settings): string | Trouble {
  const { spool, state } = settings;
  if (state === null) return spoolOf(settings);
  if (spool === null) return state;
  return trouble(
    `Two queues are named: the spool ${spool}, and with state ${state} the queue inside the Citadel server. Leave one out.`,
    EXIT.usage,
  );
}

export type OpenedRoom = { readonly kind: 'open'; readonly room: Room } | Trouble;

export async function openRoom(
  home: string,
  settings: Settings,
  clock: Clock,
  warn: (text: string) => void,
): Promise<OpenedRoom> {
  if (settings.state !== null) return openLive(settings.state, settings, clock, warn);
  const opened = await openDirectoryRoom(home, directoryDeps(clock, warn), directorySettings(settings));
  return opened.kind === 'refused' ? refusal(opened) : opened;
}

const LIVE_REFUSALS: { readonly [why in LiveRefused['why']]: ExitCode } = {
  state: EXIT.noInput,
  busy: EXIT.ok,
  ledger: EXIT.data,
  server: EXIT.unavailable,
};

async function openLive(
  state: string,
  settings: Settings,
  clock: Clock,
  warn: (text: string) => void,
): Promise<OpenedRoom> {
  const [{ citadelAccess }, { openLiveRoom }] = await Promise.all([
    import('./citadel-server.ts'),
    import('../../queue/citadel/open.ts'),
  ]);
  const certificates = certificatesFrom(settings);
  if ('kind' in certificates) return certificates;
  const access = citadelAccess(settings, certificates);
  if (access.kind === 'no-access') return trouble(access.text, access.exit);
  const { server, login } = access;
  const deps = { ...directoryDeps(clock, warn), connect };
  const opened = await openLiveRoom({ server, login, state }, deps, directorySettings(settings));
  return opened.kind === 'refused' ? trouble(opened.text, LIVE_REFUSALS[opened.why]) : opened;
}

/**
 * What is known of reports. A live room's control messages get a new number with each rewriting, its payloads keep theirs
 * and no number is used again: there the payload's number is what a note is kept under.
 */
export function reportsOf(
  home: string,
  settings: Settings,
  deps: Parameters<typeof openReports>[1],
): ReportPlace {
  if (settings.state === null) return openReports(home, deps);
  const reports = openReports(home, deps, () => true);
  const byPayload = ({ msgid }: { readonly msgid: number }) => ({ control: msgid, msgid });
  return {
    told: (job) => reports.told(byPayload(job)),
    note: (job, told) => reports.note(byPayload(job), told),
    forget: (job) => reports.forget(byPayload(job)),
    leave: reports.leave,
  };
}
