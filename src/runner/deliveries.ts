/** The messages that a run delivers, and what delivers them. A run opens this with its first message: most runs of cron find none. */
import type { Connect } from '#net-stream-utils';
import type { RefusalStore } from '../delivery/connections/refusals.ts';
import type { SilentHosts } from '../delivery/rules.ts';
import { Scheduler } from '../delivery/scheduler.ts';
import type { Trace } from '../delivery/trace.ts';
import type { MessageNumber } from '../delivery-list/job.ts';
import type { DsnSender } from '../dsn/sender.ts';
import type { Clock, Random } from '../platform/clock.ts';
import type { Resolver } from '../platform/dns.ts';
import type { CrashLog } from '../queue/crash-log.ts';
import type { ControlMessages } from '../queue/due.ts';
import type { Queue } from '../queue/queue.ts';
import type { MessageDeps, MessageEvents, OutcomeRecord } from './active-message.ts';
import { ActiveMessage } from './active-message.ts';
import { laneOf } from './lane.ts';
import { loadMessage } from './load-message.ts';
import type { RunDeps, RunEvents } from './queue-runner.ts';
import type { RunRules } from './rules.ts';
import type { Suppressions } from './suppression-list.ts';
import type { ThrottleStore } from './throttling/throttle-store.ts';
import { type DueMessage, ThrottledQueue } from './throttling/throttled-queue.ts';

export interface DeliveryDeps {
  readonly queue: Queue;
  readonly resolver: Resolver;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: DeliveryEvents;
  /** which messages took the process with them before; absent: none did */
  readonly crashLog?: CrashLog;
  /** which hosts asked us to send less; absent: it is forgotten with the run */
  readonly throttleStore?: ThrottleStore;
  /** addresses to which nothing is sent; absent: there are none */
  readonly suppressed?: Suppressions;
  /** what hosts offer and cannot do; absent: it is forgotten with the run */
  readonly refusalStore?: RefusalStore;
  /** tells senders what became of their messages; absent: nobody is told */
  readonly dsnSender?: DsnSender;
  /** how payloads are made ready to send; absent: read, rendered and signed */
  readonly load?: MessageDeps['load'];
}

export interface DeliveryEvents {
  /** after it is durable */
  outcome(record: OutcomeRecord): void;
  warning(text: string): void;
  /** hosts that said nothing held up others, and were cut off */
  silent(found: SilentHosts): void;
  /** a step of a delivery or a session */
  readonly trace: Trace;
}

/** What the run itself has to know. */
export interface DeliveryObserver extends MessageEvents {
  silent(found: SilentHosts): void;
  /** its last recipient is done, but it could not be removed */
  notRemoved(message: ActiveMessage, error: unknown): void;
}

/** For a run that need not wait for what delivers. */
export function readyDeliveries(
  deps: DeliveryDeps & { readonly events: RunEvents },
  rules: RunRules,
): RunDeps {
  const { queue, clock, events } = deps;
  return { queue, clock, events, openDeliveries: (observer) => new Deliveries(deps, rules, observer) };
}

export class Deliveries {
  readonly #deps: DeliveryDeps;
  readonly #rules: RunRules;
  readonly #observer: DeliveryObserver;
  readonly #messageDeps: MessageDeps;
  readonly #throttled: ThrottledQueue;
  #scheduler: Scheduler;

  constructor(deps: DeliveryDeps, rules: RunRules, observer: DeliveryObserver) {
    const { events, clock } = deps;
    const warn = (text: string): void => events.warning(text);
    const { routing, limits } = rules.delivery;
    const { schedule } = rules.due;
    this.#deps = deps;
    this.#rules = rules;
    this.#observer = {
      ...observer,
      outcome: (record) => {
        observer.outcome(record);
        events.outcome(record);
      },
      silent: (found) => {
        observer.silent(found);
        events.silent(found);
      },
    };
    this.#messageDeps = {
      ...{ queue: deps.queue, render: rules.render, postmaster: rules.postmaster, signer: rules.signer },
      ...{ warn, routing, limits, schedule },
      now: () => Math.floor(clock.now() / 1000),
      nextTurn: () => new Promise((turn) => clock.after(0, turn)),
      dsnSender: deps.dsnSender ?? null,
      suppressed: deps.suppressed ?? null,
      load: deps.load ?? loadMessage,
    };
    this.#throttled = new ThrottledQueue({
      ...{ clock, routing, schedule, warn },
      store: deps.throttleStore ?? null,
      ...(deps.queue.throttled === undefined ? {} : { shared: deps.queue.throttled }),
    });
    this.#scheduler = this.#newScheduler();
  }

  /** What commands and other processes have written since the last scan counts. */
  async refresh(): Promise<void> {
    await this.#throttled.exchange();
    this.#deps.dsnSender?.refresh();
    this.#deps.suppressed?.refresh();
  }

  /** Those that may be offered to their hosts now. */
  select(due: readonly DueMessage[]): readonly DueMessage[] {
    return this.#throttled.select(due);
  }

  /** In which line a message waits for its turn. */
  laneOf(lists: ControlMessages): string {
    return laneOf(lists, this.#rules.delivery.routing);
  }

  /** How often the process ended while this message was active. */
  crashes(payload: MessageNumber): number {
    return this.#deps.crashLog?.crashes(payload) ?? 0;
  }

  /** These messages become active together. */
  begin(payloads: readonly MessageNumber[]): void {
    this.#deps.crashLog?.begin(payloads);
  }

  /** Resolves when the message is no longer active; to whether it is finished and gone. */
  async deliver(lists: ControlMessages, signal: AbortSignal): Promise<boolean> {
    const message = new ActiveMessage(lists, this.#messageDeps, this.#observer);
    message.reconcile();
    await message.attempt((attempt) => this.#scheduler.add(attempt));
    try {
      return await message.close(signal);
    } catch (error) {
      this.#observer.notRemoved(message, error);
      return false;
    }
  }

  end(payload: MessageNumber): void {
    this.#deps.crashLog?.end(payload);
  }

  /** Begins nothing new; what is in progress ends. */
  stop(): void {
    this.#scheduler.stop();
  }

  /** Takes messages again after `stop` and `disconnect`. */
  restart(): void {
    this.#scheduler = this.#newScheduler();
  }

  /** Resolves when every connection is closed. */
  disconnect(): Promise<void> {
    return this.#scheduler.run();
  }

  /** Remembers which hosts asked us to send less. */
  save(): Promise<void> {
    return this.#throttled.save();
  }

  #newScheduler(): Scheduler {
    const { limits } = this.#deps.queue;
    return new Scheduler(this.#rules.delivery, {
      ...this.#deps,
      ...(limits === undefined ? {} : { shared: limits }),
      trace: this.#deps.events.trace,
      throttle: this.#throttled.throttle,
      silent: (found) => this.#observer.silent(found),
    });
  }
}
