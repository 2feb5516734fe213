/** The files of the history: `.spoolroom/history/DAY-N.jsonl`, a part of a day (UTC) each. */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../platform/system-errors.ts';
import { layoutOf } from '../storage/layout.ts';

export interface HistoryFile {
  readonly path: string;
  /** `2026-11-28` */
  readonly day: string;
  /** several for a day with many events, from 1 on */
  readonly part: number;
  /** bytes */
  readonly size: number;
}

const NAME = /^(\d{4}-\d\d-\d\d)-([1-9]\d{0,8})\.jsonl$/;

export function historyFolder(spool: string): string {
  return join(layoutOf(spool).state, 'history');
}

/** Of a time in milliseconds since the epoch; UTC. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** Oldest first; none where there is no folder yet. */
export function historyFiles(folder: string): readonly HistoryFile[] {
  const files: HistoryFile[] = [];
  for (const name of namesIn(folder)) {
    const [, day, part] = NAME.exec(name) ?? [];
    const path = join(folder, name);
    const status = day === undefined ? undefined : lstatSync(path, { throwIfNoEntry: false });
    if (day !== undefined && status?.isFile() === true)
      files.push({ path, day, part: Number(part), size: status.size });
  }
  return files.sort((a, b) => (a.day === b.day ? a.part - b.part : a.day < b.day ? -1 : 1));
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    // The name may be that of something else, which is no history of ours.
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR') throw error;
    return [];
  }
}
