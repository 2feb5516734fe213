/**
 * What can be seen of a delivery while it happens: every answer, event, decision and effect, with the attempts it
 * concerns. Transcripts, the dialogue on a screen and `replay` are made from it. Bodies and credentials are never part of it.
 */

import type { TlsaRecord, TlsFacts } from '#net-stream-utils';
import type { OutgoingMessage } from '../message/outgoing.ts';
import type { LookupResult, MxRecord, StsPolicy } from '../platform/dns.ts';
import type { SessionEvent, Step } from '../smtp/machine/session.ts';
import type { Outcome } from '../smtp/outcome.ts';
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
