/**
 * Who works when: attempts wait by destination, workers carry them out, destinations take turns. Connections and their
 * limits are the pool's; what happens next to one attempt is decided in table.ts.
 *
 * Hosts that accept a connection and then say nothing could keep all workers for minutes. While destinations wait and no
 * worker is free, sessions that are not ready within `timeout.silence`, or get no answer about an envelope in that time, are
 * cut off. Behind a whole message they are not: it may have been taken.
 *
 * Fairness: a destination gets its second worker only after every waiting destination had its turn, and a worker gives way
 * after a session's worth of messages. A destination begins with one worker and doubles with each message accepted, so that
 * a dead one costs one connection, not twenty.
 */
import type { Timer } from '../platform/clock.ts';
import { Deque } from '../platform/deque.ts';
import { FixedDelay } from '../platform/timers.ts';
import type { DeliveryAttempt } from './attempt.ts';
import { ConnectionPool } from './connections/connection-pool.ts';
import { DestinationQueue } from './destination-queue.ts';
import type { DeliveryDeps, DeliveryRules } from './rules.ts';
import type { WorkerScheduler } from './worker/ports.ts';
import { DeliveryWorker } from './worker/worker.ts';

export class Scheduler implements WorkerScheduler {
  readonly rules: DeliveryRules;
  readonly deps: DeliveryDeps;
  readonly pool: ConnectionPool;
  readonly deliveryTime: FixedDelay<DeliveryAttempt>;
  readonly #destinations = new Map<string, DestinationQueue>();
  /** destinations that want a worker, in turn */
  readonly #waiting = new Deque<DestinationQueue>();
  readonly #workers = new Set<DeliveryWorker>();
  #unfinished = 0;
  #transactions = 0;
  #isStopping = false;
  #isStarting = false;
  /** running while destinations wait and no worker is free */
  #silenceTimer: Timer | null = null;
  readonly #whenIdle = new Set<() => void>();

  constructor(rules: DeliveryRules, deps: DeliveryDeps) {
    this.rules = rules;
    this.deps = deps;
    const { delivery } = rules.deadlines;
    this.deliveryTime = new FixedDelay(deps.clock, delivery, (attempt) => attempt.worker?.expire(attempt));
    this.pool = new ConnectionPool(rules, deps, (attempt) => this.#resume(attempt));
  }

  add(attempt: DeliveryAttempt): void {
    this.#unfinished++;
    if (this.#isStopping) {
      this.attemptDone(attempt);
      return;
    }
    const queue = this.#queueOf(attempt);
    queue.attempts.push(attempt);
    if (this.#enqueue(queue)) this.#startWorkers();
  }

  /** Resolves when every attempt is done and every connection closed. */
  async run(): Promise<void> {
    await this.#idle();
    await this.pool.close();
  }

  /** Begins nothing new. What is on the wire may finish within the time of the setting `timeout.stop`. */
  stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    const queued = [...this.#destinations.values()].flatMap(({ attempts }) => attempts.takeAll());
    for (const attempt of [...queued, ...this.pool.takeWaiters()]) this.attemptDone(attempt);
    for (const worker of [...this.#workers]) worker.stop();
    const grace = this.deps.clock.after(this.rules.deadlines.stop, () => {
      for (const worker of [...this.#workers])
        worker.interrupt('was cut off because spoolroom was told to stop');
    });
    void this.#idle().then(() => grace.cancel());
  }

  get keepsConnections(): boolean {
    return !this.#isStopping && this.#unfinished > 0;
  }

  nextTransactionNumber(): number {
    return ++this.#transactions;
  }

  attemptDone(attempt: DeliveryAttempt): void {
    if (attempt.isDone) return;
    if (attempt.waitingFor !== null) this.#queueOf(attempt).waiting.delete(attempt);
    attempt.finish();
    if (--this.#unfinished > 0) return;
    this.#destinations.clear();
    this.pool.prune();
    for (const tell of this.#whenIdle) tell();
    this.#whenIdle.clear();
  }

  workerDone(worker: DeliveryWorker): void {
    const { queue } = worker;
    this.#workers.delete(worker);
    queue.workers--;
    if (queue.workers === 0) queue.concurrency = 1;
    this.#enqueue(queue);
    this.#startWorkers();
  }

  mayContinue(queue: DestinationQueue, attempts: number): boolean {
    if (this.#isStopping) return false;
    const { sessions, messages } = this.rules.limits;
    if (this.#waiting.length === 0 || this.#workers.size < sessions) return true;
    const share = Math.max(1, Math.floor(sessions / (this.#waiting.length + 1)));
    return queue.workers <= share && (attempts === 0 || attempts % messages !== 0);
  }

  mayConnect(queue: DestinationQueue): boolean {
    const next = queue.attempts.first;
    // One that has waited goes on: nothing else would wake it again.
    const hasWaited = next !== undefined && next.waitingFor !== null;
    return hasWaited || queue.waiting.size < this.rules.limits.destination;
  }

  mayPrefetch(queue: DestinationQueue): boolean {
    return queue.workers >= queue.concurrency || this.#workers.size >= this.rules.limits.sessions;
  }

  raiseConcurrency(queue: DestinationQueue): void {
    const { destination } = this.rules.limits;
    if (queue.concurrency >= destination) return;
    queue.concurrency = Math.min(queue.concurrency * 2, destination);
    if (this.#enqueue(queue)) this.#startWorkers();
  }

  #idle(): Promise<void> {
    if (this.#unfinished === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.add(resolve));
  }

  /** The attempt's endpoint has a connection to spare: it is next. */
  #resume(attempt: DeliveryAttempt): void {
    const queue = this.#queueOf(attempt);
    queue.waiting.delete(attempt);
    queue.attempts.unshift(attempt);
    if (this.#enqueue(queue)) this.#startWorkers();
  }

  #queueOf({ destination: { key } }: DeliveryAttempt): DestinationQueue {
    const known = this.#destinations.get(key);
    if (known !== undefined) return known;
    const queue = new DestinationQueue();
    this.#destinations.set(key, queue);
    return queue;
  }

  /** The destination stands in line, unless it has nothing to do or all the workers it may have; whether it is new there. */
  #enqueue(queue: DestinationQueue): boolean {
    if (queue.isQueued || queue.attempts.length === 0) return false;
    if (queue.workers >= queue.concurrency || !this.mayConnect(queue)) return false;
    queue.isQueued = true;
    queue.queuedAt = this.deps.clock.monotonic();
    this.#waiting.push(queue);
    return true;
  }

  /** A worker may be done at once, where its host is full: the loop that started it goes on, and none begins within it. */
  #startWorkers(): void {
    if (this.#isStarting) return;
    this.#isStarting = true;
    while (!this.#isStopping && this.#workers.size < this.rules.limits.sessions) {
      const queue = this.#waiting.shift();
      if (queue === undefined) break;
      queue.isQueued = false;
      const attempt = queue.attempts.shift();
      if (attempt === undefined) continue;
      const worker = new DeliveryWorker(queue, this);
      this.#workers.add(worker);
      queue.workers++;
      this.#enqueue(queue);
      worker.run(attempt);
    }
    this.#isStarting = false;
    this.#watchForSilence();
  }

  #watchForSilence(): void {
    if (this.#isStopping || this.#waiting.length === 0) {
      this.#silenceTimer?.cancel();
      this.#silenceTimer = null;
      return;
    }
    this.#silenceTimer ??= this.deps.clock.after(this.pool.untilSilent(), () => {
      this.#silenceTimer = null;
      const { length: waiting, first } = this.#waiting;
      const cut = this.pool.cutSilent();
      const { sessions } = this.rules.limits;
      const waited = first === undefined ? 0 : this.deps.clock.monotonic() - first.queuedAt;
      const slow = this.pool.slowAnswers();
      const { silence } = this.rules.deadlines;
      if (cut + slow > 0) this.deps.silent({ cut, slow, sessions, silence, waiting, waited });
      this.#watchForSilence();
    });
  }
}
