/** What readers see of outcomes that are only in the journal: the runner was killed before it rewrote the lists. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import { main } from '../../../src/cli/shell/main.ts';
import type { StatusChange } from '../../../src/delivery-list/job.ts';
import { openSpoolReadOnly } from '../../../src/queue/spool/open.ts';
import { caughtTerminal } from '../../support/invocation.ts';
import {
  bench,
  listFor,
  MAIL,
  messagesIn,
  NOW,
  openQueue,
  SETTINGS_2012,
  SETTINGS_2017,
  spoolOf,
} from '../../support/spool.ts';

const DELIVERED: StatusChange = { index: 0, address: 'b@x.example', status: 2, text: 'ok' };
const DEFERRED: StatusChange = { index: 1, address: 'c@x.example', status: 4, text: 'greylisted' };
const FILES = { 1: MAIL, 2: listFor(1, 'b@x.example', 'c@x.example'), 3: MAIL, 4: listFor(3, 'd@x.example') };

/** The outcomes are in the journal, and nothing else was written; the process is gone as far as others can see. */
async function killedSpool(t: TestContext, changes: readonly StatusChange[], finish = false) {
  const spool = spoolOf(t, FILES);
  const room = await openQueue(spool, bench());
  await room.scan();
  await room.record(2, changes, NOW);
  if (finish) await room.finish(2);
  const journal = fs.readFileSync(`${spool}/.spoolroom/journal`);
  await room.close();
  for (const [name, bytes] of Object.entries(FILES)) fs.writeFileSync(`${spool}/${name}`, bytes, 'latin1');
  for (const name of Object.keys(FILES)) fs.utimesSync(`${spool}/${name}`, NOW - 86_400, NOW - 86_400);
  fs.writeFileSync(`${spool}/.spoolroom/journal`, journal);
  return spool;
}

async function scanOf(spool: string, settings = SETTINGS_2012) {
  const warnings: string[] = [];
  const opened = await openSpoolReadOnly(
    spool,
    { ...bench(), warn: (text) => warnings.push(text) },
    settings,
  );
  assert.equal(opened.kind, 'open');
  return { ...(await opened.view.scan()), warnings };
}

for (const settings of [SETTINGS_2012, SETTINGS_2017]) {
  test(`the outcomes of a killed run are shown as those of its next reader, ${settings.dialect}`, async (t) => {
    const spool = await killedSpool(t, [DELIVERED, DEFERRED]);
    const before = [messagesIn(spool), fs.readFileSync(`${spool}/.spoolroom/journal`, 'latin1')];
    const { jobs, warnings } = await scanOf(spool, settings);
    assert.deepEqual(warnings, []);
    assert.deepEqual(
      jobs.map(({ control, unwritten }) => [control, unwritten]),
      [
        [2, 2],
        [4, undefined],
      ],
    );
    const [shown] = jobs;
    assert.deepEqual(
      shown?.job.recipients.map(({ status, text }) => [status, text]),
      [
        [2, 'ok'],
        [4, 'greylisted'],
      ],
    );
    assert.deepEqual([messagesIn(spool), fs.readFileSync(`${spool}/.spoolroom/journal`, 'latin1')], before);
    const room = await openQueue(spool, bench(), settings);
    await room.close();
    const written = (await scanOf(spool, settings)).jobs[0];
    assert.equal(written?.unwritten, undefined);
    assert.deepEqual(
      [written?.job.attempted, written?.job.retry, written?.job.dialect],
      [shown?.job.attempted, shown?.job.retry, shown?.job.dialect],
    );
  });
}

test('a job that has ended has no orphan', async (t) => {
  const spool = await killedSpool(t, [DELIVERED, { ...DEFERRED, status: 2 }], true);
  assert.deepEqual(
    (await scanOf(spool)).jobs[0]?.job.recipients.map(({ status }) => status),
    [2, 2],
  );
  fs.rmSync(`${spool}/2`);
  assert.deepEqual((await scanOf(spool)).orphans, []);
});

test('records of an older message with the same number do not count', async (t) => {
  const spool = await killedSpool(t, [DELIVERED, DEFERRED]);
  fs.writeFileSync(`${spool}/1`, `${MAIL}another`);
  assert.deepEqual(
    (await scanOf(spool)).jobs[0]?.job.recipients.map(({ status }) => status),
    [0, 0],
  );
});

test('a journal that cannot be used is told, and the lists are shown', async (t) => {
  const spool = await killedSpool(t, [DELIVERED]);
  fs.writeFileSync(`${spool}/.spoolroom/journal`, 'nonsense\n');
  const { jobs, warnings } = await scanOf(spool);
  assert.equal(jobs.length, 2);
  assert.match(
    warnings.join('\n'),
    /^Outcomes that are only in the journal are not shown\. The journal .* is not/,
  );
});

test('queue, explain and replay say so', async (t) => {
  const spool = await killedSpool(t, [DELIVERED, DEFERRED]);
  const said = async (...words: string[]) => {
    const caught = caughtTerminal();
    assert.equal(await main([...words, '--spool', spool], {}, caught.terminal), 0, caught.errors.join('\n'));
    return caught.printed.join('\n');
  };
  const sentence = /What became of 2 recipients is in the journal, and not yet in the control message/;
  assert.match(await said('queue'), sentence);
  assert.match(await said('explain', '2'), sentence);
  assert.match(await said('explain', '2'), /1 delivered, 0 refused, 1 pending[\s\S]*greylisted/);
  const replay = await said('replay', '2');
  assert.match(replay, sentence);
  assert.doesNotMatch(replay, /RCPT TO:<b@/);
  const [job] = (await said('queue', '--json')).split('\n').map((line) => JSON.parse(line));
  assert.deepEqual([job.delivered, job.unwritten], [1, 2]);
});
