/**
 * The input of a replay: a transcript, or a control message in any accepted form. Parses bytes and opens nothing; input that
 * cannot be used is a value with a reason.
 */
import { stripHeader } from '../delivery-list/header.ts';
import type { ParseOptions } from '../delivery-list/parse.ts';
import { parseDeliveryList } from '../delivery-list/parse.ts';
import type { ControlForm } from '../message/stored.ts';
import { storedControl } from '../message/stored.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { QueuedJob } from '../queue/queue.ts';
import type { Transcript } from './transcript/transcript.ts';
import { isTranscript, readTranscript } from './transcript/transcript.ts';

export interface ControlInput {
  readonly kind: 'control';
  readonly form: ControlForm;
  readonly bytes: number;
  /** header and instructions, as stored */
  readonly text: ByteString;
  readonly queued: QueuedJob;
}

export type ReplayInput =
  | ControlInput
  | { readonly kind: 'transcript'; readonly transcript: Transcript }
  /** completes "FILE ..." */
  | { readonly kind: 'unusable'; readonly reason: string };

/** `control`: the number the job gets. */
export function readInput(bytes: Buffer, control: number, options: ParseOptions): ReplayInput {
  if (isTranscript(bytes)) {
    const read = readTranscript(bytes.toString('utf8'));
    if (read.kind === 'transcript') return read;
    return { kind: 'unusable', reason: `begins like a transcript, but ${read.reason}` };
  }
  const stored = storedControl(bytes);
  if (stored === null) {
    return { kind: 'unusable', reason: 'is neither a control message (a delivery list) nor a transcript' };
  }
  const { instructions, headerLines } = stripHeader(stored.text);
  const parsed = parseDeliveryList(instructions, options);
  if (parsed.kind === 'unreadable') return { kind: 'unusable', reason: `cannot be read: ${parsed.reason}` };
  const warnings = parsed.warnings.map(({ line, text }) => `line ${line + headerLines}: ${text}`);
  const queued = { control, job: parsed.job, warnings };
  return { kind: 'control', form: stored.form, bytes: bytes.length, text: stored.text, queued };
}
