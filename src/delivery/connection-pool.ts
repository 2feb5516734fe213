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
import type { Clock } from '../platform/clock.ts';
import { Deque } from '../platform/deque.ts';
import { plainAddress } from '../platform/ip-address.ts';
import type { LimitGroup } from '../routing/destination-rules.ts';
import type { Host } from '../routing/hosts.ts';
import type { SharedLimits } from '../routing/shared-limits.ts';
import { SmtpClient } from '../smtp/client/client.ts';
import type { ClientListener } from '../smtp/client/listener.ts';
import type { Failure } from '../smtp/outcome.ts';
import { protectionKey } from '../tls-policy/decision.ts';
import type { AcquireConnection, DeliveryAttempt } from './attempt.ts';
import { IdleListener } from './idle-listener.ts';
import { type Refusal, RefusalMemory } from './refusals.ts';
import { type DeliveryDeps, type DeliveryRules, sessionOptions } from './rules.ts';
import { Turns } from './turns.ts';

/** Milliseconds for which an endpoint that failed is not tried for other jobs: less than the shortest retry interval. */
const BACK_OFF = 120_000;

/** Failures in these stages concern the host and not the message. */
const BEFORE_MAIL: ReadonlySet<string> = new Set([
  'network',
  'connect',
  'greeting',
  'ehlo',
  'helo',
  'capabilities',
  'starttls',
  'handshake',
  'auth',
]);

/** Sessions with an address that has answered no message yet. */
const FIRST_SESSIONS = 2;

/** Where a connection leads. Connections with the same name are interchangeable. */
export interface ConnectionTarget {
  readonly host: Host;
  readonly address: string;
  readonly withoutTls: boolean;
  /** what this host refused not long ago */
  readonly without: readonly Refusal[];
  /** same host name, address, port, protection, extensions left out, credentials, and entries of `destinations` */
  readonly name: string;
  /** address and port: what the limit of sessions per host counts */
  readonly place: string;
  /** limits it shares with other hosts or destinations */
  readonly groups: readonly LimitGroup[];
  /** messages to it are spread over time */
  readonly isPaced: boolean;
  /** messages in one session */
  readonly messages: number;
}

interface OpenSession {
  /** monotonic milliseconds */
  readonly started: number;
  readonly target: ConnectionTarget;
  /** it has got through EHLO */
  ready: boolean;
}

/** An address and port, or a group of hosts, as far as its sessions are concerned. */
interface Place {
  /** sessions that have not sent QUIT */
  open: number;
  /** sessions it may have */
  allowed: number;
  readonly waiters: Deque<DeliveryAttempt>;
}

export class ConnectionPool {
  readonly turns: Turns;
  readonly #rules: DeliveryRules;
  readonly #deps: DeliveryDeps;
  readonly #clock: Clock;
  readonly #resume: (attempt: DeliveryAttempt) => void;
  /** by name of the target, none without a client */
  readonly #idle = new Map<string, { readonly target: ConnectionTarget; readonly clients: SmtpClient[] }>();
  readonly #places = new Map<string, Place>();
  /** by name of the target, and by place where nobody answers */
  readonly #failures = new Map<string, { readonly failure: Failure; readonly until: number }>();
  readonly #refusals: RefusalMemory;
  readonly #tlsSessions: TlsSessions;
  /** null: the limits are this process's alone */
  readonly #shared: SharedLimits | null;
  /** clients that have sent QUIT, with where they lead */
  readonly #quitting = new Map<SmtpClient, ConnectionTarget>();
  /** clients that have not sent QUIT, oldest first */
  readonly #open = new Map<SmtpClient, OpenSession>();
  /** how many clients have not sent QUIT */
  #sessions = 0;
  #started = 0;
  #nextStart = 0;
  #allClosed: () => void = () => {};

  /** `resume` is called with an attempt whose turn has come: its host has a connection to spare again. */
  constructor(rules: DeliveryRules, deps: DeliveryDeps, resume: (attempt: DeliveryAttempt) => void) {
    this.#rules = rules;
    this.#deps = deps;
    this.#clock = deps.clock;
    this.#refusals = new RefusalMemory(deps.clock, deps.refusalStore ?? null);
    this.#tlsSessions = new TlsSessions(() => deps.clock.monotonic());
    this.#shared = deps.shared ?? null;
    this.turns = new Turns({ clock: deps.clock, shared: this.#shared, rate: rules.limits.rate, resume });
    this.#shared?.serve({
      mayHave: (place, sessions) => this.#mayHave(place, sessions),
      wanted: (place) => {
        const at = this.#places.get(place);
        return at === undefined ? 0 : at.open + at.waiters.length;
      },
    });
    this.#resume = resume;
  }

  /** What the host refused or broke not long ago is left out. `destination`: whose mail it is for. */
  targetOf(
    { host, address, withoutTls: given }: AcquireConnection,
    destination: { readonly key: string; readonly hosts: number },
  ): ConnectionTarget {
    const place = `${plainAddress(address)}:${host.port}`;
    const refused = this.#refusals.at(place);
    // What a policy protects never goes in clear text, whatever happened to connections of others.
    const withoutTls = host.protection === undefined && (given || refused.includes('STARTTLS'));
    const without = refused.filter((extension) => extension !== 'STARTTLS');
    const scheme = host.implicitTls ? 'smtps' : withoutTls ? 'clear' : 'smtp';
    const protection = `${scheme}${protectionKey(host.protection)}`;
    const endpoint = `${host.credentials?.user ?? ''}@${host.name}[${address}]:${host.port}`;
    const { key, groups, messages } = this.#rules.routing.destinations.forHost(host);
    const plain = [`${protection}://${endpoint}`, ...without].join(' without ');
    const name = key === '' ? plain : `${plain} by ${key}`;
    return {
      ...{ host, address, withoutTls, without, name, place },
      groups: this.#withDestination(groups, destination),
      isPaced: groups.some(({ betweenMessages }) => betweenMessages > 0),
      messages: Math.min(messages, this.#rules.limits.messages),
    };
  }

  /** Of one host its own limit says enough; of several, other processes have sessions for the same destination as well. */
  #withDestination(
    groups: readonly LimitGroup[],
    { key, hosts }: { readonly key: string; readonly hosts: number },
  ): readonly LimitGroup[] {
    if (this.#shared === null || hosts < 2) return groups;
    const sessions = this.#rules.limits.destination;
    return [...groups, { name: `to ${key}`, sessions, betweenSessions: 0, betweenMessages: 0 }];
  }

  /** An idle connection, which the caller has alone from now on. */
  acquireIdle({ name }: ConnectionTarget): SmtpClient | undefined {
    const client = this.#idle.get(name)?.clients.at(-1);
    if (client !== undefined) this.#removeIdle(name, client);
    return client;
  }

  /** A new connection, which the caller has alone. An idle one elsewhere gives way when the limit is reached. */
  connect(target: ConnectionTarget, listenerFor: (client: SmtpClient) => ClientListener): SmtpClient {
    const { host, address, withoutTls, without, name: peer } = target;
    this.#sessions++;
    this.#count(target, 1);
    const { sessions } = this.#rules.limits;
    if (this.#sessions > sessions) this.#firstIdle(() => true)?.quit();
    for (const [client, left] of this.#quitting)
      if (sharesLimit(left, target) || this.#sessions + this.#quitting.size > sessions) client.destroy();
    const number = ++this.#started;
    const resumption = { sessions: this.#tlsSessions, peer };
    const options = sessionOptions(this.#rules, host, address, { number, withoutTls, without, resumption });
    const client = new SmtpClient(options, this.#deps, listenerFor);
    this.#open.set(client, { started: this.#clock.monotonic(), target, ready: false });
    return client;
  }

  /** The session has got through EHLO. */
  ready(client: SmtpClient): void {
    const session = this.#open.get(client);
    if (session !== undefined) session.ready = true;
  }

  /** The server has answered a message: it may have more sessions. */
  proved({ place }: ConnectionTarget): void {
    const at = this.#placeAt(place);
    if (at.allowed >= this.#rules.limits.host) return;
    at.allowed *= 2;
    this.#wakeFor(place, at.allowed);
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
    const idle = this.#idle.get(target.name);
    if (idle === undefined) this.#idle.set(target.name, { target, clients: [client] });
    else idle.clients.push(client);
    this.#wakeAll(target);
  }

  /** The client has sent QUIT or was cut off: its place is free. */
  ended(target: ConnectionTarget, client: SmtpClient): void {
    this.#sessions--;
    this.#open.delete(client);
    this.#quitting.set(client, target);
    this.#count(target, -1);
    this.#removeIdle(target.name, client);
    // Not at once: why it ended is recorded next, and may be known to those that waited.
    if (placesOf(target).some((place) => this.#firstWaiter(place) !== undefined))
      queueMicrotask(() => this.#wakeAll(target));
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
    const at = this.#placeAt(target.place);
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
    const at = this.#placeAt(place);
    if (at.open >= most) this.#idleElsewhere(target, place)?.quit();
    return at.open >= most;
  }

  /** What is idle goes where other processes are to have sessions; where they left some, attempts go on. */
  #mayHave(place: string, sessions: number): void {
    const at = this.#places.get(place);
    for (const { target, clients } of [...this.#idle.values()])
      if (isAt(target, place))
        for (const client of [...clients]) if (at !== undefined && at.open > sessions) client.quit();
    this.#wakeFor(place, sessions);
  }

  /** As many of those that wait there as find a session, where there may be so many. */
  #wakeFor(place: string, sessions: number): void {
    const at = this.#places.get(place);
    if (at === undefined) return;
    for (let room = sessions - at.open; room > 0 && at.waiters.length > 0; room--) this.#wake(place);
  }

  #count(target: ConnectionTarget, by: 1 | -1): void {
    for (const place of placesOf(target)) this.#placeAt(place).open += by;
    if (this.#shared === null) return;
    this.#shared.count(target.place, by);
    for (const { name, sessions } of target.groups)
      if (Number.isFinite(sessions)) this.#shared.count(name, by);
  }

  /** Whether other sessions than this one are open with the host. */
  hasOthers({ place }: ConnectionTarget, client: SmtpClient): boolean {
    const { open } = this.#placeAt(place);
    return open > (this.#quitting.has(client) ? 0 : 1);
  }

  /** The attempt waits, without a worker, until the host has a connection to spare. */
  enqueueWaiter(place: string, attempt: DeliveryAttempt): void {
    this.#placeAt(place).waiters.push(attempt);
  }

  /** Who has waited longest for a host with a connection to spare, if it is one of these and this connection will do. */
  takeWaiter(target: ConnectionTarget, ours: ReadonlySet<DeliveryAttempt>): DeliveryAttempt | undefined {
    for (const at of placesOf(target)) {
      const attempt = this.#firstWaiter(at);
      if (attempt === undefined || !ours.has(attempt) || attempt.waitingFor?.target.name !== target.name)
        continue;
      return this.#places.get(at)?.waiters.shift();
    }
    return undefined;
  }

  /** A waiter went on, perhaps elsewhere: the next one may have its turn. Not at once: thousands may wait. */
  wakeNext(target: ConnectionTarget): void {
    queueMicrotask(() => {
      if (this.fullPlace(target) === null) this.#wakeAll(target);
    });
  }

  /** The target's failure of not long ago, which would meet the next session as well. */
  backOff({ name, place, host }: ConnectionTarget): Failure | undefined {
    const failed = this.#failures.get(name) ?? this.#failures.get(place);
    if (failed === undefined || this.#clock.monotonic() >= failed.until) return undefined;
    const { failure } = failed;
    return { ...failure, peer: failure.peer && { ...failure.peer, host: host.name } };
  }

  /** Only what comes before MAIL, or a 421, says something about the next message. */
  recordFailure({ name, place }: ConnectionTarget, failure: Failure): void {
    if (failure.code !== 421 && !BEFORE_MAIL.has(failure.stage)) return;
    const failed = { failure, until: this.#clock.monotonic() + BACK_OFF };
    this.#failures.set(name, failed);
    // Nobody answers there, whatever name leads there.
    if (failure.stage === 'connect') this.#failures.set(place, failed);
  }

  recordRefused({ place }: ConnectionTarget, refusal: Refusal): void {
    this.#refusals.record(place, refusal);
  }

  /** Milliseconds until another session has been silent for too long. */
  untilSilent(): number {
    const { silence } = this.#rules.deadlines;
    const now = this.#clock.monotonic();
    const silent = [...this.#open].map(([client, session]) => silentSince(client, session) + silence);
    const slow = [...this.#open.keys()].map((client) => (client.owesSince('message') ?? now) + silence);
    const next = Math.min(...silent, ...slow.filter((at) => at > now));
    return Math.min(silence, Math.max(0, next - now));
  }

  /**
   * Cuts off the sessions that for longer than `timeout.silence` have not become ready, or owe an answer about an envelope;
   * how many those were. Called while other messages wait for a connection.
   */
  cutSilent(): number {
    const { silence } = this.#rules.deadlines;
    const since = this.#clock.monotonic() - silence;
    const silent = [...this.#open].filter(([client, session]) => silentSince(client, session) <= since);
    for (const [client, { target }] of silent) {
      this.#placeAt(target.place).allowed = FIRST_SESSIONS;
      client.interrupt(`kept others waiting for more than ${silence / 1000} seconds`);
    }
    return silent.length;
  }

  /** Sessions that for longer than `timeout.silence` have waited for the answer to a whole message: it may be on its way. */
  slowAnswers(): number {
    const since = this.#clock.monotonic() - this.#rules.deadlines.silence;
    const waits = (client: SmtpClient): number => client.owesSince('message') ?? Number.POSITIVE_INFINITY;
    return [...this.#open.keys()].filter((client) => waits(client) <= since).length;
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
    return [
      ...this.turns.takeAll(),
      ...[...this.#places.values()].flatMap(({ waiters }) => waiters.takeAll()),
    ];
  }

  /** Nothing waits: what is remembered by place and name would only grow. */
  prune(): void {
    const now = this.#clock.monotonic();
    for (const { waiters } of this.#places.values()) waiters.takeAll();
    this.turns.prune();
    deleteWhere(this.#places, ({ open }) => open === 0);
    deleteWhere(this.#failures, ({ until }) => until <= now);
    this.#refusals.save();
  }

  /** Quits the idle connections; resolves when all are closed, which the deadline of QUIT bounds. */
  async close(): Promise<void> {
    for (const { clients } of [...this.#idle.values()]) for (const client of [...clients]) client.quit();
    if (this.#quitting.size === 0) return;
    await new Promise<void>((closed) => {
      this.#allClosed = closed;
    });
  }

  #wakeAll(target: ConnectionTarget): void {
    for (const place of placesOf(target)) this.#wake(place);
  }

  #wake(place: string): void {
    const attempt = this.#firstWaiter(place);
    if (attempt === undefined) return;
    this.#places.get(place)?.waiters.shift();
    this.#resume(attempt);
  }

  /** Whose time is over waits no more. */
  #firstWaiter(place: string): DeliveryAttempt | undefined {
    const waiters = this.#places.get(place)?.waiters;
    while (waiters?.first?.isDone === true) waiters.shift();
    return waiters?.first;
  }

  #placeAt(name: string): Place {
    const known = this.#places.get(name);
    if (known !== undefined) return known;
    const place = { open: 0, allowed: FIRST_SESSIONS, waiters: new Deque<DeliveryAttempt>() };
    this.#places.set(name, place);
    return place;
  }

  #removeIdle(name: string, client: SmtpClient): void {
    const clients = this.#idle.get(name)?.clients ?? [];
    if (clients.includes(client)) clients.splice(clients.indexOf(client), 1);
    if (clients.length === 0) this.#idle.delete(name);
  }

  /** With the same host, or in the same group. */
  #idleElsewhere({ name }: ConnectionTarget, place: string): SmtpClient | undefined {
    return this.#firstIdle((target) => isAt(target, place) && target.name !== name);
  }

  #firstIdle(fits: (target: ConnectionTarget) => boolean): SmtpClient | undefined {
    for (const { target, clients } of this.#idle.values())
      if (clients[0] !== undefined && fits(target)) return clients[0];
    return undefined;
  }
}

/** Monotonic milliseconds; infinite: it owes no answer. */
function silentSince(client: SmtpClient, { started, ready }: OpenSession): number {
  return ready ? (client.owesSince('envelope') ?? Number.POSITIVE_INFINITY) : started;
}

/** Sessions are open that other processes are to have now. */
function isOver(target: ConnectionTarget, shared: SharedLimits): boolean {
  return placesOf(target).some((place) => shared.isOver(place));
}

/** Where its sessions count: at its address, and in its groups. */
function placesOf({ place, groups }: ConnectionTarget): readonly string[] {
  return groups.length === 0 ? [place] : [place, ...groups.map(({ name }) => name)];
}

function isAt(target: ConnectionTarget, name: string): boolean {
  return placesOf(target).includes(name);
}

/** Whether a session with the one leaves one less for the other. */
function sharesLimit(one: ConnectionTarget, other: ConnectionTarget): boolean {
  return (
    one.place === other.place ||
    one.groups.some(
      ({ name, sessions }) =>
        sessions < Number.POSITIVE_INFINITY && other.groups.some((group) => group.name === name),
    )
  );
}

function deleteWhere<Key, Value>(map: Map<Key, Value>, isOld: (value: Value) => boolean): void {
  for (const [key, value] of map) if (isOld(value)) map.delete(key);
}
