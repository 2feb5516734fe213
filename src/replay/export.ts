/**
 * The queue inside an exported server (`MIGR export`): its control messages, read as any other, and the mails they
 * name. Called by the replay command, which opens the file and passes its pieces. One message is in memory at a time.
 */

import type { MessageNumber } from '../delivery-list/job.ts';
import type { ParseOptions } from '../delivery-list/parse.ts';
import type { ExportItem } from '../message/citadel-export.ts';
import { readCitadelExport } from '../message/citadel-export.ts';
import { storedControl } from '../message/stored.ts';
import type { ControlInput } from './input.ts';
import { readInput } from './input.ts';

export type Exported =
  | { readonly kind: 'control'; readonly number: MessageNumber; readonly subject: ControlInput }
  /** a control message all the same; `reason` completes "message N ..." */
  | { readonly kind: 'unreadable'; readonly number: MessageNumber; readonly reason: string }
  /** any other message */
  | { readonly kind: 'mail'; readonly number: MessageNumber }
  | Extract<ExportItem, { readonly kind: 'room' | 'problem' }>;

/** Whether a file that begins like this is XML: no control message, no mail and no transcript begins with `<`. */
export function isExport(head: Buffer): boolean {
  return /^(?:\xef\xbb\xbf)?\s*</.test(head.toString('latin1'));
}

/** Everything in the order of the file. */
export async function* readExport(
  pieces: AsyncIterable<Buffer>,
  options: ParseOptions,
): AsyncGenerator<Exported> {
  for await (const item of readCitadelExport(pieces)) {
    yield item.kind === 'message' ? exported(item.number, item.bytes, options) : item;
  }
}

function exported(number: MessageNumber, bytes: Buffer, options: ParseOptions): Exported {
  if (storedControl(bytes) === null) return { kind: 'mail', number };
  const subject = readInput(bytes, number, options);
  switch (subject.kind) {
    case 'control':
      return { kind: 'control', number, subject };
    case 'unusable':
      return { kind: 'unreadable', number, reason: subject.reason };
    case 'transcript':
      return { kind: 'mail', number };
  }
}

/** One message's stored form; null when the export does not hold it. */
export async function messageIn(
  pieces: AsyncIterable<Buffer>,
  number: MessageNumber,
): Promise<Buffer | null> {
  for await (const item of readCitadelExport(pieces)) {
    if (item.kind === 'message' && item.number === number) return item.bytes;
  }
  return null;
}
