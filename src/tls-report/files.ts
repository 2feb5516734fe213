/** The counts of each day (UTC) in `.spoolroom/tls-reports/DAY.json`. A file that is damaged counts as empty. */
import { errorCode } from '../platform/system-errors.ts';
import { removeIfExists, replaceInState } from '../storage/atomic-file.ts';
import type { Disk } from '../storage/disk.ts';
import { ensureFolder, entriesIn } from '../storage/folder.ts';
import { layoutOf } from '../storage/layout.ts';
import { addTally, type DayTally, type PolicyTally } from './tally.ts';

/** Bytes. */
const LARGEST = 16 * 1024 ** 2;

/** Days that are kept. */
const KEPT = 30;

export interface TlsReportFiles {
  /** oldest first: `2026-11-28` */
  days(): readonly string[];
  read(day: string): DayTally;
  /** adds to what is known of the day */
  add(day: string, counts: DayTally): void;
  /** whether its reports have been sent, or need not be */
  isSent(day: string): boolean;
  markSent(day: string): void;
}

export function tlsReportFiles(disk: Disk, spool: string): TlsReportFiles {
  const layout = layoutOf(spool);
  const folder = layout.tlsReports;
  const path = (day: string): string => `${folder}/${day}.json`;
  const sent = (day: string): string => `${folder}/${day}.sent`;

  function days(): readonly string[] {
    const names = entriesIn(disk, folder).map(({ name }) => /^(\d{4}-\d\d-\d\d)\.json$/.exec(name)?.[1]);
    return names.filter((name) => name !== undefined).sort();
  }

  function read(day: string): DayTally {
    try {
      if (disk.status(path(day)) === null) return new Map();
      const value: unknown = JSON.parse(disk.read(path(day), LARGEST).bytes.toString('utf8'));
      return isTally(value) ? new Map(Object.entries(value)) : new Map();
    } catch (error) {
      if (error instanceof SyntaxError || errorCode(error) !== null) return new Map();
      throw error;
    }
  }

  function write(file: string, text: string): void {
    const owner = disk.status(layout.state);
    if (owner === null) return;
    ensureFolder(disk, folder, owner);
    replaceInState(disk, layout, file, text);
  }

  return {
    days,
    read,
    add(day, counts) {
      const all = read(day);
      addTally(all, counts);
      write(path(day), `${JSON.stringify(Object.fromEntries(all))}\n`);
      for (const old of days().slice(0, -KEPT)) {
        removeIfExists(disk, path(old));
        removeIfExists(disk, sent(old));
      }
    },
    isSent: (day) => disk.status(sent(day)) !== null,
    markSent: (day) => write(sent(day), ''),
  };
}

function isTally(value: unknown): value is { readonly [domain: string]: PolicyTally[] } {
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).every(
    (policies) =>
      Array.isArray(policies) &&
      policies.every(
        (each) =>
          typeof each?.policy?.type === 'string' &&
          typeof each.successes === 'number' &&
          Array.isArray(each.failures),
      ),
  );
}
