/** The database dies and its synchronous standby takes its place: found again, with everything that was acknowledged. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPostgres } from '../../../src/cli/check/postgres.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { postgresClient } from '../../../src/queue/postgres/client.ts';
import { openPostgresQueue } from '../../../src/queue/postgres/open.ts';
import { SCHEDULE } from '../../../src/queue/schedule.ts';
import { databaseAt, NO_POSTGRES, startCluster } from '../../support/postgres.ts';
import { bench, NEW_JOB, NOW, SETTINGS_2012, temporaryDirectory } from '../../support/spool.ts';

test('the standby that was promoted is found, has all that was acknowledged, and the claims go on', {
  skip: NO_POSTGRES,
}, async (t) => {
  const primary = await startCluster({ durable: true });
  t.after(() => primary.remove());
  const name = new URL(`http://x${(await primary.create()).split('@')[1] ?? ''}`).pathname;
  const standby = await startCluster({ durable: true, standbyOf: primary });
  t.after(() => standby.remove());
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

  const checked = async (): Promise<string> =>
    (await checkPostgres(address, () => Date.now() / 1000))
      .map(({ grade, seen }) => `${grade}: ${seen}`)
      .join('\n');
  assert.match(await checked(), /ok: commits wait for synchronous standbys .*\(streaming, sync\)/);
  const client = postgresClient(databaseAt(address), SETTINGS_2012, () => null, systemClock);
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
