/**
 * Applies outcomes to a job. A status only ever becomes more final: a delivered recipient never becomes undelivered again,
 * even when another program changed the list meanwhile.
 */

import type { ByteString } from '../platform/bytes.ts';
import type { Dialect, Job, Recipient, StatusChange } from './job.ts';
import { type RetryIntervals, serialiseJob } from './serialise.ts';

/** By status, from pending over unknown numbers, which are 1, and refused to delivered. */
const FINALITY: Readonly<Record<number, number>> = { 0: 0, 3: 0, 4: 0, 5: 2, 2: 3 };

/** Index of the first recipient with each address. */
function firstByAddress(recipients: readonly Recipient[]): ReadonlyMap<ByteString, number> {
  const first = new Map<ByteString, number>();
  for (const [index, { address }] of recipients.entries()) if (!first.has(address)) first.set(address, index);
  return first;
}

/**
 * The job after these outcomes. An outcome belongs to the recipient at its index; if another program put another address
 * there, to the first recipient with its address; if there is none, to no recipient.
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
    const isAsFinal = (FINALITY[status] ?? 1) >= (FINALITY[before.status] ?? 1);
    if (isAsFinal) recipients[at] = { address, status, text };
  }
  return { ...job, recipients };
}

/**
 * The text that replaces a job's control message after a run at `now` (Unix seconds), header included. Null when it would
 * have no recipient left (2017 leaves out the finished ones): then the old text stays until the job is removed. Status texts are
 * cut where the list would be longer than `longest` characters: its next reader would set it aside.
 */
export function rewrittenText(
  job: Job,
  dialect: Dialect,
  now: number,
  intervals: RetryIntervals,
  longest = Number.POSITIVE_INFINITY,
): ByteString | null {
  const recipients = withShortTexts(job.recipients.map(withoutStatus3), longest);
  const text = serialiseJob({ ...job, recipients }, dialect, now, intervals);
  return text.includes('\nremote|') ? text : null;
}

/** Characters of a recipient's line besides its address and text. */
const LINE = 14;

function withShortTexts(recipients: readonly Recipient[], longest: number): readonly Recipient[] {
  const length = (of: (recipient: Recipient) => number): number =>
    recipients.reduce((sum, recipient) => sum + of(recipient), 0);
  const bare = length(({ address }) => address.length + LINE);
  if (bare + length(({ text }) => text.length) <= longest) return recipients;
  const most = Math.max(0, Math.floor((longest - bare) / recipients.length));
  return recipients.map((recipient) => ({ ...recipient, text: recipient.text.slice(0, most) }));
}

/** Status 3 is read but never written, because servers since 2017 silently drop such recipients (C11). */
function withoutStatus3(recipient: Recipient): Recipient {
  return recipient.status === 3 ? { ...recipient, status: 4 } : recipient;
}
