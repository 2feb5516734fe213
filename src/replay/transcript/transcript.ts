/**
 * The transcript of one delivery, as JSON lines: a header, then everything that happened, with its time. Both machines are
 * pure, so their events are enough to repeat a delivery; rows and effects are recorded beside them for comparison.
 * techdoc/debugging.md describes the lines.
 *
 * Strings are bytes, one character each (U+0000 to U+00FF), as everywhere in the core. No line holds a body or a
 * credential. Files of version 1 are read as well.
 */
import { createHash } from 'node:crypto';
import type { TlsFacts } from '#net-stream-utils';
import type { MessageFacts } from '../../delivery/attempt.ts';
import type { DeliveryEffect, DeliveryEvent, DeliveryState } from '../../delivery/delivery.ts';
import { DELIVERY_TABLE } from '../../delivery/table.ts';
import type { TlsUse } from '../../delivery/tls-use.ts';
import type { LookupAnswer, Question, TraceEvent } from '../../delivery/trace.ts';
import type { Job } from '../../delivery-list/job.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { Destination, Relay } from '../../routing/hosts.ts';
import { redactEntry } from '../../settings/redact.ts';
import type { Settings } from '../../settings/table.ts';
import type { Session, SessionEffect, SessionEvent } from '../../smtp/machine/session.ts';
import type { StateName } from '../../smtp/machine/states.ts';
import { SESSION_TABLE } from '../../smtp/machine/table.ts';
import type { Outcome } from '../../smtp/outcome.ts';
import { renumbered } from './renumber.ts';
import { upgradeLines } from './version-1.ts';

export interface TranscriptHeader {
  /** version of the format */
  readonly transcript: 2;
  /** fingerprint of the two tables the machines followed */
  readonly tables: string;
  /** milliseconds since the epoch; times of lines count from here */
  readonly at: number;
  /** number of the control message */
  readonly control: number;
  /** of a job with many recipients, those of this delivery only */
  readonly job: Job;
  /** ids of the recipients of this delivery: their positions among the job's */
  readonly indices: readonly number[];
  /** the same recipients, as RCPT TO names them */
  readonly recipients: readonly ByteString[];
  readonly destination: Destination;
  /** absent: it could not be sent, or an older version recorded this */
  readonly message?: MessageFacts;
  readonly hostname: string;
  /** what EHLO says, unless that is the hostname */
  readonly ehloName?: string;
  readonly settings: Settings;
}

export type LineBody =
  | {
      readonly what: 'lookup';
      readonly question: Question;
      readonly name: string;
      readonly answer: LookupAnswer;
    }
  | {
      readonly what: 'delivery';
      readonly event: DeliveryEvent;
      readonly row: string | null;
      readonly state: DeliveryState;
      readonly effects: readonly DeliveryEffect[];
    }
  /** the state of a session before the lines that follow: new, or taken over from another delivery */
  | { readonly what: 'session-state'; readonly session: number; readonly value: Session }
  /** `tls`: of TLS from the first byte */
  | {
      readonly what: 'connected';
      readonly session: number;
      readonly address: string;
      readonly tls?: TlsFacts;
    }
  | {
      readonly what: 'session';
      readonly session: number;
      readonly event: SessionEvent;
      readonly rows: readonly string[];
      readonly state: StateName;
      readonly effects: readonly SessionEffect[];
    }
  | { readonly what: 'body'; readonly size: number }
  /** at the end of the file, so that no delivery waits for it; `sha256` is null when the message could not be read again */
  | { readonly what: 'digest'; readonly size: number; readonly sha256: string | null }
  /** `tls` is missing in transcripts of earlier releases */
  | {
      readonly what: 'outcome';
      readonly recipients: readonly number[];
      readonly outcome: Outcome;
      readonly tls?: TlsUse | null;
    };

/** `t`: milliseconds since the header's time */
export type TranscriptLine = { readonly t: number } & LineBody;

export interface Transcript {
  readonly header: TranscriptHeader;
  readonly lines: readonly TranscriptLine[];
  /** version of the format it was recorded in */
  readonly version: 1 | 2;
  /** the last line is incomplete: the program ended while writing it */
  readonly cut: boolean;
}

export type TranscriptRead =
  | { readonly kind: 'transcript'; readonly transcript: Transcript }
  | { readonly kind: 'unusable'; readonly reason: string };

/** What a line is made from. */
export type Recorded =
  | Exclude<TraceEvent, { readonly what: 'closed' }>
  | Extract<LineBody, { readonly what: 'session-state' }>;

/** The event without the complete state of the machine, which would be repeated at each step. */
export function bodyOf(event: Recorded): LineBody {
  switch (event.what) {
    case 'delivery': {
      const { delivery, effects, row } = event.step;
      return { what: 'delivery', event: event.event, row, state: delivery.state, effects };
    }
    case 'session': {
      const { session, rows, effects } = event.step;
      const { what, session: number } = event;
      return { what, session: number, event: event.event, rows, state: session.state, effects };
    }
    case 'body':
      return { what: 'body', size: event.message.size };
    case 'outcome':
      return { what: 'outcome', recipients: event.recipients, outcome: event.recorded, tls: event.tls };
    case 'lookup':
    case 'session-state':
    case 'connected':
      return event;
  }
}

export function encode(value: TranscriptHeader | TranscriptLine): string {
  const text = JSON.stringify(value);
  // To look at each field takes longer than all the rest, and few lines have what must not be there.
  return `${SECRET.test(text) ? JSON.stringify(value, withoutCredentials) : text}\n`;
}

const SECRET = /"credentials":(?!null|true|false)/;

const WITHHELD = 'withheld';

function withoutCredentials(key: string, value: unknown): unknown {
  if (key !== 'credentials') return value;
  if (typeof value === 'string') return `${WITHHELD}:${WITHHELD}`;
  const secret = typeof value === 'object' && value !== null;
  return secret ? { user: WITHHELD, password: WITHHELD } : value;
}

/** Settings as they are recorded: all relays, without their passwords. */
export function recordedSettings(settings: Settings, relays: readonly Relay[]): Settings {
  const withheld = (shown: string): string => shown.replace('***@', `${WITHHELD}:${WITHHELD}@`);
  const entries = (kind: Relay['kind']): readonly string[] =>
    relays.filter((relay) => relay.kind === kind).map(({ shown }) => withheld(shown));
  return {
    ...settings,
    smarthost: entries('smarthost'),
    fallbackhost: entries('fallbackhost'),
    destinations: settings.destinations.map((entry) =>
      entry.relays === undefined
        ? entry
        : { ...entry, relays: entry.relays.map((relay) => withheld(redactEntry(relay))) },
    ),
    'internet-config': null,
    'tls-ca': [],
    // Its arguments may be anything, and nothing of it is part of a delivery.
    'alert.command': [],
  };
}

let version: string | undefined;

/** A fingerprint of both tables: any change of a row changes it. */
export function tableVersion(): string {
  version ??= createHash('sha256')
    .update(JSON.stringify([SESSION_TABLE, DELIVERY_TABLE]))
    .digest('hex')
    .slice(0, 12);
  return version;
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
  const [first, ...following] = values;
  if (!isHeader(first)) {
    return { kind: 'unusable', reason: 'its first line is not the header of a transcript of version 1 or 2' };
  }
  const version = first.transcript;
  const recorded: TranscriptHeader = { ...first, transcript: 2 };
  const { header, body } = unshortened(
    recorded,
    version === 1 ? upgradeLines(recorded, following) : following,
  );
  const unknown = body.findIndex((value) => !isLine(value));
  if (unknown >= 0) return { kind: 'unusable', reason: `line ${unknown + 2} is not a line of a transcript` };
  return {
    kind: 'transcript',
    transcript: { header, lines: body.filter(isLine), version, cut: rest !== '' },
  };
}

/** Of a job with more recipients than this, a transcript has those of its delivery only. */
const MANY_RECIPIENTS = 1000;

/** What a transcript says of the job: there may be one for each of a hundred thousand recipients. */
export function shortenedJob(job: Job, indices: readonly number[]): Job {
  if (job.recipients.length <= MANY_RECIPIENTS) return job;
  return { ...job, recipients: indices.flatMap((index) => job.recipients[index] ?? []), unknownLines: [] };
}

/** Ids are positions among the recipients of the job: here, too, where the others were left out. */
function unshortened(
  header: TranscriptHeader,
  body: readonly unknown[],
): { readonly header: TranscriptHeader; readonly body: readonly unknown[] } {
  const { job, indices } = header;
  const isShortened =
    job.recipients.length === indices.length && indices.some((index) => index >= indices.length);
  if (!isShortened) return { header, body };
  const position = new Map(indices.map((id, index) => [id, index]));
  return {
    header: { ...header, indices: indices.map((_, index) => index) },
    body: body.map((line) => renumbered(line, position)),
  };
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

type AnyHeader = Omit<TranscriptHeader, 'transcript'> & { readonly transcript: 1 | 2 };

function isHeader(value: unknown): value is AnyHeader {
  if (typeof value !== 'object' || value === null) return false;
  const header = value as Partial<AnyHeader>;
  return (
    (header.transcript === 1 || header.transcript === 2) &&
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
  'session-state',
  'connected',
  'session',
  'body',
  'digest',
  'outcome',
]);

function isLine(value: unknown): value is TranscriptLine {
  if (typeof value !== 'object' || value === null) return false;
  return 't' in value && typeof value.t === 'number' && 'what' in value && KINDS.has(value.what);
}
