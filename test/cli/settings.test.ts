/** `settings`: what holds, where it comes from, and no password in it. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { main } from '../../src/cli/shell/main.ts';
import { isJournal } from '../../src/cli/shell/terminal.ts';
import { SETTING_NAMES } from '../../src/settings/read.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { temporaryDirectory } from '../support/spool.ts';

async function settings(words: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const caught = caughtTerminal();
  const exit = await main(['settings', ...words], environment, caught.terminal);
  return { exit, out: caught.printed.join('\n'), errors: caught.errors.join('\n') };
}

test('the first source that has a setting is named, with what it says', async (t) => {
  const file = path.join(temporaryDirectory(t), 'spoolroom.json');
  fs.writeFileSync(file, '{"timeout": {"mail": "1m"}, "poll": "9s", "tls": "require"}');
  const given = ['--given', '--config', file, '--tls', 'none'];
  const { exit, out } = await settings(given, { SPOOLROOM_POLL: '7s' });
  assert.equal(exit, 0);
  assert.deepEqual(
    out.split('\n').map((line) => line.split(/ {2,}/)),
    [
      ['setting', 'value', 'from'],
      ['config', file, '--config'],
      ['tls', 'none', '--tls'],
      ['timeout.mail', '1m', `${file}: timeout.mail`],
      ['poll', '7s', 'SPOOLROOM_POLL'],
    ],
  );
});

test('all settings, or those that are named', async () => {
  const all = await settings(['--json']);
  assert.deepEqual(
    all.out.split('\n').map((line) => JSON.parse(line).setting),
    SETTING_NAMES,
  );
  const { out } = await settings(['retry', 'poll']);
  assert.match(out, /^setting +value +from\nretry\.first +5m +default\n[\s\S]*\npoll +5s +default$/);
  assert.equal((await settings(['--given'])).out, 'All settings have their defaults.');
  const wrong = await settings(['pol']);
  assert.deepEqual(
    [wrong.exit, wrong.errors],
    [64, 'spoolroom: There is no setting pol (did you mean poll?).'],
  );
});

test('no password is shown, however a relay is written', async (t) => {
  const file = path.join(temporaryDirectory(t), 'spoolroom.json');
  const destinations = [
    { to: ['example.com'], relays: ['u:S3CRET@relay.example'] },
    { host: 'relay.example', credentials: 'u:S3CRET' },
  ];
  fs.writeFileSync(file, JSON.stringify({ fallbackhost: ['u:S3CRET@b.example'], destinations }));
  for (const words of [
    ['--config', file],
    ['--smarthost', 'user:S3CRET@a.example:587'],
    ['--smarthost', 'S3CRET@a.example'],
    ['--destinations', 'host=relay.example credentials=u:S3CRET'],
    ['--destinations', 'to=example.com relays=u:S3CRET@relay.example'],
  ])
    for (const form of [[], ['--json']]) {
      const { exit, out, errors } = await settings([...words, ...form]);
      assert.deepEqual([exit, errors], [0, '']);
      assert.ok(out.includes('.example') && !out.includes('S3CRET'), out);
    }
});

test('of an entry of destinations all is shown but the password, in the form it was given in', async (t) => {
  const file = path.join(temporaryDirectory(t), 'spoolroom.json');
  const entries = [
    { to: 'a.example', relays: ['u:S3CRET@r.example', 'b.example'], sessions: 2 },
    'host=r.example  credentials=u:S3CRET tls=require',
    'to=c.example relays=u:S3CRET@r.example relays=b.example',
    'to=d.example relays=',
  ];
  fs.writeFileSync(file, JSON.stringify({ destinations: entries }));
  const { out } = await settings(['destinations', '--json', '--config', file]);
  assert.deepEqual(JSON.parse(out).value, [
    { to: 'a.example', relays: ['***@r.example', 'b.example'], sessions: 2 },
    'host=r.example credentials=*** tls=require',
    'to=c.example relays=***@r.example relays=b.example',
    'to=d.example relays=',
  ]);
});

test('standard error is the journal where systemd says that it is this stream', () => {
  const { dev, ino } = fs.fstatSync(2, { bigint: true });
  assert.equal(isJournal(2, { JOURNAL_STREAM: `${dev}:${ino}` }), true);
  // Standard error was redirected since.
  assert.equal(isJournal(2, { JOURNAL_STREAM: `${dev}:${ino + 1n}` }), false);
  assert.equal(isJournal(2, {}), false);
});
