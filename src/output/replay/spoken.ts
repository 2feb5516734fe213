/** What happened in a timeline, line by line: lookups, connections, the dialogue as it was on the wire, outcomes. Pure. */
import type { Recipient } from '../../delivery-list/job.ts';
import type { Timeline, TimelineEvent } from '../../replay/timeline.ts';
import type { Protection } from '../../routing/hosts.ts';
import { LOOKUP_ERRORS } from '../../routing/route.ts';
import { tlsaText } from '../../tls-policy/tlsa.ts';
import type { DecodeText } from '../text.ts';
import { dialogueLines } from './dialogue.ts';

export interface ReplayedLine {
  /** milliseconds since the beginning */
  readonly at: number;
  readonly who: 'us' | 'them' | 'dns' | 'net' | 'outcome';
  readonly text: string;
  /** the destination this line is about; null: there is only one */
  readonly destination: string | null;
}

type SpokenLine = Pick<ReplayedLine, 'who' | 'text'>;
type TimelineOutcomeEvent = Extract<TimelineEvent, { what: 'outcome' }>['outcome'];

/** `describe` says what an outcome is for people. */
export function spokenLines(
  timeline: Timeline,
  recipients: readonly Recipient[],
  describe: (outcome: TimelineOutcomeEvent) => string,
  readable: DecodeText,
): readonly ReplayedLine[] {
  return timeline.events.flatMap((entry) => {
    const destination = destinationIn(entry, timeline, readable);
    const spoken =
      entry.what === 'outcome'
        ? entry.recipients.map(
            (id): SpokenLine => ({
              who: 'outcome',
              text: `${recipients[id]?.address ?? '?'}: ${describe(entry.outcome)}`,
            }),
          )
        : spokenIn(entry);
    return spoken.map(({ who, text }) => ({ at: entry.at, who, text: readable(text), destination }));
  });
}

/** Deliveries to several destinations run at the same time, so each line names its destination. */
function destinationIn(
  { deliveries }: TimelineEvent,
  timeline: Timeline,
  readable: DecodeText,
): string | null {
  if (timeline.deliveries.length < 2) return null;
  return deliveries.map((at) => readable(timeline.deliveries[at]?.destination.name ?? '')).join(', ');
}

function spokenIn(entry: Exclude<TimelineEvent, { what: 'outcome' }>): readonly SpokenLine[] {
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
  const failure = failureText(event);
  const lines: SpokenLine[] = failure === null ? [] : [{ who: 'net', text: failure }];
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

const DEMANDS: { readonly [demands in Protection['demands']]: string } = {
  dane: ', whose certificate must match its TLSA records',
  pkix: ', whose certificate must be valid for its name',
  encryption: ', with TLS or not at all',
};

/** What no line of a session says. */
function failureText(event: Extract<TimelineEvent, { what: 'delivery' }>['event']): string | null {
  if (event.type === 'unsendable' || event.type === 'tls-unusable') return event.failure.text;
  if (event.type !== 'host-failed') return null;
  const { stage, peer, text } = event.failure;
  const host = peer?.host ?? 'the host';
  if (event.remembered === true) return `${host} is not contacted again, it failed a moment ago: ${text}`;
  return stage === 'connect' || stage === 'network' ? `${host} ${text}` : null;
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
