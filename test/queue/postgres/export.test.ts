/** A queue in PostgreSQL, copied out as a spool: byte for byte what came in. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { main } from '../../../src/cli/shell/main.ts';
import { parsing } from '../../../src/queue/postgres/claims/claimed-job.ts';
import { SCHEDULE } from '../../../src/queue/schedule.ts';
import { adoptControl, adoptPayload } from '../../support/adopt.ts';
import { caughtTerminal } from '../../support/invocation.ts';
import { databaseAt, NO_POSTGRES, startCluster } from '../../support/postgres.ts';
import { bench, listFor, MAIL, openQueue, spoolOf, temporaryDirectory } from '../../support/spool.ts';

async function call(...words: readonly string[]) {
  const caught = caughtTerminal();
  const exit = await main(words, {}, caught.terminal);
  return { exit, text: [...caught.printed, ...caught.errors].join('\n') };
}

test('every message and list comes out in the bytes in which it came in, with holds and outcomes', {
  skip: NO_POSTGRES,
}, async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.remove());
  const room = await cluster.create();
  const database = databaseAt(room);
  t.after(() => database.close());
  const files: Readonly<Record<number, string>> = {
    1: MAIL,
    2: listFor(1, 'b@example.com', 'j\xf6rg@example.com'),
    3: `Subject: large\n\n${'A line of it.\n'.repeat(50_000)}`,
    4: `Date: x\r\nContent-Type: application/x-citadel-delivery-list\r\nX-Other: y\r\n\r\nmsgid|3\r\nsubmitted|5\r\nremote|c@example.com|4|later|\r\nretry|600\r\nattempted|9999999999\r\n`,
    5: 'Content-type: application/x-citadel-delivery-list\n\nsubmitted|5\n',
    6: MAIL,
  };
  const options = parsing('2012');
  const deps = { database, options, schedule: SCHEDULE, present: () => null };
  for (const [number, text] of Object.entries(files)) {
    const bytes = Buffer.from(text, 'latin1');
    if (/^(?:.*\n)?Content-type: application/im.test(text)) await adoptControl(deps, Number(number), bytes);
    else await adoptPayload(database, Number(number), [bytes]);
  }
  await database.query("SELECT spoolroom.ask('{4}', 'hold', 'me', 1342224000, NULL)");
  const spool = temporaryDirectory(t);
  const done = await call('export', spool, '--room', room);
  assert.match(done.text, /^3 jobs with 3 messages were copied .* They are in both now/);
  for (const [number, text] of Object.entries(files))
    assert.equal(fs.readFileSync(`${spool}/${number}`, 'latin1'), text, number);
  const queue = await openQueue(spool, bench());
  const { jobs } = await queue.scan();
  await queue.close();
  assert.deepEqual(
    jobs.map(({ control, request }) => [control, request]),
    [
      [2, undefined],
      [4, 'hold'],
    ],
  );
  assert.match((await call('export', spool, '--room', room)).text, /name an empty directory/);
  await database.query("INSERT INTO spoolroom.outcome VALUES (2, 'b@example.com', 0, 2, 'ok', 1342224000)");
  const later = spoolOf(t, {});
  await call('export', later, '--room', room);
  assert.match(
    fs.readFileSync(`${later}/2`, 'latin1'),
    /attempted\|1342224300\nremote\|b@example\.com\|2\|ok\n/,
  );
});
