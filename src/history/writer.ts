/**
 * Writes the history. Records are gathered and appended by one write for many, at most a second later, without a sync: the
 * history promises no delivery, and a crash costs its last second. It never stops mail: what cannot be written is told once.
 * An idle run writes nothing. Old parts are removed beyond the limits of age and size.
 */
import { lstatSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ByteString } from '../platform/bytes.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import { describeError, errorCode, isOperationalError } from '../platform/system-errors.ts';
import type { OutcomeRecord } from '../runner/active-message.ts';
import { appendLines } from '../storage/append.ts';
import { nodeDisk } from '../storage/disk.ts';
import { ensureFolder, ownershipIn } from '../storage/folder.ts';
import { dayOf, type HistoryFile, historyFiles } from './files.ts';
import { type OutcomeText, outcomeText, type Readable } from './readable.ts';
import { type HistoryEntry, outcomeEntry } from './record.ts';
import type { SharedHistory } from './shared-history.ts';

export interface HistoryLimits {
  /** bytes of all files together */
  readonly size: number;
  /** milliseconds */
  readonly age: number;
}

export interface HistoryDeps {
  readonly folder: string;
  /** in place of files of that folder */
  readonly shared?: SharedHistory;
  readonly limits: HistoryLimits;
  readonly clock: Clock;
  readonly readable: Readable;
  readonly warn: (text: string) => void;
}

/** Milliseconds for which records are gathered. */
const GATHER = 1000;
/** Characters that are written at once. */
const BATCH = 1 << 16;
/** Recipients in one record: those of a long list are in several. */
const MOST_RECIPIENTS = 1000;
/** A day's file is this part of the whole at most, so that removing the oldest one costs little of it. */
const PARTS = 16;
/** Milliseconds between two sweeps. In between the limits may be exceeded a little. */
const SWEEP_INTERVAL = 60_000;

/** Recipients with the same outcome, which make one record. */
interface OpenOutcome {
  readonly record: OutcomeRecord;
  readonly told: OutcomeText;
  readonly recipients: ByteString[];
}

export class HistoryWriter {
  readonly #deps: HistoryDeps;
  #lines: string[] = [];
  #length = 0;
  #day = '';
  #time = { now: Number.NaN, text: '' };
  #timer: Timer | null = null;
  #open: OpenOutcome | null = null;
  #lastSweep = Number.NEGATIVE_INFINITY;
  #warned = false;

  constructor(deps: HistoryDeps) {
    this.#deps = deps;
  }

  /** Recipients that have their outcome together come one after the other, and share its object. `told`: where it is known. */
  outcome(record: OutcomeRecord, told?: OutcomeText): void {
    const open = this.#open;
    if (open !== null && isSame(open.record, record)) {
      open.recipients.push(record.recipient);
      return;
    }
    this.#closeOutcome();
    const { readable } = this.#deps;
    this.#open = { record, told: told ?? outcomeText(record, readable), recipients: [record.recipient] };
    if (this.#timer === null) this.#startTimer();
  }

  write(entry: HistoryEntry): void {
    this.#closeOutcome();
    this.#add(entry);
  }

  /** What was gathered so far is in the file. */
  flush(): void {
    this.#closeOutcome();
    this.#timer?.cancel();
    this.#timer = null;
    const lines = this.#lines;
    this.#lines = [];
    this.#length = 0;
    if (lines.length === 0) return;
    const { shared } = this.#deps;
    if (shared !== undefined) {
      shared.append(lines, (error) => this.#warnOnce(error));
      return;
    }
    try {
      this.#append(lines.join(''));
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      this.#warnOnce(error);
    }
  }

  /** The same, and it is in the database where that has it, or could not be written there. Nothing is written any more. */
  async close(): Promise<void> {
    this.flush();
    await this.#deps.shared?.close();
  }

  #closeOutcome(): void {
    const open = this.#open;
    if (open === null) return;
    this.#open = null;
    this.#add(outcomeEntry(open.record, open.recipients, open.told, this.#deps.readable));
  }

  #add(entry: HistoryEntry): void {
    const { recipients } = entry;
    if (recipients.length <= MOST_RECIPIENTS) this.#addLine(entry);
    else
      for (let from = 0; from < recipients.length; from += MOST_RECIPIENTS)
        this.#addLine({ ...entry, recipients: recipients.slice(from, from + MOST_RECIPIENTS) });
  }

  #addLine(entry: HistoryEntry): void {
    const at = this.#timeNow();
    if (this.#lines.length > 0 && !at.startsWith(this.#day)) this.flush();
    if (this.#lines.length === 0) this.#day = at.slice(0, 10);
    const line = `{"at":"${at}",${JSON.stringify(entry).slice(1)}\n`;
    this.#lines.push(line);
    this.#length += line.length;
    if (this.#length >= BATCH) this.flush();
    else if (this.#timer === null) this.#startTimer();
  }

  /** Making the text costs more than anything else of a record, and many have the same millisecond. */
  #timeNow(): string {
    const now = Math.floor(this.#deps.clock.now());
    if (now !== this.#time.now) this.#time = { now, text: new Date(now).toISOString() };
    return this.#time.text;
  }

  #startTimer(): void {
    this.#timer = this.#deps.clock.after(GATHER, () => this.flush());
  }

  #append(lines: string): void {
    const { folder, limits, clock } = this.#deps;
    // As open to others as everything else in our folder.
    const { folders, files } = ownershipIn(lstatSync(dirname(folder)));
    ensureFolder(nodeDisk, folder, folders);
    const present = historyFiles(folder).filter(({ day }) => day === this.#day);
    const { part, size } = present.at(-1) ?? { part: 1, size: 0 };
    const isFull = size > 0 && size + lines.length > limits.size / PARTS;
    const file = join(folder, `${this.#day}-${isFull ? part + 1 : part}.jsonl`);
    if (present.length === 0 || isFull) create(file, files);
    appendLines(file, lines);
    const now = clock.now();
    if (Math.abs(now - this.#lastSweep) < SWEEP_INTERVAL) return;
    this.#lastSweep = now;
    sweep(historyFiles(folder), limits, now);
  }

  #warnOnce(error: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    const { folder, shared, warn } = this.#deps;
    warn(
      shared === undefined
        ? `The history cannot be written to ${folder}: ${describeError(error)}. Mail is delivered nevertheless.`
        : `${describeError(error)} Records of the history wait for that in memory.`,
    );
  }
}

function isSame(a: OutcomeRecord, b: OutcomeRecord): boolean {
  return a.outcome === b.outcome && a.message === b.message && a.control === b.control;
}

/** Another process may be faster. */
function create(file: string, owner: Parameters<typeof nodeDisk.create>[1]): void {
  try {
    nodeDisk.create(file, owner).close();
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
}

/** Removes the oldest parts beyond the limits. */
function sweep(files: readonly HistoryFile[], { size, age }: HistoryLimits, now: number): void {
  const first = dayOf(now - age);
  let total = 0;
  for (const file of [...files].reverse()) {
    total += file.size;
    if (total > size || file.day < first) rmSync(file.path, { force: true });
  }
}
