/**
 * Every log line: its level, its sentence, its fields. Pure. techdoc/logs.md lists them. No field holds a credential.
 */

import type { SilentHosts } from '../../delivery/rules.ts';
import { VERIFIERS } from '../../delivery/tls-use.ts';
import type { SentDsn, SuppressedDsn } from '../../dsn/sender.ts';
import type { LoginFailure } from '../../intake/connection.ts';
import type { QueuedMessage, RejectedMessage } from '../../intake/transaction-handler.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { MessageFacts } from '../../queue/message-facts.ts';
import type { OutcomeRecord } from '../../runner/active-message.ts';
import type { RunSummary } from '../../runner/run-count.ts';
import type { Failure, Peer } from '../../smtp/outcome.ts';
import { describePeer, joinedLines } from '../../smtp/status-text.ts';
import type { DialogueLine } from '../replay/dialogue.ts';
import type { DecodeText } from '../text.ts';
import { duration, escapeControl, plural } from '../text.ts';

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

/** Characters shown of a user that failed to log in. */
const LONGEST_USER = 100;

const OUTCOMES = {
  2: { event: 'delivered', level: 'info' },
  4: { event: 'deferred', level: 'info' },
  5: { event: 'refused', level: 'warn' },
} as const;

/** What every line about a message says of it. Sizes are bytes. */
function factsOf({ sender, messageId, size }: Omit<MessageFacts, 'submitted'>, readable: DecodeText) {
  return {
    sender: sender === null ? null : readable(sender) || '<>',
    messageId: messageId === null ? null : readable(messageId),
    size,
  };
}

/** ` from alice@example.org`; '' when the sender is not known */
function fromSender(sender: string | null): string {
  return sender === null ? '' : ` from ${sender}`;
}

/** `, 4711 bytes, <id@example.org>` */
function sizeAndId({ messageId, size }: ReturnType<typeof factsOf>): string {
  return `${size === null ? '' : `, ${size} bytes`}${messageId === null ? '' : `, ${messageId}`}`;
}

/** Where the text is not needed, the line need not be made. */
export function outcomeLevel({ outcome, status }: Pick<OutcomeRecord, 'outcome' | 'status'>): Level {
  // Waiting does not help: an administrator has to look.
  return outcome.kind === 'failed' && outcome.stage === 'payload' ? 'warn' : OUTCOMES[status].level;
}

/** One line per outcome: job, sender, recipient, destination host and address, duration, size, Message-ID, code and text. */
export function outcomeEvent(record: OutcomeRecord, readable: DecodeText): LogEvent {
  const { outcome } = record;
  const { event } = OUTCOMES[record.status];
  const level = outcomeLevel(record);
  const facts = factsOf(record.message, readable);
  const recipient = readable(record.recipient);
  const text = readable(joinedLines(outcome.text));
  const via = outcome.peer === null ? '' : ` via ${describePeer(outcome.peer)}`;
  const tls =
    record.tls === null ? '' : ` ${record.tls.protocol} verified by ${VERIFIERS[record.tls.verified]}`;
  const code = outcome.code === null ? '' : `${outcome.code} `;
  const maybe = outcome.kind === 'failed' && outcome.maybeDelivered;
  const doubt = maybe ? ' (the message may have been delivered)' : '';
  return {
    level,
    event,
    ...(level === OUTCOMES[record.status].level
      ? {}
      : { recurs: `${event}: job ${record.control} to ${recipient}: ${text}` }),
    message: `${event}: job ${record.control}${fromSender(facts.sender)} to ${recipient}${via}${tls}, ${duration(record.milliseconds)}${sizeAndId(facts)}: ${code}${text}${doubt}`,
    fields: {
      job: record.control,
      mail: record.msgid,
      ...facts,
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

/** The end of a queue run in which jobs were due; `info` for a run at a terminal. */
export function summaryEvent(
  { milliseconds, silent, waited, ...counts }: RunSummary,
  level: 'info' | 'debug' = 'debug',
): LogEvent {
  const { jobs, due, delivered, deferred, failed, finished } = counts;
  const held =
    silent === 0
      ? ''
      : `; ${plural(silent, 'session')} with silent hosts closed, others had waited up to ${duration(waited)} for one`;
  return {
    level,
    event: 'run',
    message:
      `queue run: ${due} of ${plural(jobs, 'job')} due, ${plural(delivered, 'recipient')} delivered, ${deferred} deferred, ` +
      `${failed} refused, ${plural(finished, 'message')} finished, ${duration(milliseconds)}${held}`,
    fields: { ...counts, silent, waited, milliseconds: Math.round(milliseconds) },
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

/** Hosts that accept connections and say nothing held up the mail of others. */
export function silentEvent({ cut, slow, sessions, silence, waiting, waited }: SilentHosts): LogEvent {
  const span = duration(silence);
  const closed = `${cut} of ${plural(sessions, 'session')} were closed: their hosts did not answer within ${span}`;
  const waits = `${slow} of ${plural(sessions, 'session')} wait for more than ${span} for the answer to a whole message`;
  const message =
    `${[...(cut > 0 ? [closed] : []), ...(slow > 0 ? [waits] : [])].join(', and ')}, and ` +
    `messages for ${plural(waiting, 'other destination')} were waiting, the first for ${duration(waited)}.` +
    (cut > 0 ? ' Their messages go to the next host, or are tried again later.' : '') +
    (slow > 0 ? ' A message that may have been taken is waited for: timeout.dot says how long.' : '');
  const fields = { cut, slow, sessions, silence, waiting, waited: Math.round(waited) };
  return { level: 'warn', event: 'silent', message, recurs: 'silent hosts', fields };
}

export function warningEvent(text: string): LogEvent {
  return { level: 'warn', event: 'warning', message: text, recurs: text, fields: {} };
}

/** A problem of which the caller knows that it was not told before. */
export function alertEvent(text: string): LogEvent {
  return { level: 'warn', event: 'warning', message: text, fields: {} };
}

/** Another process holds the queue. */
export function busyEvent(text: string, runner: number | null): LogEvent {
  return { level: 'info', event: 'busy', message: text, fields: { runner } };
}

/** `watch` waits until another process has ended. */
export function waitingEvent(spool: string, runner: number | null): LogEvent {
  const who = runner === null ? 'another process' : `process ${runner}`;
  const message = `waiting: ${who} holds ${spool}; this one starts when that has ended`;
  return { level: 'info', event: 'waiting', message, fields: { spool, runner } };
}

/** A signal to stop, and what still has to finish. */
export function stoppingEvent(signal: string, milliseconds: number): LogEvent {
  return {
    level: 'info',
    event: 'stopping',
    message: `stopping (${signal}): no new deliveries are started, those in progress have ${duration(milliseconds)} to finish; a second signal stops at once`,
    fields: { signal, milliseconds },
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

export function startedEvent(spool: string, pid: number): LogEvent {
  return { level: 'info', event: 'started', message: `watching ${spool}`, fields: { spool, pid } };
}

/** SIGHUP: the log was opened anew, and the settings were read again. */
export function reloadedEvent(changed: boolean): LogEvent {
  const settings = changed
    ? 'the settings have changed, and the work begins anew with them'
    : 'the settings are the same';
  return {
    level: 'info',
    event: 'reloaded',
    message: `reloaded: the log was opened anew; ${settings}`,
    fields: { changed },
  };
}

export function stoppedEvent(signal: string): LogEvent {
  return {
    level: 'info',
    event: 'stopped',
    message: `stopped by ${signal}; every outcome is recorded`,
    fields: { signal },
  };
}

/** The intake accepts mail on this address. */
export function listeningEvent(address: string, spool: string): LogEvent {
  return {
    level: 'info',
    event: 'listening',
    message: `listening on ${address} for ${spool}`,
    fields: { address, spool },
  };
}

/** The web view answers. `address`: as browsers write it. */
export function webListeningEvent(address: string, spool: string): LogEvent {
  return {
    level: 'info',
    event: 'web-listening',
    message: `web view of ${spool} on ${address}`,
    fields: { address, spool },
  };
}

/** Somebody came into the web view. */
export function webLoginEvent(user: string, address: string): LogEvent {
  const name = escapeControl(user);
  return {
    level: 'info',
    event: 'web-login',
    message: `user ${name} logged in to the web view from ${loginFrom(address)}`,
    fields: { user: name, address },
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
    message: `queued: job ${control}, message ${payload}${fromSender(sender)} to ${recipients}${sizeAndId({ sender, messageId, size })}${parts}`,
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

const loginFrom = (address: string): string => (address === '' ? 'the unix socket' : address);

/** Somebody gave a wrong password to the intake. What a stranger wrote comes behind the address. */
export function loginFailedEvent({ user, address, failures, heard }: LoginFailure): LogEvent {
  const from = loginFrom(address);
  const name = escapeControl(user.slice(0, LONGEST_USER));
  const why = heard ? 'wrong user or password' : 'too many failures, the password was not checked';
  return {
    level: 'warn',
    event: 'login-failed',
    message: `login failed from ${from}: ${why} (${plural(failures, 'failure')}), user ${JSON.stringify(name)}`,
    fields: { address, user: name, failures, heard },
  };
}

/** More of these than are logged one by one. Null: from addresses that are not logged one by one. */
export function loginsFailedEvent(address: string | null, count: number): LogEvent {
  const message =
    address === null
      ? `logins failed from many other addresses: ${plural(count, 'failure')} within a minute`
      : `login failed from ${loginFrom(address)}: ${plural(count, 'more failure')} within a minute`;
  return { level: 'warn', event: 'logins-failed', message, fields: { address, count } };
}

export function closedEvent(signal: string): LogEvent {
  return {
    level: 'info',
    event: 'closed',
    message: `intake closed by ${signal}; every message it acknowledged is in the spool`,
    fields: { signal },
  };
}
