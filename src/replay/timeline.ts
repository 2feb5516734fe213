/**
 * The timeline of one job: its deliveries, everything that happened to them with its time, and the outcome of each recipient.
 * Made from a transcript, or by a run in a world. Plain data; text, JSON and HTML are made from it.
 */
import type { DeliveryAttempt } from '../delivery/attempt.ts';
import type { TlsUse } from '../delivery/tls-use.ts';
import type { Trace } from '../delivery/trace.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Destination } from '../routing/hosts.ts';
import type { Outcome } from '../smtp/outcome.ts';
import type { LineBody, Transcript } from './transcript/transcript.ts';
import { bodyOf } from './transcript/transcript.ts';

export interface TimelineDelivery {
  readonly destination: Destination;
  /** ids of its recipients: positions among the job's */
  readonly indices: readonly number[];
}

/** `at`: milliseconds since the beginning; `deliveries`: the deliveries it concerns, as indices */
export type TimelineEvent = { readonly at: number; readonly deliveries: readonly number[] } & LineBody;

export interface TimelineOutcome {
  /** index into the job's recipients */
  readonly index: number;
  readonly address: ByteString;
  readonly outcome: Outcome;
  /** the row of either table that decided it; null: decided before there was a delivery */
  readonly row: string | null;
  /** null: clear text, no session, or not recorded */
  readonly tls: TlsUse | null;
}

export interface Timeline {
  readonly deliveries: readonly TimelineDelivery[];
  readonly events: readonly TimelineEvent[];
  readonly outcomes: readonly TimelineOutcome[];
  /** completes "The recording does not say ...": the timeline ends where the recording has no answer; null: it is complete */
  readonly unrecorded: string | null;
}

/** Collects the trace of a run. */
export class Collector {
  readonly deliveries: TimelineDelivery[] = [];
  readonly events: TimelineEvent[] = [];
  readonly #numbers = new Map<DeliveryAttempt, number>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  readonly observe: Trace = (attempts, event) => {
    if (event.what === 'closed') return;
    const deliveries = attempts.map((attempt) => this.#numbers.get(attempt) ?? this.#add(attempt));
    this.events.push({ at: this.#now(), deliveries, ...bodyOf(event) });
  };

  #add(attempt: DeliveryAttempt): number {
    const number = this.deliveries.length;
    this.#numbers.set(attempt, number);
    const indices = attempt.recipients.map(({ id }) => id);
    this.deliveries.push({ destination: attempt.destination, indices });
    return number;
  }
}

export function timelineOf({ header, lines }: Transcript): Timeline {
  const { destination, indices, job } = header;
  const deliveries = [{ destination, indices }];
  const events = lines.map(({ t, ...body }): TimelineEvent => ({ at: t, deliveries: [0], ...body }));
  const address = (index: number): ByteString => job.recipients[index]?.address ?? '';
  return { deliveries, events, outcomes: outcomesIn(events, address), unrecorded: null };
}

/** The outcomes, each with the row taken just before it; in the order of the recipients. */
export function outcomesIn(
  events: readonly TimelineEvent[],
  address: (index: number) => ByteString,
): readonly TimelineOutcome[] {
  const outcomes: TimelineOutcome[] = [];
  const lastRow = new Map<number, string | null>();
  for (const event of events) {
    const row = rowOf(event);
    if (row !== null) for (const delivery of event.deliveries) lastRow.set(delivery, row);
    if (event.what !== 'outcome') continue;
    for (const delivery of event.deliveries) {
      for (const index of event.recipients) {
        const { outcome, tls = null } = event;
        const row = lastRow.get(delivery) ?? null;
        outcomes.push({ index, address: address(index), outcome, row, tls });
      }
    }
  }
  return outcomes.sort((a, b) => a.index - b.index);
}

/** Of several rows, the first is the one for the event; the others follow from it. */
function rowOf(event: TimelineEvent): string | null {
  if (event.what === 'session') return event.rows[0] ?? null;
  return event.what === 'delivery' ? event.row : null;
}
