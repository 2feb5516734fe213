/**
 * What became of a recipient, and how far a failure reaches. Session and delivery produce these values,
 * outcome/ turns them into status lines and reports. Plain data: they are written to transcripts as they are.
 */
import type { ByteString } from '../platform/bytes.ts';
import type { StateName } from './machine/states.ts';

/** How far a failure reaches: the next host, all recipients of the message, one recipient (techdoc/delivery-states.md). */
export type FailureScope = 'host' | 'message' | 'recipient';

/** Where in a delivery something happened: before there was a session, or the state the session was in. */
export type Stage = 'routing' | 'payload' | 'lookup' | 'connect' | StateName;

/** The server a failure or a delivery is about. `address` is an IP literal without brackets. */
export interface Peer {
  readonly host: string;
  readonly address: string | null;
  readonly port: number;
}

export interface Failure {
  readonly scope: FailureScope;
  readonly stage: Stage;
  /** true: status 5, told to the sender at once. false: status 4, tried again. */
  readonly permanent: boolean;
  /** SMTP reply code, or null when no reply came */
  readonly code: number | null;
  /** RFC 3463 code, the remote's or the one we map; e.g. `4.4.1` */
  readonly enhanced: string;
  /** the remote's words (bytes, one or several lines), or our own sentence where it said nothing */
  readonly text: ByteString;
  readonly peer: Peer | null;
  /** the message may have arrived although we count it as failed (lost reply to the final dot) */
  readonly maybeDelivered: boolean;
}

export interface Acceptance {
  readonly code: number;
  readonly enhanced: string;
  readonly text: ByteString;
  readonly peer: Peer;
}

export type Outcome = ({ readonly kind: 'delivered' } & Acceptance) | ({ readonly kind: 'failed' } & Failure);
