/**
 * Records transcripts: follows every delivery of a run and keeps those that did not end in success. Lines are buffered until
 * the first failure or for one second, so that nothing is written for a delivery that succeeds at once. From then on each
 * line is written when it happens, and a crash leaves everything up to it.
 */
import { createHash } from 'node:crypto';
import type { DeliveryAttempt, MessageFacts } from '../../delivery/attempt.ts';
import type { Trace, TraceEvent } from '../../delivery/trace.ts';
import type { OutgoingMessage } from '../../message/outgoing.ts';
import type { Clock, Timer } from '../../platform/clock.ts';
import { fixedDelay, type StartTimer } from '../../platform/timers.ts';
import type { Relay } from '../../routing/hosts.ts';
import type { Settings } from '../../settings/table.ts';
import type { Session } from '../../smtp/machine/session.ts';
import { beginSession } from '../../smtp/machine/session.ts';
import type { Recorded } from './transcript.ts';
import { bodyOf, encode, recordedSettings, shortenedJob, tableVersion } from './transcript.ts';

/** Where one transcript is written. It never throws: the store reports its own errors, and no delivery fails for them. */
export interface TranscriptWriter {
  append(text: string): void;
  /** it is as long as a transcript may be, and takes no more */
  readonly isFull: boolean;
  /** the transcript is complete and is kept */
  keep(): void;
  discard(): void;
}

export interface TranscriptStore {
  /** `at`: milliseconds since the epoch */
  open(control: number, at: number): TranscriptWriter;
}

export interface RecorderRules {
  readonly keep: 'failures' | 'all';
  readonly settings: Settings;
  readonly relays: readonly Relay[];
  readonly hostname: string;
  readonly ehloName: string;
}

/** Milliseconds for which the lines of a delivery are buffered. */
const BUFFER_TIME = 1000;

interface TimedEvent {
  /** monotonic milliseconds */
  readonly at: number;
  readonly event: Recorded;
}

interface Recording {
  readonly attempt: DeliveryAttempt;
  /** milliseconds since the epoch */
  readonly at: number;
  /** monotonic milliseconds */
  readonly began: number;
  readonly sessions: Set<number>;
  readonly timer: Timer;
  /** as it was loaded, before another form of it was made */
  readonly facts: MessageFacts | null;
  readonly messages: OutgoingMessage[];
  /** what is not written yet; most of it never is, so the lines are made when they are written */
  buffered: TimedEvent[];
  writer: TranscriptWriter | null;
  /** number of recipients with an outcome */
  decided: number;
  done: boolean;
  /** a host failed, or a recipient has an outcome other than success */
  hadFailure: boolean;
  /** a recipient has an outcome other than success */
  failed: boolean;
}

/** What the transcript of a later delivery on the same session needs: how the session began, and its state now. */
interface OpenSession {
  readonly number: number;
  /** monotonic milliseconds; null: not while it was recorded */
  readonly connected: number | null;
  readonly initial: Session;
  /** what happened until the session was ready for the first time */
  readonly initiation: TimedEvent[];
  wasReady: boolean;
  last: Session;
}

type SessionEvent = Extract<TraceEvent, { what: 'session' }>;

export class Recorder {
  readonly #rules: RecorderRules;
  readonly #clock: Clock;
  readonly #store: TranscriptStore;
  readonly #recordings = new Map<DeliveryAttempt, Recording>();
  readonly #sessions = new Map<number, OpenSession>();
  readonly #connected = new Map<number, number>();
  readonly #closing = new Set<Promise<void>>();
  readonly #afterBufferTime: StartTimer;
  #recordedSettings: Settings | null = null;

  constructor(rules: RecorderRules, clock: Clock, store: TranscriptStore) {
    this.#rules = rules;
    this.#clock = clock;
    this.#store = store;
    this.#afterBufferTime = fixedDelay(clock, BUFFER_TIME);
  }

  readonly observe: Trace = (attempts, event) => {
    if (event.what === 'closed') {
      this.#forget(event.session);
      return;
    }
    const now = this.#clock.monotonic();
    if (event.what === 'connected') {
      // Session numbers start again with each run; a session that was cut off has left its entry behind.
      this.#sessions.delete(event.session);
      this.#connected.set(event.session, now);
    }
    const open = event.what === 'session' ? this.#openSession(event) : null;
    for (const attempt of attempts) {
      const recording = this.#recordings.get(attempt) ?? this.#begin(attempt, now);
      if (open !== null) addSession(recording, open);
      if (event.what === 'body') recording.messages.push(event.message);
      recording.buffered.push({ at: now, event });
      if (event.what === 'delivery' || event.what === 'outcome') takeNote(recording, event);
      if (recording.hadFailure || recording.writer !== null) this.#write(recording);
      if (recording.done && isComplete(recording)) this.#end(recording);
    }
    if (event.what === 'session' && open !== null) this.#remember(open, event, now);
  };

  /** Keeps unfinished transcripts as they are; resolves when every transcript is complete. */
  async close(): Promise<void> {
    for (const recording of [...this.#recordings.values()]) this.#end(recording);
    await Promise.all(this.#closing);
  }

  #begin(attempt: DeliveryAttempt, now: number): Recording {
    const recording: Recording = {
      attempt,
      at: this.#clock.now(),
      began: now,
      sessions: new Set(),
      timer: this.#afterBufferTime(() => this.#write(recording)),
      facts: attempt.facts,
      messages: [],
      buffered: [],
      writer: null,
      decided: 0,
      done: false,
      hadFailure: false,
      failed: false,
    };
    this.#recordings.set(attempt, recording);
    return recording;
  }

  #openSession({ session, step }: SessionEvent): OpenSession {
    const known = this.#sessions.get(session);
    if (known !== undefined) return known;
    const initial = beginSession(step.session.policy, step.session.peer);
    const connected = this.#connected.get(session) ?? null;
    const open = { number: session, connected, initial, initiation: [], wasReady: false, last: initial };
    this.#sessions.set(session, open);
    return open;
  }

  #remember(open: OpenSession, event: SessionEvent, now: number): void {
    const after = event.step.session;
    if (after.state === 'closed') {
      this.#forget(open.number);
      return;
    }
    if (!open.wasReady) open.initiation.push({ at: now, event });
    if (after.state === 'ready') open.wasReady = true;
    open.last = after;
  }

  #forget(session: number): void {
    this.#sessions.delete(session);
    this.#connected.delete(session);
  }

  /** number of sessions remembered now */
  get openSessions(): number {
    return this.#sessions.size + this.#connected.size;
  }

  #write(recording: Recording): void {
    const { buffered, attempt, at: begun } = recording;
    recording.buffered = [];
    if (recording.writer?.isFull === true) return;
    const lines = buffered.map(({ at, event }) => encode({ t: sinceBegin(recording, at), ...bodyOf(event) }));
    if (recording.writer === null) {
      recording.writer = this.#store.open(attempt.message.job.control, begun);
      lines.unshift(this.#header(recording));
    }
    recording.writer.append(lines.join(''));
  }

  #header({ attempt, at, facts }: Recording): string {
    const { settings, relays, hostname, ehloName } = this.#rules;
    this.#recordedSettings ??= recordedSettings(settings, relays);
    const indices = attempt.recipients.map(({ id }) => id);
    return encode({
      transcript: 2,
      tables: tableVersion(),
      at,
      control: attempt.message.job.control,
      job: shortenedJob(attempt.message.job.job, indices),
      indices,
      recipients: attempt.recipients.map(({ address }) => address),
      destination: attempt.destination,
      ...(facts === null ? {} : { message: facts }),
      hostname,
      ...(ehloName === hostname ? {} : { ehloName }),
      settings: this.#recordedSettings,
    });
  }

  #end(recording: Recording): void {
    recording.timer.cancel();
    this.#recordings.delete(recording.attempt);
    if (this.#rules.keep === 'failures' && isComplete(recording) && !recording.failed) {
      recording.writer?.discard();
      return;
    }
    this.#write(recording);
    const closing = this.#complete(recording).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  /** Length and hash of the bodies come at the end: only transcripts that are kept cost a second reading. */
  async #complete(recording: Recording): Promise<void> {
    const { writer, messages } = recording;
    for (const message of messages) {
      const t = sinceBegin(recording, this.#clock.monotonic());
      writer?.append(encode({ t, what: 'digest', size: message.size, sha256: await digestOf(message) }));
    }
    writer?.keep();
  }
}

/** What the event means for the recording. */
function takeNote(
  recording: Recording,
  event: Extract<TraceEvent, { what: 'delivery' } | { what: 'outcome' }>,
): void {
  if (event.what === 'delivery') {
    if (event.step.delivery.state === 'done') recording.done = true;
    if ('failure' in event.event) recording.hadFailure = true;
  } else {
    recording.decided += event.recipients.length;
    if (event.outcome.kind === 'failed') recording.hadFailure = recording.failed = true;
  }
}

/** Before the first line of a session that is new to this delivery: how the session began, and its state. */
function addSession({ sessions, began, buffered }: Recording, open: OpenSession): void {
  const { number: session, connected, initial, initiation, last } = open;
  if (sessions.has(session)) return;
  sessions.add(session);
  const add = (at: number, event: Recorded): void => {
    buffered.push({ at, event });
  };
  const [first] = initiation;
  if (first === undefined) {
    add(Math.max(connected ?? began, began), { what: 'session-state', session, value: initial });
    return;
  }
  const since = connected ?? first.at;
  const { peer } = initial;
  add(since, { what: 'session-state', session, value: initial });
  add(since, { what: 'connected', session, address: peer.address ?? peer.host });
  for (const { at, event } of initiation) add(at, event);
  add(began, { what: 'session-state', session, value: last });
}

/** The delivery is done, and every recipient has an outcome. */
function isComplete({ done, decided, attempt }: Recording): boolean {
  return done && decided === attempt.recipients.length;
}

/** Milliseconds, with microseconds as decimals. */
function sinceBegin({ began }: Recording, now: number): number {
  return Math.round((now - began) * 1000) / 1000;
}

/** SHA-256 in hex; null when the message is gone: a refused message is removed as soon as its outcome is recorded. */
async function digestOf(message: OutgoingMessage): Promise<string | null> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of message.chunks()) hash.update(chunk);
  } catch {
    return null;
  }
  return hash.digest('hex');
}
