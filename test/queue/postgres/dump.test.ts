/** A dump of a queue at work, restored in another database: what techdoc/several-machines.md says of it, nothing lost. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { SCHEDULE } from '../../../src/queue/schedule.ts';
import { type Cluster, NO_POSTGRES, postgresPrograms, startCluster } from '../../support/postgres.ts';
import { enqueueTo, type SharedQueue, sharedQueue, type Worker } from '../../support/postgres-queue.ts';
import { NOW, temporaryDirectory } from '../../support/spool.ts';

const programs = postgresPrograms() ?? '';
const NO_DUMP =
  NO_POSTGRES ||
  (['pg_dump', 'pg_restore'].some((name) => !fs.existsSync(path.join(programs, name))) &&
    'pg_dump is not installed (Debian: postgresql-client)');

const run = promisify(execFile);

describe('a dump of a queue in PostgreSQL', { skip: NO_DUMP }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster.remove());

  async function dump(t: TestContext, { address }: SharedQueue): Promise<string> {
    const file = path.join(temporaryDirectory(t), 'queue.dump');
    await run(path.join(programs, 'pg_dump'), ['-Fc', '-n', 'spoolroom', '-f', file, '-d', address]);
    return file;
  }

  async function restored(t: TestContext, file: string): Promise<SharedQueue> {
    const shared = await sharedQueue(t, cluster);
    await shared.database.query('DROP SCHEMA spoolroom CASCADE');
    await run(path.join(programs, 'pg_restore'), ['--no-owner', '-d', shared.address, file]);
    return shared;
  }

  /** Delivers what it gets, two messages at a time, until nothing is due or it is stopped. */
  async function deliver(
    { queue }: Worker,
    sent: string[],
    recorded: string[] = [],
    isStopped = (): boolean => false,
  ): Promise<void> {
    while (!isStopped()) {
      const { jobs, more } = await queue.claim(2, new Set(), SCHEDULE);
      for (const { control, job } of jobs) {
        const [{ address } = { address: '' }] = job.recipients;
        sent.push(address);
        await queue.record(control, [{ index: 0, address, status: 2, text: 'ok' }], NOW);
        recorded.push(address);
        await queue.finish(control);
      }
      if (jobs.length === 0 && more !== true) return;
    }
  }

  it('loses nothing, and repeats only what was delivered after it had begun', async (t) => {
    const original = await sharedQueue(t, cluster);
    const [one, two] = [await original.worker(), await original.worker()];
    const all: string[] = [];
    for (let n = 0; n < 60; n++) all.push(`r${n}@host${n % 9}.example`);
    for (const address of all) await enqueueTo(one, address);
    const sent: string[] = [];
    const recorded: string[] = [];
    let isOver = false;
    const work = [one, two].map((worker) => deliver(worker, sent, recorded, () => isOver));
    while (recorded.length < 20) await new Promise((soon) => setImmediate(soon));
    const before = [...recorded];
    const file = await dump(t, original);
    isOver = true;
    await Promise.all(work);
    assert.ok(sent.length > before.length + 2, 'they delivered while it was taken');

    const copy = await restored(t, file);
    const again: string[] = [];
    await deliver(await copy.worker(), again);
    assert.equal(new Set(again).size, again.length);
    assert.deepEqual(
      all.filter((address) => !sent.includes(address) && !again.includes(address)),
      [],
    );
    const wrong = again.filter((address) => before.includes(address));
    assert.deepEqual(wrong, [], 'what was recorded before it began');
  });

  it('has no processes and no claims, and gives other numbers', async (t) => {
    const original = await sharedQueue(t, cluster);
    const worker = await original.worker();
    const { control, payload } = await enqueueTo(worker, 'a@example.com', 'b@example.com');
    await worker.claim();
    await worker.queue.record(control, [{ index: 0, address: 'a@example.com', status: 2, text: 'ok' }], NOW);
    const copy = await restored(t, await dump(t, original));
    const other = await copy.worker();
    assert.deepEqual(await other.claim(), [control], 'though the lease of the original has not ended');
    const rows = await copy.database.query('SELECT epoch::float8 FROM spoolroom.worker');
    assert.deepEqual(rows, [{ epoch: other.epoch }]);
    assert.ok(other.epoch > worker.epoch + 999_999);
    assert.deepEqual(await copy.statuses(control), [
      ['a@example.com', 2],
      ['b@example.com', 0],
    ]);
    assert.ok((await enqueueTo(other, 'c@example.com')).control > control + 999_999);
    assert.equal(worker.queue.mayDeliver(payload), true, 'the original goes on');
  });

  it('takes the claims from a process that goes on with what was restored in place', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const worker = await shared.worker();
    const { control, payload } = await enqueueTo(worker, 'a@example.com');
    await worker.claim();
    const file = await dump(t, shared);
    await shared.database.query('DROP SCHEMA spoolroom CASCADE');
    await run(path.join(programs, 'pg_restore'), ['--no-owner', '-d', shared.address, file]);
    assert.equal(worker.queue.mayDeliver(payload), true, 'it does not know yet');
    worker.deps.clock.advance(20_000);
    while (worker.queue.mayDeliver(payload)) await new Promise((soon) => setImmediate(soon));
    assert.deepEqual(await (await shared.worker()).claim(), [control]);
  });
});
