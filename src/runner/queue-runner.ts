/**
 * One queue run: scan the queue, activate the messages that are due, hand their attempts to
 * the scheduler, and finish each message when the last attempt is done.
 */
import type { Connect } from '#net-stream-utils';
import type { RefusalStore } from '../delivery/refusals.ts';
import type { SilentHosts } from '../delivery/rules.ts';
import { Scheduler } from '../delivery/scheduler.ts';
import type { Trace } from '../delivery/trace.ts';
import type { MessageNumber } from '../delivery-list/job.ts';
import type { DsnSender } from '../dsn/sender.ts';
import type { Clock, Random } from '../platform/clock.ts';
import type { Resolver } from '../platform/dns.ts';
import { ConcurrentRunnerError, describeError, QueueError } from '../platform/system-errors.ts';
import { warnOnce } from '../platform/warn-once.ts';
import type { CrashLog } from '../queue/crash-log.ts';
import { type ControlMessages, groupByPayload, isMessageDue } from '../queue/due.ts';
import type { Queue, QueueScan, WaitingJobs } from '../queue/queue.ts';
import type { MessageDeps, MessageEvents, OutcomeRecord } from './active-message.ts';
import { ActiveMessage } from './active-message.ts';
import { loadMessage } from './load-message.ts';
import type { RunRules } from './rules.ts';
import type { SuppressionList } from './suppression-list.ts';
import type { ThrottleStore } from './throttle-store.ts';
import { ThrottledQueue } from './throttled-queue.ts';

export interface RunDeps {
  readonly queue: Queue;
  readonly resolver: Resolver;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: RunEvents;
  /** which messages took the process with them before; absent: none did */
  readonly crashLog?: CrashLog;
  /** which hosts asked us to send less; absent: it is forgotten with the run */
  readonly throttleStore?: ThrottleStore;
  /** addresses to which nothing is sent; absent: there are none */
  readonly suppressed?: SuppressionList;
  /** what hosts offer and cannot do; absent: it is forgotten with the run */
  readonly refusalStore?: RefusalStore;
  /** called once, before the first message becomes active: a run with nothing to do has nothing to tell */
  readonly beforeFirst?: () => void;
  /** called with what each scan has found */
  readonly scanned?: (scan: QueueScan) => void;
  /** called once, with the count that the run keeps up to date */
  readonly observe?: (count: RunCount) => void;
  /** tells senders what became of their messages; absent: nobody is told */
  readonly dsnSender?: DsnSender;
  /** how payloads are made ready to send; absent: read, rendered and signed */
  readonly load?: MessageDeps['load'];
}

export interface RunEvents {
  /** after it is durable */
  outcome(record: OutcomeRecord): void;
  /** an unreadable control message was quarantined: moved to `path`, unless it stays where it is */
  quarantined(control: MessageNumber, reason: string, path?: string): void;
  warning(text: string): void;
  /** hosts that said nothing held up others, and were cut off */
  silent(found: SilentHosts): void;
  /** a step of a delivery or a session */
  readonly trace: Trace;
}

const NOT_WAITING: WaitingJobs = { payloads: { length: 0, at: () => -1, has: () => false }, earliest: null };

/** What `count` holds of one message. */
interface Counted {
  readonly jobs: number;
  readonly due: boolean;
  deferred: number;
}

/** How far a run is. */
export type RunCount = Omit<RunSummary, 'milliseconds'>;

export interface RunSummary {
  /** control messages seen */
  readonly jobs: number;
  readonly due: number;
  /** jobs that were due and are not being worked on any more */
  readonly done: number;
  /** recipients; one that was tried more than once counts once, by its last outcome */
  readonly delivered: number;
  readonly deferred: number;
  readonly failed: number;
  /** messages that are done and removed */
  readonly finished: number;
  /** sessions that were cut off because their hosts were silent while others waited */
  readonly silent: number;
  /** milliseconds that a message waited for a session while such hosts had all of them, at most */
  readonly waited: number;
  readonly milliseconds: number;
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
  while (runner.isActive) {
    await runner.idleOr(rules.pollInterval);
    if (!runner.isActive || signal.aborted || rival !== null) continue;
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
  readonly count = {
    jobs: 0,
    due: 0,
    done: 0,
    delivered: 0,
    deferred: 0,
    failed: 0,
    finished: 0,
    silent: 0,
    waited: 0,
  };
  readonly #deps: RunDeps;
  readonly #rules: RunRules;
  readonly #signal: AbortSignal;
  readonly #messageDeps: MessageDeps;
  readonly #messageEvents: MessageEvents;
  readonly #throttled: ThrottledQueue;
  #scheduler: Scheduler;
  #halted = false;
  /** by payload: messages with attempts, outcomes or reports to come */
  readonly #active = new Map<MessageNumber, Promise<void>>();
  /** by payload: no longer active since the last scan began, which may tell of them as they were before */
  readonly #ended = new Set<MessageNumber>();
  /** by payload, those in the queue: what they are in `count` */
  readonly #counted = new Map<MessageNumber, Counted>();
  /** payloads in the queue whose jobs only waited for their time at the last scan */
  #waiting = NOT_WAITING.payloads;
  /** messages during which the process ended before: tried when nothing else is active, one at a time */
  readonly #suspects = new Map<MessageNumber, ControlMessages>();
  readonly #warnOnce: (text: string) => void;
  readonly #whenIdle = new Set<() => void>();
  readonly #stop = (): void => this.#scheduler.stop();

  constructor(deps: RunDeps, rules: RunRules, signal: AbortSignal) {
    this.#deps = deps;
    this.#rules = rules;
    this.#signal = signal;
    this.#warnOnce = warnOnce((text) => deps.events.warning(text));
    this.#messageDeps = {
      queue: deps.queue,
      render: rules.render,
      postmaster: rules.postmaster,
      signer: rules.signer,
      warn: (text) => deps.events.warning(text),
      routing: rules.delivery.routing,
      limits: rules.delivery.limits,
      now: () => this.#now(),
      nextTurn: () => new Promise((turn) => deps.clock.after(0, turn)),
      schedule: rules.due.schedule,
      dsnSender: deps.dsnSender ?? null,
      suppressed: deps.suppressed ?? null,
      load: deps.load ?? loadMessage,
    };
    this.#messageEvents = {
      outcome: (record) => {
        this.count[COUNTED[record.status]]++;
        const counted = this.#counted.get(record.msgid);
        if (record.status === 4 && counted !== undefined) counted.deferred++;
        deps.events.outcome(record);
      },
      notWritten: (message, error) => this.#halt(message, error),
    };
    this.#throttled = new ThrottledQueue({
      store: deps.throttleStore ?? null,
      clock: deps.clock,
      routing: rules.delivery.routing,
      schedule: rules.due.schedule,
      warn: (text) => deps.events.warning(text),
    });
    this.#scheduler = this.#newScheduler();
    signal.addEventListener('abort', this.#stop, { once: true });
    if (signal.aborted) this.#stop();
  }

  get isActive(): boolean {
    return this.#active.size > 0;
  }

  /** An outcome could not be written, and nothing new is begun. */
  get halted(): boolean {
    return this.#halted;
  }

  /** Begins again after a halt. Rejects while the queue does not take what it was told. */
  async resume(): Promise<void> {
    await this.#allDone();
    await this.#deps.queue.flush();
    this.#scheduler = this.#newScheduler();
    this.#halted = false;
    if (this.#signal.aborted) this.#stop();
  }

  /**
   * Activates what is due and not active yet. `force`: everything, whatever its time says; scans after the first one of a
   * forced run force nothing (R037).
   */
  async scan(force: boolean): Promise<void> {
    this.#ended.clear();
    const { jobs, quarantined, waiting = NOT_WAITING } = await this.#scanQueue(force);
    for (const { number, reason, path } of quarantined) this.#deps.events.quarantined(number, reason, path);
    if (this.#halted) return;
    const options = { ...this.#rules.due, force };
    const all = groupByPayload(jobs);
    this.#countNew(all, waiting.payloads);
    for (const msgid of this.#suspects.keys()) if (!all.has(msgid)) this.#suspects.delete(msgid);
    const messages = [...all].filter(
      ([msgid, lists]) =>
        !this.#active.has(msgid) && !this.#ended.has(msgid) && isMessageDue(lists, this.#now(), options),
    );
    if (messages.length > 0) {
      this.#deps.dsnSender?.refresh();
      this.#deps.suppressed?.refresh();
    }
    const unsuspected: [MessageNumber, ControlMessages][] = [];
    for (const [msgid, lists] of this.#throttled.select(messages)) {
      if (this.#crashes(msgid) < SUSPICIOUS) unsuspected.push([msgid, lists]);
      else this.#suspects.set(msgid, lists);
    }
    this.#activate(unsuspected);
    if (!this.isActive) this.#activateSuspect();
  }

  /** Each job counts once, also one that came after the beginning or that is tried again. */
  #countNew(all: ReadonlyMap<MessageNumber, ControlMessages>, waiting: WaitingJobs['payloads']): void {
    for (const msgid of this.#counted.keys())
      if (!all.has(msgid) && !waiting.has(msgid) && !this.#active.has(msgid)) this.#counted.delete(msgid);
    for (const [msgid, lists] of all) {
      if (this.#counted.has(msgid)) continue;
      if (!this.#waiting.has(msgid)) this.count.jobs += lists.length;
      this.#counted.set(msgid, { jobs: lists.length, due: false, deferred: 0 });
    }
    for (let at = 0; at < waiting.length; at++) {
      const msgid = waiting.at(at);
      if (!this.#waiting.has(msgid) && !this.#counted.has(msgid)) this.count.jobs++;
    }
    this.#waiting = waiting;
  }

  /** Where another program works on the queue, no session is begun any more, and those in progress end. */
  async #scanQueue(force: boolean): Promise<QueueScan> {
    try {
      const { schedule } = this.#rules.due;
      const found = await (force
        ? this.#deps.queue.scan(this.#active)
        : this.#deps.queue.scan(this.#active, schedule));
      this.#deps.scanned?.(found);
      return found;
    } catch (error) {
      if (error instanceof ConcurrentRunnerError) this.#stop();
      throw error;
    }
  }

  /** Resolves when no message is active, or after so many milliseconds. */
  idleOr(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#whenIdle.delete(done);
        resolve();
      };
      const timer = this.#deps.clock.after(milliseconds, done);
      this.#whenIdle.add(done);
      if (!this.isActive) done();
    });
  }

  /** Resolves when no message is active, every connection is closed, and the control messages tell the whole truth. */
  async close(): Promise<void> {
    await this.#allDone();
    this.#throttled.save();
    this.#signal.removeEventListener('abort', this.#stop);
    await this.#deps.queue.flush();
  }

  async #deliver(lists: ControlMessages): Promise<void> {
    const message = new ActiveMessage(lists, this.#messageDeps, this.#messageEvents);
    message.reconcile();
    await message.attempt((attempt) => this.#scheduler.add(attempt));
    try {
      if (await message.close(this.#signal)) this.count.finished++;
    } catch (error) {
      this.#deps.events.warning(
        `Job ${numbersOf(message)} is finished but could not be removed, and the next run tries again: ${sentenceOf(error)}`,
      );
    }
  }

  #crashes(msgid: MessageNumber): number {
    return this.#deps.crashLog?.crashes(msgid) ?? 0;
  }

  #activate(messages: readonly (readonly [MessageNumber, ControlMessages])[]): void {
    if (messages.length === 0) return;
    if (this.count.due === 0) this.#deps.beforeFirst?.();
    this.#deps.crashLog?.begin(messages.map(([msgid]) => msgid));
    for (const [msgid, lists] of messages) this.#activateOne(msgid, lists);
  }

  #activateOne(msgid: MessageNumber, lists: ControlMessages): void {
    const counted = this.#counted.get(msgid) ?? { jobs: lists.length, due: false, deferred: 0 };
    // Tried again: what comes of it now counts.
    if (counted.due) this.count.done -= counted.jobs;
    else this.count.due += lists.length;
    this.count.deferred -= counted.deferred;
    this.#counted.set(msgid, { jobs: lists.length, due: true, deferred: 0 });
    this.#active.set(
      msgid,
      this.#deliver(lists).then(() => this.#deactivate(msgid)),
    );
  }

  #activateSuspect(): void {
    const [first] = this.#suspects;
    if (first === undefined || this.#signal.aborted || this.#halted) return;
    const [msgid, lists] = first;
    this.#suspects.delete(msgid);
    this.#warnOnce(
      `Job ${lists.map(({ control }) => control).join(', ')} was being delivered when spoolroom ended without a word, ` +
        `${this.#crashes(msgid)} times. It is tried after all others, alone. If it happens again, look at message ${msgid} ` +
        'and hold the job.',
    );
    this.#activate([first]);
  }

  #deactivate(msgid: MessageNumber): void {
    this.#active.delete(msgid);
    this.#ended.add(msgid);
    this.count.done += this.#counted.get(msgid)?.jobs ?? 0;
    this.#deps.crashLog?.end(msgid);
    if (!this.isActive) this.#activateSuspect();
    if (!this.isActive) for (const tell of [...this.#whenIdle]) tell();
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
    await this.#scheduler.run();
  }

  #newScheduler(): Scheduler {
    const { events } = this.#deps;
    return new Scheduler(this.#rules.delivery, {
      ...this.#deps,
      trace: events.trace,
      throttle: this.#throttled.throttle,
      silent: (found) => {
        this.count.silent += found.cut;
        this.count.waited = Math.max(this.count.waited, Math.round(found.waited));
        events.silent(found);
      },
    });
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

/** So many crashes during a message are no accident. */
const SUSPICIOUS = 2;

const COUNTED = { 2: 'delivered', 4: 'deferred', 5: 'failed' } as const;

function numbersOf({ controlMessages }: ActiveMessage): string {
  return controlMessages.map(({ control }) => control).join(', ');
}

/** Some errors are whole sentences, those of the disk are phrases. */
function sentenceOf(error: unknown): string {
  return describeError(error).replace(/\.?$/, '.');
}
