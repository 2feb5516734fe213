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
  const lines = (await spoolroom(spool, 'queue', '--json')).printed
    .split('\n')
    .map((line) => JSON.parse(line));
  return Object.fromEntries(lines.filter(({ kind }) => kind === 'job').map((each) => [each.job, each]));
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
    /^It is held\. To release it: spoolroom release 2\b/m,
  );
  assert.match((await spoolroom(spool, 'queue')).printed, /^4 .* held .* held by \S+$/m);
  assert.equal((await spoolroom(spool, 'hold', '2')).exit, 0, 'held twice is held');
  assert.equal((await spoolroom(spool, 'release', '2')).printed, 'released: job 2.');
  assert.deepEqual([(await queue(spool))[2]?.due, (await queue(spool))[4]?.due], [true, false]);
  assert.deepEqual(messagesIn(spool), FILES);
});

test('a release says which jobs the next failure ends, because they were held so long (R306)', async (t) => {
  const old = `${HEADER}msgid|1\nsubmitted|${NOW - 6 * 86_400}\nretry|600\nattempted|${NOW - 300}\nremote|b@example.com|4|no\n`;
  const spool = spoolOf(t, { ...FILES, 2: old });
  await spoolroom(spool, 'hold', '2', '4');
  const { printed } = await spoolroom(spool, 'release', '2', '4');
  assert.match(
    printed,
    /^released: jobs 2, 4\. Older than retry\.giveup, .*: job 2\. If the next attempt fails/,
  );
});

test('a retry makes a waiting job due; a held one stays held until it is released', async (t) => {
  const waiting = `${HEADER}msgid|1\nsubmitted|${NOW - 60}\nretry|600\nattempted|${NOW + 300}\nremote|b@example.com|4|no\n`;
  const spool = spoolOf(t, { ...FILES, 2: waiting });
  assert.equal((await queue(spool))[2]?.due, false);
  await spoolroom(spool, 'hold', '2');
  const refused = await spoolroom(spool, 'retry', '2');
  assert.equal(refused.exit, 65);
  assert.match(
    refused.errors,
    /Job 2 is held; `spoolroom release 2 --spool [^`]+` lets it be tried\. Nothing was changed/,
  );
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
  ['remove 2', 64, /would remove job 2 with 1 pending recipient, .* Use --yes/],
  ['remove 2 --report', 64, /would give up job 2 with 1 pending recipient, and tell the senders\. Use --yes/],
  ['remove', 64, /Give job numbers, options that select jobs/],
  ['hold', 64, /Give job numbers, options that select jobs/],
  ['hold 2 --all', 64, /Give job numbers, options/],
  ['hold --to b@ --all', 64, /Give job numbers, options/],
  ['hold 20-10', 64, /20-10 is not a job number/],
  ['hold 10-20', 66, /No job can be held/],
  ['hold 2,9', 66, /There is no job 9 in .*Nothing was changed/],
  ['hold --status gone', 64, /--status: gone is not one of new, deferred/],
  ['hold --older 2w', 64, /--older: 2w is not a duration/],
  ['retry --to nobody.example', 66, /No job to nobody\.example can be retried\. Nothing was changed/],
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
  assert.equal(await shown('nobody.example'), 'No jobs to nobody.example.');
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

/** Jobs 2, 4, ... with these senders, statuses and replies. */
function manyJobs(count: number): Record<string, string> {
  const files: Record<string, string> = {};
  for (let n = 1; n <= count; n++) {
    files[2 * n - 1] = MAIL;
    files[2 * n] = listFor(2 * n - 1, `r${n}@d${n % 3}.example`)
      .replace('bounceto|', `envelope_from|s${n % 2}@home.example\nbounceto|`)
      .replace('|0||', n % 2 === 0 ? '|4|4.2.1 greylisted (450, mx)|' : '|0||');
  }
  return files;
}

for (const [words, jobs] of [
  ['2,4', [2, 4]],
  ['6-10', [6, 8, 10]],
  ['18- 2', [2, 18, 20]],
  ['--from s1@', [2, 6, 10, 14, 18]],
  ['--from home.example --to d0.example', [6, 12, 18]],
  ['--domain example --answer GREYLISTED', [4, 8, 12, 16, 20]],
  ['--status new 1-9', [2, 6]],
  ['--status deferred --to d1.example', [8, 20]],
] as const) {
  test(`selected: ${words}`, async (t) => {
    const spool = spoolOf(t, manyJobs(10));
    const tried = await spoolroom(spool, 'hold', ...words.split(' '), '--dry-run', '--json');
    assert.deepEqual(JSON.parse(tried.printed), { asked: 'hold', jobs, runner: null, dryRun: true });
    assert.deepEqual(
      Object.values(await queue(spool)).filter(({ why }) => why.includes('held')),
      [],
    );
    const held = await spoolroom(spool, 'hold', ...words.split(' '), '--json');
    assert.deepEqual(JSON.parse(held.printed).jobs, jobs);
    const shown = await spoolroom(spool, 'queue', ...words.split(' '));
    assert.match(shown.printed, new RegExp(`^${jobs.length} jobs: `, 'm'));
  });
}

test('a dry run says what would be done, and to which jobs', async (t) => {
  const spool = spoolOf(t, manyJobs(10));
  const { printed } = await spoolroom(spool, 'retry', '4,8', '--dry-run');
  assert.match(
    printed,
    /^This would try jobs 4, 8 at the next run\. Nothing was changed\.\njob .*\n4 .*\n8 /,
  );
});

test('more than ten jobs are not changed without --yes', async (t) => {
  const spool = spoolOf(t, manyJobs(12));
  const { exit, errors } = await spoolroom(spool, 'hold', '--all');
  assert.deepEqual([exit, errors.split('. ').at(-1)], [64, 'Use --yes to confirm.']);
  assert.equal((await spoolroom(spool, 'hold', '1-20')).exit, 0);
  assert.equal((await spoolroom(spool, 'hold', '--all', '--yes')).exit, 0);
});

test('an age selects by the time of submission, and not where that is unknown', async (t) => {
  const files = { ...FILES, 4: FILES[4].replace(`submitted|${NOW}`, `submitted|${NOW - 7200}`) };
  const spool = spoolOf(t, files);
  const { printed } = await spoolroom(spool, 'hold', '--older', '1h', '--json');
  assert.deepEqual(JSON.parse(printed).jobs, [4]);
});

test('remove --report refuses the pending recipients in the next run, and tells the sender', async (t) => {
  const done = `${listFor(1, 'gone@example.com', 'b@example.com').replace('gone@example.com|0||', 'gone@example.com|2|ok|')}`;
  const spool = spoolOf(t, { ...FILES, 2: done });
  await spoolroom(spool, 'hold', '2');
  const asked = await spoolroom(spool, 'remove', '2', '--report', '--yes');
  assert.equal(asked.printed, 'to be given up: job 2. The next run will do it, and tell the senders.');
  assert.match((await queue(spool))[2]?.why ?? '', /about to be given up, and its sender gets a report/);
  await spoolroom(spool, 'hold', '4');
  await spoolroom(spool, 'run', '--smarthost', '127.0.0.1:1', '--return', 'room', '--log.level', 'error');
  assert.deepEqual(Object.keys(await queue(spool)), ['4']);
  const [report = ''] = fs.readdirSync(`${spool}/.spoolroom/reports`);
  const text = fs.readFileSync(`${spool}/.spoolroom/reports/${report}`, 'latin1');
  assert.match(text, /Final-Recipient: rfc822; ?b@example\.com/i);
  assert.match(text, /delivery was cancelled by the administrator/);
  assert.ok(!text.includes('gone@example.com'));
  const { printed } = await spoolroom(spool, 'history', '2');
  // All calls are at the same second, so the order of what different processes did is not told.
  for (const event of [/ hold /, / give-up /, / refused .*b@example\.com.*cancelled by/, / reported /])
    assert.match(printed, event);
  assert.match(printed, /1 recipient: 1 refused\.$/);
});
