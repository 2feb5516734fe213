/**
 * One queue run, the story of the whole program: look into the room, take what is due, find out where each
 * recipient belongs, hand the orders to the dispatcher, record what became of them, end what is done. Called by
 * `run` and `watch`, by the simulation and by the benchmark, each with its own ports.
 */
import type { Connect } from '#net-stream-utils';
import { Scheduler } from '../delivery/scheduler.ts';
import type { Trace } from '../delivery/trace.ts';
import type { MessageNumber } from '../delivery-list/job.ts';
import type { DsnSender } from '../dsn/reporter.ts';
import type { Clock, Random } from '../platform/clock.ts';
import type { Resolver } from '../platform/dns.ts';
import { describeError } from '../platform/system-errors.ts';
import { warnOnce } from '../platform/warn-once.ts';
import { type ControlMessages, groupByPayload, isMessageDue } from '../queue/due.ts';
import type { Queue } from '../queue/queue.ts';
import type { MessageEvents, OutcomeRecord } from './active-message.ts';
import { ActiveMessage } from './active-message.ts';
import { planAttempts } from './attempts.ts';
import type { RunRules } from './rules.ts';

export interface RunDeps {
  readonly room: Queue;
  readonly resolver: Resolver;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: RunEvents;
  /** tells senders what became of their mail; without it nobody is told, as in a replay */
  readonly reporter?: DsnSender;
}

/** What a run tells while it runs. Outcomes are durable when they are told. */
export interface RunEvents {
  outcome(record: OutcomeRecord): void;
  /** a control message was set aside because nobody can read it; to `path`, unless it stays where it lay */
  quarantined(control: MessageNumber, reason: string, path?: string): void;
  warning(text: string): void;
  /** a step of a delivery or a session, for transcripts and whoever wants to follow the dialogue */
  readonly trace: Trace;
}

export interface RunSummary {
  /** control messages seen */
  readonly jobs: number;
  readonly due: number;
  /** recipients */
  readonly delivered: number;
  readonly deferred: number;
  readonly failed: number;
  /** mails that are done and removed */
  readonly finished: number;
  readonly milliseconds: number;
}

/**
 * One queue run: look, deliver, and look again as long as something is on its way, so that one slow server holds up
 * nobody else's mail. Over when nothing is in hand any more.
 */
export async function runQueue(ports: RunDeps, rules: RunRules, signal: AbortSignal): Promise<RunSummary> {
  const queue = new QueueRunner(ports, rules, signal);
  const began = ports.clock.monotonic();
  await queue.look(rules.due.force);
  const warn = warnOnce((text) => ports.events.warning(text));
  while (queue.busy) {
    await queue.idleOr(rules.pollInterval);
    if (queue.busy && !signal.aborted) await queue.look(false).catch((error) => warn(unreadableSpool(error)));
  }
  await queue.close();
  return { ...queue.count, milliseconds: Math.round(ports.clock.monotonic() - began) };
}

/** Mails in hand and the dispatcher that delivers them. `watch` keeps one for as long as it stays. */
export class QueueRunner {
  readonly count = { jobs: 0, due: 0, delivered: 0, deferred: 0, failed: 0, finished: 0 };
  readonly #ports: RunDeps;
  readonly #rules: RunRules;
  readonly #signal: AbortSignal;
  #dispatcher: Scheduler;
  #halted = false;
  /** by payload: mails whose deliveries, outcomes or reports are not over */
  readonly #inHand = new Map<MessageNumber, Promise<void>>();
  /** who waits for nothing to be in hand */
  readonly #idle = new Set<() => void>();
  readonly #stop = (): void => this.#dispatcher.stop();

  constructor(ports: RunDeps, rules: RunRules, signal: AbortSignal) {
    this.#ports = ports;
    this.#rules = rules;
    this.#signal = signal;
    this.#dispatcher = this.#freshDispatcher();
    signal.addEventListener('abort', this.#stop, { once: true });
    if (signal.aborted) this.#stop();
  }

  #freshDispatcher(): Scheduler {
    return new Scheduler(this.#rules.delivery, { ...this.#ports, step: this.#ports.events.trace });
  }

  get busy(): boolean {
    return this.#inHand.size > 0;
  }

  /** An outcome could not be written, and nothing is begun any more. */
  get halted(): boolean {
    return this.#halted;
  }

  /** Begin again after a halt. Rejects while the room does not take what it was told. */
  async resume(): Promise<void> {
    await this.#allOver();
    await this.#ports.room.flush();
    this.#dispatcher = this.#freshDispatcher();
    this.#halted = false;
    if (this.#signal.aborted) this.#stop();
  }

  /**
   * What lies in the room, and what of it is due and not in hand yet is taken in hand. `force`: all of it, this once,
   * whatever the rules say: the looks after the first one of a forced run force nothing (R037).
   */
  async look(force: boolean): Promise<void> {
    const scan = await this.#ports.room.scan(this.#inHand);
    for (const { number, reason, path } of scan.quarantined)
      this.#ports.events.quarantined(number, reason, path);
    if (this.#halted) return;
    const options = { ...this.#rules.due, force };
    const due = [...groupByPayload(scan.jobs).values()].filter(
      (lists) => !this.#inHand.has(lists[0].job.msgid) && isMessageDue(lists, this.#now(), options),
    );
    this.count.jobs = Math.max(this.count.jobs, scan.jobs.length);
    for (const lists of due) this.#take(lists);
  }

  /** Resolves when nothing is in hand, or after so many milliseconds. */
  idleOr(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#idle.delete(done);
        resolve();
      };
      const timer = this.#ports.clock.after(milliseconds, done);
      this.#idle.add(done);
      if (!this.busy) done();
    });
  }

  /** Resolves when nothing is in hand, every session has been taken leave of, and the control messages tell the truth. */
  async close(): Promise<void> {
    await this.#allOver();
    this.#signal.removeEventListener('abort', this.#stop);
    await this.#ports.room.flush();
  }

  async #allOver(): Promise<void> {
    await Promise.all(this.#inHand.values());
    await this.#dispatcher.run();
  }

  #now(): number {
    return Math.floor(this.#ports.clock.now() / 1000);
  }

  #take(lists: ControlMessages): void {
    const { room, reporter = null } = this.#ports;
    const mailPorts = { room, now: () => this.#now(), schedule: this.#rules.due.schedule, reporter };
    const mail = new ActiveMessage(lists, mailPorts, this.#mailEvents());
    const { msgid } = lists[0].job;
    this.count.due += lists.length;
    const over = (): void => {
      this.#inHand.delete(msgid);
      if (!this.busy) for (const tell of [...this.#idle]) tell();
    };
    this.#inHand.set(msgid, this.#deliver(mail).then(over));
  }

  async #deliver(mail: ActiveMessage): Promise<void> {
    mail.reconcile();
    const { room, events } = this.#ports;
    const sources = { room, warn: (text: string) => events.warning(text) };
    await new Promise<void>((allOver) => {
      let open = 1;
      const orderOver = (): void => {
        if (--open === 0) allOver();
      };
      for (const order of planAttempts(mail, sources, this.#rules, orderOver)) {
        open++;
        this.#dispatcher.add(order);
      }
      orderOver();
    });
    try {
      if (await mail.close(this.#signal)) this.count.finished++;
    } catch (error) {
      this.#ports.events.warning(
        `A mail that is done (job ${numbersOf(mail)}) could not be ended, and the next run tries again: ${sentenceOf(error)}`,
      );
    }
  }

  #mailEvents(): MessageEvents {
    return {
      outcome: (record) => {
        this.count[COUNTED[record.status]]++;
        this.#ports.events.outcome(record);
      },
      notWritten: (mail, error) => {
        this.#ports.events.warning(
          `An outcome of job ${numbersOf(mail)} could not be written: ${sentenceOf(error)} Nothing more is sent until it can; ` +
            'mail that was accepted in this moment may be sent a second time.',
        );
        this.#halted = true;
        this.#stop();
      },
    };
  }
}

/** A spool that takes no outcomes takes no mail either: what is sent and not noted is sent again. */
export function unwritableSpool(error: unknown): string {
  return `Nothing is sent, because outcomes cannot be written: ${sentenceOf(error)} The next look tries again.`;
}

/** A spool that cannot be read now may be readable again; what is in hand goes on. */
export function unreadableSpool(error: unknown): string {
  return `The spool could not be read: ${sentenceOf(error)} The mail stays; the next look tries again.`;
}

function numbersOf(mail: ActiveMessage): string {
  return mail.lists.map(({ control }) => control).join(', ');
}

const COUNTED = { 2: 'delivered', 4: 'deferred', 5: 'failed' } as const;

/** Some errors are whole sentences, those of the disk are phrases. */
function sentenceOf(error: unknown): string {
  return describeError(error).replace(/\.?$/, '.');
}
