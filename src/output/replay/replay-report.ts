/**
 * The result of a replay: the job, whether it is due, which hosts and why, the dialogue, the outcome of each recipient, the
 * control message before and after. Pure. The text, the JSON and the HTML page of `replay` are made from it. All strings are
 * decoded, with control characters escaped.
 */
import { tlsText as tlsUseText } from '../../delivery/tls-use.ts';
import { stripHeader } from '../../delivery-list/header.ts';
import { isPending, type Job, type Recipient } from '../../delivery-list/job.ts';
import type { NoticeKind } from '../../dsn/notice.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { formatTime } from '../../platform/clock.ts';
import type { Schedule } from '../../queue/schedule.ts';
import { ageOf } from '../../queue/schedule.ts';
import { wasAsked } from '../../replay/live.ts';
import type { RehearsedReport } from '../../replay/rehearsed-reports.ts';
import type { Timeline } from '../../replay/timeline.ts';
import type { RoutingRules } from '../../routing/route.ts';
import type { Outcome } from '../../smtp/outcome.ts';
import { statusDigit, statusText } from '../../smtp/status-text.ts';
import type { DecodeText } from '../text.ts';
import { wholeDuration } from '../text.ts';
import type { DiffLine } from './list-diff.ts';
import { diffLists } from './list-diff.ts';
import { routesIn, type ShownRoute } from './routes.ts';
import { type ReplayedLine, spokenLines } from './spoken.ts';

export interface ReplaySources {
  /** "Control message 12: 214 bytes, ..." */
  readonly title: string;
  readonly job: Job;
  readonly warnings: readonly string[];
  /** Unix seconds */
  readonly now: number;
  readonly schedule: Schedule;
  readonly due: string;
  readonly routing: RoutingRules;
  readonly timeline: Timeline;
  /** all recipients of the message, by id: those of the job, and of others with the same message */
  readonly recipients: readonly Recipient[];
  /** the timeline is that of a whole run, not of one delivery */
  readonly whole: boolean;
  /** real servers were asked about the recipients, and no message followed */
  readonly live: boolean;
  /** why nobody is tried, a full sentence; null: somebody is */
  readonly untried: string | null;
  /** null: not known */
  readonly reports: readonly RehearsedReport[] | null;
  /** the world in which this would happen, for people; null: it did happen */
  readonly would: string | null;
  /** header and instructions; `after` is null when the job ends */
  readonly before: ByteString;
  readonly after: ByteString | null;
  /** what the reader has to know to understand the rest */
  readonly notes: readonly string[];
}

export interface ReplayReport {
  readonly title: string;
  readonly notes: readonly string[];
  readonly fields: readonly { readonly name: string; readonly value: string; readonly meaning: string }[];
  readonly warnings: readonly string[];
  readonly due: string;
  readonly routes: readonly ShownRoute[];
  readonly dialogue: readonly ReplayedLine[];
  readonly outcomes: readonly ReplayedOutcome[];
  /** recipients that have no outcome, with what their line says */
  readonly untouched: readonly {
    readonly recipient: string;
    readonly status: number;
    readonly text: string;
  }[];
  /** why nobody is tried; null: somebody is */
  readonly untried: string | null;
  /** null: not known */
  readonly reports: readonly ShownReport[] | null;
  /** the world in which this would happen; null: it did happen */
  readonly would: string | null;
  /** what the recording has no answer to, so that recipients have no outcome; null: nothing */
  readonly unknown: string | null;
  readonly diff: readonly DiffLine[];
  readonly ends: boolean;
}

export interface ReplayedOutcome {
  readonly recipient: string;
  /** 0: the line stays as it is */
  readonly status: 0 | 2 | 4 | 5;
  readonly text: string;
  readonly row: string | null;
  /** how it travelled; null: in clear text, without a session, or nobody recorded it */
  readonly tls: string | null;
  /** accepted at RCPT TO, where the replay stopped */
  readonly stopped: boolean;
  /** a server answered RCPT TO for it, or the whole message */
  readonly asked: boolean;
}

/** What would be told to the sender. */
export interface ShownReport {
  /** a full sentence */
  readonly text: string;
  readonly to: string | null;
  readonly recipients: readonly string[];
  readonly kinds: readonly string[];
  /** null: there is none */
  readonly message: string | null;
}

/** The outcome of a recipient that is `stopped`. */
export const STOPPED_HERE = 'would be accepted; stopped before DATA, no message was sent';

/** The outcome in words, behind the address. */
export function outcomeWords({
  status,
  text,
  stopped,
  asked,
}: Omit<ReplayedOutcome, 'recipient' | 'row' | 'tls'>): string {
  if (stopped) return STOPPED_HERE;
  return `${status} ${STATUS_WORDS[status]}: ${text}${asked ? '' : ' (no server was asked about this recipient)'}`;
}

/** What a run leaves as it is, in words, behind the address. */
export function untouchedWords({ status, text }: { readonly status: number; readonly text: string }): string {
  const words = STATUS_WORDS[status] ?? 'unknown status';
  return `${status} ${words}${text === '' ? '' : `: ${text}`} (stays as it is)`;
}

/** The sentence for a job that `ends`. */
export function endOf(would: string | null): string {
  return would === null
    ? 'Every recipient has a final status: the job ends, control message and message are removed.'
    : 'Every recipient would have a final status: the job would end, control message and message would be removed.';
}

export function replayReport(sources: ReplaySources, readable: DecodeText): ReplayReport {
  const { timeline, recipients, before, after } = sources;
  return {
    title: sources.title,
    notes: sources.notes,
    fields: fieldsOf(sources, readable),
    warnings: sources.warnings.map(readable),
    due: sources.due,
    routes: routesIn(timeline, sources.routing, readable),
    dialogue: spokenLines(
      timeline,
      recipients,
      (outcome) => outcomeWords(outcomeIn(outcome, sources)),
      readable,
    ),
    outcomes: timeline.outcomes.map(({ address, outcome, row, tls }) => {
      const shown = outcomeIn(outcome, sources);
      const over = tls === null ? null : tlsUseText(tls);
      return { recipient: readable(address), ...shown, text: readable(shown.text), row, tls: over };
    }),
    untouched: untouchedIn(sources).map(({ address, status, text }) => ({
      recipient: readable(address),
      status,
      text: readable(text),
    })),
    untried: sources.untried,
    reports: sources.reports?.map((report) => shownReport(report, readable)) ?? null,
    would: sources.would,
    unknown: timeline.unrecorded,
    diff: after === null ? [] : diffOf(before, after, readable),
    ends: after === null,
  };
}

function outcomeIn(
  outcome: Outcome,
  { job, live }: Pick<ReplaySources, 'job' | 'live'>,
): Omit<ReplayedOutcome, 'recipient' | 'row' | 'tls'> {
  const stopped = live && outcome.kind === 'delivered';
  return {
    status: stopped ? 0 : statusDigit(outcome),
    text: statusText(outcome, job.dialect),
    stopped,
    asked: !live || wasAsked(outcome),
  };
}

/** Those with a final status already, and those whom a run would leave alone. */
function untouchedIn({ recipients, whole, untried }: ReplaySources): readonly Recipient[] {
  if (!whole) return [];
  return recipients.filter((recipient) => untried !== null || !isPending(recipient));
}

const REPORT_WORDS: { readonly [kind in NoticeKind]: string } = {
  failed: 'a failure',
  'gave-up': 'giving up',
  delayed: 'a delay',
  relayed: 'an acceptance by a server that reports no success',
};

function shownReport(report: RehearsedReport, readable: DecodeText): ShownReport {
  const nothing = { to: null, recipients: [], kinds: [], message: null };
  switch (report.kind) {
    case 'waiting':
      return { ...nothing, text: `The report could not be made: ${readable(report.why)}.` };
    case 'suppressed': {
      const recipients = report.recipients.map(readable);
      const text = `No report about ${recipients.join(', ')}, because ${report.reason}.`;
      return { ...nothing, recipients, text };
    }
    case 'report': {
      const { to, through, why, notices, message } = report;
      const recipients = notices.map(({ recipient }) => readable(recipient));
      const kinds = [...new Set(notices.map(({ kind }) => kind))];
      const about = kinds.map((kind) => REPORT_WORDS[kind]).join(' and ');
      const way =
        through === null
          ? `kept for the postmaster, because ${readable(why ?? 'nobody takes it')}`
          : `handed to ${through}, which was not asked`;
      const text = `A report to ${readable(to)} about ${about}: ${recipients.join(', ')}. It would be ${way}.`;
      return { text, to: readable(to), recipients, kinds, message: decodedLines(message, readable) };
    }
  }
}

/** With its line ends. */
function decodedLines(message: ByteString, readable: DecodeText): string {
  return message.split('\r\n').map(readable).join('\r\n');
}

function diffOf(before: ByteString, after: ByteString, readable: DecodeText): readonly DiffLine[] {
  const instructions = (text: ByteString): ByteString => stripHeader(text).instructions;
  return diffLists(instructions(before), instructions(after)).map(({ mark, text }) => ({
    mark,
    text: readable(text),
  }));
}

/** The status digits of a delivery list. */
export const STATUS_WORDS: { readonly [status: number]: string } = {
  0: 'not tried',
  2: 'delivered',
  3: 'deferred (old form)',
  4: 'deferred',
  5: 'refused',
};

function fieldsOf({ job, now }: ReplaySources, readable: DecodeText): ReplayReport['fields'] {
  const server = job.dialect === '2012' ? 'a server of 2012 to 2017' : 'a server since 2017';
  const text = (value: ByteString | null): string => (value === null ? '(not given)' : readable(value));
  const attempted =
    job.dialect === '2012' ? 'no attempt before this time' : 'the last attempt; the next one follows from it';
  const single = [
    { name: 'dialect', value: job.dialect, meaning: `as ${server} writes it` },
    { name: 'msgid', value: String(job.msgid), meaning: 'number of the message' },
    {
      name: 'submitted',
      value: job.submitted === null ? '(not given)' : formatTime(job.submitted),
      meaning:
        job.submitted === null
          ? 'it is not known when it was queued'
          : `queued ${wholeDuration(ageOf(job, now))} ago`,
    },
    {
      name: 'attempted',
      value: job.attempted === 0 ? '(never)' : formatTime(job.attempted),
      meaning: attempted,
    },
    ...(job.dialect === '2012'
      ? [
          {
            name: 'retry',
            value: `${job.retry} s`,
            meaning: 'interval after a failed attempt, doubled each time',
          },
        ]
      : []),
    { name: 'bounceto', value: text(job.bounceto), meaning: 'gets the delivery reports' },
    {
      name: 'envelope_from',
      value: text(job.envelopeFrom),
      meaning: 'envelope sender; if not given, that of the message',
    },
    ...(job.sourceRoom === null
      ? []
      : [{ name: 'source_room', value: text(job.sourceRoom), meaning: 'the room of this mailing list' }]),
  ];
  return [
    ...single,
    ...job.recipients.map(({ address, status, text: last }) => ({
      name: 'remote',
      value: readable(address),
      meaning: `${status}: ${STATUS_WORDS[status] ?? 'unknown status, never tried'}${last === '' ? '' : `, ${readable(last)}`}`,
    })),
  ];
}
