/**
 * One queue run: scan the queue, activate the messages that are due, hand their attempts to
 * the scheduler, and finish each message when the last attempt is done.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import type { Clock } from '../platform/clock.ts';
import { ConcurrentRunnerError, describeError, QueueError } from '../platform/system-errors.ts';
import { warnOnce } from '../platform/warn-once.ts';
import { type ControlMessages, groupByPayload, isMessageDue } from '../queue/due.ts';
import type { Queue, QueueScan } from '../queue/queue.ts';
import type { ActiveMessage } from './active-message.ts';
import { Backlog, MOST_ACTIVE } from './backlog.ts';
import type { Deliveries, DeliveryObserver } from './deliveries.ts';
import type { RunRules } from './rules.ts';
import { NOT_WAITING, type RunCount, RunCounter, type RunSummary } from './run-count.ts';
import type { DueMessage } from './throttling/throttled-queue.ts';

export interface RunDeps {
  readonly queue: Queue;
  readonly clock: Clock;
  readonly events: RunEvents;
  /** called once, before the first message becomes active: a run with nothing to do needs nothing to do it with */
  readonly openDeliveries: (observer: DeliveryObserver) => Deliveries | Promise<Deliveries>;
  /** called with what each claim has found */
  readonly scanned?: (scan: QueueScan) => void;
  /** called when messages have ended and more may be due than was claimed */
  readonly mayClaim?: () => void;
  /** called once, with the count that the run keeps up to date */
  readonly observe?: (count: RunCount) => void;
}

export interface RunEvents {
  /** an unreadable control message was quarantined: moved to `path`, unless it stays where it is */
  quarantined(control: MessageNumber, reason: string, path?: string): void;
  warning(text: string): void;
}

/**
 * Scans, delivers, and scans again as long as messages are active, so that a slow server holds up nobody else. Ends when no
 * message is active any more.
 */
export async function runQueue(deps: RunDeps, rules: RunRules, signal: AbortSignal): Promise<RunSummary> {
  const runner = new QueueRunner(deps, rules, signal);
  deps.observe?.(runner.count);
  const began = deps.clock.monotonic();
  await runner.scan(rules.due.force);
  const warn = warnOnce((text) => deps.events.warning(text));
  let rival: ConcurrentRunnerError | null = null;
  while (runner.isActive || runner.mayHaveMore) {
    await runner.idleOr(rules.pollInterval);
    if (!(runner.isActive || runner.mayHaveMore) || signal.aborted || rival !== null) continue;
    await runner.scan(false).catch((error) => {
      if (error instanceof ConcurrentRunnerError) rival = error;
      else warn(unreadableSpool(error));
    });
  }
  await runner.close();
  if (rival !== null) throw rival;
  return { ...runner.count, milliseconds: Math.round(deps.clock.monotonic() - began) };
}

/** The active messages and the scheduler that delivers them. `watch` keeps one for as long as it runs. */
export class QueueRunner {
  readonly #counter = new RunCounter();
  readonly #deps: RunDeps;
  readonly #rules: RunRules;
  readonly #signal: AbortSignal;
  /** null: nothing was due yet */
  #deliveries: Deliveries | null = null;
  #halted = false;
  /** the last claim was not all that is due */
  #isPartial = false;
  /** by payload: messages with attempts, outcomes or reports to come */
  readonly #active = new Map<MessageNumber, Promise<void>>();
  /** due at the last scan, and not active yet */
  readonly #backlog = new Backlog();
  /** by payload: no longer active since the last scan began, which may tell of them as they were before */
  readonly #ended = new Set<MessageNumber>();
  /** messages during which the process ended before: tried when nothing else is active, one at a time */
  readonly #suspects = new Map<MessageNumber, ControlMessages>();
  readonly #warnOnce: (text: string) => void;
  readonly #whenIdle = new Set<() => void>();
  readonly #stop = (): void => this.#deliveries?.stop();

  constructor(deps: RunDeps, rules: RunRules, signal: AbortSignal) {
    this.#deps = deps;
    this.#rules = rules;
    this.#signal = signal;
    this.#warnOnce = warnOnce((text) => deps.events.warning(text));
    signal.addEventListener('abort', this.#stop, { once: true });
  }

  /** kept up to date */
  get count(): RunCount {
    return this.#counter.count;
  }

  get isActive(): boolean {
    return this.#active.size > 0;
  }

  /** More is due than was claimed, and there is room for it. */
  get mayHaveMore(): boolean {
    const isStopping = this.#halted || this.#signal.aborted;
    return this.#isPartial && !isStopping && this.#active.size <= MOST_ACTIVE / 2;
  }

  /** An outcome could not be written, and nothing new is begun. */
  get halted(): boolean {
    return this.#halted;
  }

  /** Begins again after a halt. Rejects while the queue does not take what it was told. */
  async resume(): Promise<void> {
    await this.#allDone();
    await this.#deps.queue.flush();
    this.#deliveries?.restart();
    this.#halted = false;
    if (this.#signal.aborted) this.#stop();
  }

  /**
   * Activates what is due and not active yet. `force`: everything, whatever its time says; scans after the first one of a
   * forced run force nothing (R037).
   */
  async scan(force: boolean): Promise<void> {
    this.#ended.clear();
    // What waits may be held or gone by now: that is what the scan finds out.
    this.#backlog.clear();
    const { jobs, quarantined, waiting = NOT_WAITING, more } = await this.#claim(force);
    this.#isPartial = false;
    for (const { number, reason, path } of quarantined) this.#deps.events.quarantined(number, reason, path);
    if (this.#halted) return;
    const options = { ...this.#rules.due, force };
    const all = groupByPayload(jobs);
    this.#counter.scanned(all, waiting.payloads, (msgid) => this.#active.has(msgid));
    for (const msgid of this.#suspects.keys()) if (!all.has(msgid)) this.#suspects.delete(msgid);
    const now = this.#now();
    const messages: DueMessage[] = [];
    all.forEach((lists, msgid) => {
      const isTaken = this.#active.has(msgid) || this.#ended.has(msgid);
      if (!isTaken && isMessageDue(lists, now, options)) messages.push([msgid, lists]);
    });
    if (messages.length === 0 && this.#suspects.size === 0) {
      if (this.isActive) await this.#deliveries?.refresh();
      return;
    }
    const deliveries = this.#deliveries ?? (await this.#openDeliveries());
    await deliveries.refresh();
    for (const message of deliveries.select(messages)) {
      const msgid = message[0];
      const lists = message[1];
      if (deliveries.crashes(msgid) >= SUSPICIOUS) this.#suspects.set(msgid, lists);
      else {
        this.#counter.due(msgid, lists);
        this.#backlog.push(message, deliveries.laneOf(lists));
      }
    }
    const begun = this.#activateMore(deliveries);
    // A claim of which nothing could be begun is no reason for the next one.
    this.#isPartial = more === true && begun > 0;
    if (!this.isActive) this.#activateSuspect(deliveries);
  }

  async #openDeliveries(): Promise<Deliveries> {
    const { events } = this.#deps;
    const deliveries = await this.#deps.openDeliveries({
      outcome: (record) => this.#counter.outcome(record),
      notWritten: (message, error) => this.#halt(message, error),
      lost: (message) => events.warning(lostText(message)),
      notRemoved: (message, error) =>
        events.warning(
          `Job ${numbersOf(message)} is finished but could not be removed, and the next run tries again: ${sentenceOf(error)}`,
        ),
      silent: (found) => this.#counter.silent(found),
    });
    this.#deliveries = deliveries;
    if (this.#signal.aborted) deliveries.stop();
    return deliveries;
  }

  /** Where another program works on the queue, no session is begun any more, and those in progress end. */
  async #claim(force: boolean): Promise<QueueScan> {
    try {
      const { queue, scanned } = this.#deps;
      const most = Math.max(0, MOST_ACTIVE - this.#active.size);
      const found = await (force
        ? queue.claim(most, this.#active)
        : queue.claim(most, this.#active, this.#rules.due.schedule));
      scanned?.(found);
      return found;
    } catch (error) {
      if (error instanceof ConcurrentRunnerError) this.#stop();
      throw error;
    }
  }

  /** Resolves when no message is active, when there is room for more, or after so many milliseconds. */
  idleOr(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#whenIdle.delete(done);
        resolve();
      };
      const timer = this.#deps.clock.after(milliseconds, done);
      this.#whenIdle.add(done);
      if (this.#isIdle) done();
    });
  }

  /** Resolves when no message is active, every connection is closed, and the control messages tell the whole truth. */
  async close(): Promise<void> {
    await this.#allDone();
    await this.#deliveries?.save();
    this.#signal.removeEventListener('abort', this.#stop);
    await this.#deps.queue.flush();
  }

  /** As many as there is room for; returns how many. */
  #activateMore(deliveries: Deliveries): number {
    if (this.#halted || this.#signal.aborted) return 0;
    const messages: DueMessage[] = [];
    for (let next = this.#backlog.take(); next !== null; next = this.#backlog.take()) messages.push(next);
    this.#activate(messages, deliveries);
    return messages.length;
  }

  #activate(messages: readonly DueMessage[], deliveries: Deliveries): void {
    if (messages.length === 0) return;
    deliveries.begin(messages.map((message) => message[0]));
    for (const message of messages) {
      const msgid = message[0];
      const delivered = deliveries.deliver(message[1], this.#signal);
      this.#active.set(
        msgid,
        delivered.then((finished) => this.#deactivate(msgid, finished, deliveries)),
      );
    }
  }

  #activateSuspect(deliveries: Deliveries): void {
    const [first] = this.#suspects;
    if (first === undefined || this.#signal.aborted || this.#halted) return;
    const [msgid, lists] = first;
    this.#suspects.delete(msgid);
    this.#counter.due(msgid, lists);
    this.#warnOnce(
      `Job ${lists.map(({ control }) => control).join(', ')} was being delivered when spoolroom ended without a word, ` +
        `${deliveries.crashes(msgid)} times. It is tried after all others, alone. If it happens again, look at message ${msgid} ` +
        'and hold the job.',
    );
    this.#activate([first], deliveries);
  }

  #deactivate(msgid: MessageNumber, finished: boolean, deliveries: Deliveries): void {
    this.#active.delete(msgid);
    this.#ended.add(msgid);
    this.#counter.ended(msgid, finished);
    deliveries.end(msgid);
    this.#backlog.ended(msgid);
    this.#activateMore(deliveries);
    if (!this.isActive) this.#activateSuspect(deliveries);
    if (this.#isIdle) for (const tell of [...this.#whenIdle]) tell();
    if (this.mayHaveMore) this.#deps.mayClaim?.();
  }

  get #isIdle(): boolean {
    return !this.isActive || this.mayHaveMore;
  }

  #halt(message: ActiveMessage, error: unknown): void {
    this.#deps.events.warning(
      `An outcome of job ${numbersOf(message)} could not be written: ${sentenceOf(error)} Nothing more is sent until it can ` +
        'be; a message that was just accepted may be sent a second time.',
    );
    this.#halted = true;
    this.#stop();
  }

  async #allDone(): Promise<void> {
    await Promise.all(this.#active.values());
    await this.#deliveries?.disconnect();
  }

  #now(): number {
    return Math.floor(this.#deps.clock.now() / 1000);
  }
}

/** Nothing may be sent while its outcome could not be recorded: it would be sent again. */
export function unwritableSpool(error: unknown): string {
  return `Nothing is sent because outcomes cannot be written: ${sentenceOf(error)} The next scan tries again.`;
}

/** What is active goes on. */
export function unreadableSpool(error: unknown): string {
  // Its sentences say what became of the messages.
  if (error instanceof QueueError) return `${sentenceOf(error)} The next scan tries again.`;
  return `The spool could not be read: ${sentenceOf(error)} Nothing in it is lost; the next scan tries again.`;
}

/** Its attempts end without outcomes. */
function lostText(message: ActiveMessage): string {
  return (
    `Job ${numbersOf(message)} is not this process's any more: its claim ended, or the job was removed. What is left of it here ` +
    'is dropped, and whoever has it now delivers it.'
  );
}

/** So many crashes during a message are no accident. */
const SUSPICIOUS = 2;

function numbersOf({ controlMessages }: ActiveMessage): string {
  return controlMessages.map(({ control }) => control).join(', ');
}

/** Some errors are whole sentences, those of the disk are phrases. */
function sentenceOf(error: unknown): string {
  return describeError(error).replace(/\.?$/, '.');
}
