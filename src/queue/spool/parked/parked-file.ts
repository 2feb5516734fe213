/**
 * Parked jobs in a file, so that the next process need not read their lists again. It may be lost, and says nothing of a
 * message whose file has changed. Written seldom, without a sync; only by the holder of the lock.
 */
import type { Dialect } from '../../../delivery-list/job.ts';
import { errorCode } from '../../../platform/system-errors.ts';
import { removeIfExists, replaceInState } from '../../../storage/atomic-file.ts';
import { crc32OfAll } from '../../../storage/crc32.ts';
import type { Disk } from '../../../storage/disk.ts';
import type { StateLayout } from '../../../storage/layout.ts';
import { ParkedJobs } from './parked-jobs.ts';

/** Fewer are read again each time. */
const MANY = 1000;
/** More are not written: 256 MB. */
const MOST = 4_194_304;
/** It is written when a job out of so many is not in it. */
const SHARE = 32;
/** Bytes before the first row. */
const HEADER = 64;
/** To be raised whenever a list can be read in another way, or a row has other fields. */
const FORMAT = 1;

export interface ParkedFileDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  /** how lists are read whose bytes do not tell their dialect */
  readonly fallback: Dialect;
  /** from so many jobs on there is a file; default: 1000 */
  readonly fewestParked?: number;
}

export class ParkedFile {
  readonly #deps: ParkedFileDeps;
  readonly many: number;
  /** rows in the file; null: not looked at yet */
  #rows: number | null = null;

  constructor(deps: ParkedFileDeps) {
    this.#deps = deps;
    this.many = deps.fewestParked ?? MANY;
  }

  /** Empty when it is missing, damaged, or from another version or machine. */
  read(): ParkedJobs {
    const { disk, layout } = this.#deps;
    try {
      if (disk.status(layout.parked) === null) return new ParkedJobs();
      const values = this.#valuesIn(disk.read(layout.parked, HEADER + MOST * ParkedJobs.BYTES).bytes);
      const jobs = ParkedJobs.from(values);
      this.#rows = jobs.size;
      return jobs;
    } catch (error) {
      if (errorCode(error) === null) throw error;
      return new ParkedJobs();
    }
  }

  /** `unknown`: how many of the jobs are not in the file. True when it was written. What cannot be written is read again. */
  save(jobs: ParkedJobs, unknown: number): boolean {
    const { disk, layout } = this.#deps;
    const { size } = jobs;
    try {
      if (size < this.many || size > MOST) {
        this.#remove();
        return true;
      }
      const isOutgrown = (this.#rows ?? 0) > 2 * size + this.many;
      if (unknown < Math.max(this.many, size / SHARE) && !isOutgrown) return false;
      const pieces = [...jobs.pieces()].map(bytesOf);
      replaceInState(disk, layout, layout.parked, [this.#header(size, pieces), ...pieces]);
      this.#rows = size;
      return true;
    } catch (error) {
      if (errorCode(error) === null) throw error;
      return false;
    }
  }

  #remove(): void {
    const { disk, layout } = this.#deps;
    if (this.#rows !== 0 && disk.status(layout.parked) !== null) removeIfExists(disk, layout.parked);
    this.#rows = 0;
  }

  #header(rows: number, pieces: Iterable<Uint8Array>): Buffer {
    const order = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 'LE' : 'BE';
    const sum = crc32OfAll(pieces).toString(16);
    const text = `spoolroom-parked ${FORMAT} ${order} ${this.#deps.fallback} ${rows} ${sum}`;
    return Buffer.from(`${text.padEnd(HEADER - 1)}\n`);
  }

  #valuesIn(bytes: Buffer): Float64Array {
    const rows = (bytes.length - HEADER) / ParkedJobs.BYTES;
    if (!Number.isInteger(rows) || rows < 0) return new Float64Array(0);
    const body = bytes.subarray(HEADER);
    if (!this.#header(rows, [body]).equals(bytes.subarray(0, HEADER))) return new Float64Array(0);
    const isAligned = body.byteOffset % Float64Array.BYTES_PER_ELEMENT === 0;
    const { buffer, byteOffset } = isAligned ? body : Uint8Array.from(body);
    return new Float64Array(buffer, byteOffset, body.length / Float64Array.BYTES_PER_ELEMENT);
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
