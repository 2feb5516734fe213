/** What a worker asks of the scheduler, and a session of the worker that uses it. */
import type { FixedDelay } from '../../platform/timers.ts';
import type { SmtpClient } from '../../smtp/client/client.ts';
import type { Outcome } from '../../smtp/outcome.ts';
import type { Transaction } from '../../smtp/transaction.ts';
import type { DeliveryAttempt } from '../attempt.ts';
import type { ConnectionPool } from '../connections/connection-pool.ts';
import type { DeliveryEvent } from '../delivery.ts';
import type { DestinationQueue } from '../destination-queue.ts';
import type { DeliveryDeps, DeliveryRules } from '../rules.ts';
import type { TlsUse } from '../tls-use.ts';
import type { DeliveryWorker } from './worker.ts';

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

export interface SessionUser {
  /** the attempt on the wire, or on its way there */
  readonly current: DeliveryAttempt | null;
  /** its envelope is on the wire behind the current message */
  readonly pipelined: DeliveryAttempt | null;
  handle(attempt: DeliveryAttempt, event: DeliveryEvent): void;
  record(
    attempt: DeliveryAttempt,
    recipients: readonly number[],
    outcome: Outcome,
    session: { readonly tls: TlsUse | null; readonly dsn: boolean },
  ): void;
  /** the session is ready for the attempt's transaction */
  use(attempt: DeliveryAttempt): void;
  /** a message was accepted */
  accepted(): void;
  pipelineNext(client: SmtpClient): Transaction | null;
  convert(attempt: DeliveryAttempt, client: SmtpClient): Promise<void>;
  takeBack(attempt: DeliveryAttempt): void;
  lost(client: SmtpClient): void;
}
