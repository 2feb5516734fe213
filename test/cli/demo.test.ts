/** The demo, as JSON and as text: real servers, a clock that is set to July 2012. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { command } from '../../src/cli/commands/demo.ts';
import { perform } from '../../src/cli/shell/main.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';
import { messagesIn, temporaryDirectory } from '../support/spool.ts';

test('as JSON: the recipients of each run, what was removed, what waits', async (t) => {
  const spool = path.join(temporaryDirectory(t), 'spool');
  const caught = caughtTerminal();
  assert.equal(await perform(command, invocation(caught, { spool, json: true })), 0);
  const story = JSON.parse(caught.printed.join(''));
  const outcomes = story.runs.map((run: { outcomes: { event: string; recipient: string }[] }) =>
    run.outcomes.map(({ event, recipient }) => `${event} ${recipient}`).sort(),
  );
  assert.deepEqual(outcomes, [
    [
      'deferred bob@greylist.example',
      'delivered alice@accepts.example',
      'delivered eve@refuses.example',
      'refused ghost@gone.example',
      'refused nobody@refuses.example',
      'refused sales@nomail.example',
    ],
    ['delivered bob@greylist.example'],
  ]);
  assert.deepEqual(
    story.runs.map((run: { removed: number[] }) => run.removed),
    [
      [12, 13, 14, 15],
      [10, 11],
    ],
  );
  assert.deepEqual(
    story.after.map(({ job, next }: { job: number; next: string }) => [job, next]),
    [[17, '2012-07-14T01:00:00Z']],
  );
  assert.deepEqual(Object.keys(messagesIn(spool)), ['16', '17']);
});

test('as text: the dialogue, the outcomes, the lists, in colour only on a terminal', async (t) => {
  const spool = path.join(temporaryDirectory(t), 'spool');
  const caught = caughtTerminal();
  assert.equal(await perform(command, invocation(caught, { spool })), 0);
  const text = caught.printed.join('\n');
  const masked = text
    .replaceAll(spool, 'SPOOL')
    .replace(/:\d{4,5}\b/g, ':PORT')
    .replace(/in \d.\d\d s/g, 'in N s');
  for (const line of [
    '  11   10 min      now     -                     alice@accepts.example +1',
    '    > MAIL FROM:<jane@citadel.example> | RCPT TO:<alice@accepts.example> | DATA',
    '  refused    ghost@gone.example      550 (the domain gone.example does not exist)',
    '2 delivered, 1 deferred, 3 refused, in N s. Removed from the spool: 12, 13, 14, 15.',
    '  remote|alice@accepts.example|2|2.6.0 Accepted (250, mx.accepts.example [127.0.0.1]:PORT)',
    '1 delivered, 0 deferred, 0 refused, in N s. Removed from the spool: 10, 11.',
    'To look at it: node bin/spoolroom queue --now 1342225200 --spool SPOOL',
  ]) {
    assert.ok(masked.split('\n').includes(line), `missing: ${line}\n${masked}`);
  }
  assert.ok(!text.includes('\x1b'));
});

test('a folder that exists is left alone', async (t) => {
  const spool = temporaryDirectory(t);
  fs.writeFileSync(path.join(spool, '1'), 'precious');
  const caught = caughtTerminal();
  assert.equal(await perform(command, invocation(caught, { spool })), 73);
  assert.match(
    caught.errors.join(''),
    /creates its spool, and .* cannot be created: it already exists \(EEXIST\)\.$/,
  );
  assert.deepEqual(messagesIn(spool), { 1: 'precious' });
});
