/**
 * What a transcript is: one delivery as JSON lines, a header and then everything that happened, with its time. Both
 * machines are pure, so the events alone are enough to walk the same way again; rows and effects stand beside them to
 * be compared. Written by the recorder, read by `replay` and `explain`; techdoc/debugging.md describes the lines.
 *
 * Strings are bytes, one character each (U+0000 to U+00FF), as everywhere in the core. No line holds a body or a
 * credential.
 */
import { createHash } from 'node:crypto';
import type { DeliveryEffect, DeliveryEvent, DeliveryState } from '../../delivery/delivery.ts';
import { DELIVERY_TABLE } from '../../delivery/table.ts';
import type { Question, TraceEvent } from '../../delivery/trace.ts';
import type { Job } from '../../delivery-list/job.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { LookupResult, MxRecord } from '../../platform/dns.ts';
import type { Destination, Relay } from '../../routing/hosts.ts';
import type { Settings } from '../../settings/table.ts';
import type { Session, SessionEffect, SessionEvent } from '../../smtp/machine/session.ts';
import type { StateName } from '../../smtp/machine/states.ts';
import { SESSION_TABLE } from '../../smtp/machine/table.ts';
import type { Outcome } from '../../smtp/outcome.ts';

export interface TranscriptHeader {
  /** version of this form */
  readonly transcript: 1;
  /** fingerprint of the two tables the machines followed */
  readonly tables: string;
  /** milliseconds since the epoch; times of lines count from here */
  readonly at: number;
  /** number of the control message */
  readonly control: number;
  readonly job: Job;
  /** the recipients of this delivery, as indices into the job's */
  readonly indices: readonly number[];
  /** the same, as they are named in RCPT TO */
  readonly recipients: readonly ByteString[];
  readonly destination: Destination;
  readonly hostname: string;
  readonly settings: Settings;
}

export type LineBody =
  | {
      readonly what: 'lookup';
      readonly question: Question;
      readonly name: string;
      readonly answer: LookupResult<MxRecord> | LookupResult<string>;
    }
  | {
      readonly what: 'delivery';
      readonly event: DeliveryEvent;
      readonly row: string | null;
      readonly state: DeliveryState;
      readonly effects: readonly DeliveryEffect[];
    }
  /** a session as it was before what follows: at its beginning, or when it came from another delivery */
  | { readonly what: 'from'; readonly session: number; readonly value: Session }
  | { readonly what: 'connected'; readonly session: number; readonly address: string }
  | {
      readonly what: 'session';
      readonly session: number;
      readonly event: SessionEvent;
      readonly rows: readonly string[];
      readonly state: StateName;
      readonly effects: readonly SessionEffect[];
    }
  | { readonly what: 'body'; readonly size: number }
  /** told at the end, so that nobody waits for it; null when the message could not be read again */
  | { readonly what: 'digest'; readonly size: number; readonly sha256: string | null }
  | { readonly what: 'verdict'; readonly recipients: readonly number[]; readonly verdict: Outcome };

/** `t`: milliseconds since the header's time */
export type TranscriptLine = { readonly t: number } & LineBody;

export interface Transcript {
  readonly header: TranscriptHeader;
  readonly lines: readonly TranscriptLine[];
  /** the last line was cut off: the program ended while it was written */
  readonly cut: boolean;
}

export type TranscriptRead =
  | { readonly kind: 'transcript'; readonly transcript: Transcript }
  | { readonly kind: 'unusable'; readonly reason: string };

/** The sight without what a machine's state repeats at each step. */
export function bodyOf(sight: TraceEvent): LineBody {
  switch (sight.what) {
    case 'delivery': {
      const { delivery, effects, row } = sight.step;
      return { what: 'delivery', event: sight.event, row, state: delivery.state, effects };
    }
    case 'session': {
      const { session, rows, effects } = sight.step;
      const { what, session: number, event } = sight;
      return { what, session: number, event, rows, state: session.state, effects };
    }
    case 'body':
      return { what: 'body', size: sight.message.size };
    case 'lookup':
    case 'connected':
    case 'verdict':
      return sight;
  }
}

export function encode(value: TranscriptHeader | TranscriptLine): string {
  return `${JSON.stringify(value, withoutCredentials)}\n`;
}

const WITHHELD = 'withheld';

function withoutCredentials(key: string, value: unknown): unknown {
  const secret = key === 'credentials' && typeof value === 'object' && value !== null;
  return secret ? { user: WITHHELD, password: WITHHELD } : value;
}

/** Settings as they may be written down: relays without their passwords, and all of them in one place. */
export function recordedSettings(settings: Settings, relays: readonly Relay[]): Settings {
  const entries = (kind: Relay['kind']): readonly string[] =>
    relays
      .filter((relay) => relay.kind === kind)
      .map(({ shown }) => shown.replace('***@', `${WITHHELD}:${WITHHELD}@`));
  return {
    ...settings,
    smarthost: entries('smarthost'),
    fallbackhost: entries('fallbackhost'),
    'internet-config': null,
    'tls-ca': [],
  };
}

/** Any change of a row is another version. */
export function tableVersion(): string {
  const tables = JSON.stringify([SESSION_TABLE, DELIVERY_TABLE]);
  return createHash('sha256').update(tables).digest('hex').slice(0, 12);
}

export function isTranscript(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, 16).startsWith('{"transcript":');
}

export function readTranscript(text: string): TranscriptRead {
  const lines = text.split('\n');
  const rest = lines.pop() ?? '';
  const values: unknown[] = [];
  for (const [index, line] of lines.entries()) {
    const value = parsed(line);
    if (value === undefined) return { kind: 'unusable', reason: `line ${index + 1} is not JSON` };
    values.push(value);
  }
  const [header, ...following] = values;
  if (!isHeader(header)) {
    return { kind: 'unusable', reason: 'its first line is not the header of a transcript of version 1' };
  }
  const strange = following.findIndex((value) => !isLine(value));
  if (strange >= 0) return { kind: 'unusable', reason: `line ${strange + 2} is no line of a transcript` };
  return {
    kind: 'transcript',
    transcript: { header, lines: following.filter(isLine), cut: rest !== '' },
  };
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isHeader(value: unknown): value is TranscriptHeader {
  if (typeof value !== 'object' || value === null) return false;
  const header = value as Partial<TranscriptHeader>;
  return (
    header.transcript === 1 &&
    typeof header.at === 'number' &&
    Array.isArray(header.job?.recipients) &&
    Array.isArray(header.indices) &&
    Array.isArray(header.recipients) &&
    typeof header.destination === 'object' &&
    typeof header.settings === 'object'
  );
}

const KINDS: ReadonlySet<unknown> = new Set<LineBody['what']>([
  'lookup',
  'delivery',
  'from',
  'connected',
  'session',
  'body',
  'digest',
  'verdict',
]);

function isLine(value: unknown): value is TranscriptLine {
  if (typeof value !== 'object' || value === null) return false;
  return 't' in value && typeof value.t === 'number' && 'what' in value && KINDS.has(value.what);
}
