/**
 * Carries out attempts of one destination, one after the other, over one connection at a time: performs the effects of the
 * delivery machine and passes on to it what the SMTP client reports. Decides nothing: what happens next to an attempt is a
 * row of table.ts, who works next is the scheduler's.
 *
 * Where the server takes pipelined commands, the next attempt's envelope leaves together with the end of the current
 * message (RFC 2920 3.1).
 */
import type { SmtpClient } from '../../smtp/client/client.ts';
import type { Outcome } from '../../smtp/outcome.ts';
import type { Transaction } from '../../smtp/transaction.ts';
import type { AcquireConnection, DeliveryAttempt } from '../attempt.ts';
import type { ConnectionPool } from '../connections/connection-pool.ts';
import type { ConnectionTarget } from '../connections/target.ts';
import type { DeliveryEffect, DeliveryEvent } from '../delivery.ts';
import type { DestinationQueue } from '../destination-queue.ts';
import { lookUp } from '../lookups.ts';
import { advance } from '../machine.ts';
import { heldBack } from '../throttling/admission.ts';
import type { TlsUse } from '../tls-use.ts';
import { InHand } from './in-hand.ts';
import type { SessionUser, WorkerScheduler } from './ports.ts';
import { SessionListener } from './session-listener.ts';

export class DeliveryWorker implements SessionUser {
  readonly queue: DestinationQueue;
  readonly #scheduler: WorkerScheduler;
  readonly #pool: ConnectionPool;
  readonly #hand: InHand;
  current: DeliveryAttempt | null = null;
  pipelined: DeliveryAttempt | null = null;
  /** its message is being read while the current one is on the wire */
  #prefetched: DeliveryAttempt | null = null;
  #attempts = 0;

  constructor(queue: DestinationQueue, scheduler: WorkerScheduler) {
    this.queue = queue;
    this.#scheduler = scheduler;
    this.#pool = scheduler.pool;
    this.#hand = new InHand(scheduler.pool, scheduler.deps.throttle);
  }

  /** Begins an attempt, or goes on with one that waited for its host. */
  run(attempt: DeliveryAttempt): void {
    this.current = attempt;
    attempt.worker = this;
    const { waitingFor } = attempt;
    attempt.waitingFor = null;
    if (waitingFor?.early === true) attempt.limitTime(this.#scheduler.deliveryTime);
    if (attempt.delivery.state === 'done') this.#next();
    else if (waitingFor === null) void this.#begin(attempt);
    else this.#acquire(attempt, waitingFor.wanted);
    if (waitingFor !== null) this.#pool.wakeNext(waitingFor.target);
  }

  stop(): void {
    if (this.#prefetched !== null) this.#scheduler.attemptDone(this.#prefetched);
    this.#prefetched = null;
    if (this.pipelined !== null) this.handle(this.pipelined, { type: 'stop' });
    if (this.current !== null) this.handle(this.current, { type: 'stop' });
  }

  interrupt(text: string): void {
    this.#hand.client?.interrupt(text);
  }

  async #begin(attempt: DeliveryAttempt): Promise<void> {
    attempt.started = this.#scheduler.deps.clock.monotonic();
    attempt.limitTime(this.#scheduler.deliveryTime);
    // Thousands may wait for the same hosts: not within each other.
    if (!this.#scheduler.deps.throttle.isQuiet) await null;
    if (this.#isThrottled(attempt)) return;
    const failure = await attempt.load();
    if (failure === 'unavailable') this.#finish(attempt);
    else if (failure !== null) this.handle(attempt, { type: 'unsendable', failure });
    else {
      const cursor = this.#hand.isUsable ? this.#hand.cursorFor(attempt) : null;
      this.handle(attempt, cursor === null ? { type: 'start' } : { type: 'reuse', ...cursor });
    }
  }

  /** Whether the attempt is over, here at least, because its hosts asked us to send less. */
  #isThrottled(attempt: DeliveryAttempt, host?: string): boolean {
    if (attempt.isDone) return true;
    const held = heldBack(this.#scheduler.deps.throttle, attempt, host);
    if (held !== null) this.handle(attempt, held);
    return held !== null;
  }

  /** The time for the whole delivery is over. */
  expire(attempt: DeliveryAttempt): void {
    this.handle(attempt, { type: 'deadline' });
  }

  /** The one way into the machine: an event, its effects, and the end of the attempt when it was the last. */
  handle(attempt: DeliveryAttempt, event: DeliveryEvent): void {
    for (const effect of this.#advance(attempt, event)) this.#perform(attempt, effect);
    if (attempt.delivery.state === 'done') this.#finish(attempt);
  }

  #advance(attempt: DeliveryAttempt, event: DeliveryEvent): readonly DeliveryEffect[] {
    const step = advance(attempt.delivery, event);
    attempt.delivery = step.delivery;
    this.#scheduler.deps.trace(attempt.alone, { what: 'delivery', event, step });
    return step.effects;
  }

  #perform(attempt: DeliveryAttempt, effect: DeliveryEffect): void {
    switch (effect.type) {
      case 'lookup-hosts':
      case 'lookup-addresses':
        void lookUp(effect, attempt, this.#scheduler).then((event) => this.handle(attempt, event));
        return;
      case 'acquire-connection':
        this.#acquire(attempt, effect);
        return;
      case 'start-transaction':
        this.#hand.client?.startTransaction(this.#transactionOf(attempt));
        this.#prefetch();
        return;
      case 'interrupt':
        this.interrupt('was cut off because the time for this delivery was over');
        return;
      case 'outcome':
        this.record(attempt, effect.recipients, effect.outcome, { tls: null, dsn: false });
        return;
      case 'hold-back':
        attempt.message.holdBack(attempt.destination.name, effect.recipients, effect.failure);
        return;
    }
  }

  #transactionOf(attempt: DeliveryAttempt): Transaction {
    return attempt.beginTransaction(this.#scheduler.nextTransactionNumber(), this.#scheduler.rules);
  }

  record(
    attempt: DeliveryAttempt,
    recipients: readonly number[],
    outcome: Outcome,
    { tls, dsn }: { readonly tls: TlsUse | null; readonly dsn: boolean },
  ): void {
    const { clock, trace } = this.#scheduler.deps;
    const { destination, message, started } = attempt;
    const details = { milliseconds: clock.monotonic() - started, tls, dsn };
    const recorded = message.recordOutcome(destination.name, recipients, outcome, details);
    trace(attempt.alone, { what: 'outcome', recipients, outcome, recorded, tls });
  }

  /**
   * A connection for the attempt: the one in hand, an idle one, a place in the line where the endpoint has none to spare, or
   * a new one; none where the endpoint failed not long ago. `mayConnect`: a delayed start whose time has come.
   */
  #acquire(attempt: DeliveryAttempt, wanted: AcquireConnection, mayConnect = false): void {
    if (this.#isThrottled(attempt, wanted.host.name)) return;
    const { key } = attempt.destination;
    const target = this.#pool.targetOf(wanted, { key, hosts: attempt.delivery.hosts.length });
    const failure = this.#pool.backOff(target);
    if (failure === undefined && this.#pool.turns.isEarly(target.groups, 'betweenMessages', attempt)) {
      this.#leaveEarly(attempt, target, wanted);
      return;
    }
    if (this.#hand.isUsable && target.name === this.#hand.target?.name) {
      this.use(attempt);
      return;
    }
    this.#hand.release(this.#scheduler.keepsConnections);
    this.#hand.target = target;
    const idle = this.#pool.acquireIdle(target);
    if (idle !== undefined) {
      this.#hand.client = idle;
      idle.setListener(this.#listener(idle, target));
      this.use(attempt);
      return;
    }
    const full = this.#pool.fullPlace(target);
    if (full !== null) {
      this.#pool.enqueueWaiter(full, attempt);
      this.#leaveWaiting(attempt, { target, wanted, early: false });
      return;
    }
    if (failure !== undefined) {
      this.handle(attempt, { type: 'host-failed', failure, remembered: true });
      return;
    }
    if (this.#pool.turns.isEarly(target.groups, 'betweenSessions', attempt)) {
      this.#leaveEarly(attempt, target, wanted);
      return;
    }
    const delay = mayConnect ? 0 : this.#pool.startDelay();
    if (delay === 0)
      this.#hand.client = this.#pool.connect(target, (client) => this.#listener(client, target));
    else this.#acquireLater(attempt, wanted, delay);
  }

  /** Its turn is later. Nobody keeps a connection for it till then. */
  #leaveEarly(attempt: DeliveryAttempt, target: ConnectionTarget, wanted: AcquireConnection): void {
    this.#hand.release(this.#scheduler.keepsConnections);
    this.#leaveWaiting(attempt, { target, wanted, early: true });
  }

  #leaveWaiting(attempt: DeliveryAttempt, waitingFor: DeliveryAttempt['waitingFor']): void {
    attempt.waitingFor = waitingFor;
    this.current = null;
    this.queue.waiting.add(attempt);
    this.#next();
  }

  /** Meanwhile connections may open, become idle or fail: the choice is made again. */
  #acquireLater(attempt: DeliveryAttempt, wanted: AcquireConnection, delay: number): void {
    const start = (): void => {
      if (attempt === this.current && attempt.delivery.state === 'connecting')
        this.#acquire(attempt, wanted, true);
    };
    attempt.addTimer(this.#scheduler.deps.clock.after(delay, start));
  }

  /** The connection is ready for the attempt's transaction. */
  use(attempt: DeliveryAttempt): void {
    this.#hand.usedBy(attempt);
    this.handle(attempt, { type: 'connection-ready' });
  }

  /** Starts the transaction of the attempt again, with a 7-bit form of its message where there is one. */
  async convert(attempt: DeliveryAttempt, client: SmtpClient): Promise<void> {
    const failure = await attempt.useSevenBit();
    if (attempt.isDone) return;
    if (failure !== null) this.handle(attempt, { type: 'unsendable', failure });
    // Meanwhile the session may have been lost.
    else if (attempt === this.current && client === this.#hand.client)
      client.startTransaction(this.#transactionOf(attempt));
  }

  /** Takes the next attempt and reads its message while the current one is on the wire. */
  #prefetch(): void {
    if (this.#prefetched !== null || !this.#scheduler.mayPrefetch(this.queue)) return;
    const attempt = this.#takeWaiter() ?? this.#takeFresh();
    if (attempt === null) return;
    this.#prefetched = attempt;
    void attempt.load();
  }

  /** Who has waited longest for a connection like this one goes first. */
  #takeWaiter(): DeliveryAttempt | null {
    const { client, target } = this.#hand;
    if (this.queue.waiting.size === 0 || client === null || target === null) return null;
    const attempt = this.#pool.takeWaiter(target, this.queue.waiting);
    if (attempt === undefined) return null;
    this.queue.waiting.delete(attempt);
    return attempt;
  }

  /** Not one whose host has a connection for it by now: it is next in any case. */
  #takeFresh(): DeliveryAttempt | null {
    if (this.queue.attempts.first?.waitingFor !== null) return null;
    return this.queue.attempts.shift() ?? null;
  }

  /** The transaction to send along with the end of the current message; null when there is none that may. */
  pipelineNext(client: SmtpClient): Transaction | null {
    const attempt = this.#prefetched;
    if (attempt === null || attempt.loaded === null || attempt.isDone || !this.#hand.mayCarry(2)) return null;
    // What has to wait in its turn is not sent behind another message.
    const cursor = this.#hand.cursorFor(attempt);
    if (cursor === null) return null;
    // What this server does not take is refused in its turn, never sent behind another message.
    if (!client.supports(attempt.loaded.requirements)) return null;
    if (!this.#scheduler.mayContinue(this.queue, this.#attempts + 1)) return null;
    this.#prefetched = null;
    this.pipelined = attempt;
    attempt.worker = this;
    attempt.started = this.#scheduler.deps.clock.monotonic();
    const waited = attempt.stopWaiting();
    this.#advance(attempt, waited ? { type: 'connection-ready' } : { type: 'reuse', ...cursor });
    // The answers to this envelope may come in one read with the end of the message before: be ready for its end.
    this.#prefetch();
    return this.#transactionOf(attempt);
  }

  /** Its envelope was sent behind a message that goes out once more: it begins again after that one. */
  takeBack(attempt: DeliveryAttempt): void {
    this.pipelined = null;
    attempt.restart();
    if (this.#prefetched !== null) this.queue.attempts.unshift(this.#prefetched);
    this.#prefetched = attempt;
  }

  #finish(attempt: DeliveryAttempt): void {
    if (attempt.isDone) return;
    this.#scheduler.attemptDone(attempt);
    if (attempt !== this.current) return;
    this.#attempts++;
    this.current = this.pipelined;
    this.pipelined = null;
    // Only now: its deadline must not cut off the message before it.
    if (this.current === null) this.#next();
    else this.current.limitTime(this.#scheduler.deliveryTime);
  }

  #next(): void {
    const prefetched = this.#prefetched;
    this.#prefetched = null;
    const mayConnect = this.#hand.client !== null || this.#scheduler.mayConnect(this.queue);
    if (mayConnect && this.#scheduler.mayContinue(this.queue, this.#attempts)) {
      const attempt =
        prefetched ?? (this.#hand.isUsable ? this.#takeWaiter() : null) ?? this.queue.attempts.shift();
      if (attempt !== undefined) {
        this.run(attempt);
        return;
      }
    } else if (prefetched !== null) this.queue.attempts.unshift(prefetched);
    this.#hand.release(this.#scheduler.keepsConnections);
    this.#scheduler.workerDone(this);
  }

  accepted(): void {
    this.#scheduler.raiseConcurrency(this.queue);
  }

  lost(client: SmtpClient): void {
    if (this.#hand.client === client) this.#hand.client = null;
  }

  #listener(client: SmtpClient, target: ConnectionTarget): SessionListener {
    return new SessionListener(this, this.#scheduler, client, target);
  }
}
