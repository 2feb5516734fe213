/** The pages over a queue in a real PostgreSQL that several machines share. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/platform/clock.ts';
import { postgresClient } from '../../src/queue/postgres/client.ts';
import { databaseAt, NO_POSTGRES, startCluster } from '../support/postgres.ts';
import { MAIL, NEW_JOB, SETTINGS_2012, temporaryDirectory } from '../support/spool.ts';
import { startWeb } from './support.ts';

test('lists, selects, shows and changes what is in a shared queue', {
  skip: NO_POSTGRES,
  timeout: 60_000,
}, async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.remove());
  const postgres = await cluster.create();
  const database = databaseAt(postgres);
  t.after(() => database.close());
  const queue = postgresClient(database, SETTINGS_2012, () => null, systemClock);
  const submitted = Math.floor(Date.now() / 1000) - 7200;
  const numbers: number[] = [];
  for (const to of ['b@one.example', 'c@two.example', 'd@one.example']) {
    const job = { ...NEW_JOB, recipients: [to], submitted: submitted + numbers.length };
    numbers.push((await queue.enqueue(Buffer.from(MAIL), job)).control);
  }
  const [first = 0, second = 0, third = 0] = numbers;
  await database.query("INSERT INTO spoolroom.job (control, list, problem) VALUES (900, 'x', 'no list')");
  await database.query(
    "SELECT spoolroom.enter('one', '', 'mx1', 7, 60, NULL), spoolroom.enter('two', '', 'mx2', 8, 60, NULL)",
  );
  const { client } = await startWeb(t, {}, { postgres, state: temporaryDirectory(t), 'web.metrics': 'open' });
  await client.logIn();

  const listed = async (target: string): Promise<readonly number[]> => {
    const { body } = await client.get(target);
    return [...body.matchAll(/<a[^>]* href="\/job\/(\d+)"/g)].map(([, number]) => Number(number));
  };
  const { body } = await client.get('/');
  for (const words of ['2 processes on 2 machines', '900 cannot be read: no list.', '2 h', '61 B'])
    assert.ok(body.includes(words), words);
  assert.deepEqual(await listed('/'), [third, second, first]);
  assert.deepEqual(await listed('/?order=oldest'), [first, second, third]);
  assert.deepEqual(await listed('/?order=next'), [third, second, first]);
  assert.deepEqual(await listed('/?domain=one.example'), [third, first]);
  assert.deepEqual(await listed('/?domain=one.example&order=oldest'), [first, third]);

  const shown = (await client.get(`/job/${second}`)).body;
  for (const words of [`<h1>Job ${second}</h1>`, 'c@two.example', 'Subject: hello'])
    assert.ok(shown.includes(words), words);
  const csrf = await client.csrf();
  const act = (fields: Readonly<Record<string, string>>) =>
    client.post('/jobs', { csrf, target: '/', ...fields });
  assert.equal((await act({ action: 'hold', scope: 'all', domain: 'one.example' })).status, 303);
  assert.deepEqual(await listed('/?status=held'), [third, first]);
  assert.match((await client.get('/')).body, /held by alice/);
  assert.match((await act({ action: 'remove', scope: 'all', jobs: String(second) })).body, /Remove job/);
  await act({ action: 'remove', scope: 'all', jobs: String(second), confirmed: '1' });
  assert.match((await client.get('/')).body, /The database keeps them for 30 days/);
  assert.deepEqual(await listed('/'), [third, first]);
  assert.match((await client.get('/destinations')).body, /one\.example/);
  assert.match((await client.get('/activity')).body, /2 processes on 2 machines/);
  const metrics = (await client.get('/metrics')).body;
  assert.match(metrics, /^spoolroom_queue_jobs\{status="held"\} 2$/m);
  assert.match((await client.get('/job/4711')).body, /There is no job 4711/);
});
