/**
 * Transcripts as files, one for each delivery: `SPOOL/.spoolroom/transcripts/CONTROL-SECONDS-N.jsonl`. Called by the
 * delivering commands, which write, and by `explain`, which looks. Old ones go when there are too many; a transcript
 * that cannot be written is told once and never costs a delivery.
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

/** A transcript longer than this tells nobody more; what follows is left out. */
const LONGEST = 4_194_304;

/** Milliseconds. In between the bounds may be passed a little. */
const SWEEP_EVERY = 60_000;

export function transcriptFolder(spool: string): string {
  return join(spool, '.spoolroom', 'transcripts');
}

export function transcriptStore(
  folder: string,
  bounds: RetentionLimits,
  warn: (text: string) => void,
): TranscriptStore {
  let count = 0;
  let told = false;
  let swept = Number.NEGATIVE_INFINITY;
  const trying = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (told) return;
      told = true;
      warn(
        `Transcripts cannot be kept in ${folder}: ${describeError(error)}. Mail is delivered all the same.`,
      );
    }
  };
  return {
    open: (control, at): TranscriptWriter => {
      const file = join(folder, `${control}-${Math.floor(at / 1000)}-${++count}.jsonl`);
      let length = 0;
      if (count === 1) trying(() => mkdirSync(folder, { recursive: true, mode: 0o700 }));
      return {
        append: (text) => {
          if (length + text.length > LONGEST) return;
          length += text.length;
          trying(() => appendFileSync(file, text, { mode: 0o600 }));
        },
        keep: () => {
          if (Math.abs(at - swept) < SWEEP_EVERY) return;
          swept = at;
          trying(() => sweep(folder, bounds, at));
        },
        discard: () => trying(() => rmSync(file, { force: true })),
      };
    },
  };
}

/** The oldest go first. */
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

/** Paths of a job's transcripts, the latest first. */
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
    // No folder yet: nothing has failed so far.
    return [];
  }
}
