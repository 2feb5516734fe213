/**
 * Job -> delivery-list text, the whole of it with its header, in the bytes of the chosen era's C writer. Called by the
 * rooms whenever a control message is rewritten. Differs from the C writers in three things: a retry span has a
 * ceiling, no field can break out of its line (R066, "queue injection"), and 2017 keeps status 3 as 4 (C11).
 */

import type { ByteString } from '../platform/bytes.ts';
import { DELIVERY_LIST_TYPE } from './header.ts';
import { type Dialect, isPending, type Job, type Recipient } from './job.ts';
import { FIRST_RETRY_INTERVAL } from './parse.ts';

/** The 2012 retry spans, in seconds. */
export interface RetryIntervals {
  /** after the first failure: what a list that names no span stands for */
  readonly first: number;
  readonly ceiling: number;
}

/** The C module's values; it never used its ceiling of 12 hours, SMTP_RETRY_MAX (R006). */
export const RETRY_INTERVALS: RetryIntervals = { first: FIRST_RETRY_INTERVAL, ceiling: 43_200 };

/** The one header line and the empty line. 2012 servers loop for ever on any other form. */
export const DELIVERY_LIST_HEADER: ByteString = `Content-type: ${DELIVERY_LIST_TYPE}\n\n`;

/** Bytes that would end a line. A reader would take what follows for an instruction. */
function oneLine(field: ByteString): ByteString {
  return /[\n\0]/.test(field) ? field.replace(/[\n\0]/g, ' ') : field;
}

/** A server's words on one line: CR, LF, NUL and bars become blanks (R066, R102). */
function safeText(text: ByteString): ByteString {
  return /[\r\n\0|]/.test(text) ? text.replace(/[\r\n\0|]/g, ' ') : text;
}

/** A CR as the very last byte is how 2012 reads a list with CRLF line ends, and how it writes it back. */
function safeText2012(text: ByteString): ByteString {
  return text.endsWith('\r') ? `${safeText(text.slice(0, -1))}\r` : safeText(text);
}

function recipientLine(address: ByteString, status: number, words: ByteString): ByteString {
  return `remote|${oneLine(address)}|${status}|${words}\n`;
}

function optionalLine(keyword: string, value: ByteString | null): ByteString {
  return value === null ? '' : `${keyword}|${oneLine(value)}\n`;
}

function write2012(job: Job, now: number, spans: RetryIntervals): ByteString {
  // Whether the list named a span: one that was tried in 2012's way does, and it may double to 300 as well.
  const named = job.dialect === '2012' && job.attempted !== 0;
  const retry = Math.min(
    !named && job.retry === FIRST_RETRY_INTERVAL ? spans.first : job.retry,
    spans.ceiling,
  );
  let text = `${DELIVERY_LIST_HEADER}msgid|${job.msgid}\nsubmitted|${job.submitted ?? 0}\n`;
  text += optionalLine('bounceto', job.bounceto || null);
  text += optionalLine('envelope_from', job.envelopeFrom || null);
  text += optionalLine('source_room', job.sourceRoom || null);
  text += `retry|${retry}\nattempted|${now + retry}\n`;
  for (const { address, status, text: words } of job.recipients) {
    text += recipientLine(address, status, safeText2012(words));
  }
  return text;
}

/**
 * Which status a 2017 list shows; null leaves the recipient out. Those servers list who is still to be tried, and a
 * refusal only until the next rewrite; one in their own words is kept longer here, because its report may be under way.
 */
function status2017(recipient: Recipient): number | null {
  if (recipient.status === 3) return 4;
  if (isPending(recipient)) return recipient.status;
  return recipient.status === 5 && /^\d{3} \(/.test(recipient.text) ? 5 : null;
}

function write2017(job: Job, now: number): ByteString {
  // The extra empty line is what these servers store: their header is made apart from the text.
  let text = `${DELIVERY_LIST_HEADER}\nmsgid|${job.msgid}\nsubmitted|${job.submitted ?? now}\n`;
  text += optionalLine('bounceto', job.bounceto);
  text += optionalLine('envelope_from', job.envelopeFrom);
  for (const recipient of job.recipients) {
    const status = status2017(recipient);
    if (status !== null) text += recipientLine(recipient.address, status, safeText(recipient.text));
  }
  return `${text}attempted|${now}\n`;
}

/**
 * The stored text of a job after a run at `now` (Unix seconds), header included. 2012 writes the time of the next
 * try, for which `spans` counts; 2017 that of this one.
 */
export function serialiseJob(
  job: Job,
  dialect: Dialect,
  now: number,
  spans: RetryIntervals = RETRY_INTERVALS,
): ByteString {
  switch (dialect) {
    case '2012':
      return write2012(job, now, spans);
    case '2017':
      return write2017(job, now);
  }
}
