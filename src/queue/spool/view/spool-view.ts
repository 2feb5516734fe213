/**
 * The jobs of a spool for somebody who looks at them again and again. Of each job it keeps its list as text and a few numbers.
 * It reads again only what was reported as changed; from time to time it compares the whole spool, because reports may get
 * lost. All that takes long is done in steps, between which the process does other work. Changes nothing on the disk.
 */
import { isPending, type MessageNumber } from '../../../delivery-list/job.ts';
import type { ParseOptions } from '../../../delivery-list/parse.ts';
import type { ByteString } from '../../../platform/bytes.ts';
import type { Clock, Timer } from '../../../platform/clock.ts';
import { inSlices } from '../../../platform/in-turn.ts';
import type { Disk, FileStatus } from '../../../storage/disk.ts';
import { messageNumber, type StateLayout } from '../../../storage/layout.ts';
import { classifyContents } from '../../control-message.ts';
import type { JobRequest, QueuedJob } from '../../queue.ts';
import { nextAttempt, type Schedule } from '../../schedule.ts';
import { readMessage } from '../index/read-message.ts';
import { listMessages } from '../parked/listing.ts';
import { type Request, readRequest, requestFields } from '../requests/requests.ts';

/** What is known of a job without reading its list again. */
export interface ViewedJob {
  readonly control: MessageNumber;
  readonly msgid: MessageNumber;
  /** Unix seconds; null: its list does not say */
  readonly submitted: number | null;
  /** Unix seconds of the next attempt by its list, 0: at once; null: no recipient is pending */
  readonly next: number | null;
  /** recipients that are pending */
  readonly pending: number;
}

interface Kept extends ViewedJob {
  /** the message as it is stored */
  readonly text: ByteString;
  readonly ino: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

export interface ViewDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly clock: Clock;
  readonly options: ParseOptions;
  readonly schedule: Schedule;
  /** reports names in a folder that may have changed, until it is closed; null: the system cannot */
  watch(folder: string, changed: (name: string) => void): { close(): void } | null;
}

/** Milliseconds between two comparisons with the whole spool: where changes are reported, and where they are not. */
const COMPARE = { watched: 60_000, unwatched: 5000 };
/** Milliseconds after which what nobody looked at is forgotten. */
const IDLE = 900_000;
/** Names that were reported and not read yet; beyond, the whole is compared. */
const MOST_CHANGED = 20_000;

export class SpoolView {
  readonly #deps: ViewDeps;
  readonly #jobs = new Map<MessageNumber, Kept>();
  /** nearly always one for each */
  readonly #byPayload = new Map<MessageNumber, MessageNumber | readonly MessageNumber[]>();
  readonly #unreadable = new Map<MessageNumber, string>();
  readonly #requests = new Map<MessageNumber, Request>();
  /** requests that cannot be read, whose jobs are held */
  readonly #unknownRequests = new Map<MessageNumber, string>();
  readonly #changed = { messages: new Set<MessageNumber>(), requests: new Set<MessageNumber>() };
  readonly #watchers: readonly ({ close(): void } | null)[];
  #compared = Number.NEGATIVE_INFINITY;
  #idle: Timer | null = null;
  #refreshing: Promise<void> | null = null;
  #version = 0;
  #sorted = { version: 0, by: new Map<Order, readonly ViewedJob[]>() };

  constructor(deps: ViewDeps) {
    this.#deps = deps;
    const { spool, requests } = deps.layout;
    const { messages, requests: asked } = this.#changed;
    this.#watchers = [
      deps.watch(spool, (name) => this.#note(messages, name)),
      deps.watch(requests, (name) => this.#note(asked, name)),
    ];
  }

  close(): void {
    this.#idle?.cancel();
    for (const watcher of this.#watchers) watcher?.close();
  }

  /** Requests for these jobs were made or withdrawn by us, before the system reports it. */
  noteRequests(jobs: readonly MessageNumber[]): void {
    for (const number of jobs) this.#changed.requests.add(number);
  }

  /** How many jobs there are. */
  get size(): number {
    return this.#jobs.size;
  }

  /** Another number whenever something has changed. */
  get version(): number {
    return this.#version;
  }

  /** Control messages that cannot be read, and why. */
  get unreadable(): ReadonlyMap<MessageNumber, string> {
    return this.#unreadable;
  }

  /** Resolves when the view is as the spool was at the time of the call, as far as its changes were reported. */
  refresh(): Promise<void> {
    this.#idle?.cancel();
    this.#idle = this.#deps.clock.after(IDLE, () => this.#rest());
    this.#refreshing ??= inSlices(this.#steps(), this.#deps.clock).finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** All of them. The same array until something changes. */
  inOrder(order: Order): readonly ViewedJob[] {
    if (this.#sorted.version !== this.#version) this.#sorted = { version: this.#version, by: new Map() };
    const jobs = this.#sorted.by.get(order) ?? sorted([...this.#jobs.values()], order);
    this.#sorted.by.set(order, jobs);
    return jobs;
  }

  /** Null: it is gone. */
  read(control: MessageNumber): QueuedJob | null {
    const kept = this.#jobs.get(control);
    if (kept === undefined) return null;
    const read = classifyContents(Buffer.from(kept.text, 'latin1'), true, this.#deps.options);
    if (read.kind !== 'control') return null;
    const { job, warnings } = read;
    return { control, job, warnings, ...this.#requestFields(kept) };
  }

  /** Whether all these texts are in its list, in any case of letters. */
  holds(control: MessageNumber, texts: readonly RegExp[]): boolean {
    const text = this.#jobs.get(control)?.text ?? '';
    return texts.every((each) => each.test(text));
  }

  /** What an administrator asked for; null: nothing. */
  requestFor(job: ViewedJob): JobRequest | null {
    return this.#requestFields(job)?.request ?? null;
  }

  #requestFields({ control, msgid, submitted }: ViewedJob): ReturnType<typeof requestFields> {
    if (!this.#requests.has(control) && !this.#unknownRequests.has(control)) return null;
    return requestFields({ valid: this.#requests, unreadable: this.#unknownRequests }, control, {
      ...{ msgid, submitted },
    });
  }

  /** In no order. */
  jobs(): Iterable<ViewedJob> {
    return this.#jobs.values();
  }

  /** The jobs that carry this message. */
  carrying(msgid: MessageNumber): readonly QueuedJob[] {
    return [this.#byPayload.get(msgid) ?? []].flat().flatMap((control) => this.read(control) ?? []);
  }

  /** Nobody looks: the jobs are forgotten, and read when somebody does. */
  #rest(): void {
    if (this.#refreshing !== null) return;
    for (const kept of [this.#jobs, this.#byPayload, this.#unreadable, this.#requests, this.#unknownRequests])
      kept.clear();
    this.#compared = Number.NEGATIVE_INFINITY;
    this.#version++;
    this.#sorted = { version: this.#version, by: new Map() };
  }

  #note(changed: Set<MessageNumber>, name: string): void {
    const number = messageNumber(name);
    if (number === null) return;
    if (changed.size < MOST_CHANGED) changed.add(number);
    else this.#compared = Number.NEGATIVE_INFINITY;
  }

  *#steps(): Generator<void, void> {
    const { clock, layout } = this.#deps;
    const isWatched = this.#watchers.every((watcher) => watcher !== null);
    const interval = isWatched ? COMPARE.watched : COMPARE.unwatched;
    const { messages, requests } = this.#changed;
    if (clock.monotonic() - this.#compared >= interval) {
      this.#compared = clock.monotonic();
      messages.clear();
      requests.clear();
      yield* this.#compareRequests();
      yield* this.#compareMessages();
      return;
    }
    const named = new Set<MessageNumber>();
    for (const number of [...messages].sort((a, b) => b - a)) {
      messages.delete(number);
      if (!named.has(number)) named.add(this.#look(number));
      yield;
    }
    for (const number of [...requests]) {
      requests.delete(number);
      this.#readRequest(number, layout);
      yield;
    }
  }

  *#compareRequests(): Generator<void, void> {
    const { disk, layout } = this.#deps;
    const there = disk.status(layout.requests) === null ? [] : disk.list(layout.requests);
    const numbers = new Set(there.flatMap(({ name }) => messageNumber(name) ?? []));
    for (const known of [...this.#requests.keys(), ...this.#unknownRequests.keys()])
      if (!numbers.has(known)) this.#readRequest(known, layout);
    for (const number of numbers) {
      this.#readRequest(number, layout);
      yield;
    }
  }

  *#compareMessages(): Generator<void, void> {
    const { disk, layout } = this.#deps;
    const listing = listMessages(disk, layout.spool, () => {});
    const named = new Set<MessageNumber>();
    for (let at = listing.length - 1; at >= 0; at--) {
      const number = listing.at(at);
      if (named.has(number)) continue;
      const known = this.#jobs.get(number);
      const isSame = known !== undefined && isFile(known, disk.status(layout.message(number)));
      named.add(isSame ? known.msgid : this.#look(number));
      yield;
    }
    for (const number of [...this.#jobs.keys(), ...this.#unreadable.keys()])
      if (!listing.has(number)) this.#forget(number);
  }

  /** Returns the payload that it names; -1: it is no job. */
  #look(number: MessageNumber): MessageNumber {
    const { clock, schedule } = this.#deps;
    const read = readMessage({ ...this.#deps, now: () => clock.now() }, number);
    if (read.kind === 'refused') return this.#cannotRead(number, read.reason);
    if (read.kind === 'read' && read.contents.kind === 'unreadable')
      return this.#cannotRead(number, read.contents.reason);
    // What is being written now is looked at again when that is reported.
    if (read.kind === 'read' && read.contents.kind === 'unfinished') return -1;
    this.#forget(number);
    if (read.kind === 'gone' || read.contents.kind !== 'control') return -1;
    this.#version++;
    const { bytes, status } = read;
    const { job } = read.contents;
    const pending = job.recipients.filter(isPending).length;
    const { ino, mtimeMs, ctimeMs } = status;
    this.#jobs.set(number, {
      ...{ control: number, msgid: job.msgid, submitted: job.submitted, pending },
      next: pending === 0 ? null : nextAttempt(job, schedule),
      text: bytes.toString('latin1'),
      ...{ ino, mtimeMs, ctimeMs },
    });
    const others = this.#byPayload.get(job.msgid);
    this.#byPayload.set(job.msgid, others === undefined ? number : [others, number].flat());
    return job.msgid;
  }

  #cannotRead(number: MessageNumber, reason: string): -1 {
    this.#forget(number);
    this.#version++;
    this.#unreadable.set(number, reason);
    return -1;
  }

  #forget(number: MessageNumber): void {
    if (this.#unreadable.delete(number)) this.#version++;
    const known = this.#jobs.get(number);
    if (known === undefined) return;
    this.#version++;
    this.#jobs.delete(number);
    const [other, ...more] = [this.#byPayload.get(known.msgid) ?? []]
      .flat()
      .filter((each) => each !== number);
    if (other === undefined) this.#byPayload.delete(known.msgid);
    else this.#byPayload.set(known.msgid, more.length === 0 ? other : [other, ...more]);
  }

  #readRequest(number: MessageNumber, layout: StateLayout): void {
    const read = readRequest(this.#deps.disk, layout, number);
    this.#version++;
    this.#requests.delete(number);
    this.#unknownRequests.delete(number);
    if (read === null || read === 'damaged') return;
    if ('why' in read) this.#unknownRequests.set(number, read.why);
    else this.#requests.set(number, read);
  }
}

/** Whether the file is the one that was read. */
function isFile({ ino, mtimeMs, ctimeMs, text }: Kept, status: FileStatus | null): boolean {
  return (
    status !== null &&
    status.ctimeMs === ctimeMs &&
    status.mtimeMs === mtimeMs &&
    status.ino === ino &&
    status.size === text.length
  );
}

export type Order = 'newest' | 'oldest' | 'next';

/** What they are sorted by, the lowest first; unknown comes last. */
const KEYS: { readonly [order in Order]: (job: ViewedJob) => number } = {
  newest: ({ control }) => -control,
  oldest: ({ submitted }) => submitted ?? Number.POSITIVE_INFINITY,
  next: ({ next }) => next ?? Number.POSITIVE_INFINITY,
};

/** What is the same, newest first. Keys in a row of their own, because a hundred thousand objects are far apart. */
function sorted(jobs: readonly ViewedJob[], order: Order): readonly ViewedJob[] {
  const keys = Float64Array.from(jobs, KEYS[order]);
  const numbers = Float64Array.from(jobs, ({ control }) => control);
  const rows = Uint32Array.from(jobs.keys());
  rows.sort((a, b) => {
    const [x = 0, y = 0] = [keys[a], keys[b]];
    return x === y ? (numbers[b] ?? 0) - (numbers[a] ?? 0) : x - y;
  });
  return Array.from(rows, (row) => jobs[row]).filter((job) => job !== undefined);
}
