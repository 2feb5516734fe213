/**
 * The machine-readable part of a report (RFC 3464 section 2; RFC 6533 where an address is not ASCII). All mandatory fields
 * are always written; an optional field is left out when its value is unknown.
 */
import { rfc5322Date } from '../message/dates.ts';
import { headerLine, oneLine } from '../message/header-text.ts';
import type { ByteString } from '../platform/bytes.ts';
import { recipientAddress } from '../routing/address.ts';
import type { Dsn, Stamp } from './dsn.ts';
import type { Notice, NoticeKind } from './notice.ts';

const ACTIONS: { readonly [kind in NoticeKind]: 'failed' | 'delayed' | 'relayed' } = {
  failed: 'failed',
  'gave-up': 'failed',
  delayed: 'delayed',
  relayed: 'relayed',
};

/** One group of fields for the message, then one for each recipient, separated by empty lines. */
export function statusFields(report: Dsn, stamp: Stamp): ByteString {
  const groups = [
    messageFields(report, stamp),
    ...report.notices.map((each) => recipientFields(each, report)),
  ];
  return groups.map(lines).join('\r\n');
}

type Fields = readonly (readonly [name: string, value: ByteString | null])[];

function messageFields({ job, submitted, envid }: Dsn, stamp: Stamp): Fields {
  return [
    ['Original-Envelope-Id', envid === null ? null : ascii(envid)],
    ['Reporting-MTA', `dns; ${stamp.fqdn}`],
    ['X-Spoolroom-Job', String(job)],
    ['Arrival-Date', dateOf(submitted)],
  ];
}

function recipientFields(notice: Notice, { lastAttempt, willRetryUntil, originals }: Dsn): Fields {
  const { kind, enhanced, host, diagnostic } = notice;
  const original = originals.get(notice.recipient);
  return [
    ['Original-Recipient', original === undefined ? null : ascii(original)],
    ['Final-Recipient', finalRecipient(notice.recipient)],
    ['Action', ACTIONS[kind]],
    ['Status', enhanced],
    ['Remote-MTA', host === null ? null : `dns; ${host}`],
    ['Diagnostic-Code', `${diagnostic.type}; ${ascii(diagnostic.text)}`],
    ['Last-Attempt-Date', dateOf(lastAttempt)],
    ['Will-Retry-Until', kind === 'delayed' ? dateOf(willRetryUntil) : null],
  ];
}

/** An entry that is not an address is given as it was written, so that its author recognizes it. */
function finalRecipient(entry: ByteString): ByteString {
  const address = recipientAddress(entry);
  if (address.kind === 'unusable') return `rfc822; ${ascii(oneLine(entry))}`;
  return `${address.smtputf8 ? 'utf-8' : 'rfc822'}; ${address.command}`;
}

/** Whether a recipient's address can only be written in UTF-8. */
export function needsUtf8({ recipient }: Notice): boolean {
  const address = recipientAddress(recipient);
  return address.kind === 'address' && address.smtputf8;
}

function dateOf(seconds: number | null): string | null {
  return seconds === null ? null : rfc5322Date(seconds, 0);
}

function lines(fields: Fields): ByteString {
  return fields.flatMap(([name, value]) => (value === null ? [] : headerLine(name, value))).join('');
}

/** These fields are ASCII. The part for people has the text unchanged. */
function ascii(text: ByteString): ByteString {
  return text.replace(/[^\x20-\x7e]+/g, '?');
}
