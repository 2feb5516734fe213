/** What several processes that share a queue in PostgreSQL promise each other (techdoc/several-machines.md). */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { StatusChange } from '../../../src/delivery-list/job.ts';
import { type Cluster, NO_POSTGRES, startCluster } from '../../support/postgres.ts';
import { enqueueTo, sharedQueue } from '../../support/postgres-queue.ts';
import { NEW_JOB, NOW } from '../../support/spool.ts';

function outcome(index: number, address: string, status: 2 | 4 | 5): StatusChange {
  return { index, address, status, text: 'said so' };
}

describe('claims in PostgreSQL', { skip: NO_POSTGRES }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster.remove());

  it('gives a message to one process at a time', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const all = new Map<number, number>();
    for (let n = 0; n < 40; n++) {
      const { control, payload } = await enqueueTo(one, `a@host${n % 7}.example`);
      all.set(control, payload);
    }
    const messages = (jobs: readonly number[]): number[] => jobs.map((job) => all.get(job) ?? 0);
    const first = await Promise.all([one.claim(15), two.claim(15)]);
    const [more, others] = await Promise.all([
      one.claim(40, messages(first[0])),
      two.claim(40, messages(first[1])),
    ]);
    const taken = [...first.flat(), ...more, ...others];
    assert.deepEqual([taken.length, new Set(taken).size], [40, 40]);
  });

  it('hands a message over when its lease has ended by the database, never before', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const { control, payload } = await enqueueTo(one, 'b@example.com');
    assert.deepEqual(await one.claim(), [control]);
    assert.deepEqual(await two.claim(), []);
    assert.equal(one.queue.mayDeliver(payload), true);
    await shared.endLease(one);
    assert.deepEqual(await two.claim(), [control]);
    assert.equal(two.queue.mayDeliver(payload), true);
  });

  it('sends nothing to its end when the lease is not safely alive by the monotonic clock', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const worker = await shared.worker();
    const { payload } = await enqueueTo(worker, 'b@example.com');
    await worker.claim();
    await cluster.stop('immediate');
    worker.deps.clock.advance(44_000);
    assert.equal(worker.queue.mayDeliver(payload), true);
    worker.deps.clock.advance(1000);
    assert.equal(worker.queue.mayDeliver(payload), false, 'a quarter of a minute before its end');
    await cluster.start();
    assert.deepEqual((await worker.claim(100, [payload])).length, 0);
    assert.equal(worker.queue.mayDeliver(payload), true, 'renewed: nobody took it meanwhile');
    worker.deps.clock.step(60_000);
    assert.equal(worker.queue.mayDeliver(payload), false, 'a machine that slept has an old monotonic clock');
  });

  it('takes 4 and 5 from the current claim alone', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const { control } = await enqueueTo(one, 'b@example.com', 'c@example.com');
    await one.claim();
    await shared.endLease(one);
    await two.claim();
    assert.equal(await one.queue.record(control, [outcome(0, 'b@example.com', 5)], NOW), 'lost');
    assert.equal(await one.queue.record(control, [outcome(1, 'c@example.com', 4)], NOW), 'lost');
    assert.deepEqual(await shared.statuses(control), [
      ['b@example.com', 0],
      ['c@example.com', 0],
    ]);
    assert.equal(await two.queue.record(control, [outcome(0, 'b@example.com', 5)], NOW), 'recorded');
    assert.equal((await shared.statuses(control))[0]?.[1], 5);
  });

  it('takes 2 from a stale claim while the recipient is open', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const { control, payload } = await enqueueTo(one, 'b@example.com', 'c@example.com');
    await one.claim();
    await shared.endLease(one);
    await two.claim();
    assert.equal(await one.queue.record(control, [outcome(0, 'b@example.com', 2)], NOW), 'recorded');
    assert.equal(await two.queue.record(control, [outcome(0, 'b@example.com', 4)], NOW), 'recorded');
    assert.equal(await two.queue.record(control, [outcome(1, 'c@example.com', 4)], NOW), 'recorded');
    await two.claim(100, [payload]);
    await two.claim();
    assert.deepEqual(await shared.statuses(control), [
      ['b@example.com', 2],
      ['c@example.com', 4],
    ]);
  });

  it('never opens what is settled, and tells of a second copy', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const { control } = await enqueueTo(one, 'b@example.com', 'c@example.com');
    await one.claim();
    await shared.endLease(one);
    await two.claim();
    await two.queue.record(control, [outcome(0, 'b@example.com', 2), outcome(1, 'c@example.com', 5)], NOW);
    assert.equal(await one.queue.record(control, [outcome(0, 'b@example.com', 2)], NOW), 'lost');
    assert.match(one.deps.warnings.join(), /was delivered twice to a recipient/);
    await two.queue.record(control, [outcome(1, 'c@example.com', 4)], NOW);
    assert.deepEqual(await shared.statuses(control), [
      ['b@example.com', 2],
      ['c@example.com', 5],
    ]);
  });

  it('records what was delivered when the database comes back, though the lease ended', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const { control, payload } = await enqueueTo(one, 'b@example.com');
    await one.claim();
    await cluster.stop('immediate');
    await assert.rejects(
      one.queue.record(control, [outcome(0, 'b@example.com', 2)], NOW),
      /kept in memory and written as soon as that is possible/,
    );
    await cluster.start();
    await shared.endLease(one);
    await two.claim(0);
    await one.queue.flush();
    assert.deepEqual(await shared.statuses(control), [['b@example.com', 2]]);
    assert.equal(one.queue.mayDeliver(payload), false);
    assert.deepEqual(await two.claim(), [control], 'to be removed');
    await two.queue.finish(control);
    assert.deepEqual(await shared.statuses(control), []);
  });

  it('finishes a job and deletes its message in one transaction, under the current claim alone', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const { control } = await enqueueTo(one, 'b@example.com');
    await one.claim();
    await one.queue.record(control, [outcome(0, 'b@example.com', 2)], NOW);
    await shared.endLease(one);
    await two.claim();
    await one.queue.finish(control);
    assert.equal((await shared.database.repeatable('SELECT FROM spoolroom.chunk')).length, 1);
    assert.match(one.deps.warnings.join(), /is not this process's any more/);
    await two.queue.finish(control);
    for (const table of ['job', 'message', 'chunk', 'outcome'])
      assert.deepEqual(await shared.database.repeatable(`SELECT FROM spoolroom.${table}`), [], table);
  });

  it('keeps every open message claimed, due some time, or held', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const worker = await shared.worker();
    const { control } = await enqueueTo(worker, 'b@example.com');
    await worker.claim();
    await worker.queue.record(control, [outcome(0, 'b@example.com', 4)], Math.floor(Date.now() / 1000));
    assert.deepEqual(await worker.claim(), [], 'it waits');
    const [message] = await shared.database.repeatable(
      'SELECT claim, due::float8, lane FROM spoolroom.message',
    );
    assert.equal(message?.claim, null);
    assert.ok(Math.abs(Number(message?.due) - Date.now() / 1000 - 300) < 5);
    const [lane] = await shared.database.repeatable('SELECT name, turn FROM spoolroom.lane');
    assert.deepEqual([lane?.name, lane?.turn], ['example.com', message?.due]);
    await shared.database.repeatable("SELECT spoolroom.ask($1, 'hold', 'me', 1, NULL)", [[control]]);
    assert.equal(
      (await shared.database.repeatable('SELECT FROM spoolroom.message WHERE due IS NULL')).length,
      1,
    );
    await shared.database.repeatable("SELECT spoolroom.ask($1, 'retry', 'me', 1, NULL)", [[control]]);
    assert.deepEqual(await worker.claim(), [], 'a hold does not give way to a retry');
    await shared.database.repeatable('SELECT spoolroom.ask($1, NULL, NULL, 1, NULL)', [[control]]);
    assert.deepEqual(await worker.claim(), []);
    await shared.database.repeatable("SELECT spoolroom.ask($1, 'retry', 'me', 1, NULL)", [[control]]);
    assert.deepEqual(await worker.claim(), [control]);
  });

  it('serves no destination twice before another that waits', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const worker = await shared.worker();
    for (let n = 0; n < 30; n++) await enqueueTo(worker, 'many@big.example');
    const small = await enqueueTo(worker, 'one@small.example');
    const medium = [
      await enqueueTo(worker, 'one@medium.example'),
      await enqueueTo(worker, 'two@medium.example'),
    ];
    const first = await worker.claim(3);
    assert.equal(first.length, 3);
    assert.ok(first.includes(small.control) && first.includes(medium[0]?.control ?? 0));
    const { jobs } = await worker.queue.look({});
    const inHand = jobs.filter(({ control }) => first.includes(control)).map(({ job }) => job.msgid);
    const second = await worker.claim(2, inHand);
    assert.ok(second.includes(medium[1]?.control ?? 0));
  });

  it('gives the claims of a process that died to its successor at once', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const worker = await shared.worker();
    const { control } = await enqueueTo(worker, 'b@example.com');
    await worker.claim();
    await shared.database.repeatable(
      `SELECT spoolroom.enter(name, boot, host, pid, 60, NULL) FROM spoolroom.worker`,
    );
    assert.deepEqual(await (await shared.worker()).claim(), [control]);
  });

  it('gives back what it claimed without hearing of it, when it ends (R302)', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const worker = await shared.worker();
    const { control, payload } = await enqueueTo(worker, 'b@example.com');
    await shared.database.query('UPDATE spoolroom.message SET claim = $1 WHERE id = $2', [
      worker.epoch,
      payload,
    ]);
    await worker.queue.close();
    assert.deepEqual(await (await shared.worker()).claim(), [control]);
  });

  it('keeps a large message in pieces, and refuses one that is a delivery list', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const { queue } = await shared.worker();
    const line = Buffer.from(`${'x'.repeat(998)}\r\n`);
    async function* pieces() {
      yield Buffer.from('Subject: large\r\n\r\n');
      for (let n = 0; n < 1000; n++) yield line;
    }
    const { payload } = await queue.enqueue(pieces(), NEW_JOB);
    const read = await queue.readPayload(payload);
    assert.ok(read.kind === 'found' && read.message.bytes === null);
    let size = 0;
    for await (const piece of read.message.stream()) size += piece.length;
    assert.deepEqual([size, read.message.size], [1_000_018, 1_000_018]);
    async function* list() {
      yield Buffer.from('Content-type: application/x-citadel-delivery-list\n\n');
      yield Buffer.alloc(600_000, 0x61);
    }
    await assert.rejects(queue.enqueue(list(), NEW_JOB), /cannot be sent as mail/);
    assert.equal((await shared.database.repeatable('SELECT FROM spoolroom.message')).length, 1);
  });
});
