/**
 * Which messages were being delivered when the process ended without a word, and how often: a message that takes the process
 * with it must not stop the others in every run. One line for each beginning and each end in `.spoolroom/active`; no line is
 * synced, because the file has to survive the process and not the machine. Beginnings are written at once, ends some at a
 * time: of the last few messages that ended before a crash it looks as if they had been active, too.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import { errorCode } from '../platform/system-errors.ts';
import { removeIfExists, type TemporaryName } from '../storage/atomic-file.ts';
import type { Disk, OpenFile, Ownership } from '../storage/disk.ts';
import type { StateLayout } from '../storage/layout.ts';

export interface CrashLog {
  /** how often the process ended while this message was active, and it has not been finished since */
  crashes(payload: MessageNumber): number;
  begin(payloads: readonly MessageNumber[]): void;
  end(payload: MessageNumber): void;
  /** The run ends in order: nothing is active. */
  close(): void;
}

export interface CrashLogDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly temporaryName: TemporaryName;
  readonly owner: Ownership;
}

/** Bytes; a line is shorter than 30. */
const LONGEST = 1 << 26;

/** So many ends are written at a time. */
const ENDS = 64;

/** A log that cannot be written is done without: it serves the order of messages, and no message depends on it. */
export function openCrashLog({ disk, layout, temporaryName, owner }: CrashLogDeps): CrashLog {
  const path = `${layout.state}/active`;
  const counts = readCounts(disk, path);
  /** null: nothing has begun yet; `without`: the disk does not take it */
  let file: OpenFile | 'without' | null = null;

  function open(): OpenFile {
    const temporary = temporaryName();
    const fresh = disk.create(temporary, owner);
    fresh.write(Buffer.from([...counts].map(([payload, count]) => `${payload} ${count}\n`).join('')));
    disk.rename(temporary, path);
    return fresh;
  }

  /** lines that are not written yet */
  let ends: string[] = [];

  function write(lines: readonly string[]): void {
    if (file === 'without') return;
    ends = [];
    try {
      file ??= open();
      file.write(Buffer.from(lines.join('')));
    } catch (error) {
      if (errorCode(error) === null) throw error;
      if (file !== null) file.close();
      file = 'without';
    }
  }

  return {
    crashes: (payload) => counts.get(payload) ?? 0,
    begin: (payloads) => write([...ends, ...payloads.map((payload) => `+${payload}\n`)]),
    end(payload) {
      counts.delete(payload);
      if (ends.push(`-${payload}\n`) >= ENDS) write(ends);
    },
    close() {
      if (ends.length > 0) write(ends);
      if (file === null || file === 'without') return;
      file.close();
      file = 'without';
      if (counts.size === 0) removeIfExists(disk, path);
    },
  };
}

/** Every beginning without an end is one crash more. What cannot be read tells of none. */
function readCounts(disk: Disk, path: string): Map<MessageNumber, number> {
  const counts = new Map<MessageNumber, number>();
  const active = new Set<MessageNumber>();
  for (const line of linesOf(disk, path)) {
    const [, sign, number = '', count] = /^([+-]?)(\d{1,16})(?: (\d{1,4}))?$/.exec(line) ?? [];
    const payload = Number(number);
    if (sign === '+') active.add(payload);
    else if (sign === '-') {
      active.delete(payload);
      counts.delete(payload);
    } else if (count !== undefined) counts.set(payload, Number(count));
  }
  for (const payload of active) counts.set(payload, (counts.get(payload) ?? 0) + 1);
  return counts;
}

function linesOf(disk: Disk, path: string): readonly string[] {
  try {
    return disk.read(path, LONGEST).bytes.toString('latin1').split('\n');
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return [];
  }
}
