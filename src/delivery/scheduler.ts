/**
 * Who works when: lanes (one per destination) with errands waiting, slots that carry one errand after the other,
 * sessions kept for the next message, and the limits on all of them. What happens next to one delivery is
 * decided in table.ts, never here.
 *
 * Lanes take turns, so that a slow or huge destination never starves another: a lane gets its second slot only
 * after every waiting lane had its turn, and a slot gives way after a session's worth of messages. A lane begins
 * with one slot and doubles with each message taken, so that a dead destination costs one connection, not twenty.
 */
import type { Connect } from '#net-stream-utils';
import type { Clock, Random } from '../platform/clock.ts';
import { Deque } from '../platform/deque.ts';
import type { Resolver } from '../platform/dns.ts';
import type { Host } from '../routing/hosts.ts';
import type { SmtpClient } from '../smtp/client.ts';
import type { Failure, Outcome } from '../smtp/outcome.ts';
import type { DeliveryAttempt } from './attempt.ts';
import { RunningAttempt } from './attempt.ts';
import type { DeliveryDeps, DeliveryRules, SchedulerPort } from './ports.ts';
import { DestinationQueue } from './ports.ts';
import type { Trace } from './trace.ts';
import { DeliveryWorker } from './worker.ts';

export class Scheduler implements SchedulerPort {
  readonly rules: DeliveryRules;
  readonly connect: Connect;
  readonly resolver: Resolver;
  readonly clock: Clock;
  readonly random: Random;
  readonly step: Trace;

  readonly #lanes = new Map<string, DestinationQueue>();
  /** lanes that want a slot, in turn */
  readonly #line = new Deque<DestinationQueue>();
  readonly #slots = new Set<DeliveryWorker>();
  /** by endpoint: idle sessions, sessions open in all, errands that wait for one, what went wrong not long ago */
  readonly #idle = new Map<string, SmtpClient[]>();
  readonly #open = new Map<string, number>();
  readonly #parked = new Map<
    string,
    Deque<{ readonly lane: DestinationQueue; readonly errand: RunningAttempt }>
  >();
  readonly #failed = new Map<string, { readonly failure: Failure; readonly until: number }>();
  /** by address and port: monotonic milliseconds until which TLS is not tried there */
  readonly #brokenTls = new Map<string, number>();
  /** sessions that have said QUIT, with their endpoints */
  readonly #leaving = new Map<SmtpClient, string>();
  /** sessions that have not */
  #sessions = 0;
  #unfinished = 0;
  #transactions = 0;
  #started = 0;
  #nextStart = 0;
  #stopping = false;
  #done: () => void = () => {};
  #allGone: () => void = () => {};

  constructor(rules: DeliveryRules, ports: DeliveryDeps) {
    this.rules = rules;
    this.connect = ports.connect;
    this.resolver = ports.resolver;
    this.clock = ports.clock;
    this.random = ports.random;
    this.step = ports.step;
  }

  add(order: DeliveryAttempt): void {
    const lane = this.#lanes.get(order.destination.key) ?? new DestinationQueue();
    this.#lanes.set(order.destination.key, lane);
    const errand = new RunningAttempt(order);
    this.#unfinished++;
    if (this.#stopping) {
      this.finished(errand);
      return;
    }
    lane.queue.push(errand);
    this.#queueUp(lane);
    this.#pump();
  }

  /** Resolves when every order is over and every session has been taken leave of; its deadline bounds that. */
  async run(): Promise<void> {
    if (this.#unfinished > 0) {
      await new Promise<void>((done) => {
        this.#done = done;
      });
    }
    for (const session of [...this.#idle.values()].flat()) session.quit();
    if (this.#leaving.size > 0) {
      await new Promise<void>((done) => {
        this.#allGone = done;
      });
    }
  }

  /** Begin nothing new; what is on the wire may come to its end within the grace time. */
  stop(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    const waiting = [...this.#lanes.values()].flatMap((lane) => lane.queue.takeAll());
    const parked = [...this.#parked.values()].flatMap((line) => line.takeAll().map(({ errand }) => errand));
    for (const errand of [...waiting, ...parked]) this.finished(errand);
    for (const slot of [...this.#slots]) slot.stop();
    const grace = this.clock.after(this.rules.deadlines.stop, () => {
      for (const slot of [...this.#slots]) slot.interrupt('was cut off because spoolroom was told to stop');
    });
    const done = this.#done;
    this.#done = () => {
      grace.cancel();
      done();
    };
    if (this.#unfinished === 0) this.#done();
  }

  nextTransaction(): number {
    return ++this.#transactions;
  }

  recordOutcome(
    errand: RunningAttempt,
    recipients: readonly number[],
    verdict: Outcome,
    tls: string | null,
  ): void {
    this.step([errand.order], { what: 'verdict', recipients, verdict });
    errand.order.recordOutcome(recipients, verdict, {
      milliseconds: this.clock.monotonic() - errand.started,
      tls,
    });
  }

  finished(errand: RunningAttempt): void {
    if (errand.finished) return;
    errand.finished = true;
    errand.deadline?.cancel();
    errand.sessionStart?.cancel();
    errand.letter = null;
    errand.order.done();
    if (--this.#unfinished > 0) return;
    this.#forget();
    this.#done();
  }

  /** Nobody waits for anything: what is kept by destination and endpoint would only grow. */
  #forget(): void {
    const now = this.clock.monotonic();
    this.#lanes.clear();
    this.#parked.clear();
    dropWhere(this.#idle, (sessions) => sessions.length === 0);
    dropWhere(this.#open, (sessions) => sessions === 0);
    dropWhere(this.#failed, ({ until }) => until <= now);
    dropWhere(this.#brokenTls, (until) => until <= now);
  }

  released(slot: DeliveryWorker): void {
    this.#slots.delete(slot);
    slot.lane.slots--;
    if (slot.lane.slots === 0) slot.lane.allowed = 1;
    this.#queueUp(slot.lane);
    this.#pump();
  }

  mayContinue(lane: DestinationQueue, carried: number): boolean {
    if (this.#stopping) return false;
    if (this.#line.length === 0 || this.#slots.size < this.rules.limits.sessions) return true;
    const share = Math.max(1, Math.floor(this.rules.limits.sessions / (this.#line.length + 1)));
    return lane.slots <= share && (carried === 0 || carried % this.rules.limits.messages !== 0);
  }

  mayPrefetch(lane: DestinationQueue): boolean {
    return lane.slots >= this.#most(lane) || this.#slots.size >= this.rules.limits.sessions;
  }

  raiseConcurrency(lane: DestinationQueue): void {
    if (lane.allowed >= this.rules.limits.destination) return;
    lane.allowed *= 2;
    this.#queueUp(lane);
    this.#pump();
  }

  failure(endpoint: string): Failure | undefined {
    const failed = this.#failed.get(endpoint);
    return failed !== undefined && this.clock.monotonic() < failed.until ? failed.failure : undefined;
  }

  /** What went wrong before MAIL, or was a 421, will not be better for the next job of these minutes. */
  noteFailure(endpoint: string, failure: Failure): void {
    if (failure.code !== 421 && !BEFORE_MAIL.has(failure.stage)) return;
    this.#failed.set(endpoint, { failure, until: this.clock.monotonic() + FAILURE_MEMORY });
  }

  tlsIsBroken(host: Host, address: string): boolean {
    return (
      this.clock.monotonic() < (this.#brokenTls.get(`${address}:${host.port}`) ?? Number.NEGATIVE_INFINITY)
    );
  }

  /** A handshake may break for a reason that passes, and a watcher lives long: clear text is no habit. */
  noteBrokenTls(host: Host, address: string): void {
    this.#brokenTls.set(`${address}:${host.port}`, this.clock.monotonic() + FAILURE_MEMORY);
  }

  acquireIdle(endpoint: string): SmtpClient | undefined {
    return this.#idle.get(endpoint)?.pop();
  }

  release(endpoint: string, session: SmtpClient): void {
    const worn = session.transactions >= Math.min(this.rules.limits.messages, session.mailMax);
    if (this.#stopping || worn || this.#unfinished === 0) {
      session.quit();
      return;
    }
    this.#idleAt(endpoint).push(session);
    this.#wake(endpoint);
  }

  /** One that answers a new session with a refusal and works in others has as many as it takes. */
  hostIsFull(endpoint: string): boolean {
    const open = this.#open.get(endpoint) ?? 0;
    const turnsAway = (this.failure(endpoint)?.code ?? null) !== null;
    return open >= this.rules.limits.host || (open > 0 && turnsAway);
  }

  enqueueWaiter(endpoint: string, lane: DestinationQueue, errand: RunningAttempt): void {
    const line = this.#parked.get(endpoint) ?? new Deque();
    this.#parked.set(endpoint, line);
    line.push({ lane, errand });
  }

  /** It may have left the endpoint's place free for the next one. Not at once: thousands may wait. */
  wakeNext(endpoint: string): void {
    queueMicrotask(() => {
      if (!this.hostIsFull(endpoint)) this.#wake(endpoint);
    });
  }

  sessionOpened(endpoint: string): number {
    this.#sessions++;
    this.#open.set(endpoint, (this.#open.get(endpoint) ?? 0) + 1);
    if (this.#sessions > this.rules.limits.sessions) [...this.#idle.values()].flat()[0]?.quit();
    for (const [session, place] of this.#leaving) {
      if (place === endpoint || this.#sessions + this.#leaving.size > this.rules.limits.sessions)
        session.destroy();
    }
    return ++this.#started;
  }

  sessionOver(endpoint: string, session: SmtpClient): void {
    this.#sessions--;
    this.#leaving.set(session, endpoint);
    this.#open.set(endpoint, (this.#open.get(endpoint) ?? 1) - 1);
    const idle = this.#idleAt(endpoint);
    if (idle.includes(session)) idle.splice(idle.indexOf(session), 1);
    this.#wake(endpoint);
  }

  sessionGone(session: SmtpClient): void {
    this.#leaving.delete(session);
    if (this.#leaving.size === 0) this.#allGone();
  }

  startDelay(): number {
    if (this.rules.limits.rate === 0) return 0;
    const now = this.clock.monotonic();
    const start = Math.max(now, this.#nextStart);
    this.#nextStart = start + 1000 / this.rules.limits.rate;
    return start - now;
  }

  #most(lane: DestinationQueue): number {
    return Math.min(lane.allowed, this.rules.limits.destination);
  }

  #queueUp(lane: DestinationQueue): void {
    if (lane.inLine || lane.queue.length === 0 || lane.slots >= this.#most(lane)) return;
    lane.inLine = true;
    this.#line.push(lane);
  }

  #pump(): void {
    while (!this.#stopping && this.#slots.size < this.rules.limits.sessions) {
      const lane = this.#line.shift();
      if (lane === undefined) return;
      lane.inLine = false;
      const errand = lane.queue.shift();
      if (errand === undefined) continue;
      const slot = new DeliveryWorker(lane, this);
      this.#slots.add(slot);
      lane.slots++;
      this.#queueUp(lane);
      slot.carry(errand);
    }
  }

  /** A session to this endpoint is idle or gone: whoever waited for one has its turn. */
  #wake(endpoint: string): void {
    const waiting = this.#parked.get(endpoint)?.shift();
    if (waiting === undefined) return;
    waiting.lane.queue.unshift(waiting.errand);
    this.#queueUp(waiting.lane);
    this.#pump();
  }

  #idleAt(endpoint: string): SmtpClient[] {
    const idle = this.#idle.get(endpoint) ?? [];
    this.#idle.set(endpoint, idle);
    return idle;
  }
}

function dropWhere<Key, Value>(map: Map<Key, Value>, isDone: (value: Value) => boolean): void {
  for (const [key, value] of map) if (isDone(value)) map.delete(key);
}

/** Milliseconds for which an endpoint that failed is not tried again for other jobs: less than the shortest retry. */
const FAILURE_MEMORY = 120_000;

const BEFORE_MAIL: ReadonlySet<string> = new Set([
  'connect',
  'greeting',
  'ehlo',
  'helo',
  'introduced',
  'starttls',
  'handshake',
  'auth',
]);
