/** Tables of an older and of a newer version, and programs of both at work on them. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Database } from '../../../src/queue/postgres/database/database.ts';
import { openPostgresQueue } from '../../../src/queue/postgres/open.ts';
import { migrate, schemaProblem } from '../../../src/queue/postgres/schema/migrate.ts';
import { SCHEMA, type Schema } from '../../../src/queue/postgres/schema/schema.ts';
import { SCHEDULE } from '../../../src/queue/schedule.ts';
import { type Cluster, databaseAt, NO_POSTGRES, startCluster } from '../../support/postgres.ts';
import { bench, listFor, NEW_JOB, NOW, SETTINGS_2012, temporaryDirectory } from '../../support/spool.ts';

const OWN = SCHEMA.versions.length;

/** A version after ours: it adds, and changes what a function does. */
const ADDS = `
ALTER TABLE spoolroom.job ADD colour text NOT NULL DEFAULT 'blue';
CREATE TABLE spoolroom.rate (name text PRIMARY KEY);
CREATE OR REPLACE FUNCTION spoolroom.moment(given double precision) RETURNS double precision LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(given, 1 + extract(epoch FROM clock_timestamp()))
$$;
`;
const NEXT: Schema = { versions: [...SCHEMA.versions, ADDS], oldest: OWN };
const OTHER: Schema = { versions: [...SCHEMA.versions, ADDS], oldest: OWN + 1 };

describe('programs and tables of two versions', { skip: NO_POSTGRES }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster.remove());

  async function tables(t: TestContext): Promise<{ readonly address: string; readonly database: Database }> {
    const address = await cluster.create();
    const database = databaseAt(address);
    t.after(() => database.close());
    return { address, database };
  }

  async function worker(t: TestContext, address: string) {
    const opened = await openPostgresQueue({ address, state: temporaryDirectory(t) }, bench(), SETTINGS_2012);
    if (opened.kind === 'refused') return opened.text;
    t.after(() => opened.queue.close().catch(() => {}));
    return opened.queue;
  }

  for (const older of [1, OWN - 1])
    it(`brings the tables of version ${older} up to date, with what is in them`, async (t) => {
      const { address, database } = await tables(t);
      await database.query('DROP SCHEMA spoolroom CASCADE');
      await migrate(database, { versions: SCHEMA.versions.slice(0, older), oldest: 1 });
      await database.query('SELECT spoolroom.enqueue(1, 5, $1, 2, $2, $3, NULL, NULL)', [
        ...[Buffer.from('a: b\n'), Buffer.from(listFor(1, 'a@x.example')), 'x.example'],
      ]);
      assert.match(String(await worker(t, address)), new RegExp(`has the tables of version ${older} of the`));
      assert.deepEqual(await migrate(database), { from: older, to: OWN });
      assert.deepEqual(await migrate(database), { from: OWN, to: OWN });
      const queue = await worker(t, address);
      if (typeof queue === 'string') throw new Error(queue);
      const { jobs } = await queue.claim(10, new Set(), SCHEDULE);
      assert.deepEqual(
        jobs.map(({ control }) => control),
        [2],
      );
    });

  it('lets programs of the version before go on while and after the tables are brought up to date', async (t) => {
    const { address, database } = await tables(t);
    const queue = await worker(t, address);
    if (typeof queue === 'string') throw new Error(queue);
    const inHand = await queue.enqueue(Buffer.from('Subject: x\n\nbefore\n'), NEW_JOB);
    await queue.claim(10, new Set(), SCHEDULE);
    let isDone = false;
    const putIn = async (): Promise<void> => {
      while (!isDone) await queue.enqueue(Buffer.from('Subject: x\n\nmeanwhile\n'), NEW_JOB);
    };
    const putting = putIn();
    assert.deepEqual(await migrate(database, NEXT), { from: OWN, to: OWN + 1 });
    isDone = true;
    await putting;
    const change = { index: 0, address: 'b@example.com', status: 2, text: 'ok' } as const;
    assert.equal(await queue.record(inHand.control, [change], NOW), 'recorded');
    await queue.finish(inHand.control);
    const restarted = await worker(t, address);
    if (typeof restarted === 'string') throw new Error(restarted);
    assert.notEqual((await restarted.claim(10, new Set(), SCHEDULE)).jobs.length, 0);
    // Its own tables are older, and nothing is to be done.
    assert.deepEqual(await migrate(database), { from: OWN + 1, to: OWN + 1 });
  });

  it('makes no tables that programs at work do not know', async (t) => {
    const { address, database } = await tables(t);
    const queue = await worker(t, address);
    if (typeof queue === 'string') throw new Error(queue);
    await assert.rejects(
      migrate(database, OTHER),
      /still delivering: process \d+ on .*Nothing was done\. Stop spoolroom/,
    );
    assert.equal(await schemaProblem(database), null);
    await queue.close();
    assert.deepEqual(await migrate(database, OTHER), { from: OWN, to: OWN + 1 });
    assert.match(
      String(await worker(t, address)),
      new RegExp(
        `has version ${OWN + 1} of the queue, for programs from version ${OWN + 1} on.*Nothing was done`,
      ),
    );
    await assert.rejects(migrate(database), /Nothing was done, and its mail stays there/);
  });

  it('gives up where a backup has the tables, so that nobody waits behind it', async (t) => {
    const { database } = await tables(t);
    await database.transaction(async (backup) => {
      await backup.query('LOCK TABLE spoolroom.job IN ACCESS SHARE MODE');
      await assert.rejects(
        migrate(database, NEXT, '20ms'),
        /are in use for longer than 20ms.*Nothing was done/,
      );
    });
    assert.deepEqual(await migrate(database, NEXT), { from: OWN, to: OWN + 1 });
  });
});
