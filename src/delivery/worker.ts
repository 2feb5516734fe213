/**
 * Carries out attempts of one destination, one after the other, over one connection at a time: performs the effects of the
 * delivery machine and passes on to it what the SMTP client reports. Decides nothing: what happens next to an attempt is a
 * row of table.ts, who works next is the scheduler's.
 *
 * Where the server takes pipelined commands, the next attempt's envelope leaves together with the end of the current
 * message (RFC 2920 3.1).
 */
import type { TlsFacts } from '#net-stream-utils';
import type { Resolver } from '../platform/dns.ts';
import type { FixedDelay } from '../platform/timers.ts';
import { hostGroup } from '../routing/host-group.ts';
import type { ClientListener, SmtpClient } from '../smtp/client.ts';
import type { Failure } from '../smtp/outcome.ts';
import type { Transaction } from '../smtp/transaction.ts';
import type { TlsWish } from '../tls-policy/wish.ts';
import type { AcquireConnection, DeliveryAttempt } from './attempt.ts';
import type { ConnectionPool, ConnectionTarget } from './connection-pool.ts';
import type { DeliveryEffect, DeliveryEvent, HostCursor } from './delivery.ts';
import type { DestinationQueue } from './destination-queue.ts';
import { lookupAddresses, lookupHosts, refuseLoop, traced } from './lookups.ts';
import { advance } from './machine.ts';
import type { DeliveryDeps, DeliveryRules } from './rules.ts';
import { isAboutSessions } from './throttling/answers.ts';
import { type TlsUse, tlsUse } from './tls-use.ts';

/** What a worker asks of the scheduler. */
export interface WorkerScheduler {
  readonly rules: DeliveryRules;
  readonly deps: DeliveryDeps;
  readonly pool: ConnectionPool;
  /** ends the attempts whose time for a whole delivery is over */
  readonly deliveryTime: FixedDelay<DeliveryAttempt>;
  /** whether idle connections may be of use to somebody */
  readonly keepsConnections: boolean;
  nextTransactionNumber(): number;
  /** whether a worker that has carried out so many attempts may take another one of its destination */
  mayContinue(queue: DestinationQueue, attempts: number): boolean;
  /** whether a worker without a connection may take another attempt: not while many wait for their hosts already */
  mayConnect(queue: DestinationQueue): boolean;
  /** whether a worker may take its next attempt ahead of time: not while another worker could begin it now */
  mayPrefetch(queue: DestinationQueue): boolean;
  /** a message was accepted: the destination may get more workers */
  raiseConcurrency(queue: DestinationQueue): void;
  attemptDone(attempt: DeliveryAttempt): void;
  /** it has nothing to do any more */
  workerDone(worker: DeliveryWorker): void;
}

export class DeliveryWorker {
  readonly queue: DestinationQueue;
  readonly #scheduler: WorkerScheduler;
  readonly #pool: ConnectionPool;
  /** the attempt on the wire, or on its way there */
  #current: DeliveryAttempt | null = null;
  /** its envelope is on the wire behind the current message */
  #pipelined: DeliveryAttempt | null = null;
  /** its message is being read while the current one is on the wire */
  #prefetched: DeliveryAttempt | null = null;
  #client: SmtpClient | null = null;
  #target: ConnectionTarget | null = null;
  /** where the current connection stands among the destination's hosts: later attempts go on from there */
  #cursor: HostCursor | null = null;
  /** for messages with this wish alone: its hosts depend on it */
  #cursorWish: TlsWish | null = null;
  #attempts = 0;

  constructor(queue: DestinationQueue, scheduler: WorkerScheduler) {
    this.queue = queue;
    this.#scheduler = scheduler;
    this.#pool = scheduler.pool;
  }

  /** Begins an attempt, or goes on with one that waited for its host. */
  run(attempt: DeliveryAttempt): void {
    this.#current = attempt;
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
    if (this.#pipelined !== null) this.#handle(this.#pipelined, { type: 'stop' });
    if (this.#current !== null) this.#handle(this.#current, { type: 'stop' });
  }

  interrupt(text: string): void {
    this.#client?.interrupt(text);
  }

  async #begin(attempt: DeliveryAttempt): Promise<void> {
    attempt.started = this.#scheduler.deps.clock.monotonic();
    attempt.limitTime(this.#scheduler.deliveryTime);
    // Thousands may wait for the same hosts: not within each other.
    if (!this.#scheduler.deps.throttle.isQuiet) await null;
    if (this.#isThrottled(attempt)) return;
    const failure = await attempt.load();
    if (failure === 'unavailable') this.#finish(attempt);
    else if (failure !== null) this.#handle(attempt, { type: 'unsendable', failure });
    else if (this.#cursor !== null && this.#isUsable() && this.#mayReuse(attempt, this.#cursor))
      this.#handle(attempt, { type: 'reuse', ...this.#cursor });
    else this.#handle(attempt, { type: 'start' });
  }

  /**
   * Whether the attempt has to wait because its hosts asked us to send less; then it is ended, or goes on elsewhere. `name`: of
   * the host it is about to use; absent: whatever host it may have.
   */
  #isThrottled(attempt: DeliveryAttempt, name?: string): boolean {
    const { throttle } = this.#scheduler.deps;
    if (throttle.isQuiet || attempt.isDone) return attempt.isDone;
    const { key } = attempt.destination;
    const group = name === undefined ? throttle.groupOf(key) : hostGroup(name);
    if (group === null) return false;
    const failure = attempt.admittedTo === group ? throttle.confirm(group) : throttle.admit(group);
    if (failure === null) {
      attempt.admittedTo = group;
      return false;
    }
    const { hosts, host } = attempt.delivery;
    const elsewhere = hosts.findIndex((each, at) => at > host && hostGroup(each.name) !== group);
    if (hosts.length > 0) throttle.learn(group, key, hosts);
    this.#handle(attempt, { type: 'throttled', elsewhere, failure });
    return true;
  }

  #mayReuse({ admittedTo, tlsWish }: DeliveryAttempt, { hosts, host }: HostCursor): boolean {
    if (tlsWish !== this.#cursorWish) return false;
    return (
      this.#target?.isPaced !== true &&
      this.#scheduler.deps.throttle.isFree(hosts[host]?.name ?? '', admittedTo)
    );
  }

  /** The time for the whole delivery is over. */
  expire(attempt: DeliveryAttempt): void {
    this.#handle(attempt, { type: 'deadline' });
  }

  /** The one way into the machine: an event, its effects, and the end of the attempt when it was the last. */
  #handle(attempt: DeliveryAttempt, event: DeliveryEvent): void {
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
    const { rules, deps } = this.#scheduler;
    switch (effect.type) {
      case 'lookup-hosts':
        void lookupHosts(
          attempt.destination,
          rules.routing,
          this.#resolver(attempt),
          deps.random,
          attempt.tlsWish,
        ).then((event) => this.#handle(attempt, event));
        return;
      case 'lookup-addresses':
        void lookupAddresses(effect.host, this.#resolver(attempt), rules.routing, attempt.tlsWish).then(
          (event) => this.#handle(attempt, refuseLoop(event, effect.host, rules.routing)),
        );
        return;
      case 'acquire-connection':
        this.#acquire(attempt, effect);
        return;
      case 'start-transaction':
        this.#client?.startTransaction(this.#transactionOf(attempt));
        this.#prefetch();
        return;
      case 'interrupt':
        this.interrupt('was cut off because the time for this delivery was over');
        return;
      case 'outcome':
        this.#record(attempt, effect, null, false);
        return;
      case 'hold-back':
        attempt.message.holdBack(attempt.destination.name, effect.recipients, effect.failure);
        return;
    }
  }

  #transactionOf(attempt: DeliveryAttempt): Transaction {
    return attempt.beginTransaction(this.#scheduler.nextTransactionNumber(), this.#scheduler.rules);
  }

  #resolver(attempt: DeliveryAttempt): Resolver {
    const { resolver, trace } = this.#scheduler.deps;
    return traced(resolver, (event) => trace(attempt.alone, event));
  }

  #record(
    attempt: DeliveryAttempt,
    { recipients, outcome }: Pick<Extract<DeliveryEffect, { type: 'outcome' }>, 'recipients' | 'outcome'>,
    tls: TlsUse | null,
    dsn: boolean,
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
    if (this.#isUsable() && target.name === this.#target?.name) {
      this.#use(attempt);
      return;
    }
    this.#releaseClient();
    this.#target = target;
    const idle = this.#pool.acquireIdle(target);
    if (idle !== undefined) {
      this.#client = idle;
      idle.setListener(this.#listener(idle, target));
      this.#use(attempt);
      return;
    }
    const full = this.#pool.fullPlace(target);
    if (full !== null) {
      this.#pool.enqueueWaiter(full, attempt);
      this.#leaveWaiting(attempt, { target, wanted, early: false });
      return;
    }
    if (failure !== undefined) {
      this.#handle(attempt, { type: 'host-failed', failure, remembered: true });
      return;
    }
    if (this.#pool.turns.isEarly(target.groups, 'betweenSessions', attempt)) {
      this.#leaveEarly(attempt, target, wanted);
      return;
    }
    const delay = mayConnect ? 0 : this.#pool.startDelay();
    if (delay === 0) this.#client = this.#pool.connect(target, (client) => this.#listener(client, target));
    else this.#acquireLater(attempt, wanted, delay);
  }

  /** Its turn is later. Nobody keeps a connection for it till then. */
  #leaveEarly(attempt: DeliveryAttempt, target: ConnectionTarget, wanted: AcquireConnection): void {
    this.#releaseClient();
    this.#leaveWaiting(attempt, { target, wanted, early: true });
  }

  #leaveWaiting(attempt: DeliveryAttempt, waitingFor: DeliveryAttempt['waitingFor']): void {
    attempt.waitingFor = waitingFor;
    this.#current = null;
    this.queue.waiting.add(attempt);
    this.#next();
  }

  /** Meanwhile connections may open, become idle or fail: the choice is made again. */
  #acquireLater(attempt: DeliveryAttempt, wanted: AcquireConnection, delay: number): void {
    const start = (): void => {
      if (attempt === this.#current && attempt.delivery.state === 'connecting')
        this.#acquire(attempt, wanted, true);
    };
    attempt.addTimer(this.#scheduler.deps.clock.after(delay, start));
  }

  /** The connection is ready for the attempt's transaction. */
  #use(attempt: DeliveryAttempt): void {
    const { hosts, host, addresses, address, withoutTls } = attempt.delivery;
    this.#cursor = { hosts, host, addresses, address, withoutTls };
    this.#cursorWish = attempt.tlsWish;
    this.#handle(attempt, { type: 'connection-ready' });
  }

  #isUsable(): boolean {
    const client = this.#client;
    const target = this.#target;
    if (client === null || target === null || !client.ready) return false;
    return client.transactions < this.#pool.mostTransactions(target, client);
  }

  /** Starts the transaction of the attempt again, with a 7-bit form of its message where there is one. */
  async #convert(attempt: DeliveryAttempt, client: SmtpClient): Promise<void> {
    try {
      await attempt.useSevenBit();
    } catch (error) {
      if (!attempt.isDone) this.#handle(attempt, { type: 'unsendable', failure: unreadable(error) });
      return;
    }
    // Meanwhile the session may have been lost, or the attempt stopped.
    if (attempt.isDone || attempt !== this.#current || client !== this.#client) return;
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
    if (this.queue.waiting.size === 0 || this.#client === null || this.#target === null) return null;
    const attempt = this.#pool.takeWaiter(this.#target, this.queue.waiting);
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
  #pipelineNext(client: SmtpClient): Transaction | null {
    const attempt = this.#prefetched;
    if (attempt === null || attempt.loaded === null || attempt.isDone || this.#cursor === null) return null;
    if (this.#target === null || client.transactions + 2 > this.#pool.mostTransactions(this.#target, client))
      return null;
    // What has to wait in its turn is not sent behind another message.
    if (!this.#mayReuse(attempt, this.#cursor)) return null;
    // What this server does not take is refused in its turn, never sent behind another message.
    if (!client.supports(attempt.loaded.requirements)) return null;
    if (!this.#scheduler.mayContinue(this.queue, this.#attempts + 1)) return null;
    this.#prefetched = null;
    this.#pipelined = attempt;
    attempt.worker = this;
    attempt.started = this.#scheduler.deps.clock.monotonic();
    const waited = attempt.stopWaiting();
    this.#advance(attempt, waited ? { type: 'connection-ready' } : { type: 'reuse', ...this.#cursor });
    // The answers to this envelope may come in one read with the end of the message before: be ready for its end.
    this.#prefetch();
    return this.#transactionOf(attempt);
  }

  /** Its envelope was sent behind a message that goes out once more: it begins again after that one. */
  #takeBack(attempt: DeliveryAttempt): void {
    this.#pipelined = null;
    attempt.restart();
    if (this.#prefetched !== null) this.queue.attempts.unshift(this.#prefetched);
    this.#prefetched = attempt;
  }

  #finish(attempt: DeliveryAttempt): void {
    if (attempt.isDone) return;
    this.#scheduler.attemptDone(attempt);
    if (attempt !== this.#current) return;
    this.#attempts++;
    this.#current = this.#pipelined;
    this.#pipelined = null;
    // Only now: its deadline must not cut off the message before it.
    if (this.#current === null) this.#next();
    else this.#current.limitTime(this.#scheduler.deliveryTime);
  }

  #next(): void {
    const prefetched = this.#prefetched;
    this.#prefetched = null;
    const mayConnect = this.#client !== null || this.#scheduler.mayConnect(this.queue);
    if (mayConnect && this.#scheduler.mayContinue(this.queue, this.#attempts)) {
      const attempt =
        prefetched ?? (this.#isUsable() ? this.#takeWaiter() : null) ?? this.queue.attempts.shift();
      if (attempt !== undefined) {
        this.run(attempt);
        return;
      }
    } else if (prefetched !== null) this.queue.attempts.unshift(prefetched);
    this.#releaseClient();
    this.#scheduler.workerDone(this);
  }

  #releaseClient(): void {
    const client = this.#client;
    const target = this.#target;
    if (client === null || target === null) return;
    this.#client = null;
    this.#cursor = null;
    this.#pool.release(target, client, this.#scheduler.keepsConnections);
  }

  #listener(client: SmtpClient, target: ConnectionTarget): ClientListener {
    const pool = this.#pool;
    const { trace, throttle } = this.#scheduler.deps;
    const heed = (attempt: DeliveryAttempt, failure: Failure): void => {
      if (failure.permanent || (isAboutSessions(failure) && pool.hasOthers(target, client))) return;
      throttle.failed(failure, attempt.destination.key, attempt.delivery.hosts);
    };
    const session = client.options.number;
    const attemptFor = (transaction: number): DeliveryAttempt => {
      if (this.#current?.transaction === transaction) return this.#current;
      if (this.#pipelined?.transaction === transaction) return this.#pipelined;
      throw new Error(`transaction ${transaction} was not begun here`);
    };
    const toCurrent = (event: DeliveryEvent): void => {
      if (this.#current !== null) this.#handle(this.#current, event);
    };
    return {
      ready: () => {
        pool.ready(client);
        if (this.#current?.delivery.state === 'connecting') this.#use(this.#current);
      },
      connected: () => {
        const attempts = this.#current?.alone ?? NOBODY;
        trace(attempts, { what: 'connected', session, address: target.address, ...factsOf(client) });
      },
      body: (transaction) => {
        const { alone, outgoing } = attemptFor(transaction);
        trace(alone, { what: 'body', message: outgoing });
        return outgoing;
      },
      mayEnd: (transaction) => attemptFor(transaction).message.mayEnd?.() !== false,
      nextTransaction: () => this.#pipelineNext(client),
      convertMessage: (transaction) => void this.#convert(attemptFor(transaction), client),
      outcome: (transaction, recipients, outcome) => {
        const attempt = attemptFor(transaction);
        this.#record(attempt, { recipients, outcome }, tlsUse(client.tlsFacts, target.host), client.takesDsn);
        if (outcome.kind === 'failed') heed(attempt, outcome);
        else if (!throttle.isQuiet) throttle.accepted(outcome.peer);
        if (outcome.kind === 'delivered' || outcome.code !== null) pool.proved(target);
        this.#handle(attempt, { type: 'outcome-recorded', recipients });
        if (outcome.kind === 'delivered') this.#scheduler.raiseConcurrency(this.queue);
      },
      transactionDone: (transaction) => this.#handle(attemptFor(transaction), { type: 'transaction-done' }),
      requeue: (transaction) => {
        const attempt = attemptFor(transaction);
        if (attempt === this.#pipelined) this.#takeBack(attempt);
        else this.#handle(attempt, { type: 'requeue' });
      },
      hostFailed: (failure: Failure) => {
        pool.recordFailure(target, failure);
        if (this.#current !== null) heed(this.#current, failure);
        toCurrent({ type: 'host-failed', failure });
      },
      tlsUnusable: (failure) => {
        pool.recordRefused(target, 'STARTTLS');
        toCurrent({ type: 'tls-unusable', failure });
      },
      extensionRefused: (extension, failure) => {
        pool.recordRefused(target, extension);
        toCurrent({ type: 'extension-refused', failure });
      },
      mechanismsRefused: (mechanisms) => {
        for (const name of mechanisms) pool.recordRefused(target, `AUTH ${name}`);
      },
      ended: () => {
        pool.ended(target, client);
        if (this.#client === client) this.#client = null;
      },
      closed: () => pool.closed(client),
      trace: (event, step) => {
        const current = this.#current;
        const pipelined = this.#pipelined;
        const attempts =
          current === null || pipelined === null ? (current ?? pipelined)?.alone : [current, pipelined];
        trace(attempts ?? NOBODY, { what: 'session', session, event, step });
      },
    };
  }
}

const NOBODY: readonly DeliveryAttempt[] = [];

/** Of TLS from the first byte, which is negotiated by now. */
function factsOf({ tlsFacts }: SmtpClient): { readonly tls?: TlsFacts } {
  return tlsFacts === null ? {} : { tls: tlsFacts };
}

/** The message could be read when it was loaded, and cannot any more. */
function unreadable(error: unknown): Failure {
  const reason = error instanceof Error ? error.message : String(error);
  return {
    scope: 'message',
    stage: 'payload',
    permanent: false,
    code: null,
    enhanced: '4.3.0',
    text: `the message could not be read to its end: ${reason}`,
    peer: null,
    maybeDelivered: false,
  };
}
