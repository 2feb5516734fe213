/** Which notices the outcomes of a run call for, and which of them a sender does not want. */
import type { Notified } from '../queue/dsn-store.ts';
import { isDelayed, type Schedule } from '../queue/schedule.ts';
import { type DsnRequest, type RecipientDsn, wants } from '../smtp/dsn-request.ts';
import type { FinishedMessage, RecipientResult } from './finished-message.ts';
import { type Notice, noticeFromFailure, noticeFromLine, noticeOfRelay } from './notice.ts';

/** Arrays of so many, the last one of those that are left; none where there is nothing to tell. `now`: Unix seconds. */
export function* noticesFor(
  { controlMessages, results, dsn }: FinishedMessage,
  now: number,
  schedule: Schedule,
  length: number,
): Generator<readonly Notice[], undefined> {
  const delayed = isDelayed(controlMessages[0].job, now, schedule);
  let part: Notice[] = [];
  for (const result of results()) {
    const notice = noticeOf(result, dsn?.recipients.get(result.address), delayed);
    if (notice === null) continue;
    part.push(notice);
    if (part.length < length) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

function noticeOf(
  { address, status, text, failure, relayed }: RecipientResult,
  asked: RecipientDsn | undefined,
  delayed: boolean,
): Notice | null {
  if (relayed !== null)
    return asked !== undefined && wants(asked, 'SUCCESS') === true ? noticeOfRelay(address, relayed) : null;
  if (failure === null) return status === 5 ? noticeFromLine({ address, status, text }) : null;
  if (status === 5) return noticeFromFailure(failure.permanent ? 'failed' : 'gave-up', address, failure);
  return status === 4 && delayed ? noticeFromFailure('delayed', address, failure) : null;
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
