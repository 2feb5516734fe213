/** `retry`, `hold`, `release`, `remove`: without and beside a runner, and with wrong numbers. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import { main } from '../../src/cli/shell/main.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { bench, HEADER, listFor, MAIL, messagesIn, NOW, openQueue, spoolOf } from '../support/spool.ts';

const FILES = {
  1: MAIL,
  2: listFor(1, 'b@example.com'),
  3: MAIL,
  4: listFor(3, 'c@example.com', 'd@example.com'),
  6: `${HEADER}nothing\n`,
};
const FOLDER = '.spoolroom/removed/20120714T000000Z';

async function spoolroom(spool: string, ...words: readonly string[]) {
  const caught = caughtTerminal();
  const exit = await main([...words, '--spool', spool, '--now', String(NOW)], {}, caught.terminal);
  return { exit, printed: caught.printed.join('\n'), errors: caught.errors.join('\n') };
}

/** What `queue` shows of each job, by number. */
async function queue(
  spool: string,
): Promise<Record<number, { readonly due: boolean; readonly why: string }>> {
  const { jobs } = JSON.parse((await spoolroom(spool, 'queue', '--json')).printed);
  return Object.fromEntries(jobs.map((each: { job: number }) => [each.job, each]));
}

/** With this process delivering from the spool. */
async function besideRunner(
  t: TestContext,
  work: (spool: string, room: Queue) => Promise<void>,
): Promise<void> {
  const spool = spoolOf(t, FILES);
  const room = await openQueue(spool, bench());
  try {
    await work(spool, room);
  } finally {
    await room.close();
  }
}

test('hold and release: queue and explain show it, no message changes', async (t) => {
  const spool = spoolOf(t, FILES);
  const held = await spoolroom(spool, 'hold', '2', '4');
  assert.deepEqual([held.exit, held.printed, held.errors], [0, 'held: jobs 2, 4.', '']);
  assert.deepEqual([(await queue(spool))[2]?.due, (await queue(spool))[4]?.due], [false, false]);
  assert.match(
    (await spoolroom(spool, 'explain', '2')).printed,
    /^It is held; `spoolroom release 2` releases it\.$/m,
  );
  assert.match((await spoolroom(spool, 'queue')).printed, /^4 .* held by \S+ since 2012-07-14T00:00:00Z$/m);
  assert.equal((await spoolroom(spool, 'hold', '2')).exit, 0, 'held twice is held');
  assert.equal((await spoolroom(spool, 'release', '2')).printed, 'released: job 2.');
  assert.deepEqual([(await queue(spool))[2]?.due, (await queue(spool))[4]?.due], [true, false]);
  assert.deepEqual(messagesIn(spool), FILES);
});

test('a retry makes a waiting job due; a held one stays held until it is released', async (t) => {
  const waiting = `${HEADER}msgid|1\nsubmitted|${NOW - 60}\nretry|600\nattempted|${NOW + 300}\nremote|b@example.com|4|no\n`;
  const spool = spoolOf(t, { ...FILES, 2: waiting });
  assert.equal((await queue(spool))[2]?.due, false);
  await spoolroom(spool, 'hold', '2');
  const refused = await spoolroom(spool, 'retry', '2');
  assert.equal(refused.exit, 65);
  assert.match(refused.errors, /Job 2 is held; `spoolroom release 2` lets it be tried\. Nothing was changed/);
  await spoolroom(spool, 'retry', '--all');
  assert.equal((await queue(spool))[2]?.due, false);
  await spoolroom(spool, 'release', '2');
  const { exit, printed } = await spoolroom(spool, 'retry', '2');
  assert.deepEqual(
    [exit, printed],
    [0, 'to be tried: job 2. No process is delivering from this spool now; the next run will try it.'],
  );
  assert.equal((await queue(spool))[2]?.due, true);
});

test('a removal is done at once where no runner delivers', async (t) => {
  const spool = spoolOf(t, FILES);
  const { exit, printed, errors } = await spoolroom(spool, 'remove', '4', '--yes');
  assert.deepEqual([exit, printed], [0, `removed: job 4. The files are in ${spool}/${FOLDER}`]);
  assert.match(
    errors,
    /quarantined: control message 6: it has no delivery-list instruction\. The list is now .*\/bad\/6, and its message is not delivered/,
  );
  assert.deepEqual(
    Object.keys(messagesIn(spool)),
    ['.spoolroom/bad/6', '.spoolroom/bad/6.reason', '1', '2'].sort(byPath),
  );
  assert.deepEqual(fs.readdirSync(`${spool}/${FOLDER}`).sort(), ['3', '4', '4.why']);
});

function byPath(a: string, b: string): number {
  return Number(a.startsWith('.')) - Number(b.startsWith('.')) || a.localeCompare(b);
}

test('beside a runner everything is left to it, and its process is named', (t) =>
  besideRunner(t, async (spool, room) => {
    const removed = await spoolroom(spool, 'remove', '4', '--yes', '--json');
    assert.deepEqual(JSON.parse(removed.printed), {
      ...{ asked: 'remove', jobs: [4], runner: process.pid, done: false, folder: `${spool}/${FOLDER}` },
    });
    assert.match((await queue(spool))[4]?.why ?? '', /about to be removed/);
    assert.deepEqual(messagesIn(spool), FILES);
    const held = await spoolroom(spool, 'hold', '2');
    assert.match(
      held.printed,
      new RegExp(`^held: job 2\\. Deliveries in progress in process ${process.pid} will finish`),
    );
    assert.deepEqual(
      (await room.scan()).jobs.map(({ control, request }) => [control, request]),
      [[2, 'hold']],
    );
    await spoolroom(spool, 'release', '2');
    const retried = await spoolroom(spool, 'retry', '2');
    assert.match(
      retried.printed,
      new RegExp(`^to be tried: job 2\\. Process ${process.pid}, .* at its next scan\\.$`),
    );
  }));

test('a requested removal can be withdrawn until the next scan of the runner', (t) =>
  besideRunner(t, async (spool, room) => {
    await spoolroom(spool, 'remove', '4', '--yes');
    await spoolroom(spool, 'hold', '4');
    assert.equal((await room.scan()).jobs.find(({ control }) => control === 4)?.request, 'hold');
  }));

const REFUSED = [
  ['hold 2 9', 66, /There is no job 9 in .*Nothing was changed/],
  ['hold 2 3', 66, /3 is a message; its job is 4/],
  ['hold 2 6', 65, /Control message 6 cannot be read: it has no delivery-list/],
  ['hold 2 two', 64, /two is not a job number/],
  ['hold 2 0x4', 64, /0x4 is not a job number/],
  ['hold 2 ../4', 64, /\.\.\/4 is not a job number/],
  ['release 2', 65, /Job 2 is not held/],
  ['remove 2', 64, /removes job 2 with 1 pending recipient, .* Use --yes/],
  ['remove', 64, /Missing job numbers: spoolroom remove <jobs\.\.>\nTry: spoolroom remove --help/],
  ['hold', 64, /Give job numbers, or --to ADDRESS\|DOMAIN, or --all/],
  ['hold 2 --all', 64, /Give job numbers, or/],
  ['retry --to nobody.example', 66, /No job for nobody\.example can be retried\. Nothing was changed/],
  ['release --all', 66, /No job can be released/],
] as const;

for (const [words, code, said] of REFUSED) {
  test(`refused, and nothing is changed: ${words}`, async (t) => {
    const spool = spoolOf(t, FILES);
    const { exit, errors, printed } = await spoolroom(spool, ...words.split(' '));
    assert.deepEqual([exit, printed], [code, '']);
    assert.match(errors, said);
    assert.equal((await queue(spool))[2]?.due, true);
    assert.deepEqual(messagesIn(spool), FILES);
  });
}

test('many at once: all, or those for an address or a domain', async (t) => {
  const done = listFor(7, 'c@example.com').replace('|0||', '|2|ok');
  const spool = spoolOf(t, {
    ...FILES,
    7: MAIL,
    8: done,
    9: MAIL,
    10: listFor(9, '"C, D" <c@Other.example>'),
  });
  assert.equal(
    (await spoolroom(spool, 'retry', '--all')).printed.split('.')[0],
    'to be tried: jobs 2, 4, 10',
  );
  assert.match((await spoolroom(spool, 'hold', '--to', 'd@example.com')).printed, /^held: job 4\./);
  assert.match((await spoolroom(spool, 'hold', '--to', '@other.example')).printed, /^held: job 10\./);
  assert.equal((await spoolroom(spool, 'release', '--to', 'example.com')).printed, 'released: job 4.');
  const shown = async (word: string): Promise<string> =>
    (await spoolroom(spool, 'queue', '--to', word)).printed;
  assert.match(await shown('C@OTHER.example'), /\n10 .*\n1 job: 0 due now, 1 waiting$/);
  assert.equal(await shown('nobody.example'), 'No jobs for nobody.example.');
});

test('a job without pending recipients cannot be retried', async (t) => {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'b@example.com').replace('|0||', '|2|ok') });
  assert.match((await spoolroom(spool, 'retry', '2')).errors, /Job 2 has no pending recipients/);
});

test('queue and explain read a spool without writing to it', async (t) => {
  const spool = spoolOf(t, FILES);
  for (const words of [['queue'], ['explain', '2']]) assert.equal((await spoolroom(spool, ...words)).exit, 0);
  assert.ok(!fs.existsSync(`${spool}/.spoolroom`));
});

test('a job that does not exist: removed, quarantined, or finished', async (t) => {
  const spool = spoolOf(t, FILES);
  await spoolroom(spool, 'remove', '4', '--yes');
  for (const [number, expected] of [
    [
      '4',
      /There is no job 4 in .*: it was removed; its files are in .*\/\.spoolroom\/removed\/20120714T000000Z\./,
    ],
    [
      '6',
      /There is no job 6 in .*: it is in .*\/\.spoolroom\/bad\/6\. Message 6 was quarantined, because it has no/,
    ],
    ['9', /There is no job 9 in .*: it is finished, or never existed\./],
  ] as const) {
    const explained = await spoolroom(spool, 'explain', number);
    // What happened to it is known.
    if (number === '4') assert.match(explained.printed, /left the queue: it was removed;.*\n[\s\S]* remove /);
    else assert.match(explained.errors, expected);
    assert.equal(explained.exit, number === '4' ? 0 : 66);
    assert.match((await spoolroom(spool, 'hold', number)).errors, expected);
  }
  assert.equal((await spoolroom(spool, 'explain', '0x2')).exit, 64);
});
