/** Queues in a real PostgreSQL for tests: processes that share one, each with a state directory and a clock of its own. */
import type { TestContext } from 'node:test';
import type { MessageNumber } from '../../src/delivery-list/job.ts';
import type { Database } from '../../src/queue/postgres/database/database.ts';
import { openPostgresQueue } from '../../src/queue/postgres/open.ts';
import type { PostgresQueue } from '../../src/queue/postgres/postgres-queue.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { type Cluster, databaseAt } from './postgres.ts';
import { type Bench, bench, NEW_JOB, SETTINGS_2012, temporaryDirectory } from './spool.ts';

export interface SharedQueue {
  readonly address: string;
  readonly database: Database;
  /** A process that delivers from it; its clock is moved by hand, the database's is not. */
  worker(): Promise<Worker>;
  /** As if this worker's lease had ended by the clock of the database. */
  endLease(worker: Worker): Promise<void>;
  /** The status of each recipient of a job, as anybody sees it now. */
  statuses(control: MessageNumber): Promise<readonly (readonly [string, number])[]>;
}

export interface Worker {
  readonly queue: PostgresQueue;
  readonly deps: Bench;
  readonly epoch: number;
  claim(most?: number, inHand?: readonly MessageNumber[]): Promise<readonly MessageNumber[]>;
}

export async function sharedQueue(t: TestContext, cluster: Cluster): Promise<SharedQueue> {
  const address = await cluster.create();
  const database = databaseAt(address);
  t.after(() => database.close());
  return {
    address,
    database,
    async worker() {
      const deps = bench();
      const state = temporaryDirectory(t);
      const opened = await openPostgresQueue({ address, state }, deps, SETTINGS_2012);
      if (opened.kind === 'refused') throw new Error(opened.text);
      const { queue } = opened;
      t.after(() => queue.close().catch(() => {}));
      const [row] = await database.repeatable('SELECT max(epoch)::float8 AS epoch FROM spoolroom.worker');
      return {
        queue,
        deps,
        epoch: Number(row?.epoch),
        claim: async (most = 100, inHand = []) =>
          (await queue.claim(most, new Set(inHand), SCHEDULE)).jobs.map(({ control }) => control),
      };
    },
    async endLease({ epoch }) {
      await database.repeatable(
        "UPDATE spoolroom.worker SET lease_until = clock_timestamp() - interval '1 second' WHERE epoch = $1",
        [epoch],
      );
    },
    async statuses(control) {
      const deps = bench();
      const opened = await openPostgresQueue({ address, state: temporaryDirectory(t) }, deps, SETTINGS_2012);
      if (opened.kind === 'refused') throw new Error(opened.text);
      const { jobs } = await opened.queue.look({ ranges: [{ from: control, to: control }] });
      await opened.queue.close();
      return jobs.flatMap(({ job }) =>
        job.recipients.map(({ address: to, status }) => [to, status] as const),
      );
    },
  };
}

export async function enqueueTo(
  { queue }: Worker,
  ...recipients: readonly string[]
): Promise<{ readonly payload: MessageNumber; readonly control: MessageNumber }> {
  return queue.enqueue(Buffer.from('Subject: x\n\nhello\n'), { ...NEW_JOB, recipients });
}
