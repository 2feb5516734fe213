/**
 * Connections by target: idle ones for reuse, how many are open, which attempts wait for one, and which targets are left
 * alone after a failure. Knows nothing of destinations or fairness.
 *
 * Limits that hold: sessions in all, sessions per host, messages per session, session starts a second. A host is counted by
 * its address and port, whatever names led there. It may have two sessions until it has answered a message, then twice as
 * many with each that it answers, and two again when it falls silent, so that a silent address never takes all sessions. A
 * session that has sent QUIT counts no more, and is cut when its place is needed.
 */
import { TlsSessions } from '#net-stream-utils';
import type { Clock } from '../../platform/clock.ts';
import type { SharedLimits } from '../../routing/shared-limits.ts';
import { SmtpClient } from '../../smtp/client/client.ts';
import type { ClientListener } from '../../smtp/client/listener.ts';
import type { Failure } from '../../smtp/outcome.ts';
import type { AcquireConnection, DeliveryAttempt } from '../attempt.ts';
import { type DeliveryDeps, type DeliveryRules, sessionOptions } from '../rules.ts';
import { FailedTargets } from './failed-targets.ts';
import { IdleConnections } from './idle-connections.ts';
import { IdleListener } from './idle-listener.ts';
import { OpenSessions } from './open-sessions.ts';
import { FIRST_SESSIONS, Places } from './places.ts';
import { type Refusal, RefusalMemory } from './refusals.ts';
import { type ConnectionTarget, isOver, placeOf, sharesLimit, targetFor } from './target.ts';
import { Turns } from './turns.ts';

export class ConnectionPool {
  readonly turns: Turns;
  readonly #rules: DeliveryRules;
  readonly #deps: DeliveryDeps;
  readonly #clock: Clock;
  readonly #idle = new IdleConnections();
  readonly #places: Places;
  readonly #failed: FailedTargets;
  readonly #refusals: RefusalMemory;
  readonly #tlsSessions: TlsSessions;
  /** null: the limits are this process's alone */
  readonly #shared: SharedLimits | null;
  /** clients that have sent QUIT, with where they lead */
  readonly #quitting = new Map<SmtpClient, ConnectionTarget>();
  readonly #open: OpenSessions;
  #started = 0;
  #nextStart = 0;
  #allClosed: () => void = () => {};

  /** `resume` is called with an attempt whose turn has come: its host has a connection to spare again. */
  constructor(rules: DeliveryRules, deps: DeliveryDeps, resume: (attempt: DeliveryAttempt) => void) {
    this.#rules = rules;
    this.#deps = deps;
    this.#clock = deps.clock;
    this.#places = new Places(resume);
    this.#failed = new FailedTargets(deps.clock);
    this.#open = new OpenSessions(deps.clock, rules.deadlines.silence);
    this.#refusals = new RefusalMemory(deps.clock, deps.refusalStore ?? null);
    this.#tlsSessions = new TlsSessions(() => deps.clock.monotonic());
    this.#shared = deps.shared ?? null;
    this.turns = new Turns({ clock: deps.clock, shared: this.#shared, rate: rules.limits.rate, resume });
    this.#shared?.serve({
      mayHave: (place, sessions) => this.#mayHave(place, sessions),
      wanted: (place) => this.#places.wanted(place),
    });
  }

  /** What the host refused or broke not long ago is left out. `destination`: whose mail it is for. */
  targetOf(
    wanted: AcquireConnection,
    destination: { readonly key: string; readonly hosts: number },
  ): ConnectionTarget {
    const refused = this.#refusals.at(placeOf(wanted));
    return targetFor(wanted, refused, this.#rules, this.#shared === null ? null : destination);
  }

  /** An idle connection, which the caller has alone from now on. */
  acquireIdle(target: ConnectionTarget): SmtpClient | undefined {
    return this.#idle.take(target);
  }

  /** A new connection, which the caller has alone. An idle one elsewhere gives way when the limit is reached. */
  connect(target: ConnectionTarget, listenerFor: (client: SmtpClient) => ClientListener): SmtpClient {
    const { host, address, withoutTls, without, name: peer } = target;
    this.#count(target, 1);
    const { sessions } = this.#rules.limits;
    if (this.#open.size >= sessions) this.#idle.first(() => true)?.quit();
    for (const [client, left] of this.#quitting)
      if (sharesLimit(left, target) || this.#open.size + this.#quitting.size >= sessions) client.destroy();
    const number = ++this.#started;
    const resumption = { sessions: this.#tlsSessions, peer };
    const options = sessionOptions(this.#rules, host, address, { number, withoutTls, without, resumption });
    const client = new SmtpClient(options, this.#deps, listenerFor);
    this.#open.add(client, target);
    return client;
  }

  /** The session has got through EHLO. */
  ready(client: SmtpClient): void {
    this.#open.ready(client);
  }

  /** The server has answered a message: it may have more sessions. */
  proved({ place }: ConnectionTarget): void {
    const at = this.#places.at(place);
    if (at.allowed >= this.#rules.limits.host) return;
    at.allowed *= 2;
    this.#places.wakeFor(place, at.allowed);
  }

  /** Gives a connection back: kept for the next attempt when it is idle and `keep` says so, else closed. */
  release(target: ConnectionTarget, client: SmtpClient, keep: boolean): void {
    client.setListener(new IdleListener(this, target, client, this.#deps.trace));
    if (!client.ready) {
      client.interrupt('is not needed any more');
      return;
    }
    if (!keep || client.transactions >= this.mostTransactions(target, client)) {
      client.quit();
      return;
    }
    this.#idle.add(target, client);
    this.#places.wakeAll(target);
  }

  /** The client has sent QUIT or was cut off: its place is free. */
  ended(target: ConnectionTarget, client: SmtpClient): void {
    this.#open.delete(client);
    this.#quitting.set(client, target);
    this.#count(target, -1);
    this.#idle.delete(target, client);
    // Not at once: why it ended is recorded next, and may be known to those that waited.
    if (this.#places.hasWaiters(target)) queueMicrotask(() => this.#places.wakeAll(target));
  }

  closed(client: SmtpClient): void {
    this.#deps.trace([], { what: 'closed', session: client.options.number });
    this.#quitting.delete(client);
    if (this.#quitting.size === 0) this.#allClosed();
  }

  /** Messages this session may carry in all: ours to limit, or the peer's (RFC 9422); none where other processes are to have it. */
  mostTransactions(target: ConnectionTarget, client: SmtpClient): number {
    if (this.#shared !== null && isOver(target, this.#shared)) return 0;
    return Math.min(target.messages, client.mailMax);
  }

  /**
   * Where the target may not have another session now: at its host, or in one of its groups; null: it may. A host that refuses
   * a new session while others are open has as many as it takes. An idle session under another name gives way.
   */
  fullPlace(target: ConnectionTarget): string | null {
    const at = this.#places.at(target.place);
    if (at.open > 0 && (this.backOff(target)?.code ?? null) !== null) return target.place;
    const { host } = this.#rules.limits;
    const limits = [
      { name: target.place, limit: host, most: Math.min(at.allowed, host) },
      ...target.groups.map(({ name, sessions }) => ({ name, limit: sessions, most: sessions })),
    ];
    // Shares of all of them are asked for at once.
    const allowed = limits.map(({ name, limit, most }) => this.#allowed(name, limit, most));
    return limits.find(({ name }, index) => this.#isFull(target, name, allowed[index] ?? 0))?.name ?? null;
  }

  #allowed(place: string, limit: number, most: number): number {
    return this.#shared === null || !Number.isFinite(limit) ? most : this.#shared.allowed(place, limit, most);
  }

  #isFull(target: ConnectionTarget, place: string, most: number): boolean {
    const at = this.#places.at(place);
    if (at.open >= most)
      this.#idle.first((other) => other.places.includes(place) && other.name !== target.name)?.quit();
    return at.open >= most;
  }

  /** What is idle goes where other processes are to have sessions; where they left some, attempts go on. */
  #mayHave(place: string, sessions: number): void {
    for (const { target, client } of this.#idle.all())
      if (target.places.includes(place) && this.#places.open(place) > sessions) client.quit();
    this.#places.wakeFor(place, sessions);
  }

  #count(target: ConnectionTarget, by: 1 | -1): void {
    this.#places.count(target, by);
    if (this.#shared === null) return;
    this.#shared.count(target.place, by);
    for (const { name, sessions } of target.groups)
      if (Number.isFinite(sessions)) this.#shared.count(name, by);
  }

  /** Whether other sessions than this one are open with the host. */
  hasOthers({ place }: ConnectionTarget, client: SmtpClient): boolean {
    const { open } = this.#places.at(place);
    return open > (this.#quitting.has(client) ? 0 : 1);
  }

  /** The attempt waits, without a worker, until the host has a connection to spare. */
  enqueueWaiter(place: string, attempt: DeliveryAttempt): void {
    this.#places.enqueue(place, attempt);
  }

  /** Who has waited longest for a host with a connection to spare, if it is one of these and this connection will do. */
  takeWaiter(target: ConnectionTarget, ours: ReadonlySet<DeliveryAttempt>): DeliveryAttempt | undefined {
    return this.#places.takeWaiter(target, ours);
  }

  /** A waiter went on, perhaps elsewhere: the next one may have its turn. Not at once: thousands may wait. */
  wakeNext(target: ConnectionTarget): void {
    queueMicrotask(() => {
      if (this.fullPlace(target) === null) this.#places.wakeAll(target);
    });
  }

  /** The target's failure of not long ago, which would meet the next session as well. */
  backOff(target: ConnectionTarget): Failure | undefined {
    return this.#failed.of(target);
  }

  recordFailure(target: ConnectionTarget, failure: Failure): void {
    this.#failed.record(target, failure);
  }

  recordRefused({ place }: ConnectionTarget, refusal: Refusal): void {
    this.#refusals.record(place, refusal);
  }

  /** Milliseconds until another session has been silent for too long. */
  untilSilent(): number {
    return this.#open.untilSilent();
  }

  /**
   * Cuts off the sessions that for longer than `timeout.silence` have not become ready, or owe an answer about an envelope;
   * how many those were. Called while other messages wait for a connection.
   */
  cutSilent(): number {
    const silent = this.#open.silent();
    for (const { client, target } of silent) {
      this.#places.at(target.place).allowed = FIRST_SESSIONS;
      client.interrupt(`kept others waiting for more than ${this.#rules.deadlines.silence / 1000} seconds`);
    }
    return silent.length;
  }

  /** Sessions that for longer than `timeout.silence` have waited for the answer to a whole message: it may be on its way. */
  slowAnswers(): number {
    return this.#open.slow();
  }

  /** Milliseconds until the next session may start. */
  startDelay(): number {
    const { rate } = this.#rules.limits;
    if (rate === 0 || this.#shared !== null) return 0;
    const now = this.#clock.monotonic();
    const start = Math.max(now, this.#nextStart);
    this.#nextStart = start + 1000 / rate;
    return start - now;
  }

  /** All waiting attempts; none waits any more. */
  takeWaiters(): readonly DeliveryAttempt[] {
    return [...this.turns.takeAll(), ...this.#places.takeAll()];
  }

  /** Nothing waits: what is remembered by place and name would only grow. */
  prune(): void {
    this.#places.prune();
    this.turns.prune();
    this.#failed.prune();
    this.#refusals.save();
  }

  /** Quits the idle connections; resolves when all are closed, which the deadline of QUIT bounds. */
  async close(): Promise<void> {
    for (const { client } of this.#idle.all()) client.quit();
    if (this.#quitting.size === 0) return;
    await new Promise<void>((closed) => {
      this.#allClosed = closed;
    });
  }
}
