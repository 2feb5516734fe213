/**
 * What a file of the spool is: a payload, a job, or a control message that cannot be read. Called by the shelf for every
 * file it opens. Pure: gets bytes, answers; decides nothing about the file.
 */
import { stripHeader } from '../delivery-list/header.ts';
import type { Job } from '../delivery-list/job.ts';
import { type ParseOptions, parseDeliveryList } from '../delivery-list/parse.ts';
import { type ControlForm, storedControl, storedForm } from '../message/stored.ts';
import type { ByteString } from '../platform/bytes.ts';

export type MessageContents =
  | { readonly kind: 'payload' }
  | {
      readonly kind: 'control';
      readonly form: ControlForm;
      readonly job: Job;
      readonly warnings: readonly string[];
    }
  /** a delivery list whose end is missing: still being written, or cut off */
  | { readonly kind: 'unfinished' }
  /** it says it is a delivery list, and nobody can deliver by it */
  | { readonly kind: 'unreadable'; readonly reason: string };

/** A text ends in a line end, a native message in the NUL of its last field. */
function isWhole(bytes: Buffer): boolean {
  return bytes.at(-1) === (storedForm(bytes) === 'native' ? 0x00 : 0x0a);
}

/** 0 is what a msgid line with anything but a number means to Citadel; without any such line there is no payload. */
function namesPayload(job: Job, instructions: ByteString): boolean {
  return job.msgid > 0 || (job.msgid === 0 && /(?:^|\n)msgid\|/i.test(instructions));
}

/** Look at a whole file. `settled`: nobody can still be writing it, so a missing end is how it stays. */
export function classifyContents(bytes: Buffer, settled: boolean, options: ParseOptions): MessageContents {
  const control = storedControl(bytes);
  if (control === null) return { kind: 'payload' };
  if (!settled && !isWhole(bytes)) return { kind: 'unfinished' };
  const { instructions, headerLines } = stripHeader(control.text);
  const parsed = parseDeliveryList(instructions, options);
  if (parsed.kind === 'unreadable') return parsed;
  const { job } = parsed;
  if (!namesPayload(job, instructions)) {
    return { kind: 'unreadable', reason: 'it has no msgid line, so nobody knows which message it is about' };
  }
  if (job.recipients.length === 0) {
    return { kind: 'unreadable', reason: 'it has no remote line, so it names no recipient' };
  }
  const warnings = parsed.warnings.map(({ line, text }) => `line ${line + headerLines}: ${text}`);
  return { kind: 'control', form: control.form, job, warnings };
}
