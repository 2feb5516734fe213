/**
 * Records transcripts: follows every delivery of a run and keeps those that did not end in success. Lines are buffered until
 * the first failure or for one second, so that nothing is written for a delivery that succeeds at once. From then on each
 * line is written when it happens, and a crash leaves everything up to it.
 */
import { createHash } from 'node:crypto';
import type { DeliveryAttempt, MessageFacts } from '../../delivery/attempt.ts';
import type { Observer, Trace, Traced } from '../../delivery/trace.ts';
import type { OutgoingMessage } from '../../message/outgoing.ts';
import type { Clock } from '../../platform/clock.ts';
import { FixedDelay } from '../../platform/timers.ts';
import type { Relay } from '../../routing/hosts.ts';
import type { Settings } from '../../settings/table.ts';
import { linesOf, OpenSessions, type TakenOver, type TimedEvent } from './open-sessions.ts';
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

const SETTLED = Promise.resolve();

interface Recording {
  readonly attempt: DeliveryAttempt;
  /** milliseconds since the epoch */
  readonly at: number;
  /** monotonic milliseconds */
  readonly began: number;
  /** numbers of those it has used; nearly always one */
  readonly sessions: number[];
  /** as it was loaded, before another form of it was made */
  readonly facts: MessageFacts | null;
  readonly messages: OutgoingMessage[];
  /** what is not written yet; most of it never is, so the lines are made when they are written */
  events: (Recorded | TakenOver)[];
  /** when these were: monotonic milliseconds */
  times: number[];
  /** its lines are written when they happen */
  isWritten: boolean;
  writer: TranscriptWriter | null;
  /** number of recipients without an outcome */
  undecided: number;
  done: boolean;
  /** a recipient has an outcome other than success */
  failed: boolean;
}

export class Recorder {
  readonly #rules: RecorderRules;
  readonly #clock: Clock;
  readonly #store: TranscriptStore;
  readonly #recordings = new Map<DeliveryAttempt, Recording>();
  readonly #sessions = new OpenSessions();
  readonly #closing = new Set<Promise<void>>();
  /** of which nothing is written yet */
  readonly #buffered: FixedDelay<Recording>;
  /** when this turn of the event loop began, monotonic milliseconds; null: nothing has happened in it */
  #turn: number | null = null;
  #recordedSettings: Settings | null = null;

  constructor(rules: RecorderRules, clock: Clock, store: TranscriptStore) {
    this.#rules = rules;
    this.#clock = clock;
    this.#store = store;
    this.#buffered = new FixedDelay(clock, BUFFER_TIME, (recording) => this.#write(recording));
  }

  readonly observe: Trace = (attempts, event) => {
    if (event.what === 'closed') {
      this.#sessions.forget(event.session);
      return;
    }
    const now = this.#turn ?? this.#beginTurn();
    if (event.what === 'connected') this.#sessions.connected(event.session, now);
    for (const attempt of attempts) {
      const recording = this.#recordings.get(attempt) ?? this.#begin(attempt, now);
      if (event.what === 'session' && !recording.sessions.includes(event.session))
        this.#addSession(recording, event);
      recording.events.push(event);
      recording.times.push(now);
      if (event.what === 'delivery') {
        if (event.step.delivery.state === 'done') recording.done = true;
        if ('failure' in event.event) recording.isWritten = true;
      } else if (event.what === 'outcome') {
        recording.undecided -= event.recipients.length;
        if (event.outcome.kind === 'failed') recording.failed = recording.isWritten = true;
      } else if (event.what === 'body') recording.messages.push(event.message);
      if (recording.isWritten) this.#write(recording);
      if (recording.done && recording.undecided === 0) this.#end(recording);
    }
    if (event.what === 'session') this.#sessions.observe(event, now);
  };

  readonly observer: Observer = { others: this.observe };

  /** What comes of one read, several replies and all that follows from them, has the same time. */
  #beginTurn(): number {
    const now = this.#clock.monotonic();
    this.#turn = now;
    void SETTLED.then(() => {
      this.#turn = null;
    });
    return now;
  }

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
      sessions: [],
      facts: attempt.facts,
      messages: [],
      events: [],
      times: [],
      isWritten: false,
      writer: null,
      undecided: attempt.recipients.length,
      done: false,
      failed: false,
    };
    this.#recordings.set(attempt, recording);
    this.#buffered.add(recording, now);
    return recording;
  }

  #addSession({ sessions, events, times, began }: Recording, traced: Traced<'session'>): void {
    const { at, event } = this.#sessions.before(traced, began);
    sessions.push(traced.session);
    events.push(event);
    times.push(at);
  }

  /** number of sessions remembered now */
  get openSessions(): number {
    return this.#sessions.size;
  }

  #write(recording: Recording): void {
    const { events, times, attempt, at: begun } = recording;
    recording.isWritten = true;
    recording.events = [];
    recording.times = [];
    if (recording.writer?.isFull === true) return;
    const timed = events.flatMap((event, index): TimedEvent | readonly TimedEvent[] => {
      const at = times[index] ?? recording.began;
      return event.what === 'taken-over' ? linesOf(event, at) : { at, event };
    });
    const lines = timed.map(({ at, event }) => encode({ t: sinceBegin(recording, at), ...bodyOf(event) }));
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
    this.#buffered.delete(recording);
    this.#recordings.delete(recording.attempt);
    const isDelivered = recording.done && recording.undecided === 0 && !recording.failed;
    if (this.#rules.keep === 'failures' && isDelivered) {
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
