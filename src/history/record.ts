/**
 * What the history keeps: one record for each thing that happened to a message. A record names its message by its sender, its
 * Message-ID, its payload's number and the time of its submission, because numbers alone are used again. Pure. The fields
 * are listed in techdoc/history.md.
 */
import type { VerifiedBy } from '../delivery/tls-use.ts';
import { isPending, type MessageNumber } from '../delivery-list/job.ts';
import type { SentDsn, SuppressedDsn } from '../dsn/sender.ts';
import type { QueuedMessage } from '../intake/transaction-handler.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { MessageFacts } from '../queue/message-facts.ts';
import type { JobRequest, QueuedJob } from '../queue/queue.ts';
import type { OutcomeRecord } from '../runner/active-message.ts';
import { type OutcomeText, type Readable, readableNames } from './readable.ts';

export type HistoryEvent =
  | 'queued'
  | 'delivered'
  | 'deferred'
  | 'refused'
  | 'reported'
  | 'not-reported'
  | JobRequest
  | 'release';

export interface HistoryRecord {
  /** ISO 8601 in UTC, with milliseconds */
  readonly at: string;
  readonly event: HistoryEvent;
  /** number of the control message */
  readonly job: MessageNumber;
  /** number of the payload */
  readonly mail: MessageNumber;
  /** Unix seconds; null: its list did not say */
  readonly submitted: number | null;
  /** `<>`: the null sender; null: the message was not read */
  readonly sender: string | null;
  readonly messageId: string | null;
  /** bytes */
  readonly size: number | null;
  /** those whom the event concerns */
  readonly recipients: readonly string[];

  // Of an attempt; what is absent is null.
  readonly destination?: string;
  readonly host?: string | undefined;
  readonly address?: string | undefined;
  readonly port?: number | undefined;
  /** protocol version */
  readonly tls?: string | undefined;
  readonly cipher?: string | undefined;
  /** what proved who the server is */
  readonly verified?: VerifiedBy | undefined;
  readonly milliseconds?: number;
  /** where a failure happened */
  readonly stage?: string | undefined;
  readonly code?: number | undefined;
  readonly enhanced?: string;
  /** the reply, or what was observed, in one line */
  readonly text?: string;
  readonly maybeDelivered?: true | undefined;

  // Of a report.
  readonly to?: string;
  /** the server or file that has it */
  readonly where?: string;
  readonly kinds?: string;
  readonly reason?: string | undefined;

  /** the user who made a request */
  readonly by?: string;

  /** where several share a queue: the one on which it happened */
  readonly machine?: string;
}

/** Without the time, which is the writer's. */
export type HistoryEntry = Omit<HistoryRecord, 'at'>;

const OUTCOMES = { 2: 'delivered', 4: 'deferred', 5: 'refused' } as const;

function about(job: MessageNumber, mail: MessageNumber, message: MessageFacts, readable: Readable) {
  const { submitted, size } = message;
  return { job, mail, submitted, ...readableNames(message, readable), size };
}

/** `recipients`: all that have this outcome at once. */
export function outcomeEntry(
  { control, msgid, message, destination, outcome, status, milliseconds, tls }: OutcomeRecord,
  recipients: readonly ByteString[],
  told: OutcomeText,
  readable: Readable,
): HistoryEntry {
  const { peer } = outcome;
  return {
    // Without spreads: there is one for each message.
    event: OUTCOMES[status],
    job: control,
    mail: msgid,
    submitted: message.submitted,
    sender: told.sender,
    messageId: told.messageId,
    size: message.size,
    recipients: recipients.map(readable),
    destination,
    host: peer?.host,
    address: peer?.address ?? undefined,
    port: peer?.port,
    tls: tls?.protocol,
    cipher: tls?.cipher,
    verified: tls?.verified,
    milliseconds: Math.round(milliseconds),
    stage: outcome.kind === 'failed' ? outcome.stage : undefined,
    code: outcome.code ?? undefined,
    enhanced: outcome.enhanced,
    text: told.text,
    maybeDelivered: outcome.kind === 'failed' && outcome.maybeDelivered ? true : undefined,
  };
}

export function queuedEntry(message: QueuedMessage, readable: Readable): HistoryEntry {
  const { control, payload, recipients } = message;
  return {
    event: 'queued',
    ...about(control, payload, message, readable),
    recipients: recipients.map(readable),
  };
}

export function reportedEntry(
  { control, msgid, message, to, where, why, notices }: SentDsn,
  readable: Readable,
): HistoryEntry {
  return {
    event: 'reported',
    ...about(control, msgid, message, readable),
    recipients: notices.map(({ recipient }) => readable(recipient)),
    to: readable(to),
    where,
    kinds: [...new Set(notices.map(({ kind }) => kind))].join(', '),
    reason: why === null ? undefined : readable(why),
  };
}

export function suppressedEntry(
  { control, msgid, message, recipients, reason }: SuppressedDsn,
  readable: Readable,
): HistoryEntry {
  return {
    event: 'not-reported',
    ...about(control, msgid, message, readable),
    recipients: recipients.map(readable),
    reason,
  };
}

/** An administrator asked for something. */
export function requestEntry(
  event: JobRequest | 'release',
  { control, job: { msgid, submitted, envelopeFrom, recipients } }: QueuedJob,
  by: string,
  readable: Readable,
): HistoryEntry {
  const facts = { submitted, sender: envelopeFrom, messageId: null, size: null };
  return {
    event,
    ...about(control, msgid, facts, readable),
    // What became of the others is known, or was before the history began.
    recipients: recipients.filter(isPending).map(({ address }) => readable(address)),
    by,
  };
}

/** A line of a history file; null for what is no record, such as a line that a crash has cut off. */
export function parseRecord(line: string): HistoryRecord | null {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is HistoryRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { at, event, job, mail, recipients } = value as { [field in keyof HistoryRecord]?: unknown };
  const named = typeof at === 'string' && typeof event === 'string';
  return named && typeof job === 'number' && typeof mail === 'number' && Array.isArray(recipients);
}
