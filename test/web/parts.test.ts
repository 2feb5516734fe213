/** Sessions, passwords and the headers by which requests are told apart. */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import { isOurForm, isOurHost } from '../../src/web/origin.ts';
import { passwordLine, userLine, usersIn, withUser } from '../../src/web/password.ts';
import { cookieIn, localTarget } from '../../src/web/request.ts';
import { Sessions } from '../../src/web/sessions.ts';
import { HandClock } from '../support/spool.ts';

describe('sessions', () => {
  const bounds = { life: 10_000, idle: 3000, most: 3 };

  it('end after a pause, and at the end of their life', () => {
    const clock = new HandClock();
    const sessions = new Sessions(clock, bounds);
    const token = sessions.begin('alice', 'line');
    clock.advance(2900);
    assert.equal(sessions.find(token)?.user, 'alice');
    clock.advance(2900);
    assert.equal(sessions.find(token)?.user, 'alice');
    clock.advance(3100);
    assert.equal(sessions.find(token), null);
    assert.equal(sessions.size, 0);
    const busy = sessions.begin('alice', 'line');
    for (let used = 0; used < 4; used++) {
      clock.advance(2400);
      assert.ok(sessions.find(busy));
    }
    clock.advance(2400);
    assert.equal(sessions.find(busy), null);
  });

  it('are bounded: the one used least lately ends', () => {
    const sessions = new Sessions(new HandClock(), bounds);
    const tokens = ['a', 'b', 'c'].map((user) => sessions.begin(user, ''));
    assert.ok(sessions.find(tokens[0] ?? ''));
    sessions.begin('d', '');
    assert.deepEqual(
      tokens.map((token) => sessions.find(token)?.user),
      ['a', undefined, 'c'],
    );
  });

  it('have tokens of their own, and no guess is one', () => {
    const sessions = new Sessions(new HandClock(), { ...bounds, most: 100 });
    const tokens = Array.from({ length: 50 }, () => sessions.begin('alice', ''));
    assert.equal(new Set(tokens).size, 50);
    assert.equal(new Set(tokens.map((token) => sessions.find(token)?.csrf)).size, 50);
    fc.assert(fc.property(fc.string(), (guess) => sessions.find(guess) === null));
  });
});

describe('passwords', () => {
  it('are known by their hash only', async () => {
    const line = await passwordLine('grün und gut');
    const users = usersIn(withUser('', 'alice', line));
    assert.ok(typeof users !== 'string');
    assert.equal(await userLine(users, 'alice', 'grün und gut'), line);
    assert.equal(await userLine(users, 'alice', 'gru\u0308n und gut'), line, 'however the umlaut is typed');
    assert.equal(await userLine(users, 'alice', 'grun und gut'), null);
    assert.equal(await userLine(users, 'bob', 'grün und gut'), null);
    assert.notEqual(line, await passwordLine('grün und gut'), 'the salt differs');
  });

  it('a file with anything else is refused as a whole', async () => {
    const line = await passwordLine('x'.repeat(9));
    assert.equal(usersIn(''), 'it names no users');
    assert.match(String(usersIn(`alice:${line}\nbob:secret\n`)), /^line 2 is not USER:HASH/);
    assert.match(String(usersIn(`alice:${line.replace('$15$', '$31$')}`)), /cost in line 1/);
    const two = withUser(withUser(`alice:${line}\n`, 'bob', line), 'alice', 'new');
    assert.equal(two, `bob:${line}\nalice:new\n`);
  });
});

test('only paths of ours are gone on to', () => {
  for (const path of ['/', '/job/4?attempt=x', '/?from=a%40b']) assert.equal(localTarget(path), path);
  fc.assert(
    fc.property(
      fc.oneof(
        fc.webUrl(),
        fc.string(),
        fc.string().map((text) => `/${text}`),
      ),
      (text) => {
        const url = new URL(localTarget(text), 'http://localhost/');
        assert.equal(url.host, 'localhost');
      },
    ),
  );
});

test('the first cookie of a name counts, whatever else a browser sends', () => {
  assert.equal(cookieIn('a=1; spoolroom=x=y; spoolroom=z', 'spoolroom'), 'x=y');
  assert.equal(cookieIn('xspoolroom=1', 'spoolroom'), null);
  assert.equal(cookieIn(undefined, 'spoolroom'), null);
});

test('a host of somebody else is never ours', () => {
  const rules = { origin: 'https://queue.example.org:444', tls: false, hosts: ['queue.test'] };
  for (const host of [
    'queue.example.org:444',
    'QUEUE.example.org:444',
    'queue.test',
    'queue.test:80',
    '127.0.0.2:1',
  ])
    assert.ok(isOurHost(host, rules), host);
  for (const host of [
    undefined,
    '',
    'queue.example.org',
    'x.queue.test',
    '127.0.0.1.x',
    '1.127.0.0.1',
    '[::2]',
    'localhost:x',
    'localhost/',
  ])
    assert.ok(!isOurHost(host, rules), String(host));
  assert.ok(isOurForm({ host: 'queue.test', origin: 'http://queue.test' }, rules));
  assert.ok(!isOurForm({ host: 'queue.test', origin: 'https://queue.test' }, rules));
  assert.ok(isOurForm({ host: 'x', origin: 'https://queue.example.org:444', site: 'same-origin' }, rules));
  assert.ok(isOurForm({ host: 'x' }, rules), 'a program');
});
