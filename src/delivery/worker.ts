/**
 * A place at the counter: carries errands of one lane, one after the other, over one session at a time. It
 * performs the effects of the delivery machine and passes the session's news on to it. When a session takes
 * pipelined commands, the next errand's envelope leaves with the end of the current message.
 */

import type { Resolver } from '../platform/dns.ts';
import type { Host } from '../routing/hosts.ts';
import type { ClientListener } from '../smtp/client.ts';
import { SmtpClient } from '../smtp/client.ts';
import type { Failure } from '../smtp/outcome.ts';
import type { DeliveryAttempt, RunningAttempt } from './attempt.ts';
import type { DeliveryEffect, DeliveryEvent, HostCursor } from './delivery.ts';
import { lookupAddresses, lookupHosts, traced } from './lookups.ts';
import { advance } from './machine.ts';
import type { DestinationQueue, SchedulerPort } from './ports.ts';
import { sessionOptions } from './ports.ts';

type Obtain = Extract<DeliveryEffect, { type: 'obtain' }>;

export class DeliveryWorker {
  readonly lane: DestinationQueue;
  readonly #counter: SchedulerPort;
  #errand: RunningAttempt | null = null;
  /** its envelope is on the wire behind the current message */
  #chained: RunningAttempt | null = null;
  /** its message is being read while the current one is under way */
  #prepared: RunningAttempt | null = null;
  #session: SmtpClient | null = null;
  #endpoint = '';
  #standing: HostCursor | null = null;
  #carried = 0;

  constructor(lane: DestinationQueue, counter: SchedulerPort) {
    this.lane = lane;
    this.#counter = counter;
  }

  /** Take an errand up, or up again after it waited for its host. */
  carry(errand: RunningAttempt): void {
    this.#errand = errand;
    errand.slot = this;
    const { waitingFor } = errand;
    errand.waitingFor = null;
    if (errand.delivery.state === 'over') this.#next();
    else if (waitingFor !== null) this.#obtain(errand, waitingFor.wanted);
    else void this.#begin(errand);
    if (waitingFor !== null) this.#counter.wakeNext(waitingFor.endpoint);
  }

  tell(errand: RunningAttempt, event: DeliveryEvent): void {
    for (const effect of this.#advance(errand, event)) this.#perform(errand, effect);
    if (errand.delivery.state === 'over') this.#finish(errand);
  }

  #advance(errand: RunningAttempt, event: DeliveryEvent): readonly DeliveryEffect[] {
    const step = advance(errand.delivery, event);
    errand.delivery = step.delivery;
    this.#counter.step([errand.order], { what: 'delivery', event, step });
    return step.effects;
  }

  stop(): void {
    if (this.#prepared !== null) this.#counter.finished(this.#prepared);
    this.#prepared = null;
    if (this.#chained !== null) this.tell(this.#chained, { type: 'stop' });
    if (this.#errand !== null) this.tell(this.#errand, { type: 'stop' });
  }

  interrupt(text: string): void {
    this.#session?.interrupt(text);
  }

  async #begin(errand: RunningAttempt): Promise<void> {
    errand.started = this.#counter.clock.monotonic();
    this.#limitTime(errand);
    const failure = await errand.load();
    if (failure !== null) this.tell(errand, { type: 'unsendable', failure });
    else if (this.#standing !== null && this.#usable())
      this.tell(errand, { type: 'adopt', ...this.#standing });
    else this.tell(errand, { type: 'start' });
  }

  #limitTime(errand: RunningAttempt): void {
    const { clock, rules } = this.#counter;
    errand.deadline = clock.after(rules.deadlines.delivery, () =>
      errand.slot?.tell(errand, { type: 'deadline' }),
    );
  }

  #perform(errand: RunningAttempt, effect: DeliveryEffect): void {
    const { rules, random } = this.#counter;
    switch (effect.type) {
      case 'lookup-hosts':
        void lookupHosts(errand.order.destination, rules.routing, this.#resolver(errand), random).then(
          (event) => this.tell(errand, event),
        );
        return;
      case 'lookup-addresses':
        void lookupAddresses(effect.host, this.#resolver(errand)).then((event) => this.tell(errand, event));
        return;
      case 'obtain':
        this.#obtain(errand, effect);
        return;
      case 'transact':
        this.#session?.startTransaction(errand.begin(this.#counter.nextTransaction(), effect.recipients));
        this.#prepare();
        return;
      case 'interrupt':
        this.interrupt('was cut off because the time for this delivery was over');
        return;
      case 'verdict':
        this.#counter.recordOutcome(errand, effect.recipients, effect.verdict, null);
        return;
    }
  }

  #resolver({ order }: RunningAttempt): Resolver {
    return traced(this.#counter.resolver, (sight) => this.#counter.step([order], sight));
  }

  /** @param hasWaited a new session is to be opened at once: its start has been put off already, as the rate says */
  #obtain(errand: RunningAttempt, wanted: Obtain, hasWaited = false): void {
    const withoutTls = wanted.withoutTls || this.#counter.tlsIsBroken(wanted.host, wanted.address);
    const endpoint = endpointName(wanted.host, wanted.address, withoutTls);
    if (this.#usable() && endpoint === this.#endpoint) {
      this.#stand(errand);
      return;
    }
    this.#letGo();
    this.#endpoint = endpoint;
    if (this.#needsNone(errand, wanted)) return;
    const delay = hasWaited ? 0 : this.#counter.startDelay();
    if (delay === 0) {
      this.#connect(wanted, withoutTls);
      return;
    }
    errand.sessionStart = this.#counter.clock.after(delay, () => {
      // The host's sessions may have been opened, have become idle or have failed meanwhile.
      if (errand === this.#errand && errand.delivery.state === 'obtain') this.#obtain(errand, wanted, true);
    });
  }

  /** Whether no session is to be opened: one is idle, the endpoint has none to spare, or it failed not long ago. */
  #needsNone(errand: RunningAttempt, wanted: Obtain): boolean {
    if (this.#takeOrWait(errand, wanted)) return true;
    const failure = this.#counter.failure(this.#endpoint);
    if (failure === undefined) return false;
    this.tell(errand, { type: 'host-failed', failure });
    return true;
  }

  /** An idle session of the endpoint, or a place in the line for one when the endpoint has none to spare. */
  #takeOrWait(errand: RunningAttempt, wanted: Obtain): boolean {
    const endpoint = this.#endpoint;
    const idle = this.#counter.acquireIdle(endpoint);
    if (idle !== undefined) {
      this.#session = idle;
      idle.setListener(this.#listener(idle, wanted));
      this.#stand(errand);
      return true;
    }
    if (!this.#counter.hostIsFull(endpoint)) return false;
    errand.waitingFor = { endpoint, wanted };
    this.#errand = null;
    this.#counter.enqueueWaiter(endpoint, this.lane, errand);
    this.#next();
    return true;
  }

  #connect({ host, address }: Obtain, withoutTls: boolean): void {
    const { rules, clock, connect } = this.#counter;
    const number = this.#counter.sessionOpened(this.#endpoint);
    this.#session = new SmtpClient(
      sessionOptions(rules, host, address, { number, withoutTls }),
      { connect, clock },
      (session) => this.#listener(session, { host, address }),
    );
  }

  /** The errand's recipients may be offered: the session is there. */
  #stand(errand: RunningAttempt): void {
    const { hosts, host, addresses, address, withoutTls } = errand.delivery;
    this.#standing = { hosts, host, addresses, address, withoutTls };
    this.tell(errand, { type: 'session' });
  }

  #usable(): boolean {
    const session = this.#session;
    return session?.ready === true && session.transactions < this.#mostTransactions(session);
  }

  #mostTransactions(session: SmtpClient): number {
    return Math.min(this.#counter.rules.limits.messages, session.mailMax);
  }

  /** Read the next errand's message while this one is on the wire. */
  #prepare(): void {
    const errand = this.lane.queue.first;
    if (this.#prepared !== null || errand === undefined || !this.#counter.mayPrefetch(this.lane)) return;
    // One that waits for its host has begun already, and goes on where it stands.
    if (errand.waitingFor !== null) return;
    this.lane.queue.shift();
    this.#prepared = errand;
    void errand.load();
  }

  #chain(session: SmtpClient): RunningAttempt | null {
    const errand = this.#prepared;
    const fits = session.transactions + 2 <= this.#mostTransactions(session);
    if (errand === null || errand.letter === null || !fits) return null;
    // What this server does not take is refused in its turn, by the row `obstructed`, and never sent behind another.
    if (!session.supports(errand.demands(errand.letter))) return null;
    if (this.#standing === null || !this.#counter.mayContinue(this.lane, this.#carried + 1)) return null;
    this.#prepared = null;
    this.#chained = errand;
    errand.slot = this;
    errand.started = this.#counter.clock.monotonic();
    this.#advance(errand, { type: 'adopt', ...this.#standing });
    // The answers to this envelope may come in one read with the end of the message before: be ready for its end.
    this.#prepare();
    return errand;
  }

  #finish(errand: RunningAttempt): void {
    if (errand.finished) return;
    this.#counter.finished(errand);
    if (errand !== this.#errand) return;
    this.#carried++;
    this.#errand = this.#chained;
    this.#chained = null;
    // Only now: its end must not cut off the message before it.
    if (this.#errand === null) this.#next();
    else this.#limitTime(this.#errand);
  }

  #next(): void {
    const goOn = this.#counter.mayContinue(this.lane, this.#carried);
    const prepared = this.#prepared;
    this.#prepared = null;
    if (!goOn && prepared !== null) this.lane.queue.unshift(prepared);
    const errand = goOn ? (prepared ?? this.lane.queue.shift()) : undefined;
    if (errand !== undefined) {
      this.carry(errand);
      return;
    }
    this.#letGo();
    this.#counter.released(this);
  }

  /** The session is not wanted here any more: kept for others when it is idle, ended when it is not. */
  #letGo(): void {
    const session = this.#session;
    if (session === null) return;
    const endpoint = this.#endpoint;
    this.#session = null;
    this.#standing = null;
    session.setListener(idleListener(endpoint, session, this.#counter));
    if (session.ready) this.#counter.release(endpoint, session);
    else session.interrupt('is not needed any more');
  }

  #listener(session: SmtpClient, { host, address }: Pick<Obtain, 'host' | 'address'>): ClientListener {
    const endpoint = this.#endpoint;
    const bearer = (transaction: number): RunningAttempt => {
      const errand = [this.#errand, this.#chained].find((each) => each?.transaction === transaction);
      if (!errand) throw new Error(`nobody here began transaction ${transaction}`);
      return errand;
    };
    const carried = (): readonly DeliveryAttempt[] =>
      [this.#errand, this.#chained].flatMap((errand) => (errand === null ? [] : [errand.order]));
    const waiting = (event: DeliveryEvent): void => {
      if (this.#errand !== null) this.tell(this.#errand, event);
    };
    return {
      ready: () => {
        if (this.#errand?.delivery.state === 'obtain') this.#stand(this.#errand);
      },
      connected: () =>
        this.#counter.step(carried(), {
          what: 'connected',
          session: session.plan.number,
          address,
        }),
      body: (transaction) => {
        const errand = bearer(transaction);
        this.#counter.step([errand.order], { what: 'body', message: errand.message });
        return errand.message;
      },
      nextTransaction: () => {
        const errand = this.#chain(session);
        return errand === null
          ? null
          : errand.begin(this.#counter.nextTransaction(), errand.delivery.pending);
      },
      outcome: (transaction, places, verdict) => {
        const errand = bearer(transaction);
        const recipients = errand.named(places);
        this.#counter.recordOutcome(errand, recipients, verdict, session.tlsFacts?.protocol ?? null);
        this.tell(errand, { type: 'judged', recipients });
        if (verdict.kind === 'delivered') this.#counter.raiseConcurrency(this.lane);
      },
      transactionDone: (transaction) => this.tell(bearer(transaction), { type: 'transaction-done' }),
      requeue: (transaction) => this.tell(bearer(transaction), { type: 'hand-back' }),
      hostFailed: (failure: Failure) => {
        this.#counter.noteFailure(endpoint, failure);
        waiting({ type: 'host-failed', failure });
      },
      tlsUnusable: (failure) => {
        this.#counter.noteBrokenTls(host, address);
        waiting({ type: 'tls-unusable', failure });
      },
      ended: () => {
        this.#counter.sessionOver(endpoint, session);
        if (this.#session === session) this.#session = null;
      },
      closed: () => this.#counter.sessionGone(session),
      trace: (event, step) =>
        this.#counter.step(carried(), { what: 'session', session: session.plan.number, event, step }),
    };
  }
}

/** Who listens to a session that carries nothing: only its end matters. */
function idleListener(endpoint: string, session: SmtpClient, counter: SchedulerPort): ClientListener {
  const nothing = (): void => {};
  return {
    connected: nothing,
    ready: nothing,
    body: () => {
      throw new Error('an idle session has no message');
    },
    nextTransaction: () => null,
    outcome: nothing,
    transactionDone: nothing,
    requeue: nothing,
    hostFailed: nothing,
    tlsUnusable: nothing,
    ended: () => counter.sessionOver(endpoint, session),
    closed: () => counter.sessionGone(session),
    trace: (event, step) => counter.step([], { what: 'session', session: session.plan.number, event, step }),
  };
}

/** Equal names, interchangeable sessions: same place, same protection, same credentials. */
function endpointName(host: Host, address: string, withoutTls: boolean): string {
  const protection = host.implicitTls ? 'smtps' : withoutTls ? 'clear' : 'smtp';
  return `${protection}://${host.credentials?.user ?? ''}@${host.name}[${address}]:${host.port}`;
}
