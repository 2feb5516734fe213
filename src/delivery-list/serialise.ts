/**
 * Writes a delivery list with its header, in the bytes of the C writer of its dialect. It differs from the C writers in three
 * things: retry intervals have a ceiling, no field can break out of its line (R066, "queue injection"), and 2017 keeps
 * status 3 as 4 (C11).
 */

import type { ByteString } from '../platform/bytes.ts';
import { DELIVERY_LIST_TYPE } from './header.ts';
import { type Dialect, isPending, type Job, type Recipient } from './job.ts';
import { FIRST_RETRY_INTERVAL } from './parse.ts';

/** The retry intervals of 2012, seconds. */
export interface RetryIntervals {
  /** after the first failure, when the list has no interval */
  readonly first: number;
  readonly ceiling: number;
}

/** The C module's values; it never used its ceiling of 12 hours, SMTP_RETRY_MAX (R006). */
export const RETRY_INTERVALS: RetryIntervals = { first: FIRST_RETRY_INTERVAL, ceiling: 43_200 };

/** The one header line and the empty line. Servers of 2012 loop for ever on any other header. */
export const DELIVERY_LIST_HEADER: ByteString = `Content-type: ${DELIVERY_LIST_TYPE}\n\n`;

/** Replaces the bytes that would end the line: a reader would take what follows for an instruction. */
function withoutLineEnds(field: ByteString): ByteString {
  return /[\n\0]/.test(field) ? field.replace(/[\n\0]/g, ' ') : field;
}

/** Text as one field: CR, LF, NUL and bars become blanks (R066, R102). */
export function oneField(text: ByteString): ByteString {
  return /[\r\n\0|]/.test(text) ? text.replace(/[\r\n\0|]/g, ' ') : text;
}

/** 2012 reads a list with CRLF line ends as fields that end in CR, and writes the CR back. */
function safeText2012(text: ByteString): ByteString {
  return text.endsWith('\r') ? `${oneField(text.slice(0, -1))}\r` : oneField(text);
}

function recipientLine(address: ByteString, status: number, text: ByteString): ByteString {
  return `remote|${withoutLineEnds(address)}|${status}|${text}\n`;
}

/** So many lines are joined at once: a string that grows line by line takes ten times its length until it is read. */
const LINES = 1000;

function linesOf(recipients: readonly Recipient[], lineOf: (recipient: Recipient) => ByteString): ByteString {
  const texts: ByteString[] = [];
  for (let from = 0; from < recipients.length; from += LINES)
    texts.push(
      recipients
        .slice(from, from + LINES)
        .map(lineOf)
        .join(''),
    );
  return texts.join('');
}

function optionalLine(keyword: string, value: ByteString | null): ByteString {
  return value === null ? '' : `${keyword}|${withoutLineEnds(value)}\n`;
}

function write2012(job: Job, now: number, intervals: RetryIntervals): ByteString {
  // Whether the list had an interval: one rewritten by 2012 has, and it can be 300 after doubling as well.
  const hasInterval = job.dialect === '2012' && job.attempted !== 0;
  const retry = Math.min(
    !hasInterval && job.retry === FIRST_RETRY_INTERVAL ? intervals.first : job.retry,
    intervals.ceiling,
  );
  let text = `${DELIVERY_LIST_HEADER}msgid|${job.msgid}\nsubmitted|${job.submitted ?? 0}\n`;
  text += optionalLine('bounceto', job.bounceto || null);
  text += optionalLine('envelope_from', job.envelopeFrom || null);
  text += optionalLine('source_room', job.sourceRoom || null);
  text += `retry|${retry}\nattempted|${now + retry}\n`;
  return (
    text +
    linesOf(job.recipients, (recipient) =>
      recipientLine(recipient.address, recipient.status, safeText2012(recipient.text)),
    )
  );
}

/**
 * The status in a 2017 list; null leaves the recipient out. Those servers list pending recipients, and a refused one only until
 * the next rewrite. A refusal in the form they write is kept here, because its report may not be sent yet.
 */
function status2017(recipient: Recipient): number | null {
  if (recipient.status === 3) return 4;
  if (isPending(recipient)) return recipient.status;
  return recipient.status === 5 && /^\d{3} \(/.test(recipient.text) ? 5 : null;
}

function write2017(job: Job, now: number): ByteString {
  // These servers store an extra empty line after the header.
  let text = `${DELIVERY_LIST_HEADER}\nmsgid|${job.msgid}\nsubmitted|${job.submitted ?? now}\n`;
  text += optionalLine('bounceto', job.bounceto);
  text += optionalLine('envelope_from', job.envelopeFrom);
  const lines = linesOf(job.recipients, (recipient) => {
    const status = status2017(recipient);
    return status === null ? '' : recipientLine(recipient.address, status, oneField(recipient.text));
  });
  return `${text}${lines}attempted|${now}\n`;
}

/**
 * The text of a job after a run at `now` (Unix seconds), header included. 2012 writes the time of the next attempt, from
 * `intervals`; 2017 the time of this one.
 */
export function serialiseJob(
  job: Job,
  dialect: Dialect,
  now: number,
  intervals: RetryIntervals = RETRY_INTERVALS,
): ByteString {
  switch (dialect) {
    case '2012':
      return write2012(job, now, intervals);
    case '2017':
      return write2017(job, now);
  }
}
