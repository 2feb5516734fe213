/** A spool opened for reading, with what is needed to show its jobs. Writes nothing; works beside a running queue run. */
import { findCharset, unknown8bit } from '../../message/charset.ts';
import { type DecodeText, textDecoder } from '../../output/text.ts';
import { formatTime } from '../../platform/clock.ts';
import type { Schedule } from '../../queue/schedule.ts';
import type { ReadOnlySpool, SpoolDeps } from '../../queue/spool/open.ts';
import { LATELY, readAlerts, SILENT_HOSTS } from '../../runner/alerts.ts';
import { scheduleFrom } from '../../runner/rules.ts';
import type { Settings } from '../../settings/table.ts';
import { layoutOf } from '../../storage/layout.ts';
import type { CliError } from '../shell/command.ts';
import { clockFor, spoolDeps, spoolOf } from './load-config.ts';
import { becomeOwner } from './privileges.ts';
import { openView } from './room/open-client.ts';

export interface SpoolReading {
  readonly spool: string;
  readonly view: ReadOnlySpool;
  readonly deps: SpoolDeps;
  /** Unix seconds */
  readonly now: number;
  readonly schedule: Schedule;
  readonly readable: DecodeText;
  /** what silent hosts took from others lately, as sentences; null: nothing */
  readonly slowed: string | null;
}

/** @param warn gets a full sentence about what in the spool could not be read */
export async function readSpool(
  settings: Settings,
  warn: (text: string) => void,
): Promise<SpoolReading | CliError> {
  const spool = spoolOf(settings);
  if (typeof spool !== 'string') return spool;
  return becomeOwner(spool, settings) ?? viewSpool(spool, settings, warn);
}

/** The same as the user that this process is. */
export async function viewSpool(
  spool: string,
  settings: Settings,
  warn: (text: string) => void,
): Promise<SpoolReading | CliError> {
  const clock = clockFor(settings);
  const deps = spoolDeps(clock, warn);
  const opened = await openView(spool, settings, deps);
  if (opened.kind === 'error') return opened;
  const now = Math.floor(clock.now() / 1000);
  const silent = readAlerts(deps.disk, layoutOf(spool)).get(SILENT_HOSTS);
  return {
    ...{ spool, deps, view: opened.view },
    now,
    slowed:
      silent === undefined || now - silent.met > LATELY
        ? null
        : `Since ${formatTime(silent.since)} hosts that say nothing hold up others. Last, ${silent.text}`,
    schedule: scheduleFrom(settings),
    readable: await readableFor(settings),
  };
}

/** Where the charset of the settings cannot be used, bytes that are not UTF-8 stay what they are. */
export async function readableFor(settings: Settings): Promise<DecodeText> {
  const charset = findCharset(settings.charset);
  return textDecoder(charset.kind === 'charset' ? charset.charset : unknown8bit);
}
