/** What the events of a session mean for the attempts of a worker, and for what is known of the host. */
import type { OutgoingMessage } from '../../message/outgoing.ts';
import type { Refusable } from '../../smtp/capabilities.ts';
import type { SmtpClient } from '../../smtp/client/client.ts';
import type { ClientListener } from '../../smtp/client/listener.ts';
import type { SessionEvent, Step } from '../../smtp/machine/session.ts';
import type { Mechanism } from '../../smtp/mechanisms.ts';
import type { Failure, Outcome } from '../../smtp/outcome.ts';
import type { Transaction } from '../../smtp/transaction.ts';
import type { DeliveryAttempt } from '../attempt.ts';
import type { ConnectionTarget } from '../connections/target.ts';
import type { DeliveryEvent } from '../delivery.ts';
import { isAboutSessions } from '../throttling/answers.ts';
import { tlsUse } from '../tls-use.ts';
import type { SessionUser, WorkerScheduler } from './ports.ts';

export class SessionListener implements ClientListener {
  readonly #user: SessionUser;
  readonly #scheduler: WorkerScheduler;
  readonly #client: SmtpClient;
  readonly #target: ConnectionTarget;

  constructor(user: SessionUser, scheduler: WorkerScheduler, client: SmtpClient, target: ConnectionTarget) {
    this.#user = user;
    this.#scheduler = scheduler;
    this.#client = client;
    this.#target = target;
  }

  connected(): void {
    const { tlsFacts: tls, options } = this.#client;
    this.#scheduler.deps.trace(this.#user.current?.alone ?? NOBODY, {
      what: 'connected',
      session: options.number,
      address: this.#target.address,
      // Of TLS from the first byte, which is negotiated by now.
      ...(tls === null ? {} : { tls }),
    });
  }

  ready(): void {
    this.#scheduler.pool.ready(this.#client);
    const { current } = this.#user;
    if (current?.delivery.state === 'connecting') this.#user.use(current);
  }

  body(transaction: number): OutgoingMessage {
    const { alone, outgoing } = this.#attemptFor(transaction);
    this.#scheduler.deps.trace(alone, { what: 'body', message: outgoing });
    return outgoing;
  }

  mayEnd(transaction: number): boolean {
    return this.#attemptFor(transaction).message.mayEnd?.() !== false;
  }

  nextTransaction(): Transaction | null {
    return this.#user.pipelineNext(this.#client);
  }

  convertMessage(transaction: number): void {
    void this.#user.convert(this.#attemptFor(transaction), this.#client);
  }

  outcome(transaction: number, recipients: readonly number[], outcome: Outcome): void {
    const attempt = this.#attemptFor(transaction);
    const { pool, deps } = this.#scheduler;
    const client = this.#client;
    const tls = tlsUse(client.tlsFacts, this.#target.host);
    this.#user.record(attempt, recipients, outcome, { tls, dsn: client.takesDsn });
    if (outcome.kind === 'failed') this.#heed(attempt, outcome);
    else if (!deps.throttle.isQuiet) deps.throttle.accepted(outcome.peer);
    if (outcome.kind === 'delivered' || outcome.code !== null) pool.proved(this.#target);
    this.#user.handle(attempt, { type: 'outcome-recorded', recipients });
    if (outcome.kind === 'delivered') this.#user.accepted();
  }

  transactionDone(transaction: number): void {
    this.#user.handle(this.#attemptFor(transaction), { type: 'transaction-done' });
  }

  requeue(transaction: number): void {
    const attempt = this.#attemptFor(transaction);
    if (attempt === this.#user.pipelined) this.#user.takeBack(attempt);
    else this.#user.handle(attempt, { type: 'requeue' });
  }

  hostFailed(failure: Failure): void {
    this.#scheduler.pool.recordFailure(this.#target, failure);
    const { current } = this.#user;
    if (current !== null) this.#heed(current, failure);
    this.#toCurrent({ type: 'host-failed', failure });
  }

  tlsUnusable(failure: Failure): void {
    this.#scheduler.pool.recordRefused(this.#target, 'STARTTLS');
    this.#toCurrent({ type: 'tls-unusable', failure });
  }

  extensionRefused(extension: Refusable, failure: Failure): void {
    this.#scheduler.pool.recordRefused(this.#target, extension);
    this.#toCurrent({ type: 'extension-refused', failure });
  }

  mechanismsRefused(mechanisms: readonly Mechanism[]): void {
    for (const name of mechanisms) this.#scheduler.pool.recordRefused(this.#target, `AUTH ${name}`);
  }

  ended(): void {
    this.#scheduler.pool.ended(this.#target, this.#client);
    this.#user.lost(this.#client);
  }

  closed(): void {
    this.#scheduler.pool.closed(this.#client);
  }

  trace(event: SessionEvent, step: Step): void {
    const { current, pipelined } = this.#user;
    const attempts =
      current === null || pipelined === null ? (current ?? pipelined)?.alone : [current, pipelined];
    const session = this.#client.options.number;
    this.#scheduler.deps.trace(attempts ?? NOBODY, { what: 'session', session, event, step });
  }

  #attemptFor(transaction: number): DeliveryAttempt {
    const { current, pipelined } = this.#user;
    if (current?.transaction === transaction) return current;
    if (pipelined?.transaction === transaction) return pipelined;
    throw new Error(`transaction ${transaction} was not begun here`);
  }

  #toCurrent(event: DeliveryEvent): void {
    const { current } = this.#user;
    if (current !== null) this.#user.handle(current, event);
  }

  /** Whether the host asks us to send less. */
  #heed({ destination, delivery }: DeliveryAttempt, failure: Failure): void {
    const { pool, deps } = this.#scheduler;
    if (failure.permanent || (isAboutSessions(failure) && pool.hasOthers(this.#target, this.#client))) return;
    deps.throttle.failed(failure, destination.key, delivery.hosts);
  }
}

const NOBODY: readonly DeliveryAttempt[] = [];
