/** What processes that share a queue in PostgreSQL tell each other at once (techdoc/several-machines.md). */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../../src/platform/clock.ts';
import { postgresClient } from '../../../src/queue/postgres/client.ts';
import { type Cluster, databaseAt, NO_POSTGRES, startCluster } from '../../support/postgres.ts';
import { enqueueTo, type SharedQueue, sharedQueue, type Worker } from '../../support/postgres-queue.ts';
import { SETTINGS_2012 } from '../../support/spool.ts';

/** A worker that listens: each call resolves at the next notice. No clock moves, so nothing is found by waiting. */
async function listening(worker: Worker): Promise<() => Promise<void>> {
  let heard = 0;
  let seen = 0;
  let tell = (): void => {};
  worker.queue.listen(() => {
    heard++;
    tell();
  });
  const next = async (): Promise<void> => {
    if (heard === seen)
      await new Promise<void>((resolve) => {
        tell = resolve;
      });
    seen = heard;
  };
  await worker.claim();
  await next();
  return next;
}

describe('processes that share a queue', { skip: NO_POSTGRES }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster.remove());

  const clientOf = (t: TestContext, { address }: SharedQueue) => {
    const database = databaseAt(address);
    t.after(() => database.close());
    return postgresClient(database, SETTINGS_2012, () => null, systemClock);
  };

  it('wake each other at once for new mail', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const notice = await listening(two);
    const { control } = await enqueueTo(one, 'b@example.com');
    await notice();
    assert.deepEqual(await two.claim(), [control]);
  });

  it('wake each other at once for a request, and for what a dead process had', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two, three] = [await shared.worker(), await shared.worker(), await shared.worker()];
    const { control } = await enqueueTo(one, 'b@example.com');
    const notice = await listening(two);
    const client = clientOf(t, shared);
    const { jobs } = await client.scan();
    await client.request('hold', jobs, { by: 'me', at: 1 });
    await notice();
    await two.claim();
    await client.withdraw(jobs);
    await notice();
    assert.deepEqual(await one.claim(), [control]);
    await shared.endLease(one);
    await three.claim(0);
    await notice();
    assert.deepEqual(await two.claim(), [control]);
  });

  it('listen again after a connection was lost', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const notice = await listening(two);
    const ears = async (): Promise<unknown> =>
      (
        await shared.database.repeatable(
          "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()",
        )
      )[0]?.pid;
    const before = await ears();
    await shared.database.repeatable('SELECT pg_terminate_backend($1)', [before]);
    for (let now = before; now === before || now === undefined; now = await ears()) await two.claim();
    await notice();
    const { control } = await enqueueTo(one, 'b@example.com');
    await notice();
    assert.deepEqual(await two.claim(), [control]);
  });

  it('make few notices of many messages', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const notice = await listening(two);
    await Promise.all(Array.from({ length: 50 }, () => enqueueTo(one, 'b@example.com')));
    await notice();
    one.deps.clock.advance(50);
    await notice();
    assert.equal((await two.claim()).length, 50, 'the last notice came after the last message');
    one.deps.clock.advance(50);
    assert.equal(one.deps.clock.pending, 1, 'and no more: only the lease is renewed');
  });
});
