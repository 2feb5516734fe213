/**
 * What the web view asks of the queue and of what is known beside it. The command gives it; the pages see facts and text for
 * people only, no files.
 */

import type { Story } from '../history/search.ts';
import type { StoryFacts } from '../output/history-text.ts';
import type { Markup } from '../output/html/markup.ts';
import type { DestinationAges, ListedJob } from '../output/queue-list.ts';
import type { ThrottleFacts } from '../output/throttling.ts';
import type { PolicyTally } from '../tls-report/tally.ts';

/** The words of a selection, as options of the commands have them. */
export type SelectionFields = { readonly [name: string]: string };

/** A full sentence for people: what was asked for cannot be done. */
export interface Problem {
  readonly kind: 'problem';
  readonly text: string;
}

export interface QueueCounts {
  readonly jobs: number;
  /** recipients; null: not counted */
  readonly pending: number | null;
  readonly due: number;
  readonly held: number;
  /** seconds; null: there is no job, or no list says when it was queued */
  readonly oldest: number | null;
  /** who delivers now, for people: `process 77`; null: nobody */
  readonly delivering: string | null;
  readonly unreadable: number;
}

export interface QueueList {
  readonly kind: 'list';
  readonly counts: QueueCounts;
  /** how many were selected */
  readonly total: number;
  /** of these, one page */
  readonly jobs: readonly ListedJob[];
  /** for people: ` from alice@, older than 3d`; '' for everything */
  readonly selected: string;
  /** sentences about what is not a job: hosts that slow us down, lists that cannot be read */
  readonly notes: readonly string[];
  /** false: the queue is still being read, and this is what is known of it */
  readonly isWhole: boolean;
  /** Unix seconds */
  readonly now: number;
}

export interface QueueQuery {
  readonly fields: SelectionFields;
  readonly order: QueueOrder;
  /** from 0 on */
  readonly first: number;
  readonly count: number;
}

export const QUEUE_ORDERS = ['newest', 'oldest', 'next'] as const;
export type QueueOrder = (typeof QUEUE_ORDERS)[number];

export const ACTIONS = ['hold', 'release', 'retry', 'remove', 'give-up'] as const;
export type Action = (typeof ACTIONS)[number];

/** What an action would do. */
export interface Plan {
  readonly kind: 'plan';
  readonly count: number;
  /** completes "This would": `hold jobs 4, 6` */
  readonly deed: string;
  /** the first of them */
  readonly jobs: readonly ListedJob[];
  readonly now: number;
  /** whether it has to be asked for twice */
  readonly asks: boolean;
  /** Does it; resolves to sentences. */
  perform(by: string): Promise<string>;
}

export interface Attempt {
  /** the name of its transcript */
  readonly name: string;
  /** ISO 8601 */
  readonly at: string;
}

export interface JobDetails {
  readonly kind: 'job';
  readonly number: number;
  /** null: it has left the queue */
  readonly job: ListedJob | null;
  readonly sentences: readonly string[];
  /** name and value */
  readonly envelope: readonly (readonly [string, string])[];
  /** lines of the message's header; a sentence when it cannot be read */
  readonly header: readonly string[] | string;
  /** recorded attempts, the latest first */
  readonly attempts: readonly Attempt[];
  /** of the attempt that was asked for; null: there is none */
  readonly shown: { readonly name: string; readonly timeline: Markup } | Problem | null;
  readonly history: Story | null;
  readonly now: number;
}

export interface HistoryQuery {
  readonly fields: SelectionFields;
  readonly first: number;
  readonly count: number;
}

export interface HistoryList {
  readonly kind: 'list';
  readonly stories: readonly StoryFacts[];
  readonly more: boolean;
  /** the first day of which something is kept; null: nothing is */
  readonly since: string | null;
}

export interface Destinations {
  readonly destinations: readonly DestinationAges[];
  readonly throttled: readonly ThrottleFacts[];
  readonly slowed: string | null;
}

export interface TlsDay {
  readonly kind: 'day';
  readonly day: string;
  readonly days: readonly string[];
  readonly counts: readonly (readonly [string, readonly PolicyTally[]])[];
}

/** Events of the history since midnight (UTC), by kind, in recipients. */
export interface DayCounts {
  readonly today: { readonly [event: string]: number };
  readonly lastHour: { readonly [event: string]: number };
}

export interface MetricsText {
  readonly type: string;
  readonly text: string;
}

export interface WebModel {
  /** the spool, for people */
  readonly name: string;
  counts(): Promise<QueueCounts>;
  list(query: QueueQuery): Promise<QueueList | Problem>;
  plan(action: Action, fields: SelectionFields): Promise<Plan | Problem>;
  job(number: string, attempt: string | null): Promise<JobDetails | Problem>;
  history(query: HistoryQuery): Promise<HistoryList | Problem>;
  destinations(): Promise<Destinations>;
  tls(day: string): Promise<TlsDay | Problem>;
  events(): Promise<DayCounts>;
  /** `accept`: what the client understands */
  metrics(accept: string | undefined): Promise<MetricsText>;
}
