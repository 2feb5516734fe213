/** Files and folders that a user may not use: which one it is, what that means, the exit code. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import { main } from '../../src/cli/shell/main.ts';
import { firstUnwritable, openSpoolClient } from '../../src/queue/spool/open.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { AS_NOBODY, asNobody, closeTo } from '../support/permission.ts';
import { bench, listFor, MAIL, messagesIn, openQueue, SETTINGS_2012, spoolOf } from '../support/spool.ts';

const FILES = { 1: MAIL, 2: listFor(1, 'b@example.com'), 3: MAIL };

/** A spool that was delivered from, open to all users. */
async function usedSpool(t: TestContext): Promise<string> {
  const spool = spoolOf(t, FILES);
  fs.chmodSync(spool, 0o777);
  await (await openQueue(spool, bench())).close();
  for (const folder of ['', '/tmp', '/bad', '/requests']) fs.chmodSync(`${spool}/.spoolroom${folder}`, 0o777);
  for (const name of fs.readdirSync(`${spool}/.spoolroom`))
    fs.chmodSync(`${spool}/.spoolroom/${name}`, 0o777);
  return spool;
}

async function spoolroom(words: string) {
  const caught = caughtTerminal([MAIL]);
  const exit = await asNobody(() => main(words.split(' '), {}, caught.terminal));
  return { exit, printed: caught.printed.join('\n'), errors: caught.errors.join('\n') };
}

for (const [what, path, command] of [
  ['our folder', '.spoolroom', 'run'],
  ['our folder', '.spoolroom', 'queue'],
  ['the requests', '.spoolroom/requests', 'run'],
  ['the requests', '.spoolroom/requests', 'queue'],
  ['the requests', '.spoolroom/requests', 'explain 2'],
  ['the requests', '.spoolroom/requests', 'hold 2'],
  ['what was quarantined', '.spoolroom/bad', 'queue'],
  ['what was quarantined', '.spoolroom/bad', 'explain 9'],
] as const) {
  test(`${command}: ${what} cannot be used`, AS_NOBODY, async (t) => {
    const spool = await usedSpool(t);
    closeTo(`${spool}/${path}`);
    const { exit, errors } = await spoolroom(`${command} --spool ${spool}`);
    assert.equal(exit, 77, errors);
    assert.ok(errors.includes(`${spool}/${path}`) && errors.includes('permission denied (EACCES)'), errors);
    assert.match(errors, /Run spoolroom as (its owner|the owner of the spool)/);
    assert.deepEqual(messagesIn(spool), FILES);
  });
}

test('a user who may not read the journal is not advised to move it away', AS_NOBODY, async (t) => {
  const spool = await usedSpool(t);
  fs.writeFileSync(`${spool}/.spoolroom/journal`, '');
  closeTo(`${spool}/.spoolroom/journal`);
  const run = await spoolroom(`run --spool ${spool}`);
  assert.equal(run.exit, 77);
  assert.match(run.errors, /journal cannot be read: permission denied .*Do not move it away/);
  const check = await spoolroom(`check --spool ${spool} --return room --dns 127.0.0.1:1`);
  assert.match(check.printed, /trouble +journal .*Do not move it away/);
});

test(
  'a list that may not be read is reported with its path, and its message is not an orphan',
  AS_NOBODY,
  async (t) => {
    const spool = await usedSpool(t);
    closeTo(`${spool}/2`);
    const { exit, printed, errors } = await spoolroom(`queue --spool ${spool} --json`);
    assert.equal(exit, 0);
    assert.match(
      errors,
      /^spoolroom: \/\S+\/2 cannot be read: permission denied \(EACCES\)\. If it is a delivery list, its message is not delivered/,
    );
    assert.deepEqual(
      printed.split('\n').map((line) => JSON.parse(line)),
      [{ kind: 'orphan', mail: 3 }],
      'a mail that is newer than the list cannot be named by it',
    );
  },
);

test('an unreadable message to be enqueued is not reported as a bug', AS_NOBODY, async (t) => {
  const spool = spoolOf(t, { letter: MAIL });
  fs.chmodSync(spool, 0o755);
  const folder = await spoolroom(`enqueue --spool ${spool} --file ${spool} b@example.com`);
  assert.equal(folder.exit, 66);
  assert.match(
    folder.errors,
    /The message \S+ cannot be read: it is a directory \(EISDIR\)\. Nothing was queued/,
  );
  closeTo(`${spool}/letter`);
  const closed = await spoolroom(`enqueue --spool ${spool} --file ${spool}/letter b@example.com`);
  assert.equal(closed.exit, 77);
  assert.match(closed.errors, /permission denied/);
});

test('check tests whether all our folders can be written, not only the spool', async (t) => {
  const spool = await usedSpool(t);
  assert.equal(firstUnwritable(nodeDisk, spool), null);
  const closed = `${spool}/.spoolroom/tmp`;
  const disk = { ...nodeDisk, writable: (path: string) => path !== closed };
  assert.equal(firstUnwritable(disk, spool), closed);
  const opened = await openSpoolClient(spool, bench({ disk }), SETTINGS_2012);
  assert.ok(opened.kind === 'refused' && opened.why === 'not-writable' && opened.text.startsWith(closed));
});
