/** `history`, `explain` and `replay` for a message that has left the queue: written by the commands that handle it. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { main } from '../../src/cli/shell/main.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { NOW, spoolOf } from '../support/spool.ts';

const MESSAGE =
  'From: alice@citadel.example\nTo: bob@example.com\nMessage-ID: <m1@citadel.example>\nDate: Sat, 14 Jul 2012 00:00:00 +0000\n\nHello.\n';

/** Each call comes ten seconds after the one before. */
let calls = 0;

async function spoolroom(spool: string, words: readonly string[], input: readonly string[] = []) {
  const caught = caughtTerminal(input);
  const at = ['--now', String(NOW + 10 * calls++), '--hostname', 'citadel.example'];
  const known = words[0] === 'run' || words[0] === 'enqueue' || words[0] === 'replay' ? at : at.slice(0, 2);
  const exit = await main([...words, '--spool', spool, ...known], {}, caught.terminal);
  return { exit, printed: caught.printed.join('\n'), errors: caught.errors.join('\n') };
}

test('what became of a message is one command, long after it has left', async (t) => {
  const spool = spoolOf(t, {});
  await spoolroom(spool, ['enqueue', '-f', 'alice@citadel.example', 'bob@example.com'], [MESSAGE]);
  // Port 1 of this machine refuses connections.
  await spoolroom(spool, ['run', '--smarthost', '127.0.0.1:1', '--log.level', 'error']);
  await spoolroom(spool, ['remove', '2', '--yes']);

  const { exit, printed } = await spoolroom(spool, ['history', 'bob@', '--since', 'today']);
  assert.equal(exit, 0);
  const [head, ends, ...events] = printed.split('\n');
  assert.match(
    head ?? '',
    /^job 2, message 1, queued 2012-07-14T00:00:\d\dZ, \d+ bytes, <m1@citadel\.example>$/,
  );
  assert.equal(ends, '  from alice@citadel.example to bob@example.com');
  assert.match(events[0] ?? '', /^ {2}2012-07-14T\S+ {2}queued {8}for bob@example\.com$/);
  assert.match(
    events[1] ?? '',
    /deferred {6}bob@example\.com via \[127\.0\.0\.1\]:1, \d\.\d\d s: refuses connections$/,
  );
  assert.match(events[2] ?? '', /remove {8}asked for by \S+$/);
  assert.equal(events[3], '  1 recipient: 1 removed.');

  const explained = await spoolroom(spool, ['explain', '2']);
  assert.equal(explained.exit, 0);
  assert.match(explained.printed, /^Job 2 has left the queue: it was removed; its files are in /);
  assert.match(
    explained.printed,
    /refuses connections[\s\S]*Its last dialogue: spoolroom replay .*2-\d+-1\.jsonl --spool \S+$/,
  );

  const replayed = await spoolroom(spool, ['replay', '2']);
  assert.equal(replayed.exit, 0);
  assert.match(replayed.errors, /job 2 has left the queue; this is its last recorded delivery/);
  assert.match(replayed.printed, /Route to 127\.0\.0\.1/);

  fs.rmSync(path.join(spool, '.spoolroom/transcripts'), { recursive: true });
  const anew = await spoolroom(spool, ['replay', '2']);
  assert.match(anew.printed, /^Job 2, which has left the queue: .*\n.*\n.*made anew from the history/);
  assert.match(anew.printed, /remote +bob@example\.com +0: not tried/);
});

test('as JSON: a message on each line, with its events', async (t) => {
  const spool = spoolOf(t, {});
  for (const to of ['bob@example.com', 'carol@example.com'])
    await spoolroom(spool, ['enqueue', '-f', 'alice@citadel.example', to], [MESSAGE]);
  const { printed } = await spoolroom(spool, ['history', '--json']);
  const stories = printed.split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(
    stories.map(({ recipients, messageId }) => [recipients, messageId]),
    [
      [{ 'bob@example.com': 'queued' }, '<m1@citadel.example>'],
      [{ 'carol@example.com': 'queued' }, '<m1@citadel.example>'],
    ],
  );
  assert.equal(stories[0].events[0].event, 'queued');
  const limited = await spoolroom(spool, ['history', '--limit', '1']);
  assert.match(limited.printed, /carol@/);
  assert.match(limited.errors, /the latest 1 message; there may be earlier ones/);
});

test('nothing is kept where the setting says so, and a spool without a history is no error', async (t) => {
  const spool = spoolOf(t, {});
  const file = path.join(spool, 'settings.json');
  fs.writeFileSync(file, '{"history": "off"}');
  const words = ['enqueue', '-f', 'alice@citadel.example', 'bob@example.com', '--config', file];
  assert.equal((await spoolroom(spool, words, [MESSAGE])).exit, 0);
  assert.ok(!fs.existsSync(path.join(spool, '.spoolroom/history')));
  const { exit, printed } = await spoolroom(spool, ['history', 'bob@']);
  assert.deepEqual(
    [exit, printed],
    [0, 'Nothing is known of messages with bob@ in that time. No history is kept there yet.'],
  );
});

for (const [words, said] of [
  ['--since soon', /--since: soon is no time\. Times are yesterday,/],
  ['--limit x', /--limit: x is not a whole number/],
  ['--status delayed', /--status: delayed is not one of queued, delivered,/],
  ['--older x', /--older: x is not a duration/],
  ['--to a@b@', /--to: a@b@ is neither an address nor a domain/],
] as const) {
  test(`refused: history ${words}`, async (t) => {
    const { exit, errors } = await spoolroom(spoolOf(t, {}), ['history', ...words.split(' ')]);
    assert.equal(exit, 64);
    assert.match(errors, said);
  });
}
