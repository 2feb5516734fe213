/**
 * The queue inside the export of a server (`MIGR export`): its control messages and the messages they refer to. Only one
 * message is in memory at a time.
 */

import type { MessageNumber } from '../delivery-list/job.ts';
import type { ParseOptions } from '../delivery-list/parse.ts';
import type { ExportItem } from '../message/citadel-export.ts';
import { readCitadelExport } from '../message/citadel-export.ts';
import { storedControl } from '../message/stored.ts';
import type { ControlInput } from './input.ts';
import { readInput } from './input.ts';

export type Exported =
  | { readonly kind: 'control'; readonly number: MessageNumber; readonly input: ControlInput }
  /** a control message that cannot be parsed; `reason` completes "message N ..." */
  | { readonly kind: 'unreadable'; readonly number: MessageNumber; readonly reason: string }
  /** any other message */
  | { readonly kind: 'message'; readonly number: MessageNumber }
  | Extract<ExportItem, { readonly kind: 'room' | 'problem' }>;

/** Whether a file with this beginning is XML: no control message, message or transcript begins with `<`. */
export function isExport(head: Buffer): boolean {
  return /^(?:\xef\xbb\xbf)?\s*</.test(head.toString('latin1'));
}

/** The items in the order of the file. */
export async function* readExport(
  pieces: AsyncIterable<Buffer>,
  options: ParseOptions,
): AsyncGenerator<Exported> {
  for await (const item of readCitadelExport(pieces)) {
    yield item.kind === 'message' ? exported(item.number, item.bytes, options) : item;
  }
}

function exported(number: MessageNumber, bytes: Buffer, options: ParseOptions): Exported {
  if (storedControl(bytes) === null) return { kind: 'message', number };
  const input = readInput(bytes, number, options);
  switch (input.kind) {
    case 'control':
      return { kind: 'control', number, input };
    case 'unusable':
      return { kind: 'unreadable', number, reason: input.reason };
    case 'transcript':
      return { kind: 'message', number };
  }
}

/** The stored form of a message; null when the export does not contain it. */
export async function messageIn(
  pieces: AsyncIterable<Buffer>,
  number: MessageNumber,
): Promise<Buffer | null> {
  for await (const item of readCitadelExport(pieces)) {
    if (item.kind === 'message' && item.number === number) return item.bytes;
  }
  return null;
}
