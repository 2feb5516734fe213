/** Which notices the outcomes of a run call for, and which of them a sender does not want. */
import type { Notified } from '../queue/dsn-store.ts';
import { isDelayed, type Schedule } from '../queue/schedule.ts';
import { type DsnRequest, wants } from '../smtp/dsn-request.ts';
import type { FinishedMessage } from './finished-message.ts';
import { type Notice, noticeFromFailure, noticeFromLine, noticeOfRelay } from './notice.ts';

/** `now`: Unix seconds. */
export function* noticesFor(
  { controlMessages, results, dsn }: FinishedMessage,
  now: number,
  schedule: Schedule,
): Generator<Notice, undefined> {
  const delayed = isDelayed(controlMessages[0].job, now, schedule);
  for (const { address, status, text, failure, relayed } of results()) {
    const asked = dsn?.recipients.get(address);
    if (relayed !== null && asked !== undefined && wants(asked, 'SUCCESS') === true)
      yield noticeOfRelay(address, relayed);
    if (status === 5 && failure === null) yield noticeFromLine({ address, status, text });
    else if (failure === null) continue;
    else if (status === 5)
      yield noticeFromFailure(failure.permanent ? 'failed' : 'gave-up', address, failure);
    else if (status === 4 && delayed) yield noticeFromFailure('delayed', address, failure);
  }
}

/** Arrays of so many, the last one of those that are left. */
export function* inParts<T>(items: Iterable<T>, length: number): Generator<readonly T[], undefined> {
  let part: T[] = [];
  for (const item of items) {
    part.push(item);
    if (part.length < length) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

/** What the record of a report says of a notice. */
export function whatOf({ kind }: Pick<Notice, 'kind'>): Notified['what'] {
  return WHAT[kind];
}

const WHAT = { failed: 'failure', 'gave-up': 'failure', delayed: 'delay', relayed: 'success' } as const;

export function isFailure({ kind }: Notice): boolean {
  return whatOf({ kind }) === 'failure';
}

/** RFC 3461 4.1: why no report is sent, as a clause; null when the sender asked for it, or said nothing. */
export function notWanted({ kind, recipient }: Notice, dsn: DsnRequest | null): string | null {
  const asked = dsn?.recipients.get(recipient);
  if (asked === undefined || wants(asked, NOTIFY[whatOf({ kind })]) !== false) return null;
  return `its sender asked for none (NOTIFY=${asked.notify})`;
}

const NOTIFY = { failure: 'FAILURE', delay: 'DELAY', success: 'SUCCESS' } as const;
