/**
 * Transcripts as files, one for each delivery: `SPOOL/.spoolroom/transcripts/CONTROL-SECONDS-N.jsonl`. The oldest are removed
 * beyond the limits of size and age. A transcript that cannot be written causes one warning and never affects a delivery.
 */
import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Job } from '../../delivery-list/job.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import { appendLines } from '../../storage/append.ts';
import { nodeDisk } from '../../storage/disk.ts';
import { ensureFolder, ownershipIn } from '../../storage/folder.ts';
import { layoutOf } from '../../storage/layout.ts';
import type { TranscriptStore, TranscriptWriter } from './recorder.ts';

export interface RetentionLimits {
  /** bytes of all transcripts together */
  readonly size: number;
  /** milliseconds */
  readonly age: number;
}

/** Bytes of one transcript; what follows is left out, and the end is marked as a line that is cut off. */
const MAX_LENGTH = 4_194_304;

/** Milliseconds between two sweeps, unless a part of the space was written meanwhile. In between the limits may be exceeded a little. */
const SWEEP_INTERVAL = 60_000;
const SWEEP_PART = 8;

export function transcriptFolder(spool: string): string {
  return join(layoutOf(spool).state, 'transcripts');
}

export function transcriptStore(
  folder: string,
  limits: RetentionLimits,
  warn: (text: string) => void,
): TranscriptStore {
  let count = 0;
  let warned = false;
  let lastSweep = Number.NEGATIVE_INFINITY;
  let written = 0;
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (warned) return;
      warned = true;
      warn(
        `Transcripts cannot be written to ${folder}: ${describeError(error)}. Mail is delivered nevertheless.`,
      );
    }
  };
  return {
    open: (control, at): TranscriptWriter => {
      let file = '';
      let length = 0;
      let isFull = false;
      const create = (): void => {
        mkdirSync(dirname(folder), { recursive: true, mode: 0o700 });
        // A transcript is as open to others as everything else in our folder.
        const { folders, files } = ownershipIn(lstatSync(dirname(folder)));
        ensureFolder(nodeDisk, folder, folders);
        // A name that is taken belongs to another process, or is a trap: never append to what we did not make.
        for (let attempts = 0; file === ''; attempts++) {
          const path = join(folder, `${control}-${Math.floor(at / 1000)}-${++count}.jsonl`);
          try {
            nodeDisk.create(path, files).close();
            file = path;
          } catch (error) {
            if (errorCode(error) !== 'EEXIST' || attempts === MAX_TAKEN) throw error;
          }
        }
      };
      return {
        get isFull() {
          return isFull;
        },
        append: (text) => {
          if (isFull) return;
          isFull = length + text.length > MAX_LENGTH;
          const taken = isFull ? CUT : text;
          length += taken.length;
          written += taken.length;
          attempt(() => {
            if (file === '') create();
            appendLines(file, taken);
          });
        },
        keep: () => {
          if (Math.abs(at - lastSweep) < SWEEP_INTERVAL && written < limits.size / SWEEP_PART) return;
          lastSweep = at;
          written = 0;
          attempt(() => sweep(folder, limits, at));
        },
        discard: () => {
          if (file !== '') attempt(() => rmSync(file, { force: true }));
        },
      };
    },
  };
}

/** A line without an end: the reader says that the recording is not complete. */
const CUT = '...';

/** Names that may be taken before a transcript is given up. */
const MAX_TAKEN = 1000;

/** Removes the oldest files beyond the limits. */
function sweep(folder: string, { size, age }: RetentionLimits, now: number): void {
  const files = readdirSync(folder).flatMap((name) => {
    const match = NAME.exec(name);
    return match === null ? [] : [{ path: join(folder, name), at: Number(match[2]) * 1000 }];
  });
  let total = 0;
  for (const { path, at } of files.sort((a, b) => b.at - a.at)) {
    total += lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (total > size || now - at > age) rmSync(path, { force: true });
  }
}

const NAME = /^(\d+)-(\d+)-(\d+)\.jsonl$/;

/**
 * Paths of the transcripts of a job, the latest first. `job`: only those of deliveries of this message and submission, and
 * not of another job that had the number before.
 */
export function transcriptsOf(
  spool: string,
  control: number,
  job?: Pick<Job, 'msgid' | 'submitted'>,
): readonly string[] {
  const folder = transcriptFolder(spool);
  return namesIn(folder)
    .flatMap((name) => {
      const [, job, at, count] = NAME.exec(name) ?? [];
      return Number(job) === control ? [{ name, at: Number(at), count: Number(count) }] : [];
    })
    .sort((a, b) => b.at - a.at || b.count - a.count)
    .map(({ name }) => join(folder, name))
    .filter((file) => job === undefined || isAbout(file, job));
}

/** Bytes of a header; longer ones, of jobs with many recipients, are read no further. */
const HEADER = 262_144;

/** True in doubt: a file that cannot be read is for the reader to look at. */
function isAbout(file: string, { msgid, submitted }: Pick<Job, 'msgid' | 'submitted'>): boolean {
  try {
    const [line = ''] = nodeDisk.read(file, HEADER).bytes.toString('utf8').split('\n', 1);
    const { job } = JSON.parse(line) as { readonly job?: Partial<Job> };
    return job?.msgid === msgid && (job.submitted ?? 0) === (submitted ?? 0);
  } catch {
    return true;
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // No folder yet: no transcript was written so far.
    return [];
  }
}
