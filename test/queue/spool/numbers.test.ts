/** Numbers of messages and locks: bounded, never given twice, and no search for one without an end. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import { openSpoolQueue } from '../../../src/queue/spool/open.ts';
import { HIGHEST_NUMBER } from '../../../src/storage/layout.ts';
import {
  bench,
  listFor,
  MAIL,
  openGuest,
  openRoom,
  SETTINGS_2012,
  SETTINGS_2017,
  spoolOf,
} from '../../support/spool.ts';

const NEW_JOB = {
  bounceto: 'a@example.org',
  envelopeFrom: null,
  sourceRoom: null,
  recipients: ['b@example.com'],
  submitted: 1,
} as const;

for (const name of ['9007199254740990', '9007199254740991', '18446744073709551616', '1000000000000000']) {
  test(`a file named ${name} is not a message and changes no number (R176)`, async (t) => {
    const spool = spoolOf(t, { 1: MAIL, [name]: MAIL });
    const deps = bench();
    const room = await openRoom(spool, deps);
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
  for (const taken of [HIGHEST_NUMBER, HIGHEST_NUMBER - 1]) {
    const spool = spoolOf(t, { [taken]: MAIL });
    const guest = await openGuest(spool, bench());
    const before = fs.readdirSync(spool);
    await assert.rejects(guest.enqueue(Buffer.from(MAIL), NEW_JOB), /No number is left for a new message/);
    assert.deepEqual(fs.readdirSync(spool), before);
  }
});

test('a list or a journal that names a number beyond the highest does not move the numbers (R176)', async (t) => {
  const spool = spoolOf(t, { 2: listFor(Number.MAX_SAFE_INTEGER, 'b@example.com') });
  const deps = bench();
  const room = await openRoom(spool, deps, SETTINGS_2017);
  const [job] = (await room.scan()).jobs;
  assert.equal(job?.job.msgid, Number.MAX_SAFE_INTEGER);
  await room.record(2, [{ index: 0, address: 'b@example.com', status: 4, text: 'later' }], 1);
  const guest = await openGuest(spool, bench());
  assert.equal((await guest.enqueue(Buffer.from(MAIL), NEW_JOB)).control, 4);
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
  const room = await openRoom(spool, bench());
  await room.close();
});

test('a symbolic link in the place of a lock holds nobody (R177)', async (t) => {
  const spool = withState(t, (state) => fs.symlinkSync('/etc/hostname', `${state}/lock.5`));
  const room = await openRoom(spool, bench());
  await room.close();
});

function withState(t: TestContext, prepare: (state: string) => void): string {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'b@example.com') });
  fs.mkdirSync(`${spool}/.spoolroom`);
  prepare(`${spool}/.spoolroom`);
  return spool;
}
