/** The intake on a queue in PostgreSQL: what it acknowledged is there, whatever becomes of the database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/platform/clock.ts';
import { postgresClient } from '../../../src/queue/postgres/client.ts';
import { start } from '../../intake/intake.ts';
import { databaseAt, NO_POSTGRES, startCluster } from '../../support/postgres.ts';
import { SETTINGS_2012 } from '../../support/spool.ts';

test('every message that was acknowledged is a whole job when the database was killed', {
  skip: NO_POSTGRES,
}, async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.remove());
  const address = await cluster.create();
  const database = databaseAt(address);
  t.after(() => database.close());
  const client = postgresClient(database, SETTINGS_2012, () => null, systemClock);
  const intake = await start(t, client);
  const acknowledged: string[] = [];
  let stopped: Promise<void> | null = null;
  const handOver = async (connection: number): Promise<void> => {
    const conversation = await intake.client();
    await conversation.hello();
    for (let mail = 0; ; mail++) {
      const recipient = `user${connection}.${mail}@example.com`;
      await conversation.envelope('alice@citref.example', recipient);
      const reply = await conversation.ask(`X-Mail: ${recipient}\r\nSubject: x\r\n\r\nbody\r\n.`);
      if (reply?.startsWith('250 ') !== true) {
        assert.match(reply ?? '', /^4/);
        return;
      }
      acknowledged.push(recipient);
      if (acknowledged.length === 60) stopped ??= cluster.stop('immediate');
    }
  };
  await Promise.all(Array.from({ length: 6 }, (_, connection) => handOver(connection)));
  await stopped;
  await cluster.start();
  const { jobs } = await client.scan();
  const kept = new Set(jobs.flatMap(({ job }) => job.recipients.map(({ address: to }) => to)));
  assert.deepEqual(
    acknowledged.filter((recipient) => !kept.has(recipient)),
    [],
  );
  for (const { job } of jobs) assert.equal((await client.readPayload(job.msgid)).kind, 'found');
});
