/**
 * A report as a message (RFC 3464 multipart/report, RFC 6533 where addresses need it): header, words for people, fields
 * for machines, the original. Called by the reporter, which brings the time and the unique part of ids with it; the
 * same arguments give the same bytes.
 */
import { type Charset, decodeUnlabelled, hasEightBit, isUtf8 } from '../message/charset.ts';
import { rfc5322Date } from '../message/dates.ts';
import { encodeDisplayName, headerLine, oneLine } from '../message/header-text.ts';
import type { ByteString } from '../platform/bytes.ts';
import { messagePart, multipart, type Part, textPart } from './mime-parts.ts';
import type { Dsn, Original, Stamp } from './report.ts';
import { needsUtf8, statusFields } from './status-fields.ts';
import { humanText } from './text.ts';

const AUTHOR = 'Citadel mail delivery';

export function composeDsn(report: Dsn, stamp: Stamp): Buffer {
  const boundary = `=_spoolroom_${stamp.unique}`;
  const header = headerOf(report, stamp, boundary).map(([name, value]) => headerLine(name, value));
  const preface = 'This is a report on the delivery of a mail, in MIME format.';
  const body = multipart(partsOf(report, stamp), boundary);
  return Buffer.from(`${header.join('')}\r\n${preface}\r\n\r\n${body}`, 'latin1');
}

function headerOf(
  { notices, to, original }: Dsn,
  { fqdn, author, now, unique, legacy }: Stamp,
  boundary: string,
): readonly (readonly [string, ByteString])[] {
  const about = notices.every(({ kind }) => kind === 'delayed') ? 'Delay' : 'Failure';
  const reference = /^<[!-;=?-~]+>$/.exec(original?.messageId ?? '')?.[0];
  return [
    ['Date', rfc5322Date(now, 0) ?? ''],
    ['From', `${encodeDisplayName(AUTHOR, legacy)} <${author}>`],
    ['To', `<${to}>`],
    ['Subject', `Delivery Status Notification (${about})`],
    ['Message-ID', `<report.${unique}@${fqdn}>`],
    ...(reference === undefined
      ? []
      : ([
          ['In-Reply-To', reference],
          ['References', reference],
        ] as const)),
    ['Auto-Submitted', 'auto-replied'],
    ['MIME-Version', '1.0'],
    ['Content-Type', `multipart/report; report-type=delivery-status;\r\n boundary="${boundary}"`],
  ];
}

function partsOf(report: Dsn, stamp: Stamp): readonly Part[] {
  const { notices, sourceRoom, triedUntil, original } = report;
  const readable = (bytes: ByteString): string => readableText(bytes, stamp.legacy);
  const accounts = notices.map(({ kind, recipient, words }) => ({
    ...{ kind, recipient: readable(recipient), words: readable(words) },
  }));
  const room = sourceRoom === null ? null : readable(sourceRoom);
  const human = Buffer.from(humanText(accounts, room, triedUntil), 'utf8').toString('latin1');
  const international = notices.some(needsUtf8);
  return [
    textPart('text/plain; charset=utf-8', 'Notification', human),
    textPart(
      international ? 'message/global-delivery-status' : 'message/delivery-status',
      'Delivery report',
      statusFields(report, stamp),
    ),
    ...(original === null ? [] : [originalPart(original)]),
  ];
}

/** A header in UTF-8 makes a message "global" (RFC 6532). */
function originalPart({ text, whole }: Original): Part {
  const end = text.indexOf('\r\n\r\n');
  const header = end < 0 ? text : text.slice(0, end + 2);
  const global = hasEightBit(header) && isUtf8(header);
  return whole
    ? messagePart(global ? 'message/global' : 'message/rfc822', 'Undelivered mail', text)
    : textPart(
        global ? 'message/global-headers' : 'text/rfc822-headers',
        'Header of the undelivered mail',
        text,
      );
}

/** Decoded, and without anything a terminal or a mail reader would obey. */
function readableText(bytes: ByteString, legacy: Charset): string {
  return decodeUnlabelled(oneLine(bytes), legacy).text.replace(
    /[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    '?',
  );
}
