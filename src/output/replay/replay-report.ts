/**
 * The result of a replay: the job, whether it is due, which hosts and why, the dialogue, the outcome of each recipient, the
 * control message before and after. Pure. The text, the JSON and the HTML page of `replay` are made from it. All strings are
 * decoded, with control characters escaped.
 */
import { tlsText as tlsUseText } from '../../delivery/tls-use.ts';
import { stripHeader } from '../../delivery-list/header.ts';
import type { Job } from '../../delivery-list/job.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { formatTime } from '../../platform/clock.ts';
import type { Schedule } from '../../queue/schedule.ts';
import { ageOf } from '../../queue/schedule.ts';
import { wasStopped } from '../../replay/live.ts';
import type { Timeline, TimelineDelivery, TimelineEvent } from '../../replay/timeline.ts';
import type { Host, Protection } from '../../routing/hosts.ts';
import { directRoute, LOOKUP_ERRORS, mxRoute, type RoutingRules } from '../../routing/route.ts';
import type { Outcome } from '../../smtp/outcome.ts';
import { statusDigit, statusText } from '../../smtp/status-text.ts';
import { tlsaText } from '../../tls-policy/tlsa.ts';
import type { DecodeText } from '../text.ts';
import { wholeDuration } from '../text.ts';
import { dialogueLines } from './dialogue.ts';
import type { DiffLine } from './list-diff.ts';
import { diffLists } from './list-diff.ts';

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
  readonly routes: readonly {
    readonly destination: string;
    readonly why: readonly string[];
    readonly hosts: readonly { readonly name: string; readonly why: string }[];
  }[];
  readonly dialogue: readonly ReplayedLine[];
  readonly outcomes: readonly {
    readonly recipient: string;
    readonly status: 2 | 4 | 5;
    readonly text: string;
    readonly row: string | null;
    /** how it travelled; null: in clear text, without a session, or nobody recorded it */
    readonly tls: string | null;
    /** accepted up to DATA, where the replay stopped */
    readonly stopped: boolean;
  }[];
  /** the world in which this would happen; null: it did happen */
  readonly would: string | null;
  /** what the recording has no answer to, so that recipients have no outcome; null: nothing */
  readonly unknown: string | null;
  readonly diff: readonly DiffLine[];
  readonly ends: boolean;
}

export interface ReplayedLine {
  /** milliseconds since the beginning */
  readonly at: number;
  readonly who: 'us' | 'them' | 'dns' | 'net' | 'outcome';
  readonly text: string;
  /** the destination this line is about; null: there is only one */
  readonly destination: string | null;
}

/** The outcome of a recipient that is `stopped`. */
export const STOPPED_HERE = 'would be accepted; stopped before DATA, no message was sent';

/** The sentence for a job that `ends`. */
export function endOf(would: string | null): string {
  return would === null
    ? 'Every recipient has a final status: the job ends, control message and message are removed.'
    : 'Every recipient would have a final status: the job would end, control message and message would be removed.';
}

export function replayReport(sources: ReplaySources, readable: DecodeText): ReplayReport {
  const { timeline, job, before, after } = sources;
  return {
    title: sources.title,
    notes: sources.notes,
    fields: fieldsOf(sources, readable),
    warnings: sources.warnings.map(readable),
    due: sources.due,
    routes: timeline.deliveries.map((delivery, number) => routeOf(delivery, number, sources, readable)),
    dialogue: timeline.events.flatMap((entry) =>
      linesOf(entry, job).map((each) => ({
        ...each,
        text: readable(each.text),
        destination: destinationIn(entry, timeline, readable),
      })),
    ),
    outcomes: timeline.outcomes.map((outcome) => ({
      recipient: readable(outcome.address),
      status: statusDigit(outcome.outcome),
      text: readable(statusText(outcome.outcome, job.dialect)),
      row: outcome.row,
      tls: outcome.tls === null ? null : tlsUseText(outcome.tls),
      stopped: wasStopped(outcome),
    })),
    would: sources.would,
    unknown: timeline.unrecorded,
    diff: after === null ? [] : diffOf(before, after, readable),
    ends: after === null,
  };
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

const ORIGINS: { readonly [origin in Host['origin']]: (host: Host) => string } = {
  mx: ({ preference }) => `MX, preference ${preference}`,
  domain: () => 'the domain itself',
  literal: () => 'address literal',
  smarthost: () => 'smart host',
  fallbackhost: () => 'fallback host',
};

function routeOf(
  { destination }: TimelineDelivery,
  number: number,
  { timeline, routing }: ReplaySources,
  readable: DecodeText,
): ReplayReport['routes'][number] {
  const own = timeline.events.filter(({ deliveries }) => deliveries.includes(number));
  const hosts = own.flatMap((entry): readonly Host[] => {
    if (entry.what !== 'delivery') return [];
    return entry.event.type === 'hosts' || entry.event.type === 'reuse' ? entry.event.hosts : [];
  });
  return {
    destination: readable(destination.name),
    why: reasonsOf(destination, own, routing).map(readable),
    hosts: hosts.map((host) => ({
      name: readable(host.port === 25 ? host.name : `${host.name}:${host.port}`),
      why: `${ORIGINS[host.origin](host)}${policyText(host)}`,
    })),
  };
}

/** Behind the reason for a host: what its domain says of it. */
function policyText({ policy }: Host): string {
  if (policy === undefined) return '';
  const sts = policy.sts === undefined ? '' : `, MTA-STS ${policy.sts}`;
  const unlisted = policy.unlisted === true ? ' (not listed)' : '';
  return `${sts}${unlisted}${policy.secure === true ? ', proved by DNSSEC' : ''}`;
}

const DEMANDS: { readonly [demands in Protection['demands']]: string } = {
  dane: ', whose certificate must match its TLSA records',
  pkix: ', whose certificate must be valid for its name',
  encryption: ', with TLS or not at all',
};

function reasonsOf(
  destination: TimelineDelivery['destination'],
  events: readonly TimelineEvent[],
  routing: RoutingRules,
): readonly string[] {
  if (destination.kind !== 'mx') {
    const route = directRoute(destination, routing);
    return route.kind === 'hosts' ? route.notes : [route.text];
  }
  for (const entry of events) {
    if (entry.what !== 'lookup' || entry.question !== 'mx') continue;
    const { answer } = entry;
    const records =
      answer.kind === 'failed'
        ? answer
        : {
            ...answer,
            records: answer.records.flatMap((record) =>
              typeof record === 'object' && 'exchange' in record ? [record] : [],
            ),
          };
    const route = mxRoute(destination.domain, records, routing, () => 0.5);
    return route.kind === 'hosts' ? route.notes : [route.text];
  }
  return ['the hosts are known from an earlier delivery'];
}

type SpokenLine = Pick<ReplayedLine, 'who' | 'text'>;

/** Deliveries to several destinations run at the same time, so each line names its destination. */
function destinationIn(
  { deliveries }: TimelineEvent,
  timeline: Timeline,
  readable: DecodeText,
): string | null {
  if (timeline.deliveries.length < 2) return null;
  return deliveries.map((at) => readable(timeline.deliveries[at]?.destination.name ?? '')).join(', ');
}

type Timed = Omit<ReplayedLine, 'destination'>;

function linesOf(entry: TimelineEvent, job: Job): readonly Timed[] {
  return spokenIn(entry, job).map((line) => ({ at: entry.at, ...line }));
}

function spokenIn(entry: TimelineEvent, job: Job): readonly SpokenLine[] {
  switch (entry.what) {
    case 'lookup':
      return [{ who: 'dns', text: lookupText(entry) }];
    case 'delivery':
      return deliveryLines(entry);
    case 'connected':
      return [{ who: 'net', text: `connected to ${entry.address}` }];
    case 'session':
      return sessionLines(entry);
    case 'body':
      return [{ who: 'net', text: `the message has ${entry.size} bytes` }];
    case 'outcome':
      return entry.recipients.map((id) => ({
        who: 'outcome',
        text: outcomeText(entry.outcome, job.recipients[id]?.address ?? '?', job),
      }));
    case 'session-state':
    case 'digest':
      return [];
  }
}

function lookupText({ question, name, answer }: Extract<TimelineEvent, { what: 'lookup' }>): string {
  const found =
    answer.kind === 'failed' ? LOOKUP_ERRORS[answer.fault] : answer.records.map(recordText).join(', ');
  const proved = answer.secure === true ? ' (proved by DNSSEC)' : '';
  const asked = question === 'sts' ? 'MTA-STS policy of' : question.toUpperCase();
  return `${asked} ${name}: ${found}${proved}`;
}

type LookedUp = Extract<
  Extract<TimelineEvent, { what: 'lookup' }>['answer'],
  { kind: 'found' }
>['records'][number];

function recordText(record: LookedUp): string {
  if (typeof record === 'string') return record;
  if ('exchange' in record) return `${record.preference} ${record.exchange || '.'}`;
  if ('mode' in record) return `mode ${record.mode}, mx ${record.mx.join(' ')}`;
  return tlsaText(record);
}

function deliveryLines({
  event,
  effects,
}: Extract<TimelineEvent, { what: 'delivery' }>): readonly SpokenLine[] {
  const lines: SpokenLine[] =
    event.type === 'host-failed' && ['connect', 'network'].includes(event.failure.stage)
      ? [{ who: 'net', text: `${event.failure.peer?.host ?? 'the host'} ${event.failure.text}` }]
      : 'failure' in event && (event.type === 'unsendable' || event.type === 'tls-unusable')
        ? [{ who: 'net', text: event.failure.text }]
        : [];
  for (const effect of effects) {
    if (effect.type === 'acquire-connection') {
      const { protection } = effect.host;
      const how =
        protection === undefined ? (effect.withoutTls ? ', without TLS' : '') : DEMANDS[protection.demands];
      lines.push({
        who: 'net',
        text: `to ${effect.host.name} [${effect.address}]:${effect.host.port}${how}`,
      });
    }
  }
  return lines;
}

/** Replies with all their lines, as they were on the wire: they list the extensions of the server. */
function sessionLines({
  event,
  effects,
}: Extract<TimelineEvent, { what: 'session' }>): readonly SpokenLine[] {
  const dialogue = dialogueLines(event, { effects }).map(
    ({ from, text }): SpokenLine => ({ who: SPEAKERS[from], text }),
  );
  if (event.type !== 'reply') return dialogue;
  const lines = event.reply.text.split('\n');
  const reply = lines.map(
    (line, at): SpokenLine => ({
      who: 'them',
      text: `${event.reply.code}${at === lines.length - 1 ? ' ' : '-'}${line}`,
    }),
  );
  return [...reply, ...dialogue.slice(1)];
}

const SPEAKERS = { us: 'us', server: 'them', neither: 'net' } as const;

function outcomeText(outcome: Outcome, address: ByteString, job: Job): string {
  if (wasStopped({ outcome })) return `${address}: ${STOPPED_HERE}`;
  return `${address}: ${STATUS_WORDS[statusDigit(outcome)]}: ${statusText(outcome, job.dialect)}`;
}
