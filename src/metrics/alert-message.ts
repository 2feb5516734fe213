/** The message about an alert. Pure: the same arguments give the same bytes. */
import { rfc5322Date } from '../message/dates.ts';
import { formatTime } from '../platform/clock.ts';
import type { AlertChange } from '../runner/alerts.ts';

/** RFC 2045 6.8. */
const LINE = /.{1,76}/g;

export interface MailStamp {
  readonly from: string;
  readonly to: string;
  readonly hostname: string;
  /** for people: the path of the directory */
  readonly home: string;
  /** Unix seconds */
  readonly now: number;
  /** letters, digits and `-` */
  readonly unique: string;
}

/** One line for people. */
export function headline({ has, key }: Pick<AlertChange, 'has' | 'key'>): string {
  return has === 'begun' ? key : `ended: ${key}`;
}

/** What the command reads and the message says: full sentences, one to a line. */
export function alertText({ has, text, since }: AlertChange, now: number): string {
  if (has === 'begun') return `${text}\n`;
  return `This has ended, ${formatTime(now)}. It was so since ${formatTime(since)}:\n${text}\n`;
}

export function alertMail(change: AlertChange, { from, to, hostname, home, now, unique }: MailStamp): Buffer {
  const subject = `spoolroom on ${hostname}: ${headline(change)}`.replace(/[^\x20-\x7e]/g, '?');
  const body = Buffer.from(`${alertText(change, now)}\n${home} on ${hostname}\n`).toString('base64');
  const lines = [
    `From: ${from}`,
    `To: ${to}`,
    `Date: ${rfc5322Date(now, 0) ?? ''}`,
    `Subject: ${subject}`,
    `Message-ID: <alert.${unique}@${hostname}>`,
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: base64',
    '',
    ...(body.match(LINE) ?? []),
    '',
  ];
  return Buffer.from(lines.join('\r\n'), 'latin1');
}
