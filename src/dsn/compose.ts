/**
 * A delivery status notification as a message: multipart/report (RFC 3464, RFC 6533 where an address needs UTF-8) with a
 * text for people, fields for machines, and the original message or its header; or the text alone. Deterministic: the date, the Message-ID
 * and the boundary come from the arguments. nodemailer's composer writes the MIME structure and is loaded when the first
 * report is due.
 */
import type MimeNode from 'nodemailer/lib/mime-node';
import { type Charset, decodeUnlabelled, hasEightBit, isUtf8 } from '../message/charset.ts';
import { rfc5322Date } from '../message/dates.ts';
import { oneLine } from '../message/header-text.ts';
import type { MessageSummary } from '../message/summary.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Dsn, Original, Stamp } from './dsn.ts';
import type { NoticeKind } from './notice.ts';
import { needsUtf8, statusFields } from './status-fields.ts';
import { humanText } from './text.ts';

const AUTHOR = 'Citadel mail delivery';
const AUTO_SUBMITTED = 'auto-replied';
const HUMAN_TYPE = 'text/plain; charset=utf-8';

/** What a mail program without MIME shows. */
const PREAMBLE = 'This is a delivery report in MIME format.\r\n\r\n';

/** One part of the report, not encoded yet; line ends are CRLF. */
interface Part {
  readonly type: string;
  readonly description: string;
  readonly content: ByteString;
}

/** The bytes of the message. */
export async function composeDsn(report: Dsn, stamp: Stamp): Promise<Buffer> {
  const { default: Composer } = await import('nodemailer/lib/mime-node');
  const header = headerOf(report, stamp);
  if (report.plain)
    return new Composer(HUMAN_TYPE, { textEncoding: 'Q' })
      .setHeader(header)
      .setContent(humanPart(report, stamp))
      .build();
  const boundary = `=_spoolroom_${stamp.unique}`;
  const root = new Composer(`multipart/report; report-type=delivery-status; boundary="${boundary}"`)
    .setHeader(header)
    .setContent(PREAMBLE);
  for (const part of partsOf(report, stamp)) addPart(root, part);
  return root.build();
}

/** Whether a message is a report by this program: it has a Message-ID of ours. */
export function isReport({ messageId, autoSubmitted }: MessageSummary): boolean {
  return autoSubmitted === AUTO_SUBMITTED && /^<report\.[A-Za-z0-9-]+@[^@<>]+>$/.test(messageId ?? '');
}

function headerOf(
  { notices, to, original }: Dsn,
  { fqdn, author, now, unique }: Stamp,
): { readonly key: string; readonly value: string | { name: string; address: string } }[] {
  const all = (kind: NoticeKind): boolean => notices.every((notice) => notice.kind === kind);
  const subject = all('delayed') ? 'Delay' : all('relayed') ? 'Relayed' : 'Failure';
  const reference = /^<[!-;=?-~]{1,900}>$/.exec(original?.messageId ?? '')?.[0];
  return [
    { key: 'Date', value: rfc5322Date(now, 0) ?? '' },
    { key: 'From', value: { name: AUTHOR, address: utf8Text(author) } },
    { key: 'To', value: { name: '', address: utf8Text(to) } },
    { key: 'Subject', value: `Delivery Status Notification (${subject})` },
    { key: 'Message-ID', value: `<report.${unique}@${fqdn}>` },
    ...(reference === undefined
      ? []
      : ['In-Reply-To', 'References'].map((key) => ({ key, value: reference }))),
    { key: 'Auto-Submitted', value: AUTO_SUBMITTED },
  ];
}

function partsOf(report: Dsn, stamp: Stamp): readonly Part[] {
  const { notices, original } = report;
  const human = humanPart(report, stamp).toString('latin1');
  const status = notices.some(needsUtf8) ? 'message/global-delivery-status' : 'message/delivery-status';
  return [
    { type: HUMAN_TYPE, description: 'Notification', content: human },
    { type: status, description: 'Delivery report', content: statusFields(report, stamp) },
    ...(original === null ? [] : [originalPart(original)]),
  ];
}

/** UTF-8. */
function humanPart({ notices, sourceRoom, willRetryUntil }: Dsn, { legacy }: Stamp): Buffer {
  const readable = (bytes: ByteString): string => readableText(bytes, legacy);
  const recipients = notices.map(({ kind, recipient, text }) => ({
    kind,
    recipient: readable(recipient),
    text: readable(text),
  }));
  const room = sourceRoom === null ? null : readable(sourceRoom);
  return Buffer.from(humanText(recipients, room, willRetryUntil), 'utf8');
}

/** A header in UTF-8 makes a message "global" (RFC 6532). */
function originalPart({ text, ret }: Original): Part {
  const end = text.indexOf('\r\n\r\n');
  const header = end < 0 ? text : text.slice(0, end + 2);
  const global = hasEightBit(header) && isUtf8(header);
  return ret === 'full'
    ? {
        type: global ? 'message/global' : 'message/rfc822',
        description: 'Undelivered message',
        content: text,
      }
    : {
        type: global ? 'message/global-headers' : 'text/rfc822-headers',
        description: 'Header of the undelivered message',
        content: text,
      };
}

/**
 * The composer encodes `text/*` parts where they need it and leaves `message/*` parts to us. A whole message may not be
 * encoded (RFC 2046 5.2.1); every other part leaves as 7-bit text, so that a server without 8BITMIME takes it.
 */
function addPart(root: MimeNode, { type, description, content }: Part): void {
  const eightBit = hasEightBit(content);
  const node = root
    .createChild(type, { textEncoding: 'Q' })
    .setHeader('Content-Description', description)
    .setContent(eightBit ? Buffer.from(content, 'latin1') : content);
  if (!type.startsWith('message/')) return;
  const encoded = /^message\/(?:rfc822|global)$/.test(type) ? '8bit' : 'quoted-printable';
  node.setHeader('Content-Transfer-Encoding', eightBit ? encoded : '7bit');
}

function utf8Text(bytes: ByteString): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** Decoded; control and direction characters, which terminals and mail programs act on, become `?`. */
function readableText(bytes: ByteString, legacy: Charset): string {
  return decodeUnlabelled(oneLine(bytes), legacy).text.replace(
    /[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    '?',
  );
}
