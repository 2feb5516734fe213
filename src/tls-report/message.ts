/** A report as a message (RFC 8460 5.3): a sentence for people and the report in gzip. Deterministic but for gzip's own header. */
import { gzipSync } from 'node:zlib';
import { rfc5322Date } from '../message/dates.ts';
import { type PolicyTally, type Reporter, tlsReport } from './tally.ts';

/** RFC 2045 6.8. */
const LINE = /.{1,76}/g;

export function gzippedReport(
  day: string,
  domain: string,
  policies: readonly PolicyTally[],
  reporter: Reporter,
): Buffer {
  return gzipSync(JSON.stringify(tlsReport(day, domain, policies, reporter)));
}

export interface ReportMail {
  readonly day: string;
  readonly domain: string;
  readonly report: Buffer;
  readonly to: string;
  readonly reporter: Reporter;
  /** Unix seconds */
  readonly now: number;
}

export function reportMail({ day, domain, report, to, reporter, now }: ReportMail): Buffer {
  const { hostname, contact } = reporter;
  const id = `${day}.${domain}@${hostname}`;
  const begin = Date.parse(`${day}T00:00:00Z`) / 1000;
  const file = `${hostname}!${domain}!${begin}!${begin + 86_399}.json.gz`;
  const boundary = `=_spoolroom_tlsrpt_${begin}`;
  const lines = [
    `From: ${contact}`,
    `To: ${to}`,
    `Date: ${rfc5322Date(now, 0) ?? ''}`,
    `Subject: Report Domain: ${domain}`,
    ` Submitter: ${hostname}`,
    ` Report-ID: <${id}>`,
    `Message-ID: <tlsrpt.${now}.${id}>`,
    `TLS-Report-Domain: ${domain}`,
    `TLS-Report-Submitter: ${hostname}`,
    // A domain must hear of its broken TLS (RFC 8689).
    'TLS-Required: No',
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type="tlsrpt";\r\n boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=us-ascii',
    '',
    `This is a report about TLS in mail from ${hostname} to ${domain} on ${day} (UTC).`,
    `Questions: ${contact}`,
    '',
    `--${boundary}`,
    'Content-Type: application/tlsrpt+gzip',
    'Content-Transfer-Encoding: base64',
    `Content-Disposition: attachment;\r\n filename="${file}"`,
    '',
    ...(report.toString('base64').match(LINE) ?? []),
    `--${boundary}--`,
    '',
  ];
  return Buffer.from(lines.join('\r\n'), 'latin1');
}
