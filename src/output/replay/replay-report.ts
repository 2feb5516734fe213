/**
 * A replay as people want to know it: what was read, whether it is due, which hosts and why, the dialogue, what became
 * of each recipient, the control message before and after. Pure; from it come the text, the JSON and the page of
 * `replay`, so that the three never disagree. All strings are readable and harmless.
 */
import { stripHeader } from '../../delivery-list/header.ts';
import type { Job } from '../../delivery-list/job.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { Schedule } from '../../queue/schedule.ts';
import { ageOf } from '../../queue/schedule.ts';
import { wasStopped } from '../../replay/live.ts';
import type { Timeline, TimelineDelivery, TimelineEvent } from '../../replay/timeline.ts';
import type { Host } from '../../routing/hosts.ts';
import { directRoute, LOOKUP_ERRORS, mxRoute, type RoutingRules } from '../../routing/route.ts';
import type { Outcome } from '../../smtp/outcome.ts';
import { statusDigit, statusText } from '../../smtp/status-text.ts';
import type { DecodeText } from '../text.ts';
import { formatTime, wholeDuration } from '../text.ts';
import { dialogueLines } from './dialogue.ts';
import type { DiffLine } from './list-diff.ts';
import { diffLists } from './list-diff.ts';

export interface ReplaySources {
  /** "control message 12, 214 bytes, bare form" */
  readonly title: string;
  readonly job: Job;
  readonly warnings: readonly string[];
  /** Unix seconds */
  readonly now: number;
  readonly schedule: Schedule;
  readonly due: string;
  readonly routing: RoutingRules;
  readonly story: Timeline;
  /** in which world this would happen, for people; null: it happened */
  readonly would: string | null;
  /** header and instructions; `after` is null when the job ends */
  readonly before: ByteString;
  readonly after: ByteString | null;
  /** what else a person must know to read the rest rightly */
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
    /** taken as far as it was asked, which is not to the end */
    readonly stopped: boolean;
  }[];
  /** in which world this would happen; null: it happened */
  readonly would: string | null;
  /** recipients that got no outcome because the recording has no answer */
  readonly unknown: string | null;
  readonly diff: readonly DiffLine[];
  readonly ends: boolean;
}

export interface ReplayedLine {
  /** milliseconds since the beginning */
  readonly at: number;
  readonly who: 'us' | 'them' | 'dns' | 'net' | 'outcome';
  readonly text: string;
  /** where the mail goes that this is about; null when all goes to one place */
  readonly destination: string | null;
}

/** What is said of a recipient whose outcome is `stopped`. */
export const STOPPED_HERE = 'would be accepted; stopped before DATA, nothing was sent';

/** What is said of a job that `ends`. */
export function endOf(would: string | null): string {
  return would === null
    ? 'Every recipient has a final status: the job ends, control message and mail are removed.'
    : 'Every recipient would have a final status: the job would end, control message and mail would be removed.';
}

export function replayReport(sources: ReplaySources, readable: DecodeText): ReplayReport {
  const { story, job, before, after } = sources;
  return {
    title: sources.title,
    notes: sources.notes,
    fields: fieldsOf(sources, readable),
    warnings: sources.warnings.map(readable),
    due: sources.due,
    routes: story.deliveries.map((delivery, number) => routeOf(delivery, number, sources, readable)),
    dialogue: story.events.flatMap((moment) =>
      utterancesOf(moment, job).map((each) => ({
        ...each,
        text: readable(each.text),
        destination: destinationIn(moment, story, readable),
      })),
    ),
    outcomes: story.outcomes.map((outcome) => ({
      recipient: readable(outcome.address),
      status: statusDigit(outcome.outcome),
      text: readable(statusText(outcome.outcome, job.dialect)),
      row: outcome.row,
      stopped: wasStopped(outcome),
    })),
    would: sources.would,
    unknown: story.unrecorded,
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

const STATUSES: { readonly [status: number]: string } = {
  0: 'new',
  2: 'delivered',
  3: 'try again (old form)',
  4: 'try again',
  5: 'refused for good',
};

function fieldsOf({ job, now }: ReplaySources, readable: DecodeText): ReplayReport['fields'] {
  const era = job.dialect === '2012' ? 'server of 2012 to 2017' : 'server since 2017';
  const text = (value: ByteString | null): string => (value === null ? '(not given)' : readable(value));
  const attempted =
    job.dialect === '2012' ? 'not before this time' : 'the last try; the next one follows from it';
  const single = [
    { name: 'dialect', value: job.dialect, meaning: `as a ${era} writes it` },
    { name: 'msgid', value: String(job.msgid), meaning: 'number of the mail' },
    {
      name: 'submitted',
      value: job.submitted === null ? '(not given)' : formatTime(job.submitted),
      meaning:
        job.submitted === null
          ? 'nobody knows when it was handed in'
          : `handed in ${wholeDuration(ageOf(job, now))} ago`,
    },
    {
      name: 'attempted',
      value: job.attempted === 0 ? '(never)' : formatTime(job.attempted),
      meaning: attempted,
    },
    ...(job.dialect === '2012'
      ? [{ name: 'retry', value: `${job.retry} s`, meaning: 'wait if this try fails; doubled each time' }]
      : []),
    { name: 'bounceto', value: text(job.bounceto), meaning: 'who is told when it fails' },
    {
      name: 'envelope_from',
      value: text(job.envelopeFrom),
      meaning: 'envelope sender; when not given, the mail names it',
    },
    ...(job.sourceRoom === null
      ? []
      : [{ name: 'source_room', value: text(job.sourceRoom), meaning: 'the room whose list this is' }]),
  ];
  return [
    ...single,
    ...job.recipients.map(({ address, status, text: last }) => ({
      name: 'remote',
      value: readable(address),
      meaning: `${status}: ${STATUSES[status] ?? 'unknown, never tried'}${last === '' ? '' : `, ${readable(last)}`}`,
    })),
  ];
}

const ORIGINS: { readonly [origin in Host['origin']]: (host: Host) => string } = {
  mx: ({ preference }) => `MX, preference ${preference}`,
  domain: () => 'the domain itself',
  literal: () => 'named in the address',
  smarthost: () => 'smart host',
  fallbackhost: () => 'fallback host',
};

function routeOf(
  { destination }: TimelineDelivery,
  number: number,
  { story, routing }: ReplaySources,
  readable: DecodeText,
): ReplayReport['routes'][number] {
  const own = story.events.filter(({ deliveries }) => deliveries.includes(number));
  const hosts = own.flatMap((moment): readonly Host[] => {
    if (moment.what !== 'delivery') return [];
    return moment.event.type === 'hosts' || moment.event.type === 'reuse' ? moment.event.hosts : [];
  });
  return {
    destination: readable(destination.name),
    why: reasonsOf(destination, own, routing).map(readable),
    hosts: hosts.map((host) => ({
      name: readable(host.port === 25 ? host.name : `${host.name}:${host.port}`),
      why: ORIGINS[host.origin](host),
    })),
  };
}

function reasonsOf(
  destination: TimelineDelivery['destination'],
  moments: readonly TimelineEvent[],
  routing: RoutingRules,
): readonly string[] {
  if (destination.kind !== 'mx') {
    const route = directRoute(destination, routing);
    return route.kind === 'hosts' ? route.notes : [route.text];
  }
  for (const moment of moments) {
    if (moment.what !== 'lookup' || moment.question !== 'mx') continue;
    const { answer } = moment;
    const records =
      answer.kind === 'failed'
        ? answer
        : {
            ...answer,
            records: answer.records.flatMap((record) => (typeof record === 'string' ? [] : [record])),
          };
    const route = mxRoute(destination.domain, records, routing, () => 0.5);
    return route.kind === 'hosts' ? route.notes : [route.text];
  }
  return ['the hosts were known from a delivery before this one'];
}

type Said = Pick<ReplayedLine, 'who' | 'text'>;

/** Deliveries to several places run at the same time: each line says whose it is. */
function destinationIn({ deliveries }: TimelineEvent, story: Timeline, readable: DecodeText): string | null {
  if (story.deliveries.length < 2) return null;
  return deliveries.map((at) => readable(story.deliveries[at]?.destination.name ?? '')).join(', ');
}

type Timed = Omit<ReplayedLine, 'destination'>;

function utterancesOf(moment: TimelineEvent, job: Job): readonly Timed[] {
  return saidIn(moment, job).map((said) => ({ at: moment.at, ...said }));
}

function saidIn(moment: TimelineEvent, job: Job): readonly Said[] {
  switch (moment.what) {
    case 'lookup':
      return [{ who: 'dns', text: lookupText(moment) }];
    case 'delivery':
      return deliverySaid(moment);
    case 'connected':
      return [{ who: 'net', text: `connected to ${moment.address}` }];
    case 'session':
      return sessionSaid(moment);
    case 'body':
      return [{ who: 'net', text: `the message has ${moment.size} bytes` }];
    case 'outcome':
      return moment.recipients.map((id) => ({
        who: 'outcome',
        text: outcomeText(moment.outcome, job.recipients[id]?.address ?? '?', job),
      }));
    case 'session-state':
    case 'digest':
      return [];
  }
}

function lookupText({ question, name, answer }: Extract<TimelineEvent, { what: 'lookup' }>): string {
  const found =
    answer.kind === 'failed'
      ? LOOKUP_ERRORS[answer.fault]
      : answer.records
          .map((record) =>
            typeof record === 'string' ? record : `${record.preference} ${record.exchange || '.'}`,
          )
          .join(', ');
  return `${question.toUpperCase()} ${name}: ${found}`;
}

function deliverySaid({ event, effects }: Extract<TimelineEvent, { what: 'delivery' }>): readonly Said[] {
  const news: Said[] =
    event.type === 'host-failed' && event.failure.stage === 'connect'
      ? [{ who: 'net', text: `${event.failure.peer?.host ?? 'the host'} ${event.failure.text}` }]
      : 'failure' in event && (event.type === 'unsendable' || event.type === 'tls-unusable')
        ? [{ who: 'net', text: event.failure.text }]
        : [];
  for (const effect of effects) {
    if (effect.type === 'acquire-connection') {
      const how = effect.withoutTls ? ', without TLS' : '';
      news.push({ who: 'net', text: `to ${effect.host.name} [${effect.address}]:${effect.host.port}${how}` });
    }
  }
  return news;
}

/** A reply with all its lines: what a server offers is half of the story. */
function sessionSaid({ event, effects }: Extract<TimelineEvent, { what: 'session' }>): readonly Said[] {
  const said = dialogueLines(event, { effects }).map(
    ({ from, text }): Said => ({ who: SPEAKERS[from], text }),
  );
  if (event.type !== 'reply') return said;
  const lines = event.reply.text.split('\n');
  const reply = lines.map(
    (line, at): Said => ({
      who: 'them',
      text: `${event.reply.code}${at === lines.length - 1 ? ' ' : '-'}${line}`,
    }),
  );
  return [...reply, ...said.slice(1)];
}

const SPEAKERS = { us: 'us', server: 'them', neither: 'net' } as const;

function outcomeText(outcome: Outcome, address: ByteString, job: Job): string {
  if (wasStopped({ outcome })) return `${address}: ${STOPPED_HERE}`;
  return `${address}: ${statusDigit(outcome)} ${STATUSES[statusDigit(outcome)]}, ${statusText(outcome, job.dialect)}`;
}
