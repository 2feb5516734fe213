/**
 * Transcripts as files, one for each delivery: `SPOOL/.spoolroom/transcripts/CONTROL-SECONDS-N.jsonl`. The oldest are removed
 * beyond the limits of size and age. A transcript that cannot be written causes one warning and never affects a delivery.
 */
import { appendFileSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../../platform/system-errors.ts';
import type { TranscriptStore, TranscriptWriter } from './recorder.ts';

export interface RetentionLimits {
  /** bytes of all transcripts together */
  readonly size: number;
  /** milliseconds */
  readonly age: number;
}

/** Bytes of one transcript; what follows is left out. */
const MAX_LENGTH = 4_194_304;

/** Milliseconds between two sweeps. In between the limits may be exceeded a little. */
const SWEEP_INTERVAL = 60_000;

export function transcriptFolder(spool: string): string {
  return join(spool, '.spoolroom', 'transcripts');
}

export function transcriptStore(
  folder: string,
  limits: RetentionLimits,
  warn: (text: string) => void,
): TranscriptStore {
  let count = 0;
  let warned = false;
  let lastSweep = Number.NEGATIVE_INFINITY;
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
      const file = join(folder, `${control}-${Math.floor(at / 1000)}-${++count}.jsonl`);
      let length = 0;
      if (count === 1) attempt(() => mkdirSync(folder, { recursive: true, mode: 0o700 }));
      return {
        append: (text) => {
          if (length + text.length > MAX_LENGTH) return;
          length += text.length;
          attempt(() => appendFileSync(file, text, { mode: 0o600 }));
        },
        keep: () => {
          if (Math.abs(at - lastSweep) < SWEEP_INTERVAL) return;
          lastSweep = at;
          attempt(() => sweep(folder, limits, at));
        },
        discard: () => attempt(() => rmSync(file, { force: true })),
      };
    },
  };
}

/** Removes the oldest files beyond the limits. */
function sweep(folder: string, { size, age }: RetentionLimits, now: number): void {
  const files = readdirSync(folder).flatMap((name) => {
    const match = NAME.exec(name);
    return match === null ? [] : [{ path: join(folder, name), at: Number(match[2]) * 1000 }];
  });
  let total = 0;
  for (const { path, at } of files.sort((a, b) => b.at - a.at)) {
    total += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (total > size || now - at > age) rmSync(path, { force: true });
  }
}

const NAME = /^(\d+)-(\d+)-(\d+)\.jsonl$/;

/** Paths of the transcripts of a job, the latest first. */
export function transcriptsOf(spool: string, control: number): readonly string[] {
  const folder = transcriptFolder(spool);
  return namesIn(folder)
    .flatMap((name) => {
      const [, job, at, count] = NAME.exec(name) ?? [];
      return Number(job) === control ? [{ name, at: Number(at), count: Number(count) }] : [];
    })
    .sort((a, b) => b.at - a.at || b.count - a.count)
    .map(({ name }) => join(folder, name));
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // No folder yet: no transcript was written so far.
    return [];
  }
}
