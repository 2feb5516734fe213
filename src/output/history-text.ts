/** What became of a message, as text for people and as facts for programs. Pure. */
import { VERIFIERS } from '../delivery/tls-use.ts';
import type { HistoryRecord } from '../history/record.ts';
import type { Story } from '../history/search.ts';
import { describePeer } from '../smtp/status-text.ts';
import { duration, plural } from './text.ts';

export interface StoryFacts {
  /** of the last record: a list may have got another number */
  readonly job: number;
  readonly mail: number;
  /** Unix seconds; null: not known */
  readonly submitted: number | null;
  readonly sender: string | null;
  readonly messageId: string | null;
  readonly size: number | null;
  /** by address: the last thing that is known of each recipient */
  readonly recipients: { readonly [address: string]: RecipientState };
  readonly events: Story;
}

export type RecipientState = 'queued' | 'delivered' | 'deferred' | 'refused' | 'removed';

export function storyFacts(story: Story): StoryFacts {
  const last = story[story.length - 1] ?? story[0];
  const known = <K extends 'sender' | 'messageId' | 'size'>(field: K): HistoryRecord[K] | null =>
    story.find((record) => record[field] !== null)?.[field] ?? null;
  return {
    ...{ job: last.job, mail: last.mail, submitted: last.submitted },
    ...{ sender: known('sender'), messageId: known('messageId'), size: known('size') },
    recipients: statesIn(story),
    events: story,
  };
}

function statesIn(story: Story): StoryFacts['recipients'] {
  const states = new Map<string, RecipientState>();
  for (const { event, recipients } of story) {
    for (const address of recipients) {
      const before = states.get(address);
      if (before === 'delivered' || before === 'refused') continue;
      const state = STATES[event];
      if (state !== undefined) states.set(address, state);
      else if (before === undefined) states.set(address, 'queued');
    }
  }
  return Object.fromEntries(states);
}

/** What an event makes of its recipients; the others change nothing. */
const STATES: { readonly [event in HistoryRecord['event']]?: RecipientState } = {
  delivered: 'delivered',
  deferred: 'deferred',
  refused: 'refused',
  remove: 'removed',
};

export function storyText(story: Story): string {
  const { job, mail, submitted, sender, messageId, size, recipients } = storyFacts(story);
  const queued = submitted === null ? '' : `, queued ${timeText(submitted * 1000)}`;
  const head = [
    `job ${job}, message ${mail}${queued}`,
    ...(size === null ? [] : [`${size} bytes`]),
    ...(messageId === null ? [] : [messageId]),
  ];
  return [
    head.join(', '),
    `  from ${sender ?? 'a sender that its list does not name'} to ${addresses(Object.keys(recipients))}`,
    ...story.map((record) => `  ${record.at.replace(/\.\d+Z$/, 'Z')}  ${eventText(record)}`),
    `  ${ending(recipients)}`,
  ].join('\n');
}

function timeText(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
}

const MOST_ADDRESSES = 5;

function addresses(all: readonly string[]): string {
  const shown = all.slice(0, MOST_ADDRESSES).join(', ');
  return all.length > MOST_ADDRESSES ? `${shown} and ${all.length - MOST_ADDRESSES} more` : shown;
}

type Sentence = (record: HistoryRecord) => string;

function tlsText({ tls, verified }: Pick<HistoryRecord, 'tls' | 'verified'>): string {
  if (tls === undefined) return '';
  return verified === undefined ? ` ${tls}` : ` ${tls} verified by ${VERIFIERS[verified]}`;
}

const ATTEMPT: Sentence = ({ recipients, host, address, port, milliseconds, code, text, ...rest }) => {
  const peer = host === undefined ? null : { host, address: address ?? null, port: port ?? 25 };
  const via = peer === null ? '' : ` via ${describePeer(peer)}`;
  const time = milliseconds === undefined ? '' : `, ${duration(milliseconds)}`;
  const reply = [code, text].filter((each) => each !== undefined).join(' ');
  const doubt = rest.maybeDelivered === true ? ' (the message may have been delivered)' : '';
  return `${addresses(recipients)}${via}${tlsText(rest)}${time}: ${reply}${doubt}`;
};

const REQUEST: Sentence = ({ by }) => `asked for by ${by ?? 'somebody'}`;

const SENTENCES: { readonly [event in HistoryRecord['event']]: Sentence } = {
  queued: ({ recipients }) => `for ${addresses(recipients)}`,
  delivered: ATTEMPT,
  deferred: ATTEMPT,
  refused: ATTEMPT,
  reported: ({ to, where, kinds, recipients, reason }) =>
    reason === undefined
      ? `to ${to} through ${where} (${kinds} ${addresses(recipients)})`
      : `for ${to}, kept in ${where}, because ${reason} (${kinds} ${addresses(recipients)})`,
  'not-reported': ({ recipients, reason }) => `${addresses(recipients)}: because ${reason}`,
  hold: REQUEST,
  release: REQUEST,
  retry: REQUEST,
  remove: REQUEST,
  'give-up': REQUEST,
};

/** Where the dialogues of its attempts are kept, if anywhere: a sentence; null: on this machine, or there were no attempts. */
export function elsewhere(story: Story, here: string, command: string): string | null {
  const attempts = story.filter(({ destination }) => destination !== undefined);
  const names = new Set(attempts.flatMap(({ machine }) => machine ?? []));
  names.delete(here);
  if (names.size === 0) return null;
  return `It was tried from ${[...names].join(', ')}: its dialogues, where they are kept, are there (\`${command}\`).`;
}

/** The longest event has twelve letters. */
const EVENT_WIDTH = 12;

function eventText(record: HistoryRecord): string {
  return `${record.event.padEnd(EVENT_WIDTH)}  ${eventSentence(record)}`.trimEnd();
}

/** What happened, without its name; '' for events of later versions. */
export function eventSentence(record: HistoryRecord): string {
  return SENTENCES[record.event]?.(record) ?? '';
}

function ending(recipients: StoryFacts['recipients']): string {
  const counts = new Map<RecipientState, string[]>();
  for (const [address, state] of Object.entries(recipients))
    counts.set(state, [...(counts.get(state) ?? []), address]);
  const parts = [...counts].map(([state, all]) => `${all.length} ${ENDINGS[state]}`);
  return `${plural(Object.keys(recipients).length, 'recipient')}: ${parts.join(', ')}.`;
}

const ENDINGS: { readonly [state in RecipientState]: string } = {
  queued: 'not tried yet',
  delivered: 'delivered',
  deferred: 'still waiting then',
  refused: 'refused',
  removed: 'removed',
};
