/**
 * Sends the reports of yesterday to the domains that ask for them (RFC 8460 5): by mail, which goes into the queue like any other
 * message, or by HTTPS. Loaded on the days and at the sites on which reports are sent.
 */
import { request } from 'node:https';
import type { Clock } from '../platform/clock.ts';
import type { LookupResult } from '../platform/dns.ts';
import { describeError } from '../platform/system-errors.ts';
import type { Queue } from '../queue/queue.ts';
import type { TlsReportFiles } from './files.ts';
import { gzippedReport, reportMail } from './message.ts';
import { mailtoAddress, type PolicyTally, type Reporter, reportAddresses } from './tally.ts';

export interface SendDeps {
  readonly files: TlsReportFiles;
  readonly queue: Pick<Queue, 'enqueue'>;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** mail without a DKIM signature is not taken for a report (RFC 8460 3) */
  readonly signs: boolean;
  txt(name: string): Promise<LookupResult<string>>;
  /** resolves to why it failed, null: it did not */
  post(url: string, report: Buffer): Promise<string | null>;
  /** a full sentence for people */
  readonly warn: (text: string) => void;
}

/** Milliseconds after midnight (UTC) within which reporters spread their reports (RFC 8460 4.1). */
const SPREAD = 4 * 3_600_000;

/** Lookups at once. */
const AT_ONCE = 20;

/** Days that are not made up for any more. */
const OLDEST = 2 * 86_400_000;

/** The days whose reports are to be sent now. */
export function dueDays({ files, clock, reporter }: Pick<SendDeps, 'files' | 'clock' | 'reporter'>) {
  const now = clock.now();
  const ready = dayOf(now - offset(reporter.hostname));
  return files.days().filter((day) => day < ready && day >= dayOf(now - OLDEST) && !files.isSent(day));
}

export async function sendReports(deps: SendDeps): Promise<void> {
  for (const day of dueDays(deps)) {
    const domains = [...deps.files.read(day)];
    for (let at = 0; at < domains.length; at += AT_ONCE)
      await Promise.all(
        domains.slice(at, at + AT_ONCE).map(([domain, policies]) => sendReport(day, domain, policies, deps)),
      );
    deps.files.markSent(day);
  }
}

async function sendReport(
  day: string,
  domain: string,
  policies: readonly PolicyTally[],
  { queue, clock, reporter, signs, txt, post, warn }: SendDeps,
): Promise<void> {
  const found = await txt(`_smtp._tls.${domain}`);
  const wanted = found.kind === 'found' ? reportAddresses(found.records) : [];
  if (wanted.length === 0) return;
  const report = gzippedReport(day, domain, policies, reporter);
  const now = Math.floor(clock.now() / 1000);
  for (const uri of wanted) {
    if (/^https:/i.test(uri)) {
      const failure = await post(uri, report);
      if (failure !== null) warn(`The TLS report for ${domain} could not be sent to ${uri}: ${failure}.`);
      continue;
    }
    if (!signs) {
      warn(
        `The TLS report for ${domain} is not sent by mail, because nothing is signed here and an unsigned report counts for nothing. Set dkim.key, or tls-report count.`,
      );
      continue;
    }
    const to = mailtoAddress(uri);
    if (to === null) continue;
    const mail = reportMail({ day, domain, report, to, reporter, now });
    await queue.enqueue(mail, {
      ...{ bounceto: '(null)', envelopeFrom: '<>', sourceRoom: null, recipients: [to], submitted: now },
    });
  }
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** The same for a site each day: milliseconds. */
function offset(hostname: string): number {
  let sum = 0;
  for (const character of hostname) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % SPREAD;
  return sum;
}

/** Milliseconds for a report by HTTPS. */
const POST_TIME = 60_000;

/** @param ca PEM; none: those of Node */
export function postReport(url: string, report: Buffer, ca: readonly string[] = []): Promise<string | null> {
  return new Promise((resolve) => {
    const sent = request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/tlsrpt+gzip', 'content-length': report.length },
      agent: false,
      ...(ca.length === 0 ? {} : { ca: [...ca] }),
    });
    const timer = setTimeout(() => sent.destroy(new Error('no answer in time')), POST_TIME);
    // A change of protocol (101) ends without a response and without an error.
    sent.on('close', () => {
      clearTimeout(timer);
      resolve('the connection ended without an answer');
    });
    sent.on('error', (error) => resolve(describeError(error)));
    sent.on('response', ({ statusCode = 0 }) => {
      sent.destroy();
      resolve(statusCode >= 200 && statusCode < 300 ? null : `HTTP status ${statusCode}`);
    });
    sent.end(report);
  });
}
