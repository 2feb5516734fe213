/**
 * The part of a report that programs read (RFC 3464 section 2; RFC 6533 where an address is not ASCII). Called by
 * compose.ts. Fields that need something nobody knows are left out; all mandatory ones are always there.
 */
import { rfc5322Date } from '../message/dates.ts';
import { headerLine, oneLine } from '../message/header-text.ts';
import type { ByteString } from '../platform/bytes.ts';
import { recipientAddress } from '../routing/address.ts';
import type { Notice, NoticeKind } from './notice.ts';
import type { Dsn, Stamp } from './report.ts';

const ACTIONS: { readonly [kind in NoticeKind]: 'failed' | 'delayed' } = {
  failed: 'failed',
  'gave-up': 'failed',
  delayed: 'delayed',
};

/** A group about the message, then one for each recipient; empty lines between them. */
export function statusFields(report: Dsn, stamp: Stamp): ByteString {
  const groups = [
    messageFields(report, stamp),
    ...report.notices.map((each) => recipientFields(each, report)),
  ];
  return groups.map(lines).join('\r\n');
}

type Fields = readonly (readonly [name: string, value: ByteString | null])[];

function messageFields({ job, submitted }: Dsn, stamp: Stamp): Fields {
  return [
    ['Reporting-MTA', `dns; ${stamp.fqdn}`],
    ['X-Spoolroom-Job', String(job)],
    ['Arrival-Date', dateOf(submitted)],
  ];
}

function recipientFields(notice: Notice, { lastTry, triedUntil }: Dsn): Fields {
  const { kind, enhanced, host, diagnostic } = notice;
  return [
    ['Final-Recipient', finalRecipient(notice.recipient)],
    ['Action', ACTIONS[kind]],
    ['Status', enhanced],
    ['Remote-MTA', host === null ? null : `dns; ${host}`],
    ['Diagnostic-Code', `${diagnostic.type}; ${ascii(diagnostic.text)}`],
    ['Last-Attempt-Date', dateOf(lastTry)],
    ['Will-Retry-Until', kind === 'delayed' ? dateOf(triedUntil) : null],
  ];
}

/** An entry that is no address stands there as it was written, so that its author knows it again. */
function finalRecipient(entry: ByteString): ByteString {
  const address = recipientAddress(entry);
  if (address.kind === 'unusable') return `rfc822; ${ascii(oneLine(entry))}`;
  return `${address.smtputf8 ? 'utf-8' : 'rfc822'}; ${address.command}`;
}

/** Whether a recipient's address can only be said in UTF-8. */
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

/** The words stand in the part for people as they are; here they may only be ASCII. */
function ascii(text: ByteString): ByteString {
  return text.replace(/[^\x20-\x7e]+/g, '?');
}
