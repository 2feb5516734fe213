/**
 * Tells a payload from a control message, and a control message that can be read from one that cannot. Pure: bytes in,
 * answer out.
 */
import { stripHeader } from '../delivery-list/header.ts';
import type { Dialect, Job } from '../delivery-list/job.ts';
import { type ParseOptions, parseDeliveryList } from '../delivery-list/parse.ts';
import type { RetryIntervals } from '../delivery-list/serialise.ts';
import { type ControlForm, storedControl, storedForm } from '../message/stored.ts';
import type { ByteString } from '../platform/bytes.ts';

export interface ControlSettings {
  /** how control messages are written, and read where their bytes do not tell */
  readonly dialect: Dialect;
  readonly spans: RetryIntervals;
  /** as in `ParseOptions` */
  readonly longestList?: number;
}

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
  /** a delivery list by its content type, but nothing can be delivered by it */
  | { readonly kind: 'unreadable'; readonly reason: string };

/** A text ends with a line end, a native message with the NUL of its last field. */
function isWhole(bytes: Buffer): boolean {
  return bytes.at(-1) === (storedForm(bytes) === 'native' ? 0x00 : 0x0a);
}

/** 0 is what a msgid line with anything but a number means to Citadel; without any such line there is no payload. */
function namesPayload(job: Job, instructions: ByteString): boolean {
  return job.msgid > 0 || (job.msgid === 0 && /(?:^|\n)msgid\|/i.test(instructions));
}

/** Bytes. */
export const LONGEST_LIST = 8_388_608;
/** Bytes that a recipient counts for at least: one with the shortest line takes as much memory as others, a kilobyte. */
const RECIPIENT = 64;

/** Characters of a line. Whatever names a recipient repeats the line many times; an address has at most a few hundred. */
const LONGEST_LINE = 65_536;

function hasLongLine(text: ByteString): boolean {
  for (let from = 0; text.length - from > LONGEST_LINE; ) {
    const end = text.lastIndexOf('\n', from + LONGEST_LINE);
    if (end < from) return true;
    from = end + 1;
  }
  return false;
}

/** `bytes` are the whole message. `settled`: no program can still be writing it, so a missing end will stay missing. */
export function classifyContents(bytes: Buffer, settled: boolean, options: ParseOptions): MessageContents {
  const control = storedControl(bytes);
  if (control === null) return { kind: 'payload' };
  if (!settled && !isWhole(bytes)) return { kind: 'unfinished' };
  const { instructions, headerLines } = stripHeader(control.text);
  if (hasLongLine(instructions)) {
    return { kind: 'unreadable', reason: `it has a line of more than ${LONGEST_LINE} bytes` };
  }
  const parsed = parseDeliveryList(instructions, options);
  if (parsed.kind === 'unreadable') return parsed;
  const { job } = parsed;
  if (!namesPayload(job, instructions)) {
    return { kind: 'unreadable', reason: 'it has no msgid line, so its message is unknown' };
  }
  if (job.recipients.length === 0) {
    return { kind: 'unreadable', reason: 'it has no remote line, so it has no recipient' };
  }
  const { longestList = LONGEST_LIST } = options;
  const most = Math.floor(longestList / RECIPIENT);
  if (job.recipients.length > most) {
    const reason = `it has ${job.recipients.length} recipients, more than ${most}, which a list of limit.list (${longestList}) bytes may have; cut it into several, or raise the limit`;
    return { kind: 'unreadable', reason };
  }
  const warnings = parsed.warnings.map(({ line, text }) => `line ${line + headerLines}: ${text}`);
  return { kind: 'control', form: control.form, job, warnings };
}
