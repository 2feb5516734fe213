/**
 * Finds messages in the history, with all that happened to them. Two passes over the files, piece by piece: the first one
 * finds which messages are meant, the second one takes all records of these. In memory are the records of the messages that
 * are returned.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import type { Candidate, Selection } from '../queue/selection/selection.ts';
import { dayOf, type HistoryFile } from './files.ts';
import { linesOf } from './lines.ts';
import { type HistoryEvent, type HistoryRecord, parseRecord } from './record.ts';

export interface HistoryQuery {
  /** pieces of text that a wanted record has, and the number of its job or message, where these are known; for a database */
  readonly needles?: readonly string[];
  readonly number?: MessageNumber;
  /** whether the text of records can hold a wanted one; asked before they are read */
  readonly mayHold: (text: string) => boolean;
  readonly matches: (record: HistoryRecord) => boolean;
  /** milliseconds since the epoch; records of this time and later, and before `until` */
  readonly since: number;
  readonly until: number;
  /** messages that are returned: the latest ones */
  readonly limit: number;
  /** so many later ones are left out; absent: none */
  readonly skip?: number;
}

/** @param now Unix seconds */
export function queryOf(
  selection: Selection,
  now: number,
): Pick<HistoryQuery, 'needles' | 'mayHold' | 'matches'> {
  return {
    needles: selection.needles,
    mayHold: holdsAll(selection.needles),
    matches: (record) => selection.matches(candidateOf(record), now),
  };
}

export function latestQuery(number: MessageNumber): HistoryQuery {
  const wanted = new RegExp(`"(?:job|mail)":${number},`);
  return {
    number,
    mayHold: (text) => wanted.test(text),
    matches: ({ job, mail }) => job === number || mail === number,
    since: Number.NEGATIVE_INFINITY,
    until: Number.POSITIVE_INFINITY,
    limit: 1,
  };
}

/** A message, and what happened to it in order. */
export type Story = readonly [HistoryRecord, ...HistoryRecord[]];

export interface Found {
  /** in the order of their first records */
  readonly stories: readonly Story[];
  /** there may be earlier ones, which were left out */
  readonly more: boolean;
}

/** For the option `--status`. */
export const EVENTS = [
  'queued',
  'delivered',
  'deferred',
  'refused',
  'reported',
  'not-reported',
  'hold',
  'release',
  'retry',
  'remove',
  'give-up',
] as const satisfies readonly HistoryEvent[];

export function searchHistory(files: readonly HistoryFile[], query: HistoryQuery): Found {
  const steps = searchSteps(files, query);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** The same, piece by piece. */
export function* searchSteps(files: readonly HistoryFile[], query: HistoryQuery): Generator<void, Found> {
  const { keys, more, from } = yield* findKeys(files, query);
  const found: HistoryRecord[] = [];
  const holds = holdsAnyOf(keys.values());
  for (const { path, day } of files) {
    if (keys.size === 0 || day < from) continue;
    for (const lines of linesOf(path, holds)) {
      for (const record of lines.map(parseRecord)) {
        if (record !== null && keys.has(keyOf(record))) found.push(record);
      }
      yield;
    }
  }
  return { stories: inStories(found), more };
}

/** In the order of their first records. */
export function inStories(records: Iterable<HistoryRecord>): readonly Story[] {
  const stories = new Map<string, HistoryRecord[]>();
  for (const record of records) {
    const story = stories.get(keyOf(record)) ?? [];
    stories.set(keyOf(record), story);
    story.push(record);
  }
  const sorted = [...stories.values()].flatMap(([first, ...rest]) =>
    first === undefined ? [] : [inOrder([first, ...rest])],
  );
  return sorted.sort((a, b) => (a[0].at < b[0].at ? -1 : 1));
}

/** Several processes write: their records may have come in another order. */
function inOrder(story: [HistoryRecord, ...HistoryRecord[]]): Story {
  return story.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}

interface Keys {
  /** the number of the payload, by key */
  readonly keys: ReadonlyMap<string, number>;
  readonly more: boolean;
  /** the day before which none of them has a record */
  readonly from: string;
}

/** From the latest file backwards, until there are enough. */
function* findKeys(files: readonly HistoryFile[], query: HistoryQuery): Generator<void, Keys> {
  const { since, until, skip = 0 } = query;
  const most = query.limit + skip;
  const [firstDay, lastDay] = [dayIn(since), dayIn(until)];
  const wanted = files.filter(({ day }) => day >= firstDay && day <= lastDay).reverse();
  const keys = new Map<string, number>();
  let from = '9';
  let more = false;
  for (const [at, { path }] of wanted.entries()) {
    const records = yield* recordsIn(path, query, most);
    for (const [key, record] of [...records].reverse()) {
      if (!keys.has(key) && keys.size >= most) more = true;
      else if (!keys.has(key)) keys.set(key, record.mail);
      const day = record.submitted === null ? record.at : dayOf(record.submitted * 1000);
      if (keys.has(key) && day < from) from = day;
    }
    more ||= keys.size >= most && at < wanted.length - 1;
    if (more) break;
  }
  return { keys: new Map([...keys].slice(skip)), more, from: from.slice(0, 10) };
}

/** The last record of each message that matches, by key, in the order of these records; at most so many that one is left out. */
function* recordsIn(
  path: string,
  { mayHold, matches, since, until }: HistoryQuery,
  most: number,
): Generator<void, ReadonlyMap<string, HistoryRecord>> {
  const found = new Map<string, HistoryRecord>();
  for (const lines of linesOf(path, mayHold)) {
    for (const record of lines.map(parseRecord)) {
      if (record === null || !isWithinTime(record, since, until) || !matches(record)) continue;
      const key = keyOf(record);
      found.delete(key);
      found.set(key, record);
      const [oldest = ''] = found.keys();
      if (found.size > most + 1) found.delete(oldest);
    }
    yield;
  }
  return found;
}

/** The earliest and the latest day that a file can have, where the time is beyond what a date can be. */
function dayIn(at: number): string {
  if (at === Number.NEGATIVE_INFINITY) return '';
  return at === Number.POSITIVE_INFINITY ? '9' : dayOf(at);
}

function isWithinTime({ at }: HistoryRecord, since: number, until: number): boolean {
  const time = Date.parse(at);
  return time >= since && time < until;
}

/** A message: the number of its payload is used again, but not with the same time of submission. */
export function keyOf({ mail, submitted }: Pick<HistoryRecord, 'mail' | 'submitted'>): string {
  return `${mail} ${submitted}`;
}

function candidateOf(record: HistoryRecord): Candidate {
  const { job, sender, messageId, submitted, recipients, event, host, address, text, reason } = record;
  const relay = [host, address, record.where].filter((each) => each !== undefined).join(' ');
  const answer = [record.code, text, reason].filter((each) => each !== undefined).join(' ');
  const statuses = [event];
  return {
    ...{ job, sender, messageId, submitted },
    recipients: recipients.map((each) => ({ address: each, statuses, answer, relay })),
  };
}

type Holds = (text: string) => boolean;

/** As JSON writes it. */
export function needleText(needle: string): string {
  return JSON.stringify(needle).slice(1, -1);
}

/** Whether a text has all the needles, in any case of letters, as JSON writes them. */
function holdsAll(needles: readonly string[]): Holds {
  const wanted = needles.map((needle) => new RegExp(escaped(needleText(needle)), 'i'));
  return (text) => wanted.every((each) => each.test(text));
}

/** So many numbers are looked for one by one. */
const MOST_NUMBERS = 100;

function holdsAnyOf(mails: Iterable<number>): Holds {
  const numbers = [...new Set(mails)];
  if (numbers.length > MOST_NUMBERS) return () => true;
  const wanted = new RegExp(`"mail":(?:${numbers.join('|')}),`);
  return (text) => wanted.test(text);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
