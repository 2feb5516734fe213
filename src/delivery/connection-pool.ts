/**
 * Connections by endpoint (same address, port, protection and credentials): idle ones for reuse, how many are open, which
 * attempts wait for one, and which endpoints are left alone after a failure. Knows nothing of destinations or fairness.
 *
 * Limits that hold: sessions in all, sessions per host, messages per session, session starts a second. A session that has
 * sent QUIT counts no more, and is cut when its place is needed.
 */
import type { Clock } from '../platform/clock.ts';
import { Deque } from '../platform/deque.ts';
import type { Host } from '../routing/hosts.ts';
import type { ClientListener } from '../smtp/client.ts';
import { SmtpClient } from '../smtp/client.ts';
import type { Failure } from '../smtp/outcome.ts';
import type { DeliveryAttempt } from './attempt.ts';
import { type DeliveryDeps, type DeliveryRules, sessionOptions } from './rules.ts';

/** Milliseconds for which an endpoint that failed is not tried for other jobs: less than the shortest retry interval. */
const BACK_OFF = 120_000;

/** Failures in these stages concern the host and not the message. */
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

export class ConnectionPool {
  readonly #rules: DeliveryRules;
  readonly #deps: DeliveryDeps;
  readonly #clock: Clock;
  readonly #resume: (attempt: DeliveryAttempt) => void;
  readonly #idle = new Map<string, SmtpClient[]>();
  readonly #open = new Map<string, number>();
  readonly #waiters = new Map<string, Deque<DeliveryAttempt>>();
  readonly #failures = new Map<string, { readonly failure: Failure; readonly until: number }>();
  /** by address and port: monotonic milliseconds until which TLS is not tried there */
  readonly #brokenTls = new Map<string, number>();
  /** clients that have sent QUIT */
  readonly #quitting = new Map<SmtpClient, string>();
  /** clients that have not */
  #sessions = 0;
  #started = 0;
  #nextStart = 0;
  #allClosed: () => void = () => {};

  /** `resume` is called with an attempt whose turn has come: its endpoint has a connection to spare again. */
  constructor(rules: DeliveryRules, deps: DeliveryDeps, resume: (attempt: DeliveryAttempt) => void) {
    this.#rules = rules;
    this.#deps = deps;
    this.#clock = deps.clock;
    this.#resume = resume;
  }

  /** An idle connection, which the caller has alone from now on. */
  acquireIdle(endpoint: string): SmtpClient | undefined {
    return this.#idle.get(endpoint)?.pop();
  }

  /** A new connection, which the caller has alone. An idle one elsewhere gives way when the limit is reached. */
  connect(
    endpoint: string,
    target: { readonly host: Host; readonly address: string; readonly withoutTls: boolean },
    listenerFor: (client: SmtpClient) => ClientListener,
  ): SmtpClient {
    this.#sessions++;
    this.#open.set(endpoint, (this.#open.get(endpoint) ?? 0) + 1);
    const { sessions } = this.#rules.limits;
    if (this.#sessions > sessions) [...this.#idle.values()].flat()[0]?.quit();
    for (const [client, place] of this.#quitting)
      if (place === endpoint || this.#sessions + this.#quitting.size > sessions) client.destroy();
    const number = ++this.#started;
    const { host, address, withoutTls } = target;
    const options = sessionOptions(this.#rules, host, address, { number, withoutTls });
    return new SmtpClient(options, this.#deps, listenerFor);
  }

  /** Gives a connection back: kept for the next attempt when it is idle and `keep` says so, else closed. */
  release(endpoint: string, client: SmtpClient, keep: boolean): void {
    client.setListener(this.#idleListener(endpoint, client));
    if (!client.ready) {
      client.interrupt('is not needed any more');
      return;
    }
    if (!keep || client.transactions >= this.mostTransactions(client)) {
      client.quit();
      return;
    }
    this.#idleAt(endpoint).push(client);
    this.#wake(endpoint);
  }

  /** The client has sent QUIT or was cut off: its place is free. */
  ended(endpoint: string, client: SmtpClient): void {
    this.#sessions--;
    this.#quitting.set(client, endpoint);
    this.#open.set(endpoint, (this.#open.get(endpoint) ?? 1) - 1);
    const idle = this.#idleAt(endpoint);
    if (idle.includes(client)) idle.splice(idle.indexOf(client), 1);
    this.#wake(endpoint);
  }

  closed(client: SmtpClient): void {
    this.#quitting.delete(client);
    if (this.#quitting.size === 0) this.#allClosed();
  }

  /** Messages this session may carry in all: ours to limit, or the peer's (RFC 9422). */
  mostTransactions(client: SmtpClient): number {
    return Math.min(this.#rules.limits.messages, client.mailMax);
  }

  /** An endpoint that refuses a new session while others are open there has as many as it takes. */
  isFull(endpoint: string): boolean {
    const open = this.#open.get(endpoint) ?? 0;
    const refusesMore = (this.backOff(endpoint)?.code ?? null) !== null;
    return open >= this.#rules.limits.host || (open > 0 && refusesMore);
  }

  /** The attempt waits, without a worker, until the endpoint has a connection to spare. */
  enqueueWaiter(endpoint: string, attempt: DeliveryAttempt): void {
    const waiters = this.#waiters.get(endpoint) ?? new Deque();
    this.#waiters.set(endpoint, waiters);
    waiters.push(attempt);
  }

  /** A waiter went on, perhaps elsewhere: the next one may have its turn. Not at once: thousands may wait. */
  wakeNext(endpoint: string): void {
    queueMicrotask(() => {
      if (!this.isFull(endpoint)) this.#wake(endpoint);
    });
  }

  /** The endpoint's failure of not long ago, which would meet the next session as well. */
  backOff(endpoint: string): Failure | undefined {
    const failed = this.#failures.get(endpoint);
    return failed !== undefined && this.#clock.monotonic() < failed.until ? failed.failure : undefined;
  }

  /** Only what comes before MAIL, or a 421, says something about the next message. */
  recordFailure(endpoint: string, failure: Failure): void {
    if (failure.code !== 421 && !BEFORE_MAIL.has(failure.stage)) return;
    this.#failures.set(endpoint, { failure, until: this.#clock.monotonic() + BACK_OFF });
  }

  isTlsBroken({ port }: Host, address: string): boolean {
    const until = this.#brokenTls.get(`${address}:${port}`) ?? Number.NEGATIVE_INFINITY;
    return this.#clock.monotonic() < until;
  }

  /** A handshake may break for a reason that passes: TLS is tried again after two minutes. */
  recordBrokenTls({ port }: Host, address: string): void {
    this.#brokenTls.set(`${address}:${port}`, this.#clock.monotonic() + BACK_OFF);
  }

  /** Milliseconds until the next session may start. */
  startDelay(): number {
    const { rate } = this.#rules.limits;
    if (rate === 0) return 0;
    const now = this.#clock.monotonic();
    const start = Math.max(now, this.#nextStart);
    this.#nextStart = start + 1000 / rate;
    return start - now;
  }

  /** All waiting attempts; none waits any more. */
  takeWaiters(): readonly DeliveryAttempt[] {
    return [...this.#waiters.values()].flatMap((waiters) => waiters.takeAll());
  }

  /** Nothing waits: what is remembered by endpoint would only grow. */
  prune(): void {
    const now = this.#clock.monotonic();
    this.#waiters.clear();
    deleteWhere(this.#idle, (clients) => clients.length === 0);
    deleteWhere(this.#open, (sessions) => sessions === 0);
    deleteWhere(this.#failures, ({ until }) => until <= now);
    deleteWhere(this.#brokenTls, (until) => until <= now);
  }

  /** Quits the idle connections; resolves when all are closed, which the deadline of QUIT bounds. */
  async close(): Promise<void> {
    for (const client of [...this.#idle.values()].flat()) client.quit();
    if (this.#quitting.size === 0) return;
    await new Promise<void>((closed) => {
      this.#allClosed = closed;
    });
  }

  #wake(endpoint: string): void {
    const attempt = this.#waiters.get(endpoint)?.shift();
    if (attempt !== undefined) this.#resume(attempt);
  }

  #idleAt(endpoint: string): SmtpClient[] {
    const idle = this.#idle.get(endpoint) ?? [];
    this.#idle.set(endpoint, idle);
    return idle;
  }

  /** Of an idle connection only the end matters. */
  #idleListener(endpoint: string, client: SmtpClient): ClientListener {
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
      ended: () => this.ended(endpoint, client),
      closed: () => this.closed(client),
      trace: (event, step) =>
        this.#deps.trace([], { what: 'session', session: client.plan.number, event, step }),
    };
  }
}

/** Equal names, interchangeable connections: same address, same protection, same credentials. */
export function endpointName(host: Host, address: string, withoutTls: boolean): string {
  const protection = host.implicitTls ? 'smtps' : withoutTls ? 'clear' : 'smtp';
  return `${protection}://${host.credentials?.user ?? ''}@${host.name}[${address}]:${host.port}`;
}

function deleteWhere<Key, Value>(map: Map<Key, Value>, isOld: (value: Value) => boolean): void {
  for (const [key, value] of map) if (isOld(value)) map.delete(key);
}
