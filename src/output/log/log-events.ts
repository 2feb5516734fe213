/**
 * The log lines about messages; those about the process are in process-events.ts. Each has a level, a sentence and fields. Pure.
 * techdoc/logs.md lists them. No field holds a credential.
 */
import { VERIFIERS } from '../../delivery/tls-use.ts';
import type { SentDsn, SuppressedDsn } from '../../dsn/sender.ts';
import { outcomeText, readableNames } from '../../history/readable.ts';
import type { QueuedMessage, RejectedMessage } from '../../intake/transaction-handler.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { MessageFacts } from '../../queue/message-facts.ts';
import type { OutcomeRecord } from '../../runner/active-message.ts';
import type { Failure, Peer } from '../../smtp/outcome.ts';
import { describePeer, joinedLines } from '../../smtp/status-text.ts';
import type { DialogueLine } from '../replay/dialogue.ts';
import type { DecodeText } from '../text.ts';
import { duration, escapeControl } from '../text.ts';

export type Level = 'error' | 'warn' | 'info' | 'debug';

export interface LogEvent {
  readonly level: Level;
  /** the kind of line, for programs */
  readonly event: string;
  readonly message: string;
  /** The same line may come with every run: this tells it from others. Absent: it comes once. */
  readonly recurs?: string;
  readonly fields: { readonly [name: string]: string | number | boolean | null };
}

const OUTCOMES = {
  2: { event: 'delivered', level: 'info' },
  4: { event: 'deferred', level: 'info' },
  5: { event: 'refused', level: 'warn' },
} as const;

/** What every line about a message says of it. Sizes are bytes. */
function factsOf(message: Omit<MessageFacts, 'submitted'>, readable: DecodeText) {
  return { ...readableNames(message, readable), size: message.size };
}

/** ` from alice@example.org`; '' when the sender is not known */
function fromSender(sender: string | null): string {
  return sender === null ? '' : ` from ${sender}`;
}

/** `, 4711 bytes, <id@example.org>` */
function sizeAndId({ messageId, size }: Pick<MessageFacts, 'messageId' | 'size'>): string {
  return `${size === null ? '' : `, ${size} bytes`}${messageId === null ? '' : `, ${messageId}`}`;
}

/** Where the text is not needed, the line need not be made. */
export function outcomeLevel({ outcome, status }: Pick<OutcomeRecord, 'outcome' | 'status'>): Level {
  // Waiting does not help: an administrator has to look.
  return outcome.kind === 'failed' && outcome.stage === 'payload' ? 'warn' : OUTCOMES[status].level;
}

/** One line per outcome: job, sender, recipient, destination host and address, duration, size, Message-ID, code and text. */
export function outcomeEvent(
  record: OutcomeRecord,
  readable: DecodeText,
  { sender, messageId, text } = outcomeText(record, readable),
): LogEvent {
  const { outcome } = record;
  const { event } = OUTCOMES[record.status];
  const level = outcomeLevel(record);
  const { size } = record.message;
  const recipient = readable(record.recipient);
  const via = outcome.peer === null ? '' : ` via ${describePeer(outcome.peer)}`;
  const tls =
    record.tls === null ? '' : ` ${record.tls.protocol} verified by ${VERIFIERS[record.tls.verified]}`;
  const code = outcome.code === null ? '' : `${outcome.code} `;
  const maybe = outcome.kind === 'failed' && outcome.maybeDelivered;
  const doubt = maybe ? ' (the message may have been delivered)' : '';
  // Without spreads: there is one for each recipient.
  const line: LogEvent = {
    level,
    event,
    message: `${event}: job ${record.control}${fromSender(sender)} to ${recipient}${via}${tls}, ${duration(record.milliseconds)}${sizeAndId({ size, messageId })}: ${code}${text}${doubt}`,
    fields: {
      job: record.control,
      mail: record.msgid,
      sender,
      messageId,
      size,
      recipient,
      status: record.status,
      destination: record.destination,
      host: outcome.peer?.host ?? null,
      address: outcome.peer?.address ?? null,
      port: outcome.peer?.port ?? null,
      tls: record.tls?.protocol ?? null,
      cipher: record.tls?.cipher ?? null,
      verified: record.tls?.verified ?? null,
      milliseconds: Math.round(record.milliseconds),
      stage: outcome.kind === 'failed' ? outcome.stage : null,
      code: outcome.code,
      enhanced: outcome.enhanced,
      maybeDelivered: maybe,
      text,
    },
  };
  if (level === OUTCOMES[record.status].level) return line;
  return { ...line, recurs: `${event}: job ${record.control} to ${recipient}: ${text}` };
}

export function quarantineEvent(control: number, reason: string, path?: string): LogEvent {
  const next =
    path === undefined
      ? 'Its message is not delivered until the list is corrected'
      : `The list is now ${path}, and its message is not delivered: correct the list and put it back under an unused number`;
  const message = `quarantined: control message ${control}: ${reason}. ${next}`;
  return {
    level: 'error',
    event: 'set-aside',
    message,
    // Moved away, it does not come again.
    ...(path === undefined ? { recurs: message } : {}),
    fields: { job: control, reason, path: path ?? null },
  };
}

/** Addresses in one line. */
const MOST_LISTED = 100;

/** A message may have a hundred thousand recipients; the history has them all. */
function listed(addresses: readonly ByteString[], readable: DecodeText): string {
  const shown = addresses.slice(0, MOST_LISTED).map(readable).join(', ');
  const more = addresses.length - MOST_LISTED;
  return more > 0 ? `${shown} and ${more} more` : shown;
}

/** A report was handed over, or is kept for the postmaster. */
export function dsnEvent(
  { control, msgid, message, to, how, where, why, notices }: SentDsn,
  readable: DecodeText,
): LogEvent {
  const facts = factsOf(message, readable);
  const address = readable(to);
  const recipients = listed(
    notices.map(({ recipient }) => recipient),
    readable,
  );
  const kinds = [...new Set(notices.map(({ kind }) => kind))].join(', ');
  const reason = why === null ? null : readable(why);
  const ended =
    how === 'safe'
      ? `report sent to ${address} through ${where}`
      : `the report for ${address} was not delivered, because ${reason}. It is kept in ${where}: pass it on, then delete it`;
  return {
    level: how === 'safe' ? 'info' : 'warn',
    event: 'reported',
    message: `reported: job ${control}${fromSender(facts.sender)}, ${kinds} ${recipients}${sizeAndId(facts)}: ${ended}`,
    fields: {
      ...{ job: control, mail: msgid, ...facts, to: address, how, where, kinds, recipients },
      ...(reason === null ? {} : { reason }),
    },
  };
}

export function suppressedEvent(
  { control, msgid, message, recipients: addresses, reason }: SuppressedDsn,
  readable: DecodeText,
): LogEvent {
  const facts = factsOf(message, readable);
  const recipients = listed(addresses, readable);
  return {
    level: 'info',
    event: 'not-reported',
    message: `not reported: job ${control}${fromSender(facts.sender)}, ${recipients}${sizeAndId(facts)}: no report to the sender because ${reason}`,
    fields: { job: control, mail: msgid, ...facts, recipients, reason },
  };
}

/** A line of an SMTP dialogue, or the end of a session. */
/** `session`: its number in this process, which tells apart sessions with the same host. */
export function dialogueEvent(
  session: number,
  peer: Peer,
  { from, text }: DialogueLine,
  readable: DecodeText,
): LogEvent {
  const shown = readable(text);
  const arrow = { us: '>', server: '<', neither: '-' }[from];
  return {
    level: 'debug',
    event: 'dialogue',
    message: `#${session} ${describePeer(peer)} ${arrow} ${shown}`,
    fields: { session, host: peer.host, address: peer.address, port: peer.port, from, text: shown },
  };
}

/** STARTTLS failed where mail may go without it. */
export function plaintextEvent({ peer, text }: Failure, readable: DecodeText): LogEvent {
  const reason = readable(joinedLines(text));
  return {
    level: 'info',
    event: 'in-clear',
    message: `in clear: mail${peer === null ? '' : ` to ${describePeer(peer)}`} goes without TLS for now, because STARTTLS failed: ${reason}`,
    fields: {
      host: peer?.host ?? null,
      address: peer?.address ?? null,
      port: peer?.port ?? null,
      text: reason,
    },
  };
}

/** A message that the intake acknowledged: it is durable. */
export function queuedEvent(message: QueuedMessage, readable: DecodeText): LogEvent {
  const { control, payload, transactions } = message;
  const { sender, messageId, size } = factsOf(message, readable);
  const recipients = listed(message.recipients, readable);
  const parts = transactions === 1 ? '' : ` in ${transactions} transactions`;
  return {
    level: 'info',
    event: 'queued',
    message: `queued: job ${control}, message ${payload}${fromSender(sender)} to ${recipients}${sizeAndId({ messageId, size })}${parts}`,
    fields: {
      ...{ job: control, mail: payload, sender, messageId, size },
      ...{ recipients, transactions },
    },
  };
}

/** A message that the intake refused. */
export function rejectedEvent(rejected: RejectedMessage, readable: DecodeText): LogEvent {
  const { code } = rejected;
  const [who, why] = [escapeControl(rejected.client), escapeControl(rejected.text)];
  const facts = factsOf(rejected, readable);
  const recipients = listed(rejected.recipients, readable);
  const consequence =
    code < 500 ? 'the client keeps it and tries again' : 'the client reports it to the sender';
  return {
    level: 'warn',
    event: 'not-taken',
    message: `rejected: a message by ${who}${fromSender(facts.sender)} to ${recipients}${sizeAndId(facts)}: ${code} ${why}; ${consequence}`,
    fields: { client: who, ...facts, recipients, code, reason: why },
  };
}
