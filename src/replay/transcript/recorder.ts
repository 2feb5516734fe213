/**
 * Keeps transcripts: follows every delivery of a run and writes down those that did not end in success. Called by the
 * delivering commands through the run's events. Nothing is written for a delivery that goes well at once; from the
 * first trouble on, or after a second, its transcript is on its tape and a crash leaves what happened until then.
 */
import { createHash } from 'node:crypto';
import type { DeliveryAttempt } from '../../delivery/attempt.ts';
import type { Trace, TraceEvent } from '../../delivery/trace.ts';
import type { OutgoingMessage } from '../../message/outgoing.ts';
import type { Clock, Timer } from '../../platform/clock.ts';
import type { Relay } from '../../routing/hosts.ts';
import type { Settings } from '../../settings/table.ts';
import type { Session } from '../../smtp/machine/session.ts';
import { beginSession } from '../../smtp/machine/session.ts';
import type { LineBody, TranscriptLine } from './transcript.ts';
import { bodyOf, encode, recordedSettings, tableVersion } from './transcript.ts';

/** Where one transcript goes. Trouble with it is the shelf's to tell; a delivery never fails for its transcript. */
export interface TranscriptWriter {
  append(text: string): void;
  /** it is complete and stays */
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
}

/** A delivery with no end in sight after so many milliseconds goes on tape while it lasts. */
const PATIENCE = 1000;

interface Recording {
  readonly order: DeliveryAttempt;
  readonly at: number;
  /** monotonic */
  readonly began: number;
  readonly sessions: Set<number>;
  readonly timer: Timer;
  readonly messages: OutgoingMessage[];
  /** lines that are not on the tape yet */
  waiting: TranscriptLine[];
  tape: TranscriptWriter | null;
  judged: number;
  over: boolean;
  /** something went wrong, if only with one of its hosts */
  troubled: boolean;
  /** a recipient has no success */
  failed: boolean;
}

/** What a later delivery on the same session must know: how it was introduced, and how it stands. */
interface OpenSession {
  readonly began: Session;
  readonly introduction: { readonly at: number; readonly body: LineBody }[];
  introduced: boolean;
  last: Session;
}

export class Recorder {
  readonly #rules: RecorderRules;
  readonly #clock: Clock;
  readonly #shelf: TranscriptStore;
  readonly #recordings = new Map<DeliveryAttempt, Recording>();
  readonly #sessions = new Map<number, OpenSession>();
  readonly #connected = new Map<number, number>();
  readonly #closing = new Set<Promise<void>>();

  constructor(rules: RecorderRules, clock: Clock, shelf: TranscriptStore) {
    this.#rules = rules;
    this.#clock = clock;
    this.#shelf = shelf;
  }

  readonly observe: Trace = (orders, sight) => {
    if (sight.what === 'closed') {
      this.#forget(sight.session);
      return;
    }
    const now = this.#clock.monotonic();
    const body = bodyOf(sight);
    if (sight.what === 'connected') {
      // Numbers of sessions begin anew with each run; one that was cut off left its entry behind.
      this.#sessions.delete(sight.session);
      this.#connected.set(sight.session, now);
    }
    for (const order of orders) {
      const recording = this.#recordings.get(order) ?? this.#begin(order, now);
      if (sight.what === 'session') this.#join(recording, sight);
      if (sight.what === 'body') recording.messages.push(sight.message);
      recording.waiting.push({ t: sinceBegin(recording, now), ...body });
      this.#weigh(recording, sight);
    }
    if (sight.what === 'session') this.#remember(sight, body, now);
  };

  /** What is unfinished stays as it is; resolves when every tape is complete. */
  async close(): Promise<void> {
    for (const recording of [...this.#recordings.values()]) this.#end(recording);
    await Promise.all(this.#closing);
  }

  #begin(order: DeliveryAttempt, now: number): Recording {
    const recording: Recording = {
      order,
      at: this.#clock.now(),
      began: now,
      sessions: new Set(),
      timer: this.#clock.after(PATIENCE, () => this.#write(recording)),
      messages: [],
      waiting: [],
      tape: null,
      judged: 0,
      over: false,
      troubled: false,
      failed: false,
    };
    this.#recordings.set(order, recording);
    return recording;
  }

  /** A session is new to this delivery: tell how it came here. */
  #join(recording: Recording, { session, step }: Extract<TraceEvent, { what: 'session' }>): void {
    if (recording.sessions.has(session)) return;
    recording.sessions.add(session);
    const known = this.#sessions.get(session);
    const { policy, peer } = step.session;
    const began = known?.began ?? beginSession(policy, peer);
    const tell = (at: number, body: LineBody): void => {
      recording.waiting.push({ t: sinceBegin(recording, at), ...body });
    };
    if (known === undefined) {
      tell(recording.began, { what: 'session-state', session, value: began });
      return;
    }
    const [first] = known.introduction;
    const since = this.#connected.get(session) ?? first?.at ?? recording.began;
    tell(since, { what: 'session-state', session, value: began });
    tell(since, { what: 'connected', session, address: peer.address ?? peer.host });
    for (const { at, body } of known.introduction) tell(at, body);
    tell(recording.began, { what: 'session-state', session, value: known.last });
  }

  #remember({ session, step }: Extract<TraceEvent, { what: 'session' }>, body: LineBody, now: number): void {
    const after = step.session;
    if (after.state === 'closed') {
      this.#forget(session);
      return;
    }
    const known = this.#sessions.get(session) ?? {
      began: beginSession(after.policy, after.peer),
      introduction: [],
      introduced: false,
      last: after,
    };
    this.#sessions.set(session, known);
    if (!known.introduced) known.introduction.push({ at: now, body });
    if (after.state === 'ready') known.introduced = true;
    known.last = after;
  }

  #forget(session: number): void {
    this.#sessions.delete(session);
    this.#connected.delete(session);
  }

  /** Sessions that are remembered at this moment. */
  get openSessions(): number {
    return this.#sessions.size + this.#connected.size;
  }

  #weigh(recording: Recording, sight: TraceEvent): void {
    if (sight.what === 'delivery') {
      if (sight.step.delivery.state === 'done') recording.over = true;
      if ('failure' in sight.event) recording.troubled = true;
    }
    if (sight.what === 'outcome') {
      recording.judged += sight.recipients.length;
      if (sight.outcome.kind === 'failed') recording.failed = true;
    }
    if (recording.troubled || recording.failed || recording.tape !== null) this.#write(recording);
    if (recording.over && recording.judged === recording.order.recipients.length) this.#end(recording);
  }

  #write(recording: Recording): void {
    const { order, at } = recording;
    const lines = recording.waiting.map(encode);
    recording.waiting = [];
    if (recording.tape === null) {
      recording.tape = this.#shelf.open(order.message.job.control, at);
      lines.unshift(this.#header(recording));
    }
    recording.tape.append(lines.join(''));
  }

  #header({ order, at }: Recording): string {
    const { settings, relays, hostname } = this.#rules;
    return encode({
      transcript: 2,
      tables: tableVersion(),
      at,
      control: order.message.job.control,
      job: order.message.job.job,
      indices: order.recipients.map(({ id }) => id),
      recipients: order.recipients.map(({ address }) => address),
      destination: order.destination,
      hostname,
      settings: recordedSettings(settings, relays),
    });
  }

  #end(recording: Recording): void {
    recording.timer.cancel();
    this.#recordings.delete(recording.order);
    const complete = recording.over && recording.judged === recording.order.recipients.length;
    if (this.#rules.keep === 'failures' && complete && !recording.failed) {
      recording.tape?.discard();
      return;
    }
    this.#write(recording);
    const closing = this.#complete(recording).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  /** Bodies are told by length and hash, at the end, so that only kept transcripts cost a second reading. */
  async #complete(recording: Recording): Promise<void> {
    const { tape, messages } = recording;
    for (const message of messages) {
      const t = sinceBegin(recording, this.#clock.monotonic());
      tape?.append(encode({ t, what: 'digest', size: message.size, sha256: await digestOf(message) }));
    }
    tape?.keep();
  }
}

function sinceBegin({ began }: Recording, now: number): number {
  return Math.round((now - began) * 1000) / 1000;
}

/** Null when the message is gone: a mail that was refused for good is removed as soon as that is written down. */
async function digestOf(message: OutgoingMessage): Promise<string | null> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of message.chunks()) hash.update(chunk);
  } catch {
    return null;
  }
  return hash.digest('hex');
}
