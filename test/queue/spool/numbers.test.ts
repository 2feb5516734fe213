/** Numbers of messages and locks: bounded, never given twice, and no search for one without an end. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { openDsnStore } from '../../../src/queue/spool/notes/dsn-store.ts';
import { openSpoolQueue } from '../../../src/queue/spool/open.ts';
import {
  transcriptFolder,
  transcriptStore,
  transcriptsOf,
} from '../../../src/replay/transcript/transcript-files.ts';
import { nodeDisk } from '../../../src/storage/disk.ts';
import { HIGHEST_NEW, HIGHEST_NUMBER } from '../../../src/storage/layout.ts';
import {
  bench,
  HEADER,
  listFor,
  MAIL,
  NEW_JOB,
  openClient,
  openQueue,
  SETTINGS_2012,
  SETTINGS_2017,
  spoolOf,
} from '../../support/spool.ts';

for (const name of ['9007199254740990', '9007199254740991', '18446744073709551616', '1000000000000000']) {
  test(`a file named ${name} is not a message and changes no number (R176)`, async (t) => {
    const spool = spoolOf(t, { 1: MAIL, [name]: MAIL });
    const deps = bench();
    const room = await openQueue(spool, deps);
    const { control } = await room.enqueue(Buffer.from(MAIL), NEW_JOB);
    assert.equal(control, 3);
    assert.deepEqual(
      (await room.scan()).jobs.map((job) => job.control),
      [3],
    );
    await room.scan();
    await room.close();
    const warned = deps.warnings.filter((text) => text.startsWith(`${spool}/${name} is not a message`));
    assert.equal(warned.length, 1, 'reported once');
    assert.ok(fs.existsSync(`${spool}/${name}`));
  });
}

test('where the highest number is taken nothing is queued, and a sentence says why (R176)', async (t) => {
  for (const taken of [HIGHEST_NEW, HIGHEST_NEW - 1]) {
    const spool = spoolOf(t, { [taken]: MAIL });
    const client = await openClient(spool, bench());
    const before = fs.readdirSync(spool);
    await assert.rejects(client.enqueue(Buffer.from(MAIL), NEW_JOB), /No number is left for a new message/);
    assert.deepEqual(fs.readdirSync(spool), before);
  }
});

test('no message gets a number that lists of 2012 cannot hold, whatever is in the spool (R289)', async (t) => {
  const spool = spoolOf(t, { [HIGHEST_NEW + 1]: MAIL, [HIGHEST_NUMBER]: MAIL });
  fs.mkdirSync(`${spool}/.spoolroom`);
  fs.writeFileSync(`${spool}/.spoolroom/highest`, '4294967295\n');
  const room = await openQueue(spool, bench());
  assert.equal((await room.enqueue(Buffer.from(MAIL), NEW_JOB)).control, 2);
  await room.scan();
  await room.close();
  assert.equal(fs.readFileSync(`${spool}/.spoolroom/highest`, 'utf8'), '2\n');
});

test('a list or a journal that names a number beyond the highest does not move the numbers (R176)', async (t) => {
  const spool = spoolOf(t, { 2: listFor(Number.MAX_SAFE_INTEGER, 'b@example.com') });
  const deps = bench();
  const room = await openQueue(spool, deps, SETTINGS_2017);
  const [job] = (await room.scan()).jobs;
  assert.equal(job?.job.msgid, Number.MAX_SAFE_INTEGER);
  await room.record(2, [{ index: 0, address: 'b@example.com', status: 4, text: 'later' }], 1);
  const client = await openClient(spool, bench());
  assert.equal((await client.enqueue(Buffer.from(MAIL), NEW_JOB)).control, 4);
  await room.close();
});

const LOCKS: readonly { readonly name: string; readonly outcome: RegExp | 'open' }[] = [
  {
    name: 'lock.999999999999999',
    outcome: /lock\.999999999999999 has the highest number .*delete this file/,
  },
  { name: 'lock.9999999999999999', outcome: 'open' },
  { name: 'lock.9007199254740993', outcome: 'open' },
];

for (const { name, outcome } of LOCKS) {
  test(`a lock file named ${name} never makes a run search without an end (R176)`, async (t) => {
    const spool = withState(t, (state) => fs.writeFileSync(`${state}/${name}`, 'free\n'));
    const opened = await openSpoolQueue(spool, bench(), SETTINGS_2012);
    if (opened.kind === 'open') await opened.queue.close();
    if (outcome === 'open') assert.equal(opened.kind, 'open');
    else assert.match(opened.kind === 'refused' ? opened.text : 'open', outcome);
  });
}

test('a lock that names a process number beyond any holds nobody (R176)', async (t) => {
  const spool = withState(t, (state) =>
    fs.writeFileSync(`${state}/lock.5`, 'pid 99999999999 started 1 boot -\n'),
  );
  const room = await openQueue(spool, bench());
  await room.close();
});

test('a symbolic link in the place of a lock holds nobody (R177)', async (t) => {
  const spool = withState(t, (state) => fs.symlinkSync('/etc/hostname', `${state}/lock.5`));
  const room = await openQueue(spool, bench());
  await room.close();
});

function withState(t: TestContext, prepare: (state: string) => void): string {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'b@example.com') });
  fs.mkdirSync(`${spool}/.spoolroom`);
  prepare(`${spool}/.spoolroom`);
  return spool;
}

/** A list of `spool` where every recipient has its message. */
async function deliverAll(spool: string): Promise<void> {
  const room = await openQueue(spool, bench());
  for (const { control, job } of (await room.scan()).jobs) {
    const outcomes = job.recipients.map(({ address }, index) => ({
      ...{ index, address, status: 2, text: 'ok' },
    }));
    await room.record(control, outcomes as never, 1);
    await room.finish(control);
  }
  await room.close();
}

test('a number is not given again when the queue has run empty (R180)', async (t) => {
  const spool = spoolOf(t, { 1: MAIL, 7: listFor(1, 'b@example.com') });
  // Open all the while, as the intake is.
  const client = await openClient(spool, bench());
  await deliverAll(spool);
  assert.deepEqual(fs.readdirSync(spool), ['.spoolroom']);
  assert.equal((await client.enqueue(Buffer.from(MAIL), NEW_JOB)).control, 9);
  const other = await openClient(spool, bench());
  assert.equal((await other.enqueue(Buffer.from(MAIL), NEW_JOB)).control, 11);
  await deliverAll(spool);
  assert.equal((await client.enqueue(Buffer.from(MAIL), NEW_JOB)).control, 13);
  const room = await openQueue(spool, bench());
  assert.equal((await room.enqueue(Buffer.from(MAIL), NEW_JOB)).control, 15);
  await room.close();
});

test('nor that of a job that was removed, or of a list that was moved away (R180)', async (t) => {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'b@example.com'), 5: `${HEADER}nothing of it\n` });
  const client = await openClient(spool, bench());
  await client.request('remove', (await client.scan()).jobs, { by: 'me', at: 1 });
  const room = await openQueue(spool, bench());
  await room.scan();
  await room.close();
  assert.deepEqual(fs.readdirSync(spool), ['.spoolroom']);
  assert.equal((await client.enqueue(Buffer.from(MAIL), NEW_JOB)).control, 7);
});

for (const text of ['', 'x', '-5', '9007199254740993', '12345678901234567890\n']) {
  test(`a record of the highest number that says ${JSON.stringify(text)} counts as none (R180)`, async (t) => {
    const spool = spoolOf(t, { 1: MAIL });
    fs.mkdirSync(`${spool}/.spoolroom`);
    fs.writeFileSync(`${spool}/.spoolroom/highest`, text);
    const client = await openClient(spool, bench());
    assert.equal((await client.enqueue(Buffer.from(MAIL), NEW_JOB)).control, 3);
  });
}

test('where the highest number cannot be written, mail is delivered and a sentence says it (R180)', async (t) => {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'b@example.com') });
  const rename = (from: string, to: string): void => {
    if (to.endsWith('/highest')) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    nodeDisk.rename(from, to);
  };
  const deps = bench({ disk: { ...nodeDisk, rename } });
  const room = await openQueue(spool, deps);
  assert.equal((await room.scan()).jobs.length, 1);
  assert.equal((await room.scan()).jobs.length, 1);
  assert.match(
    deps.warnings.join('\n'),
    /^\S+highest could not be written: no space .* Mail is delivered nevertheless/,
  );
  assert.equal(deps.warnings.length, 1);
  await room.close();
});

test('what was noted about a job is not taken for that of a later one with its numbers (R180)', async (t) => {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'b@example.com') });
  const deps = bench();
  await (await openQueue(spool, deps)).close();
  const notes = openDsnStore(spool, deps);
  const [early, late] = [
    { control: 2, msgid: 1, submitted: 100 },
    { control: 2, msgid: 1, submitted: 200 },
  ];
  await notes.recordNotified(early, [{ address: 'b@example.com', what: 'delay' }]);
  await notes.recordFirstAttempt(early, 150);
  assert.equal((await notes.notified(early)).length, 1);
  assert.deepEqual([await notes.notified(late), await notes.firstAttempt(late)], [[], null]);
});

test('a transcript belongs to the message and the submission it was made for (R180)', (t) => {
  const spool = spoolOf(t, {});
  const store = transcriptStore(transcriptFolder(spool), { size: 1e6, age: 1e9 }, (text) =>
    assert.fail(text),
  );
  for (const [at, job] of [
    [1000, { msgid: 1, submitted: 100, recipients: [] }],
    [2000, { msgid: 1, submitted: 200, recipients: [] }],
    [3000, { msgid: 3, submitted: 100, recipients: [] }],
  ] as const) {
    store.open(2, at).append(`${JSON.stringify({ transcript: 2, at, control: 2, job })}\n`);
  }
  const found = transcriptsOf(spool, 2, { msgid: 1, submitted: 100 });
  assert.deepEqual(
    found.map((file) => path.basename(file)),
    ['2-1-1.jsonl'],
  );
  assert.equal(transcriptsOf(spool, 2).length, 3);
});

test('a list with more recipients than its limit lets is set aside, however short they are (R280)', async (t) => {
  const lists = (count: number): string => `${listFor(1).trimEnd()}\n${'remote||0||\n'.repeat(count)}`;
  const spool = spoolOf(t, { 1: MAIL, 2: lists(1024), 3: lists(1025) });
  const room = await openQueue(spool, bench(), { ...SETTINGS_2012, longestList: 65_536 });
  const { jobs, quarantined } = await room.scan();
  assert.deepEqual(
    jobs.map(({ control }) => control),
    [2],
  );
  assert.match(quarantined[0]?.reason ?? '', /1025 recipients, more than 1024/);
  await room.close();
});

test('what servers say of its recipients does not make a list too long to be read again (R280)', async (t) => {
  const recipients = Array.from({ length: 1024 }, (_, n) => `user${n}@a.example`);
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, ...recipients) });
  const settings = { ...SETTINGS_2012, longestList: 65_536 };
  const deps = bench();
  const room = await openQueue(spool, deps, settings);
  await room.scan();
  const text = `450 4.2.1 ${'later '.repeat(100)}`;
  const changes = recipients.map((address, index) => ({ index, address, status: 4, text }) as const);
  await room.record(2, changes, 1_400_000_000);
  await room.close();
  assert.ok(fs.statSync(`${spool}/2`).size <= 65_536 + 100);
  const again = await openQueue(spool, deps, settings);
  const { jobs } = await again.scan();
  assert.deepEqual(
    jobs[0]?.job.recipients.map(({ address, status }) => `${address} ${status}`),
    recipients.map((address) => `${address} 4`),
  );
  assert.match(jobs[0]?.job.recipients[1023]?.text ?? '', /^450 4\.2\.1 later/);
  await again.close();
});

test('a list with a line of megabytes is set aside with a reason, and others go on (R248)', async (t) => {
  const long = listFor(1, `${'x'.repeat(4_000_000)}@example.com`);
  const spool = spoolOf(t, { 1: MAIL, 2: long, 3: listFor(1, `${'x'.repeat(60_000)}@example.com`) });
  const room = await openQueue(spool, bench());
  const { jobs, quarantined } = await room.scan();
  assert.deepEqual(
    jobs.map(({ control }) => control),
    [3],
  );
  assert.match(quarantined[0]?.reason ?? '', /a line of more than 65536 bytes/);
  await room.close();
});
