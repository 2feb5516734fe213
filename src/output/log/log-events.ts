/**
 * Every line that is logged: its level, its sentence, its fields. Pure; log.ts writes them, techdoc/logs.md lists
 * them. A field never carries a credential.
 */
import type { SentDsn } from '../../dsn/sender.ts';
import type { QueuedMessage } from '../../intake/transaction-handler.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { OutcomeRecord } from '../../runner/active-message.ts';
import type { RunSummary } from '../../runner/queue-runner.ts';
import type { Failure, Peer } from '../../smtp/outcome.ts';
import { describePeer } from '../../smtp/status-text.ts';
import type { DialogueLine } from '../replay/dialogue.ts';
import type { DecodeText } from '../text.ts';
import { duration, escapeControl, plural } from '../text.ts';

export type Level = 'error' | 'warn' | 'info' | 'debug';

export interface LogEvent {
  readonly level: Level;
  /** names the kind of line, for machines */
  readonly event: string;
  readonly message: string;
  readonly fields: { readonly [name: string]: string | number | boolean | null };
}

const OUTCOMES = {
  2: { event: 'delivered', level: 'info' },
  4: { event: 'deferred', level: 'info' },
  5: { event: 'refused', level: 'warn' },
} as const;

/** One line per outcome: job, recipient, destination host and address, duration, code and text. */
export function outcomeEvent(record: OutcomeRecord, readable: DecodeText): LogEvent {
  const { outcome } = record;
  const { event, level: usual } = OUTCOMES[record.status];
  // It does not get better by waiting: somebody has to look.
  const level = outcome.kind === 'failed' && outcome.stage === 'payload' ? 'warn' : usual;
  const recipient = readable(record.recipient);
  const text = readable(outcome.text);
  const via = outcome.peer === null ? '' : ` via ${describePeer(outcome.peer)}`;
  const tls = record.tls === null ? '' : ` ${record.tls}`;
  const code = outcome.code === null ? '' : `${outcome.code} `;
  const maybe = outcome.kind === 'failed' && outcome.maybeDelivered;
  const doubt = maybe ? ' (the message may have arrived)' : '';
  return {
    level,
    event,
    message: `${event}: job ${record.control} to ${recipient}${via}${tls}, ${duration(record.milliseconds)}: ${code}${text}${doubt}`,
    fields: {
      job: record.control,
      mail: record.msgid,
      recipient,
      status: record.status,
      destination: record.destination,
      host: outcome.peer?.host ?? null,
      address: outcome.peer?.address ?? null,
      port: outcome.peer?.port ?? null,
      tls: record.tls,
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
      ? 'Its mail is not delivered before it is corrected'
      : `It lies in ${path}, and its mail is not delivered: correct it and put it back under a free number`;
  return {
    level: 'error',
    event: 'set-aside',
    message: `set aside: control message ${control}: ${reason}. ${next}`,
    fields: { job: control, reason, path: path ?? null },
  };
}

/** A report is safe with whoever brings it to the sender. */
export function dsnEvent(
  { control, msgid, to, how, where, notices }: SentDsn,
  readable: DecodeText,
): LogEvent {
  const reader = readable(to);
  const recipients = notices.map(({ recipient }) => readable(recipient)).join(', ');
  const kinds = [...new Set(notices.map(({ kind }) => kind))].join(', ');
  return {
    level: 'info',
    event: 'reported',
    message: `reported: job ${control}, ${kinds} ${recipients}: ${how === 'left' ? `left for ${reader} in` : `told ${reader} by`} ${where}`,
    fields: { job: control, mail: msgid, to: reader, how, where, kinds, recipients },
  };
}

export function suppressedEvent(
  control: number,
  addresses: readonly ByteString[],
  reason: string,
  readable: DecodeText,
): LogEvent {
  const recipients = addresses.map(readable).join(', ');
  return {
    level: 'info',
    event: 'not-reported',
    message: `not reported: job ${control}, ${recipients}: the sender is not told because ${reason}`,
    fields: { job: control, recipients, reason },
  };
}

/** A queue run in which something was due. Somebody who waited for it at a terminal wants to see it. */
export function summaryEvent(
  { jobs, due, delivered, deferred, failed, finished, milliseconds }: RunSummary,
  level: 'info' | 'debug' = 'debug',
): LogEvent {
  return {
    level,
    event: 'run',
    message:
      `queue run: ${due} of ${plural(jobs, 'job')} due, ${plural(delivered, 'recipient')} delivered, ${deferred} deferred, ` +
      `${failed} refused, ${plural(finished, 'mail')} done, ${duration(milliseconds)}`,
    fields: { jobs, due, delivered, deferred, failed, finished, milliseconds: Math.round(milliseconds) },
  };
}

/** Something said in a session, or its end; only followed when lines of the level debug are wanted. */
export function dialogueEvent(peer: Peer, { from, text }: DialogueLine, readable: DecodeText): LogEvent {
  const words = readable(text);
  const arrow = { us: '>', server: '<', neither: '-' }[from];
  return {
    level: 'debug',
    event: 'dialogue',
    message: `${describePeer(peer)} ${arrow} ${words}`,
    fields: { host: peer.host, address: peer.address, port: peer.port, from, text: words },
  };
}

export function warningEvent(text: string): LogEvent {
  return { level: 'warn', event: 'warning', message: text, fields: {} };
}

/** Another process delivers from there. */
export function busyEvent(text: string, runner: number | null): LogEvent {
  return { level: 'info', event: 'busy', message: text, fields: { runner } };
}

/** `watch` beside a run, or a second watcher. */
export function waitingEvent(spool: string, runner: number | null): LogEvent {
  const who = runner === null ? 'another process' : `process ${runner}`;
  const message = `waiting: ${who} is at work in ${spool}; this one begins when that has ended`;
  return { level: 'info', event: 'waiting', message, fields: { spool, runner } };
}

/** Told to stop; what that waits for. */
export function stoppingEvent(signal: string, milliseconds: number): LogEvent {
  return {
    level: 'info',
    event: 'stopping',
    message: `stopping (${signal}): nothing new is begun, what is on the wire has ${duration(milliseconds)} to come to its end; a second signal ends at once`,
    fields: { signal, milliseconds },
  };
}

/** STARTTLS failed where mail may go without it. */
export function plaintextEvent({ peer, text }: Failure, readable: DecodeText): LogEvent {
  const why = readable(text);
  return {
    level: 'info',
    event: 'in-clear',
    message: `in clear: mail goes${peer === null ? '' : ` to ${describePeer(peer)}`} without TLS for now, because STARTTLS did not work: ${why}`,
    fields: { host: peer?.host ?? null, address: peer?.address ?? null, port: peer?.port ?? null, text: why },
  };
}

export function startedEvent(spool: string, pid: number): LogEvent {
  return { level: 'info', event: 'started', message: `watching ${spool}`, fields: { spool, pid } };
}

export function stoppedEvent(signal: string): LogEvent {
  return {
    level: 'info',
    event: 'stopped',
    message: `stopped by ${signal}; every outcome is written`,
    fields: { signal },
  };
}

/** The intake takes mail at this address. */
export function listeningEvent(address: string, spool: string): LogEvent {
  return {
    level: 'info',
    event: 'listening',
    message: `listening at ${address} for ${spool}`,
    fields: { address, spool },
  };
}

/** A mail the intake acknowledged: it is durable when this is told. */
export function queuedEvent(mail: QueuedMessage, readable: DecodeText): LogEvent {
  const { control, payload, size, transactions } = mail;
  const sender = mail.sender === '' ? '<>' : readable(mail.sender);
  const recipients = mail.recipients.map(readable).join(', ');
  const brought = transactions === 1 ? '' : ` in ${transactions} transactions`;
  return {
    level: 'info',
    event: 'queued',
    message: `queued: job ${control}, mail ${payload} from ${sender} to ${recipients}, ${size} bytes${brought}`,
    fields: { job: control, mail: payload, sender, recipients, size, transactions },
  };
}

/** A mail the intake did not take. */
export function rejectedEvent(code: number, reason: string, client: string): LogEvent {
  const [who, why] = [escapeControl(client), escapeControl(reason)];
  const stays = code < 500 ? 'it stays there for another try' : 'its sender is told there';
  return {
    level: 'warn',
    event: 'not-taken',
    message: `not taken: a mail of ${who}: ${code} ${why}; ${stays}`,
    fields: { client: who, code, reason: why },
  };
}

export function closedEvent(signal: string): LogEvent {
  return {
    level: 'info',
    event: 'closed',
    message: `intake closed by ${signal}; every mail it acknowledged is in the spool`,
    fields: { signal },
  };
}
