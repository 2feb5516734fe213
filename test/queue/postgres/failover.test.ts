/** The database dies and its synchronous standby takes its place: found again, with everything that was acknowledged. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { checkPostgres } from '../../../src/cli/check/postgres.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { postgresClient } from '../../../src/queue/postgres/client.ts';
import { openPostgresQueue } from '../../../src/queue/postgres/open.ts';
import { SCHEDULE } from '../../../src/queue/schedule.ts';
import { type Cluster, databaseAt, NO_POSTGRES, startCluster } from '../../support/postgres.ts';
import { bench, NEW_JOB, NOW, SETTINGS_2012, temporaryDirectory } from '../../support/spool.ts';

describe('a queue with a synchronous standby', { skip: NO_POSTGRES }, () => {
  let primary: Cluster;
  let standby: Cluster;
  let name: string;
  before(async () => {
    primary = await startCluster({ durable: true });
    name = new URL(`http://x${(await primary.create()).split('@')[1] ?? ''}`).pathname;
    standby = await startCluster({ durable: true, standbyOf: primary });
  });
  after(async () => {
    await standby.remove();
    await primary.remove();
  });

  it('rejects a transaction whose connection ends between two of its statements (R309)', async (t) => {
    const database = databaseAt(await primary.create());
    t.after(() => database.close());
    const ended = database.transaction(async (transaction) => {
      const [own] = await transaction.query('SELECT pg_backend_pid() AS pid');
      await database.query('SELECT pg_terminate_backend($1, 10000)', [own?.pid]);
      await setImmediate();
      await transaction.query('SELECT 1');
    });
    await assert.rejects(ended, /cannot be used now/);
  });

  it('says no to mail that the standby does not have because somebody cancelled the wait for it (R310)', async (t) => {
    const database = databaseAt(await primary.create());
    const admin = databaseAt(primary.address('postgres'));
    t.after(() => Promise.all([database.close(), admin.close()]));
    const client = postgresClient(database, SETTINGS_2012, () => null, systemClock);
    await client.enqueue(Buffer.from('Subject: x\n\nfirst\n'), NEW_JOB);
    standby.signal('SIGSTOP');
    const refused = assert.rejects(
      client.enqueue(Buffer.from('Subject: x\n\nsecond\n'), NEW_JOB),
      /the wait for its synchronous standby was cancelled/,
    );
    let cancelled: readonly unknown[] = [];
    while (cancelled.length === 0)
      cancelled = await admin.query(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
      );
    await refused;
    standby.signal('SIGCONT');
  });

  it('is found on the standby that was promoted, with all that was acknowledged, and the claims go on', async (t) => {
    // The standby first: it is passed over while it is one.
    const folders = `${standby.folder},${primary.folder}`;
    const user = primary.address('x').split('@')[0];
    const address = `${user}@${name}?host=${encodeURIComponent(folders)}`;
    const deps = bench();
    const opened = await openPostgresQueue({ address, state: temporaryDirectory(t) }, deps, SETTINGS_2012);
    if (opened.kind === 'refused') throw new Error(opened.text);
    const { queue } = opened;
    t.after(() => queue.close().catch(() => {}));
    const first = await queue.enqueue(Buffer.from('Subject: x\n\nfirst\n'), NEW_JOB);
    await queue.claim(10, new Set(), SCHEDULE);

    const client = postgresClient(databaseAt(address), SETTINGS_2012, () => null, systemClock);
    const checked = async (): Promise<string> =>
      (await checkPostgres(address, () => Date.now() / 1000))
        .map(({ grade, seen }) => `${grade}: ${seen}`)
        .join('\n');
    assert.match(await checked(), /ok: commits wait for synchronous standbys .*\(streaming, sync\)/);
    const acknowledged: number[] = [];
    const program = async (): Promise<void> => {
      for (;;) {
        try {
          acknowledged.push((await client.enqueue(Buffer.from('Subject: x\n\nmore\n'), NEW_JOB)).control);
        } catch (error) {
          assert.match(String(error), /cannot be used now/);
          return;
        }
        if (acknowledged.length === 50) process.kill(primary.pid(), 'SIGKILL');
      }
    };
    await Promise.all(Array.from({ length: 4 }, program));
    await standby.promote();
    const kept = new Set((await client.scan()).jobs.map(({ control }) => control));
    assert.deepEqual(
      acknowledged.filter((control) => !kept.has(control)),
      [],
    );
    const change = { index: 0, address: 'b@example.com', status: 2, text: 'ok' } as const;
    assert.equal(await queue.record(first.control, [change], NOW), 'recorded');
    await queue.finish(first.control);
    assert.match(await checked(), /ok: no standby is waited for/);
    assert.deepEqual(deps.warnings, []);
    assert.equal((await queue.claim(100, new Set(), SCHEDULE)).jobs.length, Math.min(100, kept.size - 1));
  });
});
