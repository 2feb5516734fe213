/**
 * Outcomes -> updated job. Called by the rooms when they rewrite a control message or merge one that another program
 * changed meanwhile. A status only ever becomes more final: nothing calls a delivered recipient undelivered again.
 */

import type { ByteString } from '../platform/bytes.ts';
import type { StatusChange } from './job.ts';
import { type Dialect, isPending, type Job, type Recipient } from './job.ts';
import { type RetryIntervals, serialiseJob } from './serialise.ts';

/** Delivered tops refused, refused tops a number nobody tries, and that tops "still to be tried". */
function finality(recipient: Recipient): number {
  if (isPending(recipient)) return 0;
  if (recipient.status === 2) return 3;
  return recipient.status === 5 ? 2 : 1;
}

/** The first line of each address. */
function firstByAddress(recipients: readonly Recipient[]): ReadonlyMap<ByteString, number> {
  const first = new Map<ByteString, number>();
  for (const [index, { address }] of recipients.entries()) if (!first.has(address)) first.set(address, index);
  return first;
}

/**
 * The job after these outcomes. An outcome goes to the recipient at its index; where another address stands there (the
 * list was changed by somebody else), to the first recipient with its address; to none when there is none.
 */
export function applyChanges(job: Job, changes: readonly StatusChange[]): Job {
  const recipients = [...job.recipients];
  let byAddress: ReadonlyMap<ByteString, number> | null = null;
  for (const { index, address, status, text } of changes) {
    let at: number | undefined = index;
    if (recipients[index]?.address !== address) {
      byAddress ??= firstByAddress(recipients);
      at = byAddress.get(address);
    }
    const before = at === undefined ? undefined : recipients[at];
    if (at === undefined || before === undefined) continue;
    const after = { address, status, text };
    if (finality(after) >= finality(before)) recipients[at] = after;
  }
  return { ...job, recipients };
}

/**
 * The text that takes the place of a job's control message after a run at `now` (Unix seconds), header included. Null
 * when the dialect would name no recipient any more (2017 leaves the finished ones out): such a text says nothing, and
 * the old one stays until the job is removed.
 */
export function rewrittenText(
  job: Job,
  dialect: Dialect,
  now: number,
  spans: RetryIntervals,
): ByteString | null {
  const recipients = job.recipients.map(without3);
  const text = serialiseJob({ ...job, recipients }, dialect, now, spans);
  return text.includes('\nremote|') ? text : null;
}

/** Status 3 is read but never written: servers since 2017 drop such recipients without a word (C11). */
function without3(recipient: Recipient): Recipient {
  return recipient.status === 3 ? { ...recipient, status: 4 } : recipient;
}
