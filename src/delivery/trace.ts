/**
 * What can be seen of a delivery while it happens: every answer, event, decision and effect, with the attempts it
 * concerns. Transcripts, the dialogue on a screen and `replay` are made from it. Bodies and credentials are never part of it.
 * There are ten events and more for each message, so observers say which of them they want.
 */

import type { TlsaRecord, TlsFacts } from '#net-stream-utils';
import type { OutgoingMessage } from '../message/outgoing.ts';
import type { LookupResult, MxRecord, StsPolicy } from '../platform/dns.ts';
import type { SessionEvent, Step } from '../smtp/machine/session.ts';
import type { Failure, Outcome } from '../smtp/outcome.ts';
import type { DeliveryAttempt } from './attempt.ts';
import type { DeliveryEvent, DeliveryStep } from './delivery.ts';
import type { TlsUse } from './tls-use.ts';

export type Question = 'mx' | 'a' | 'aaaa' | 'tlsa' | 'sts';

export type LookupAnswer =
  | LookupResult<MxRecord>
  | LookupResult<string>
  | LookupResult<TlsaRecord>
  | LookupResult<StsPolicy>;

export type TraceEvent =
  | {
      readonly what: 'lookup';
      readonly question: Question;
      readonly name: string;
      readonly answer: LookupAnswer;
    }
  | { readonly what: 'delivery'; readonly event: DeliveryEvent; readonly step: DeliveryStep }
  /** connected; with TLS from the first byte: negotiated as well */
  | {
      readonly what: 'connected';
      readonly session: number;
      readonly address: string;
      readonly tls?: TlsFacts;
    }
  | { readonly what: 'session'; readonly session: number; readonly event: SessionEvent; readonly step: Step }
  /** the connection is closed: nothing more comes of this session */
  | { readonly what: 'closed'; readonly session: number }
  /** the message is about to be sent */
  | { readonly what: 'body'; readonly message: OutgoingMessage }
  /** recipients have their outcome, decided by the step traced last; `recorded` is what their lines say of it */
  | {
      readonly what: 'outcome';
      readonly recipients: readonly number[];
      readonly outcome: Outcome;
      readonly tls: TlsUse | null;
      readonly recorded: Outcome;
    };

/** `attempts`: whom this concerns; nobody for a session between two messages or one that is closing. */
export type Trace = (attempts: readonly DeliveryAttempt[], event: TraceEvent) => void;

export type Traced<What extends TraceEvent['what']> = Extract<TraceEvent, { readonly what: What }>;
type Tell<Event> = (attempts: readonly DeliveryAttempt[], event: Event) => void;

/** An event of a delivery that says what failed. */
type FailureTrace = Traced<'delivery'> & { readonly event: { readonly failure: Failure } };

/** What somebody wants to know of deliveries: other events do not reach it. */
export type Observer = { readonly [What in TraceEvent['what']]?: Tell<Traced<What>> } & {
  /** whatever is not named */
  readonly others?: Trace;
  /** of deliveries, failures alone */
  readonly failure?: Tell<FailureTrace>;
  /** of sessions, only what comes before their first transaction */
  readonly initiation?: Tell<Traced<'session'>>;
};

/** Tells each event to those that want it, in the order in which they are given. */
export function traceFor(observers: readonly Observer[]): Trace {
  const all = (wanted: (observer: Observer) => unknown): Trace =>
    together(observers.flatMap((observer) => (wanted(observer) ?? []) as Trace | []));
  const told = {
    lookup: all(({ lookup, others }) => lookup ?? others),
    delivery: all(({ delivery, others }) => delivery ?? others),
    connected: all(({ connected, others }) => connected ?? others),
    session: all(({ session, others }) => session ?? others),
    closed: all(({ closed, others }) => closed ?? others),
    body: all(({ body, others }) => body ?? others),
    outcome: all(({ outcome, others }) => outcome ?? others),
  } satisfies { readonly [what in TraceEvent['what']]: Trace };
  const failure = all((observer) => observer.failure);
  const initiation = all((observer) => observer.initiation);
  return (attempts, event) => {
    told[event.what](attempts, event);
    if (event.what === 'session') {
      const { transactions, current } = event.step.session;
      if (transactions === 0 && current === null) initiation(attempts, event);
    } else if (event.what === 'delivery' && 'failure' in event.event) failure(attempts, event);
  };
}

function together(traces: readonly Trace[]): Trace {
  const [only] = traces;
  if (only !== undefined && traces.length === 1) return only;
  return (attempts, event) => {
    for (const tell of traces) tell(attempts, event);
  };
}
