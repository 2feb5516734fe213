/** What administrators do in the web view: the same requests as the commands make, asked for twice where they are many. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { type Answer, type Client, jobs, startWeb, USER } from './support.ts';

const BOUNDED = { timeout: 30_000 };

async function act(client: Client, form: Readonly<Record<string, string>>): Promise<Answer> {
  return client.post('/jobs', { csrf: await client.csrf(), target: '/', ...form });
}

/** What the next page tells. */
async function notice(client: Client): Promise<string> {
  return /<p class="notice" role="status">([^<]*)</.exec((await client.get('/')).body)?.[1] ?? '';
}

function requestsIn(spool: string): Readonly<Record<string, unknown>> {
  const folder = path.join(spool, '.spoolroom/requests');
  return Object.fromEntries(
    fs.readdirSync(folder).map((name) => {
      const { request, by } = JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8'));
      return [name, [request, by]];
    }),
  );
}

test('a few jobs are held, shown as held, and released', BOUNDED, async (t) => {
  const { client, spool } = await startWeb(t, jobs(3));
  await client.logIn();
  const form = new URLSearchParams({
    csrf: await client.csrf(),
    target: '/',
    action: 'hold',
    scope: 'checked',
  });
  for (const job of ['2', '6']) form.append('job', job);
  assert.equal((await client.post('/jobs', form)).status, 303);
  assert.equal(await notice(client), 'Held: jobs 2, 6.');
  assert.equal(await notice(client), '', 'it is told once');
  assert.deepEqual(requestsIn(spool), { 2: ['hold', USER], 6: ['hold', USER] });
  const { body } = await client.get('/?status=held');
  assert.match(body, /held by alice/);
  assert.match(body, /Jobs 1 to 2 of 2 that are held/);
  await act(client, { action: 'release', scope: 'all', status: 'held' });
  assert.equal(await notice(client), 'Released: jobs 2, 6.');
  assert.deepEqual(requestsIn(spool), {});
  const history = fs.readdirSync(path.join(spool, '.spoolroom/history'));
  const records = fs
    .readFileSync(path.join(spool, '.spoolroom/history', history[0] ?? ''), 'utf8')
    .trim()
    .split('\n');
  assert.deepEqual(
    records.map((line) => JSON.parse(line)).map(({ event, job, by }) => [event, job, by]),
    [
      ['hold', 2, USER],
      ['hold', 6, USER],
      ['release', 2, USER],
      ['release', 6, USER],
    ],
  );
});

test('more than ten are asked for again, and so are those that came meanwhile', BOUNDED, async (t) => {
  const { client, spool } = await startWeb(t, jobs(12));
  await client.logIn();
  const asked = await act(client, { action: 'retry', scope: 'all', domain: 'example.com' });
  assert.equal(asked.status, 200);
  assert.match(asked.body, /<h1>Try jobs 2, 4, .* at the next run\?<\/h1>/);
  assert.match(asked.body, /name="domain" value="example\.com"/);
  assert.deepEqual(requestsIn(spool), {});
  const fewer = await act(client, { action: 'retry', scope: 'all', domain: 'example.com', confirmed: '11' });
  assert.equal(fewer.status, 200, 'a job more than was confirmed');
  const done = await act(client, { action: 'retry', scope: 'all', domain: 'example.com', confirmed: '12' });
  assert.equal(done.status, 303);
  assert.equal(Object.keys(requestsIn(spool)).length, 12);
});

test('removing is asked for always; silently, or with a report', BOUNDED, async (t) => {
  const { client, spool } = await startWeb(t, jobs(2));
  await client.logIn();
  for (const [action, words] of [
    ['remove', /Remove job 2 with 1 pending recipient, without a report to the senders\?/],
    ['give-up', /Give up job 2 with 1 pending recipient, and tell the senders\?/],
  ] as const) {
    const asked = await act(client, { action, scope: 'all', jobs: '2' });
    assert.match(asked.body, words);
    assert.equal((await act(client, { action, scope: 'all', jobs: '2', confirmed: '1' })).status, 303);
    assert.deepEqual(requestsIn(spool), { 2: [action, USER] });
  }
});

test('what cannot be done is said, and nothing is changed', BOUNDED, async (t) => {
  const { client, spool } = await startWeb(t, jobs(1));
  await client.logIn();
  for (const [form, words] of [
    [{ action: 'release', scope: 'all', jobs: '2' }, /Job 2 is not held\. Nothing was changed\./],
    [{ action: 'hold', scope: 'all', jobs: '9' }, /There is no job 9/],
    [{ action: 'hold', scope: 'all', from: '<<' }, /from: &#60;&#60; is neither an address nor a domain/],
    [{ action: 'hold', scope: 'all', to: 'nobody@' }, /No job to nobody@ can be held/],
  ] as const) {
    const { status, body } = await act(client, form);
    assert.equal(status, 409);
    assert.match(body, words);
  }
  assert.equal((await act(client, { action: 'explode', scope: 'all' })).status, 400);
  assert.equal((await act(client, { action: 'hold', scope: 'checked' })).status, 303);
  assert.equal(await notice(client), 'No job was checked, so nothing was changed.');
  assert.deepEqual(requestsIn(spool), {});
});
