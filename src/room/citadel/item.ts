/**
 * What a message of the queue room is to us, and a job in hand with what has happened to it since it was read. Called by
 * live-room.ts. Keeps facts and reads texts; talks to nobody.
 */
import type { ByteString, Job } from '../../control/job.ts';
import type { ParseOptions } from '../../control/parse.ts';
import { applyChanges } from '../../outcome/apply.ts';
import { contentsOf } from '../directory/contents.ts';
import type { JournalRecord } from '../directory/journal.ts';
import type { MessageNumber, StatusChange } from '../room.ts';
import { isTrial } from './trial.ts';

/** A job in hand: its control message as it was read, and what has happened since. */
export interface Held {
  readonly kind: 'control';
  /** the number of the control message that stands for it now */
  control: MessageNumber;
  readonly base: Job;
  readonly warnings: readonly string[];
  readonly changes: StatusChange[];
  /** Unix seconds of the last of them */
  now: number;
  /** how many of them the control message holds */
  written: number;
  /** what the control message says, with its header */
  text: ByteString;
  /** what takes its place, when the server's answer to that has not come, and how many changes are in it */
  posting: { readonly text: ByteString; readonly changes: number } | null;
}

export type Item =
  | Held
  /** replaced by a newer one, or its mail is over: to be deleted */
  | { readonly kind: 'stale' | 'payload' | 'trial' }
  | { readonly kind: 'unreadable'; readonly reason: string; told: boolean };

/** Whether the control message lacks some of what we know. */
export function isDirty(held: Held): boolean {
  return held.written < held.changes.length;
}

/** The job as it stands. */
export function currentJob(held: Held): Job {
  return held.changes.length === 0 ? held.base : applyChanges(held.base, held.changes);
}

/** What a message is, by its delivery list (header included). A server's messages are whole or were cut off when posted. */
export function itemOf(control: MessageNumber, text: ByteString, options: ParseOptions): Item {
  if (isTrial(text)) return { kind: 'trial' };
  const contents = contentsOf(Buffer.from(text, 'latin1'), false, options);
  switch (contents.kind) {
    case 'payload':
      return { kind: 'payload' };
    case 'unfinished':
      return { kind: 'unreadable', reason: 'its end is missing', told: false };
    case 'unreadable':
      return { kind: 'unreadable', reason: contents.reason, told: false };
    case 'control': {
      const { job: base, warnings } = contents;
      const blank = { changes: [], now: 0, written: 0, posting: null };
      return { kind: 'control', control, base, warnings, text, ...blank };
    }
  }
}

/** What the ledger keeps of these outcomes. */
export function statusRecord({ control, base, now }: Held, changes: readonly StatusChange[]): JournalRecord {
  return { record: 'status', control, msgid: base.msgid, payload: null, now, changes };
}
