/**
 * How many recipients had which event in the last hour and today (UTC). Reads what was added to the files since the last time,
 * piece by piece, and keeps a few numbers for each minute.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { errorCode } from '../platform/system-errors.ts';
import { dayOf, type HistoryFile } from './files.ts';
import { parseRecord } from './record.ts';

/** By event. */
export type Counts = { readonly [event: string]: number };

export interface RecentCounts {
  readonly today: Counts;
  readonly lastHour: Counts;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Bytes read at once. */
const PIECE = 1 << 18;

export class RecentEvents {
  /** bytes that were read, by path */
  readonly #read = new Map<string, number>();
  /** by minute since the epoch, and event */
  readonly #minutes = new Map<number, Map<string, number>>();

  /** @param now milliseconds since the epoch */
  *steps(files: readonly HistoryFile[], now: number): Generator<void, RecentCounts> {
    const first = Math.min(Math.floor(now / DAY) * DAY, now - HOUR);
    const recent = files.filter(({ day }) => day >= dayOf(first));
    for (const path of this.#read.keys())
      if (!recent.some((file) => file.path === path)) this.#read.delete(path);
    for (const minute of this.#minutes.keys()) if (minute < first / MINUTE - 1) this.#minutes.delete(minute);
    for (const { path } of recent) yield* this.#more(path);
    return { today: this.#since(Math.floor(now / DAY) * DAY), lastHour: this.#since(now - HOUR) };
  }

  *#more(path: string): Generator<void, void> {
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch (error) {
      // Removed meanwhile, as the oldest one.
      if (errorCode(error) !== 'ENOENT') throw error;
      return;
    }
    try {
      const buffer = Buffer.alloc(PIECE);
      for (;;) {
        // Asked for anew after each piece: another reader may have gone on meanwhile.
        const at = this.#read.get(path) ?? 0;
        if (at >= fstatSync(fd).size) return;
        const bytes = buffer.subarray(0, readSync(fd, buffer, 0, PIECE, at));
        const end = bytes.lastIndexOf(0x0a) + 1;
        // A line that is being written is read the next time; one longer than a piece is left out.
        if (end === 0 && bytes.length < PIECE) return;
        this.#count(bytes.toString('utf8', 0, end));
        this.#read.set(path, at + (end === 0 ? PIECE : end));
        yield;
      }
    } finally {
      closeSync(fd);
    }
  }

  #count(lines: string): void {
    for (const line of lines.split('\n')) {
      const record = line === '' ? null : parseRecord(line);
      if (record === null) continue;
      const minute = Math.floor(Date.parse(record.at) / MINUTE);
      const counts = this.#minutes.get(minute) ?? new Map<string, number>();
      this.#minutes.set(minute, counts);
      counts.set(record.event, (counts.get(record.event) ?? 0) + record.recipients.length);
    }
  }

  #since(time: number): Counts {
    const sums: { [event: string]: number } = {};
    for (const [minute, counts] of this.#minutes)
      if (minute * MINUTE >= time - MINUTE / 2)
        for (const [event, count] of counts) sums[event] = (sums[event] ?? 0) + count;
    return sums;
  }
}
