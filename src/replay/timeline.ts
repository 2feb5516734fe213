/**
 * What a replay tells: the deliveries of one job, everything that happened to them with its time, and what became of
 * each recipient. Comes from a transcript or from a run in a world; text, JSON and HTML are made from it. Plain data.
 */
import type { DeliveryAttempt } from '../delivery/attempt.ts';
import type { Trace } from '../delivery/trace.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Destination } from '../routing/hosts.ts';
import type { Outcome } from '../smtp/outcome.ts';
import type { LineBody, Transcript } from './transcript/transcript.ts';
import { bodyOf } from './transcript/transcript.ts';

export interface TimelineDelivery {
  readonly destination: Destination;
  /** indices into the job's recipients */
  readonly indices: readonly number[];
}

/** `at`: milliseconds since the beginning; `deliveries`: whose this is, as indices */
export type TimelineEvent = { readonly at: number; readonly deliveries: readonly number[] } & LineBody;

export interface TimelineOutcome {
  /** index into the job's recipients */
  readonly index: number;
  readonly address: ByteString;
  readonly outcome: Outcome;
  /** the row of either table that decided it; null: it was decided before there was a delivery */
  readonly row: string | null;
}

export interface Timeline {
  readonly deliveries: readonly TimelineDelivery[];
  readonly moments: readonly TimelineEvent[];
  readonly outcomes: readonly TimelineOutcome[];
  /** what a recording was asked and has no answer to: the story ends there */
  readonly unknown: string | null;
}

/** Gathers what an observer sees. */
export class Collector {
  readonly deliveries: TimelineDelivery[] = [];
  readonly moments: TimelineEvent[] = [];
  readonly #known = new Map<DeliveryAttempt, number>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  readonly observe: Trace = (orders, sight) => {
    const deliveries = orders.map((order) => this.#known.get(order) ?? this.#meet(order));
    if (sight.what === 'closed') return;
    this.moments.push({ at: this.#now(), deliveries, ...bodyOf(sight) });
  };

  #meet(order: DeliveryAttempt): number {
    const number = this.deliveries.length;
    this.#known.set(order, number);
    this.deliveries.push({ destination: order.destination, indices: order.recipients.map(({ id }) => id) });
    return number;
  }
}

export function timelineOf({ header, lines }: Transcript): Timeline {
  const { destination, indices, job } = header;
  const deliveries = [{ destination, indices }];
  const moments = lines.map(({ t, ...body }): TimelineEvent => ({ at: t, deliveries: [0], ...body }));
  const address = (index: number): ByteString => job.recipients[index]?.address ?? '';
  return { deliveries, moments, outcomes: outcomesIn(moments, address), unknown: null };
}

/** The verdicts, each with the row that was taken just before it. */
export function outcomesIn(
  moments: readonly TimelineEvent[],
  address: (index: number) => ByteString,
): readonly TimelineOutcome[] {
  const outcomes: TimelineOutcome[] = [];
  const lastRow = new Map<number, string | null>();
  for (const moment of moments) {
    const row = rowOf(moment);
    if (row !== null) for (const delivery of moment.deliveries) lastRow.set(delivery, row);
    if (moment.what !== 'outcome') continue;
    for (const delivery of moment.deliveries) {
      for (const index of moment.recipients) {
        const { outcome } = moment;
        outcomes.push({ index, address: address(index), outcome, row: lastRow.get(delivery) ?? null });
      }
    }
  }
  return outcomes.sort((a, b) => a.index - b.index);
}

/** Of several rows passed through at once, the first answers the event; the others follow from it. */
function rowOf(moment: TimelineEvent): string | null {
  if (moment.what === 'session') return moment.rows[0] ?? null;
  return moment.what === 'delivery' ? moment.row : null;
}
