/** `suppress`, and a run over a job for an address on the list. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { command as run } from '../../src/cli/commands/run.ts';
import { command } from '../../src/cli/commands/suppress.ts';
import { perform } from '../../src/cli/shell/main.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';
import { bench, listFor, MAIL, messagesIn, NOW, openQueue, spoolOf } from '../support/spool.ts';

test('an address on the list gets no mail, and its sender is told; the list is shown and changed', async (t) => {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'Bob@example.com') });
  await (await openQueue(spool, bench())).close();
  const suppress = async (options: object, settings: object = {}) => {
    const caught = caughtTerminal();
    const exit = await perform(command, invocation(caught, { spool, now: NOW, ...settings }, { ...options }));
    return { exit, printed: caught.printed.join('\n'), errors: caught.errors.join('\n') };
  };
  assert.equal((await suppress({ action: 'list' })).printed, 'No address is suppressed.');
  const added = await suppress({ action: 'add', addresses: ['bob@EXAMPLE.com'], for: '7d', why: 'he left' });
  assert.equal(added.exit, 0);
  assert.match(added.printed, /gets no mail until 2012-07-21T00:00:00Z; senders are told\.$/);
  assert.match((await suppress({ action: 'list' })).printed, /^bob@example\.com +until \S+ +he left$/);
  assert.equal(JSON.parse((await suppress({ action: 'list' }, { json: true })).printed).suppressed.length, 1);

  const caught = caughtTerminal();
  const settings = {
    spool,
    now: NOW + 60,
    hostname: 'citadel.example',
    return: 'room',
    'log.target': `${spool}/.log`,
    'log.level': 'info',
  };
  assert.equal(await perform(run, invocation(caught, settings)), 0);
  assert.match(
    fs.readFileSync(`${spool}/.log`, 'utf8'),
    /on the suppression list of this site until .* \(he left\)/,
  );
  fs.rmSync(`${spool}/.log`);
  assert.deepEqual(messagesIn(spool), {});
  assert.equal(fs.readdirSync(`${spool}/.spoolroom/reports`).length, 1);

  assert.match(
    (await suppress({ action: 'remove', addresses: ['bob@example.com'] })).printed,
    /is suppressed no more/,
  );
  for (const [options, says] of [
    [{ action: 'add' }, /No address given/],
    [{ action: 'add', addresses: ['bob'] }, /An address cannot be used/],
    [{ action: 'add', addresses: ['b@x.example'], for: 'long' }, /--for long is not a duration/],
    [
      { action: 'empty', addresses: ['b@x.example'] },
      /is not something suppress does: add, remove or list\.$/,
    ],
    [{ action: 'lst' }, /lst is not something suppress does: .* \(did you mean list\?\)\.$/],
  ] as const) {
    const done = await suppress(options);
    assert.equal(done.exit, 64);
    assert.match(done.errors, says);
  }
});
