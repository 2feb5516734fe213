/** `web` and `watch --web` as processes, `web password`, and `/metrics`. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it, test } from 'node:test';
import { command } from '../../src/cli/commands/web/web.ts';
import { perform } from '../../src/cli/shell/main.ts';
import { userLine, usersIn } from '../../src/web/password.ts';
import { RunningCommand } from '../support/command.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';
import { temporaryDirectory } from '../support/spool.ts';
import { Client, jobs, PASSWORD, startWeb, USER } from '../web/support.ts';

const BOUNDED = { timeout: 30_000 };

async function passwordFor(file: string, password: string, user = USER) {
  const caught = caughtTerminal([`${password}\n`]);
  const exit = await perform(
    command,
    invocation(caught, { 'web.users': file }, { action: 'password', user }),
  );
  return { exit, ...caught };
}

describe('web password', () => {
  it('writes a file that only its owner can read, a line for each user', async (t) => {
    const file = path.join(temporaryDirectory(t), 'users');
    assert.equal((await passwordFor(file, 'first password')).exit, 0);
    assert.equal((await passwordFor(file, 'another one', 'bob')).exit, 0);
    const { printed } = await passwordFor(file, PASSWORD);
    assert.match(printed.join(), /users: the password of alice is set\./);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    const users = usersIn(fs.readFileSync(file, 'utf8'));
    assert.ok(typeof users !== 'string');
    assert.deepEqual([...users.keys()].sort(), [USER, 'bob']);
    assert.notEqual(await userLine(users, USER, PASSWORD), null);
    assert.equal(await userLine(users, USER, 'first password'), null);
    assert.notEqual(await userLine(users, 'bob', 'another one'), null);
  });

  it('takes no short password, and no name that the file cannot hold', async (t) => {
    const file = path.join(temporaryDirectory(t), 'users');
    for (const [password, user, words] of [
      ['short', USER, /has 8 characters or more/],
      ['long enough', 'a:b', /a:b cannot be a user/],
      ['long enough', 'a b', /a b cannot be a user/],
    ] as const) {
      const { exit, errors } = await passwordFor(file, password, user);
      assert.equal(exit, 64);
      assert.match(errors.join(), words);
    }
    assert.ok(!fs.existsSync(file));
  });
});

describe('as a process', () => {
  for (const words of [
    ['web', '--web.listen', '127.0.0.1:0'],
    ['watch', '--web', '127.0.0.1:0'],
  ])
    it(`${words[0]} shows the queue until it is stopped`, BOUNDED, async (t) => {
      const { spool, users } = await startWeb(t, jobs(1));
      const relay = ['--smarthost', '127.0.0.1:1', '--timeout.connect', '1s', '--return', 'room'];
      const running = new RunningCommand(t, ...words, '--spool', spool, '--web.users', users, ...relay);
      const { address } = await running.says('web-listening');
      const client = new Client(String(address));
      assert.equal((await client.get('/')).status, 303);
      await client.logIn();
      assert.match((await client.get('/')).body, /bob0@example\.com/);
      running.child.kill('SIGTERM');
      assert.equal(await running.ended(), 0);
      await assert.rejects(client.get('/'), { code: 'ECONNREFUSED' });
    });
});

test('metrics need a password, unless the setting opens them', BOUNDED, async (t) => {
  const { client } = await startWeb(t, jobs(2));
  const refused = await client.get('/metrics');
  assert.deepEqual([refused.status, refused.headers['www-authenticate']?.slice(0, 5)], [401, 'Basic']);
  const login = (password: string) => ({
    authorization: `Basic ${Buffer.from(`${USER}:${password}`).toString('base64')}`,
  });
  assert.equal((await client.get('/metrics', login('wrong password'))).status, 401);
  const { status, headers, body } = await client.get('/metrics', login(PASSWORD));
  assert.deepEqual([status, headers['content-type']], [200, 'text/plain; version=0.0.4; charset=utf-8']);
  assert.match(body, /^spoolroom_queue_jobs\{status="new"\} 2$/m);
  const open = (await startWeb(t, jobs(1), { 'web.metrics': 'open' })).client;
  const answer = await open.get('/metrics', { accept: 'application/openmetrics-text; version=1.0.0' });
  assert.match(answer.body, /# EOF\n$/);
  assert.equal((await open.get('/')).status, 303, 'nothing else is open');
});
