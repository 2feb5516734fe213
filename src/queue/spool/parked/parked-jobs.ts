/**
 * Jobs that wait for their time: eight numbers of each instead of the list, which is read again when its time has come. Only
 * what the file itself says is kept; when it makes the job due is worked out anew at each scan. Pure.
 */
import { isPending, type MessageNumber } from '../../../delivery-list/job.ts';
import type { FileStatus } from '../../../storage/disk.ts';
import { nextAttempt, type Schedule } from '../../schedule.ts';
import type { SpoolJob } from '../index/spool-job.ts';
import { Listing } from './listing.ts';

/** A row: number and payload, what `sameFile` compares, what `nextAttempt` asks for; the last is NaN in a 2012 list. */
const [NUMBER, MSGID, INO, SIZE, MTIME, CTIME, ATTEMPTED, SUBMITTED] = [0, 1, 2, 3, 4, 5, 6, 7];
const WIDTH = 8;
/** A power of two. */
const ROWS_OF_CHUNK = 4096;
const CHUNK = ROWS_OF_CHUNK * WIDTH;

/** A table of such jobs, highest number first. */
export class ParkedJobs {
  /** of a row */
  static readonly BYTES = WIDTH * Float64Array.BYTES_PER_ELEMENT;
  readonly #chunks: Float64Array[] = [];
  #size = 0;
  #payloads: Listing | null = null;

  /** The rows that `pieces` gave. Nothing can be added to them. */
  static from(values: Float64Array): ParkedJobs {
    const jobs = new ParkedJobs();
    for (let from = 0; from < values.length; from += CHUNK)
      jobs.#chunks.push(values.subarray(from, from + CHUNK));
    jobs.#size = Math.floor(values.length / WIDTH);
    return jobs;
  }

  get size(): number {
    return this.#size;
  }

  /** The numbers of their payloads, one for each job. */
  get payloads(): Listing {
    if (this.#payloads === null) {
      const numbers = new Float64Array(this.#size);
      for (let row = 0; row < this.#size; row++) numbers[row] = this.msgid(row);
      this.#payloads = new Listing(numbers);
    }
    return this.#payloads;
  }

  number(row: number): MessageNumber {
    return this.#get(row, NUMBER);
  }

  msgid(row: number): MessageNumber {
    return this.#get(row, MSGID);
  }

  /** bytes */
  bytes(row: number): number {
    return this.#get(row, SIZE);
  }

  isFile(row: number, { ino, size, mtimeMs, ctimeMs }: FileStatus): boolean {
    return (
      this.#get(row, CTIME) === ctimeMs &&
      this.#get(row, MTIME) === mtimeMs &&
      this.#get(row, SIZE) === size &&
      this.#get(row, INO) === ino
    );
  }

  /** The first second at which the job may be tried. */
  nextAttempt(row: number, schedule: Schedule): number {
    const submitted = this.#get(row, SUBMITTED);
    const dialect = Number.isNaN(submitted) ? '2012' : '2017';
    return nextAttempt({ dialect, submitted, attempted: this.#get(row, ATTEMPTED) }, schedule);
  }

  /** The earliest of them; null when there is no job. */
  earliest(schedule: Schedule): number | null {
    let first = Number.POSITIVE_INFINITY;
    for (let row = 0; row < this.#size; row++) first = Math.min(first, this.nextAttempt(row, schedule));
    return this.#size === 0 ? null : first;
  }

  add({ control, base, status }: SpoolJob): void {
    const { msgid, attempted, dialect, submitted } = base;
    const { ino, size, mtimeMs, ctimeMs } = status;
    const since = dialect === '2012' ? Number.NaN : (submitted ?? attempted);
    const row = [control, msgid, ino, size, mtimeMs, ctimeMs, attempted, since];
    this.#append((field) => row[field] ?? 0);
  }

  /** A row of another table. */
  copy(jobs: ParkedJobs, row: number): void {
    this.#append((field) => jobs.#get(row, field));
  }

  /** All rows one after the other, as `from` takes them, in pieces. */
  *pieces(): Generator<Float64Array> {
    for (const [index, chunk] of this.#chunks.entries())
      yield chunk.subarray(0, (this.#size - index * ROWS_OF_CHUNK) * WIDTH);
  }

  #append(value: (field: number) => number): void {
    const from = (this.#size % ROWS_OF_CHUNK) * WIDTH;
    if (from === 0) this.#chunks.push(new Float64Array(CHUNK));
    const chunk = this.#chunks.at(-1) ?? new Float64Array(CHUNK);
    for (let field = 0; field < WIDTH; field++) chunk[from + field] = value(field);
    this.#size++;
    this.#payloads = null;
  }

  #get(row: number, field: number): number {
    return (
      this.#chunks[Math.floor(row / ROWS_OF_CHUNK)]?.[(row % ROWS_OF_CHUNK) * WIDTH + field] ?? Number.NaN
    );
  }
}

/** Whether nothing but time stands between the job and its next attempt at `now`, Unix seconds. */
export function waitsForTime({ base }: SpoolJob, schedule: Schedule, now: number): boolean {
  return base.recipients.some(isPending) && nextAttempt(base, schedule) > now;
}
