/**
 * The outcome of an attempt for a recipient, and the scope of a failure. Plain data, written to transcripts as it is.
 */
import type { ByteString } from '../platform/bytes.ts';
import type { StateName } from './machine/states.ts';

/**
 * What a failure applies to: this host, so that the next one is tried; all recipients of the message; or one recipient.
 * See techdoc/delivery-states.md.
 */
export type FailureScope = 'host' | 'message' | 'recipient';

/**
 * Where in a delivery something happened: before there was a session, or in which state of the session. `network`: connecting
 * failed on this machine, which says nothing about the host.
 */
export type Stage = 'routing' | 'payload' | 'lookup' | 'network' | 'connect' | StateName;

/** The server of a session. `address` is an IP literal without brackets. */
export interface Peer {
  readonly host: string;
  readonly address: string | null;
  readonly port: number;
}

export interface Failure {
  readonly scope: FailureScope;
  readonly stage: Stage;
  /** true: status 5, the sender is told; false: status 4, tried again later */
  readonly permanent: boolean;
  /** SMTP reply code; null when no reply arrived */
  readonly code: number | null;
  /** RFC 3463 code, e.g. `4.4.1`: the server's, or a mapped one */
  readonly enhanced: string;
  /** the text of the server's reply (bytes, one or more lines); without a reply, our own text, which completes "HOST ..." */
  readonly text: ByteString;
  readonly peer: Peer | null;
  /** the message may have arrived although the attempt failed: the reply to the end of data was lost */
  readonly maybeDelivered: boolean;
}

/** Of a failure that was found before any server had a say. */
export const NO_SERVER = { code: null, peer: null, maybeDelivered: false } as const;

export interface Acceptance {
  readonly code: number;
  readonly enhanced: string;
  readonly text: ByteString;
  readonly peer: Peer;
}

export type Outcome = ({ readonly kind: 'delivered' } & Acceptance) | ({ readonly kind: 'failed' } & Failure);
