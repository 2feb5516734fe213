/** The pages over a spool in which something happened: attempts with their dialogue, history, jobs that are gone. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { RunningCommand } from '../support/command.ts';
import { jobs, type Started, startWeb } from './support.ts';

const BOUNDED = { timeout: 60_000 };

/** A queue run with a relay that nobody listens on. */
async function afterRun(t: TestContext, count: number): Promise<Started> {
  const now = Math.floor(Date.now() / 1000) - 100;
  const started = await startWeb(t, jobs(count, now));
  const words = [
    '--spool',
    started.spool,
    '--smarthost',
    '127.0.0.1:1',
    '--return',
    'room',
    '--hostname',
    'queue.test',
  ];
  assert.equal(await new RunningCommand(t, 'run', ...words).ended(), 0);
  await started.client.logIn();
  return started;
}

test('a job shows its attempt as it was', BOUNDED, async (t) => {
  const { client } = await afterRun(t, 1);
  const { status, body } = await client.get('/job/2');
  assert.equal(status, 200);
  for (const words of [
    '<h1>Job 2</h1>',
    'bob0@example.com',
    'Recorded attempts',
    '<svg class="narrow"',
    '[127.0.0.1]:1',
    'Subject: hello',
    '<span class="tag later">deferred</span>',
  ])
    assert.ok(body.includes(words), words);
  const [, attempt = ''] = /href="\/job\/2\?attempt=([^"]+)"/.exec(body) ?? [];
  assert.equal((await client.get(`/job/2?attempt=${attempt}`)).body.includes('aria-current="true"'), true);
  for (const other of ['../../../users', '/etc/passwd', 'x'])
    assert.match((await client.get(`/job/2?attempt=${encodeURIComponent(other)}`)).body, /Recorded attempts/);
});

test('of a job that is gone the history is shown, and of others nothing is known', BOUNDED, async (t) => {
  const { client, spool } = await afterRun(t, 1);
  for (const name of ['1', '2']) fs.rmSync(path.join(spool, name));
  let { status, body } = await client.get('/job/2');
  for (let tries = 0; !body.includes('has left the queue') && tries < 100; tries++)
    ({ status, body } = await client.get('/job/2'));
  assert.equal(status, 200);
  assert.match(body, /has left the queue/);
  assert.match(body, /Recorded attempts/);
  assert.doesNotMatch(body, /name="action"/);
  const unknown = await client.get('/job/77');
  assert.deepEqual([unknown.status, /There is no job 77/.test(unknown.body)], [404, true]);
});

test('the history is searched, and has pages', BOUNDED, async (t) => {
  const { client } = await afterRun(t, 35);
  const recipients = (body: string): readonly string[] =>
    [...body.matchAll(/<span class="recipient">([^<]+)</g)].map(([, address = '']) => address);
  const [first, second] = [await client.get('/history'), await client.get('/history?page=2')];
  assert.deepEqual([recipients(first.body).length, recipients(second.body).length], [30, 5]);
  assert.equal(new Set([...recipients(first.body), ...recipients(second.body)]).size, 35);
  assert.match(first.body, /href="\/history\?page=2">Next/);
  assert.doesNotMatch(second.body, /Next/);
  assert.deepEqual(recipients((await client.get('/history?to=bob7%40')).body), ['bob7@example.com']);
  assert.deepEqual(recipients((await client.get('/history?words=bob8%40example.com+refused')).body), []);
  const wrong = await client.get('/history?since=never&to=bob7%40');
  assert.equal(wrong.status, 400);
  assert.match(wrong.body, /never is no time/);
  assert.match(wrong.body, /value="bob7@"/);
});

test('destinations and activity are sums over all that is there', BOUNDED, async (t) => {
  const { client } = await afterRun(t, 3);
  assert.match(
    (await client.get('/destinations')).body,
    /domain=example\.com">example\.com<\/a><\/th><td class="number"><b>3<\/b>/,
  );
  const { body } = await client.get('/activity?refresh=5');
  assert.match(body, /<th scope="row">deferred<\/th><td class="number">3<\/td><td class="number">3<\/td>/);
  assert.match(body, /<meta http-equiv="refresh" content="5">/);
  assert.doesNotMatch((await client.get('/activity?refresh=1')).body, /http-equiv="refresh"/);
  assert.match((await client.get('/tls')).body, /No TLS sessions were counted/);
  assert.equal((await client.get('/tls?day=x')).status, 400);
});
